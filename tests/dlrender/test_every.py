"""A cache of which each fifth step was scored: steps are those of the episode, in what is shown and in what is asked."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.known import gaussian, write_known
from support.synthetic import rewrite

from dlrender import RenderError, log_density, plot_sheet, plot_step
from dlrender.answers.choices import read_choices
from dlrender.answers.report import read_report
from dlrender.answers.report_page import write_report
from dlrender.figures import check_step
from dlrender.output import pick_fps
from dlrender.overlays.text_artist import Label
from dlrender.style.style import Style
from dlrender.window import SMOOTH, make_windows
from dlscore.cache import open_cache


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Steps 0, 5, 10 and 15 of an episode of 18, at 10 fps; the density moves 10 px a row."""
    path = tmp_path_factory.mktemp("every") / "episode_000.h5"
    write_known(path, [gaussian([200 + 10 * k, 256]) for k in range(4)], every=5)
    rewrite(path, lambda written: written.attrs.update(episode_length=18))
    return path


def test_the_counter_tells_the_step_of_the_episode(file):
    axes = plot_step(file, 15)
    assert next(each for each in axes.get_children() if isinstance(each, Label)).text.startswith(
        "step 15 of 18 · expert"
    )
    with open_cache(file) as cache:
        del cache.attrs["episode_length"]  # of an earlier version
        axes = plot_step(cache, 15)
        assert next(each for each in axes.get_children() if isinstance(each, Label)).text.startswith("step 15 of 20 ")


def test_a_window_that_follows_moves_in_the_time_of_the_episode(file):
    # At the first row only the next one, 5 steps later, is near: it moves the window by its share of their 10 px.
    weight = np.exp(-0.5 * (5 / SMOOTH) ** 2)
    with open_cache(file) as cache:
        window = make_windows(cache, cache.methods, "follow", 160.0, [0])[0]
    assert window.left + window.side / 2 == pytest.approx(200 + 10 * weight / (1 + weight), abs=0.5)


def test_a_sheet_names_the_steps_of_the_episode(file):
    figure = plot_sheet(file, [5, 15])
    assert isinstance(figure, Figure)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["step 5", "step 15"]


def test_a_step_is_one_of_the_episode_wherever_it_is_asked_for(file, dlrender, tmp_path):
    assert log_density(file, 15, [230.0, 256.0]) == pytest.approx(log_density(file, 0, [200.0, 256.0]), abs=1e-3)
    assert read_choices(file, 10).step == 10
    code, out, err = dlrender("modes", file, "--step", 10, "--json")
    assert (code, json.loads(out)["step"]) == (0, 10), err
    code, _, err = dlrender("still", file, "--step", 3, "-o", tmp_path / "still.png")
    assert (code, f"step 3 of {file} was not scored; the nearest are 0 and 5" in err) == (1, True)


@pytest.mark.parametrize(("step", "told"), [(12, "the nearest are 10 and 15"), (-5, "steps 0 to 15, 1 in 5"),
                                            (16, "steps 0 to 15, 1 in 5"), (20, "steps 0 to 15, 1 in 5")])  # fmt: skip
def test_steps_that_are_not_there_are_refused(file, step, told):
    with open_cache(file) as cache:
        assert [check_step(cache, each) for each in (0, 5, 10, 15)] == [0, 1, 2, 3]
        with pytest.raises(RenderError, match=told):
            check_step(cache, step)


def test_videos_play_in_real_time(file):
    with open_cache(file) as cache:
        assert pick_fps(cache, None) == 2
        assert pick_fps(cache, 10) == 10


def test_the_worst_moments_of_a_report_are_drawn(file, tmp_path):
    found = read_report([file])
    assert {moment.step for moment in found.moments} <= {0, 5, 10, 15}
    page = write_report(found, tmp_path / "report.md", Style()).read_text()
    for moment in found.moments:
        assert f"episode 0, step {moment.step}: surprise" in page
