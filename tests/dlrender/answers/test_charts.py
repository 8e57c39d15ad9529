"""What all charts share: widths, names, styles, and that nothing of matplotlib's is left changed."""

import re

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from support.known import gaussian, write_known

from dlrender import RenderError, load_style
from dlrender.answers.calibration import CALIBRATION, calibration_figure, plot_calibration, read_calibration
from dlrender.answers.charts import (
    DARK,
    LIGHT,
    chart_style,
    check_chart_name,
    colors,
    save_chart,
    short_names,
)
from dlrender.answers.timeline import TIMELINE, plot_timeline, read_timeline, timeline_figure


def test_names_are_short_where_that_tells_them_apart():
    assert short_names(["runs/a", "runs/b/"]) == ["a", "b"]
    assert short_names(["one/policy", "two/policy"]) == ["one", "two"]
    assert short_names([f"a/run/{k}/pretrained_model" for k in (5, 10)]) == ["5", "10"]
    assert short_names(["a/b/policy", "a/policy"]) == ["a/b/policy", "a/policy"]


def test_colours_follow_the_background():
    with chart_style(load_style("default")):
        assert colors() is LIGHT
    with chart_style(load_style("dark")):
        assert colors() is DARK


@pytest.mark.parametrize("style", ["default", "paper", "talk", "dark"])
def test_a_figure_has_its_width_in_every_style_and_leaves_rcparams_alone(policies, style):
    before = dict(matplotlib.rcParams)
    data = read_calibration(sorted(policies["a"].glob("*.h5")))
    figure = calibration_figure(data, load_style(style), 3.5)
    assert figure.get_figwidth() == 3.5
    assert dict(matplotlib.rcParams) == before


def test_a_panel_goes_into_axes_of_ones_own(policies, axes):
    data = read_calibration(sorted(policies["a"].glob("*.h5")))
    for panel in CALIBRATION.panels:
        assert plot_calibration(data, axes, panel=panel) is axes
    assert isinstance(plot_calibration(data), Figure)
    with pytest.raises(RenderError, match="unknown panel 'rank'; did you mean ranks"):
        plot_calibration(data, axes, panel="rank")


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_a_command_writes_each_format_with_its_files_as_metadata(dlrender, policies, tmp_path, suffix):
    path = tmp_path / f"figure.{suffix}"
    told = {}
    for option in ("--provenance", "--no-provenance"):
        code, out, err = dlrender("calibration", policies["a"], "-o", path, "--width", "85mm", option)
        assert (code, out.strip()) == (0, str(path)), err
        told[option] = metadata = path.read_bytes()
        assert not re.search(rb"CreationDate|dc:date|" + str(policies["a"].parent).encode(), metadata)
    maker = {"png": b"Matplotlib version", "pdf": b"/Producer", "svg": b"<dc:creator>"}[suffix]
    assert [(rb'"files": ["a"]' in each, maker in each) for each in told.values()] == [(True, True), (False, False)]


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_the_same_figure_is_the_same_file(policies, tmp_path, suffix):
    data, style = read_calibration(sorted(policies["a"].glob("*.h5"))), load_style("default")
    written = []
    for name in ("one", "two"):
        with chart_style(style):
            figure = calibration_figure(data, style)
            written.append(save_chart(figure, tmp_path / f"{name}.{suffix}", style, {"files": ["a"]}).read_bytes())
    assert written[0] == written[1]


def test_a_command_says_what_it_needs(dlrender, policies, tmp_path):
    file = policies["a"] / "episode_000.h5"
    code, _, err = dlrender("timeline", file)
    assert (code, "name the figure with -o, or ask for the numbers with --json" in err) == (2, True)
    code, _, err = dlrender("timeline", file, "-o", tmp_path / "figure.jpg")
    assert (code, "end its name in .png, .pdf, .svg" in err) == (1, True)
    code, _, err = dlrender("timeline", file, "-o", tmp_path / "figure.png", "--width", "2.9in")
    assert (
        code,
        "--width '2.9in' is not allowed; write such as 3.5in, 89mm, 8.9cm or 252pt, from 3 to 40 inches" in err,
    ) == (1, True)
    code, _, err = dlrender("calibration", tmp_path, "-o", tmp_path / "figure.png")
    assert (code, "has no caches" in err) == (1, True)
    code, _, err = dlrender("calibration", file, "-o", tmp_path / "figure.png", "--by", "polcy")
    assert (code, "did you mean policy" in err) == (1, True)
    with pytest.raises(RenderError):
        check_chart_name(tmp_path / "figure")


def test_the_timeline_shows_the_episode(tmp_path, axes):
    file = write_known(tmp_path / "a.h5", [gaussian([100 + 10 * k, 300], 25) for k in range(12)])
    data = read_timeline(file)
    figure = timeline_figure(data, load_style("default"))
    assert [ax.get_title(loc="left") for ax in figure.axes][:1] == ["Where it would go"]
    limits = {ax.get_xlim() for ax in figure.axes[: len(TIMELINE.panels)]}
    assert len(limits) == 1  # one time axis
    assert plot_timeline(data, axes) is axes
    surprise = next(line for line in axes.lines if line.get_label() == "recorded ± error")
    assert surprise.get_ydata() == pytest.approx(data.table["surprise"])
    # The marginals are those of the Gaussians.
    assert data.marginals.sum(axis=-1) * 2 == pytest.approx(1, abs=1e-3)
    centres = (data.marginals[:, 0] * (1 + 2 * np.arange(256))).sum(axis=-1) * 2
    assert centres == pytest.approx([100 + 10 * k for k in range(12)], abs=0.5)
