"""Caches as a data set of the hub: `datasets` loads what is written, the card says how it was made, nothing else is replaced."""

import json
import re

import numpy as np
import pytest
from support.known import gaussian, write_known
from support.synthetic import rewrite

from dlrender.answers.export import episode_table, export, push
from dlrender.answers.table import read_tables
from dlrender.errors import RenderError


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    """Six episodes of eight steps of one policy."""
    folder = tmp_path_factory.mktemp("caches")
    for episode in range(6):
        write_known(folder / f"episode_{episode:03}.h5", [gaussian([256, 256])] * 8, episode=episode, policy="runs/a")
    return folder


@pytest.fixture
def folder(caches, tmp_path):
    found = export([caches], tmp_path / "export", licence="mit", name="me/steps")
    assert (found.steps, found.episodes) == (48, 6)
    return found.folder


def test_load_dataset_reads_both_tables(folder, caches, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    table = read_tables(sorted(caches.glob("*.h5")))
    steps = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))  # the default config
    assert steps.column_names == list(table)
    np.testing.assert_array_equal(np.array(steps["surprise"]), table["surprise"])
    assert steps[0]["reward"] is None
    episodes = datasets.load_dataset(str(folder), "episodes", split="train", cache_dir=str(tmp_path / "cache"))
    assert episodes["episode"][:] == [0, 1, 2, 3, 4, 5]
    assert episodes["mean_surprise"][2] == pytest.approx(table["surprise"][16:24].mean())


def test_the_card_says_what_is_there_and_how_it_was_made(folder):
    card = (folder / "README.md").read_text()
    _, head, text = card.split("---\n", 2)
    known = {key: json.loads(value) for key, value in (line.split(": ", 1) for line in head.strip().splitlines())}
    assert known["license"] == "mit"
    assert [config["config_name"] for config in known["configs"]] == ["steps", "episodes"]
    for config in known["configs"]:
        assert (folder / config["data_files"]).is_file()
    for told in (
        "| policies | runs/a |",
        "| recorded actions | an expert's |",
        "| runs/a | `nll` | ",
        '"me/steps"',
        "| `surprise` | nats |",
    ):
        assert told in text
    assert len(json.loads((folder / "dlscore.json").read_text())["caches"]) == 6


def test_each_policy_has_its_own_rows_in_the_card(policies, tmp_path):
    files = [sorted(policies[name].glob("*.h5"))[0] for name in ("a", "b")]
    found = export(files, tmp_path / "export")
    assert (found.steps, found.episodes) == (8, 2)
    card = (tmp_path / "export" / "README.md").read_text()
    assert re.findall(r"^\| (\S+) \| `nll` \|", card, re.MULTILINE) == ["runs/a", "runs/b"]


def test_an_export_is_made_again_and_is_the_same(folder, caches):
    before = {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    export([caches], folder, licence="mit", name="me/steps")
    assert {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_another_folder_is_left_alone(caches, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(RenderError, match="exists and is no export; choose another -o"):
        export([caches], tmp_path / "mine")
    assert [file.name for file in tmp_path.rglob("*")] == ["mine", "thesis.txt"]


def test_files_that_were_put_into_an_export_are_left_alone(folder, caches):
    (folder / "data" / "mine.csv").write_text("mine")
    with pytest.raises(RenderError, match=r"holds data/mine.csv, which is of no export; move it, or choose another -o"):
        export([caches], folder)
    assert (folder / "data" / "mine.csv").read_text() == "mine"


def test_a_licence_that_would_break_the_card_is_refused(caches, tmp_path):
    with pytest.raises(RenderError, match="is no identifier of the hub"):
        export([caches], tmp_path / "export", licence='mit"\nevil: "')


def test_an_episode_is_a_row_that_says_how_the_whole_of_it_ended(tmp_path):
    for k in range(3):
        write_known(tmp_path / f"episode_{k:03}.h5", [gaussian([256, 256])] * 4, episode=k, success=k == 1)
    steps = read_tables(sorted(tmp_path.glob("*.h5")))
    table = episode_table(steps)
    assert table["episode"].tolist() == [0, 1, 2]
    assert table["success"].tolist() == [0, 1, 0]
    assert table["reward"].tolist() == [0.5, 1, 0.5]
    assert table["steps"].tolist() == [4, 4, 4]
    assert table["mean_entropy"][1] == pytest.approx(steps["entropy"][4:8].mean())


def test_a_policys_own_episode_is_told(caches, tmp_path):
    path = tmp_path / "episode_000.h5"
    path.write_bytes((caches / "episode_000.h5").read_bytes())
    rewrite(path, lambda file: file.attrs.update({"executed_by": "runs/a", "every": 5}))
    export([path], tmp_path / "export")
    card = (tmp_path / "export" / "README.md").read_text()
    assert "| recorded actions | executed by runs/a |" in card
    assert "| scored steps | 1 in 5 |" in card


class Hub:
    def __init__(self, refuse: str = "") -> None:
        self.asked, self.refuse = [], refuse

    def __call__(self):
        return self

    def create_repo(self, repo_id, **options):
        if self.refuse:
            raise ValueError(self.refuse)
        self.asked.append((repo_id, options["private"], options["repo_type"]))

    def upload_folder(self, **options):
        self.asked.append((options["repo_id"], options["folder_path"], options["repo_type"]))


def test_an_upload_is_made_when_it_is_asked_for_only(dlscore, caches, tmp_path, monkeypatch):
    hub = Hub()
    monkeypatch.setattr(pytest.importorskip("huggingface_hub"), "HfApi", hub)
    into = tmp_path / "export"
    code, out, err = dlscore("export", caches, "-o", into)
    assert (code, out) == (0, f"{into}: 48 steps of 6 episodes\n"), err
    assert "the licence is unknown; name one with --license" in err
    assert hub.asked == []
    code, out, _ = dlscore("export", caches, "-o", into, "--license", "mit", "--push-to-hub", "me/steps")
    assert code == 0
    assert out.endswith("https://huggingface.co/datasets/me/steps\n")
    assert hub.asked == [("me/steps", True, "dataset"), ("me/steps", into, "dataset")]


def test_what_the_hub_refuses_is_one_line(folder, monkeypatch):
    monkeypatch.setattr(pytest.importorskip("huggingface_hub"), "HfApi", Hub("no such\nname"))
    with pytest.raises(RenderError, match=r"is written, but a b cannot be uploaded \(ValueError: no such name\)"):
        push(folder, "a b")


def test_caches_without_a_density_are_refused_in_a_line(dlscore, tmp_path, three_methods):
    code, out, err = dlscore("export", three_methods, "-o", tmp_path / "export")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("dlscore: error: ")
    assert not (tmp_path / "export").exists()
