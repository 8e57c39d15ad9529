"""The map of a step's modes."""

import json

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from support.known import gaussian, mixture_of, write_known

from dlrender import RenderError
from dlrender.answers.choices import plot_choices, read_choices


@pytest.fixture(scope="module")
def two_modes(tmp_path_factory):
    path = tmp_path_factory.mktemp("modes") / "episode_000.h5"
    return write_known(path, [mixture_of([(0.6, [180, 250], 15), (0.4, [320, 330], 15)])] * 2)


def test_plans_belong_to_the_mode_at_which_they_start(two_modes):
    data = read_choices(two_modes, 1)
    assert [mode.mass for mode in data.modes] == pytest.approx([0.6, 0.4], abs=0.01)
    for plan, start in zip(data.plans, data.starts, strict=True):
        assert abs(plan[0, 0] - (180, 320)[start]) < 70
    left, top, side = data.window
    assert left < 140 < 180 < 320 < 350 < left + side
    assert top < 220 < 360 < top + side


def test_the_map_has_the_world_and_the_modes(two_modes, axes):
    assert plot_choices(two_modes, 1, axes) is axes
    assert axes.get_title() == "2 modes at 0.1 s"
    assert len([patch for patch in axes.patches if isinstance(patch, Polygon)]) == 3  # block, goal, agent
    shown = [text.get_text() for text in axes.texts]
    assert shown[0].startswith("60 %, ")
    assert isinstance(plot_choices(two_modes, 0), Figure)


def test_modes_that_cannot_be_told_are_not_drawn(tmp_path, axes):
    path = write_known(tmp_path / "a.h5", [gaussian([256, 256])], error=0.2)
    plot_choices(path, 0, axes)
    assert axes.get_title() == "Modes cannot be told (error 0.20) at 0.0 s"
    assert not axes.texts
    with pytest.raises(RenderError, match="step 1 is not in"):
        plot_choices(path, 1, axes)


def test_the_command(dlrender, two_modes, tmp_path):
    code, out, err = dlrender("modes", two_modes, "--step", 1, "-o", tmp_path / "modes.svg", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert sum(mode["plans"] for mode in found["modes"]) == found["plans"] == 8
    assert (tmp_path / "modes.svg").is_file()
