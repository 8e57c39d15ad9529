"""The file: one that asks for nothing, whose scripts are those that its policy names, and whose data are no markup."""

import base64
import hashlib
import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from support import ROOT

from dlrender.errors import RenderError
from dlrender.page.document import MODULES, WEB, is_ours
from dlrender.page.write import title_of, write_page

CSS = (ROOT / "dlrender" / "page" / "web" / "page.css").read_text()


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_names_every_script_and_style(pages):
    text = pages.read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)">', text)[1]
    scripts = re.findall(r'<script(?: type="(?:importmap|module)")?>(.*?)</script>', text, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert len(scripts) == 4
    assert len(styles) == 1
    assert set(re.findall(r"'sha256-[^']+'", policy)) == set(map(digest, (*scripts, *styles)))
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    assert not re.search(r"\s(?:on\w+|style)=", text.split("<body>")[1].split('<script type="application/json"')[0])


def test_data_are_no_markup(pages, held):
    assert "<" not in pages.read_text().split('id="data">')[1].split("</script>")[0]
    assert any("onerror=alert" in file["name"] for file in held(pages)["episodes"][0]["files"])
    assert "<img" not in pages.read_text()


def test_the_modules_of_the_page_are_those_of_the_folder(pages):
    imports = json.loads(re.search(r'<script type="importmap">(.*?)</script>', pages.read_text())[1])["imports"]
    assert set(imports) == {*(f"page/{name}" for name in MODULES), "d3-array", "d3-contour"}
    for name in MODULES:
        assert base64.b64decode(imports[f"page/{name}"].split(",")[1]).decode() == (WEB / f"{name}.js").read_text()
    assert {path.stem for path in (ROOT / "dlrender" / "page" / "web").glob("*.js")} - {"index"} == set(MODULES)


def test_vendored_files_are_as_published():
    vendor = files("dlrender.page") / "web" / "vendor"
    manifest = json.loads((vendor / "manifest.json").read_text())
    found = {path.name for path in (ROOT / "dlrender" / "page" / "web" / "vendor").iterdir()} - {"manifest.json"}
    assert found == {*manifest, *(row["licence_file"] for row in manifest.values())}
    for name, row in manifest.items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == row["sha256"], name
        assert row["licence"] in ("MIT", "ISC")
        assert row["version"] in (vendor / name).read_text() or name.endswith(".css")


def test_pages_are_told_from_other_files(pages, tmp_path):
    other = tmp_path / "other.html"
    other.write_text("<!doctype html><title>mine</title>")
    assert is_ours(pages)
    assert not is_ours(other)
    assert not is_ours(tmp_path / "none.html")
    with pytest.raises(RenderError, match=r"other\.html exists and was not made by dlrender page"):
        write_page([], other)


def test_a_title_names_the_data_set_of_all():
    one, other = ({"episode": 3, "dataset": name} for name in ("a", "b"))
    assert [title_of(each) for each in ([one], [one, one], [one, other])] == [
        "episode 3 of a · dlscore", "2 episodes of a · dlscore", "2 episodes · dlscore"]  # fmt: skip


def test_javascript_is_clean():
    program = Path(sys.executable).with_name("oxlint")
    if not program.exists():
        pytest.skip("oxlint is not installed; it is in the extra dev")
    web = ROOT / "dlrender" / "page" / "web"
    argv = [program, "--deny-warnings", "--ignore-pattern", "vendor", web]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout


def test_every_rule_of_the_style_sheet_is_understood(one):
    # A misspelled property, or a value that is not allowed, is dropped without a word.
    for name, value in re.findall(r"^\s+([a-z-]+): ([^;]+);$", CSS, re.MULTILINE):
        if not name.startswith("--"):
            assert one("([name, value]) => CSS.supports(name, value)", [name, value.replace(" !important", "")]), (
                name,
                value,
            )


def test_every_class_and_colour_of_the_style_sheet_is_used():
    sources = "".join(
        path.read_text() for path in (ROOT / "dlrender" / "page" / "web").glob("*.*") if path.suffix != ".css"
    )
    for name in set(re.findall(r"\.([a-z][\w-]*)(?=[^;{}]*\{)", CSS)):
        assert re.search(rf"\b{name}\b", sources), name
    for name in set(re.findall(r"(--[\w-]+):", CSS)):
        assert f"var({name})" in CSS or f'"{name}"' in sources, name


def test_the_example_is_small_and_names_no_place_of_its_makers():
    example = ROOT / "data" / "examples" / "demo.html"
    assert is_ours(example)
    assert example.stat().st_size <= 800_000
    assert not re.search(r"/(?:home|root|tmp|work)/", example.read_text())  # none of base64 here
