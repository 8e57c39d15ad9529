"""The report of a run, and the gates that fail it."""

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.known import gaussian, write_known

from dlrender import RenderError
from dlrender.answers import report
from dlrender.answers.gates import NAMES, SIGNS, Gate, GateError, check_gates, parse_gate
from dlrender.answers.intervals import Interval
from dlrender.answers.report import read_report
from dlrender.answers.report_page import check_report_name


@given(
    st.sampled_from(NAMES),
    st.sampled_from(list(SIGNS)),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.sampled_from(["", " "]),
)
def test_a_gate_is_read_back(name, sign, number, space):
    assert parse_gate(f"{name}{space}{sign}{space}{number!r}") == Gate(name, sign, number)


@given(st.text())
def test_any_other_text_is_refused_in_one_line(text):
    try:
        gate = parse_gate(text)
    except RenderError as error:
        assert "--fail-if" in str(error)
    else:
        assert gate.name in NAMES


@pytest.mark.parametrize("text", ["nll", "nll>", "nll=7", ">7.5", "nll>7.5nats", "nll>7,5", "nll>inf"])
def test_texts_that_are_no_condition(text):
    with pytest.raises(RenderError, match=r"is not understood; write such as 'nll>7\.5'"):
        parse_gate(text)


def test_a_gate_compares_the_value():
    summary = {"nll": Interval(7.6, 7.0, 8.2, 20)}
    check_gates([parse_gate("nll>7.6"), parse_gate("nll<7.6")], summary)
    with pytest.raises(GateError, match=re.escape("nll>=7.6 holds: nll is 7.6 [7.0, 8.2]")) as error:
        check_gates([parse_gate("nll<1"), parse_gate("nll>=7.6")], summary)
    assert error.value.exit_code == 4
    with pytest.raises(RenderError, match="the caches have no success"):
        check_gates([parse_gate("success<0.5")], summary)
    with pytest.raises(RenderError, match="did you mean nll"):
        parse_gate("nl>3")


@pytest.fixture(autouse=True)
def few_moments(monkeypatch):
    """A still takes half a second."""
    monkeypatch.setattr(report, "WORST", 2)


class Page(HTMLParser):
    """The open tags, which must close in order, and the pictures of a page."""

    def __init__(self, text):
        super().__init__()
        self.open, self.pictures = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.pictures.append(dict(attrs)["src"])
        elif tag not in ("meta", "!doctype"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_one_file_and_says_what_was_measured(dlrender, policies, tmp_path):
    code, out, err = dlrender("report", policies["a"], "-o", tmp_path / "report.html", "--fail-if", "nll>20")
    assert (code, out.strip()) == (0, str(tmp_path / "report.html")), err
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert len(page.pictures) == 1 + 2  # calibration and moments
    assert all(picture.startswith("data:image/png;base64,") for picture in page.pictures)
    assert "<h1>runs/a on synthetic</h1>" in text
    assert "24 steps of 6 episodes" in text
    assert "Passed: nll&gt;20 does not hold" in text


def test_markdown_has_its_pictures_beside_it_and_a_bad_run_exits_with_4(dlrender, policies, tmp_path):
    gate = ["--fail-if", "mean_rank>0.55", "--fail-if", "nll>20"]
    code, _, err = dlrender("report", policies["b"], "-o", tmp_path / "report.md", *gate)
    assert code == 4
    assert err.startswith("dlrender: error: mean_rank>0.55 holds: mean_rank is 0.")
    text = (tmp_path / "report.md").read_text()  # it is written all the same
    assert "FAILED: mean_rank>0.55 holds" in text
    for link in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (tmp_path / link).stat().st_size > 1000
    rows = [line for line in text.splitlines() if line.startswith("| nll |")]
    assert re.fullmatch(r"\| nll \| \d.* nats \| mean surprise of the recorded actions \|", rows[0])


def test_a_folder_with_other_files_is_not_replaced_by_the_pictures(dlrender, policies, tmp_path):
    folder = tmp_path / "report_files"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    (folder / "worst_01.png").write_text("of a report")
    code, _, err = dlrender("report", policies["a"], "-o", tmp_path / "report.md")
    assert (code, f"{folder}, where the pictures go, holds thesis.txt, which is no picture of a report" in err) == (
        1,
        True,
    )
    assert (folder / "thesis.txt").read_text() == "mine"
    check_report_name(tmp_path / "report.html")  # has no folder
    (folder / "thesis.txt").unlink()
    check_report_name(tmp_path / "report.md")
    (tmp_path / "other_files").write_text("mine")
    with pytest.raises(RenderError, match="other_files, where the pictures go, is a file"):
        check_report_name(tmp_path / "other.md")


def test_the_worst_moments_are_the_most_surprising_and_apart(tmp_path):
    actions = [[256 + (90 if k in (3, 4, 20) else 0), 256] for k in range(25)]
    found = read_report([write_known(tmp_path / "a.h5", [gaussian([256, 256])] * 25, actions=actions)])
    assert {moment.step for moment in found.moments[:2]} <= {3, 4, 20}
    assert abs(found.moments[0].step - found.moments[1].step) >= 10
    assert "no intervals: the run has 1 of the 5 episodes that they need" in found.warnings


def test_warnings_tell_of_densities_that_cannot_be_trusted(tmp_path):
    found = read_report([write_known(tmp_path / "a.h5", [gaussian([0, 256])] * 2, error=0.12)])
    told = "\n".join(found.warnings)
    assert "on 2 of 2 steps the density's estimated error is above 0.1;" in told
    assert "on 2 of 2 steps less than 95% of the probability is inside the grid" in told
    assert "modes cannot be told" in told


def test_what_is_no_report_is_refused(dlrender, policies, tmp_path):
    code, _, err = dlrender("report", policies["a"], policies["b"], "-o", tmp_path / "report.html")
    assert (code, "of several policies (runs/a, runs/b); a report is of one" in err) == (1, True)
    code, _, err = dlrender("report", policies["a"], "-o", tmp_path / "report.pdf")
    assert (code, "end its name in .html, .md" in err) == (1, True)
    code, _, err = dlrender("report", policies["a"])
    assert (code, "name the page with -o" in err) == (2, True)
    code, out, err = dlrender("report", policies["a"], "--json", "--fail-if", "success<0.5")
    assert (code, "the caches have no success of the policy itself; let it act" in err) == (1, True)
    assert json.loads(out)["run"]["policy"] == "runs/a"
