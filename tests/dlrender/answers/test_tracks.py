"""Tracks of modes whose ways are known."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.known import gaussian, write_known

from dlrender import RenderError
from dlrender.answers.modes import Mode
from dlrender.answers.tracks import LOST, link, read_tracks
from dlrender.answers.tracks_chart import TRACKS, draw_mass, plot_tracks


def at(*places, mass=0.5):
    return [Mode(float(x), 100.0, mass, 2.0) for x in places]


@pytest.mark.parametrize(("modes", "names"), [
    ([at(0), at(30), at(60)], [[0], [0], [0]]),  # moves by less than the gate
    ([at(0), at(50)], [[0], [1]]),  # by more
    ([at(0, 100), at(90, 10)], [[0, 1], [1, 0]]),  # the nearest, whatever the order by mass
    ([at(0), None, at(70)], [[0], None, [0]]),  # 70 px in two steps
    ([at(0), at(300), at(5)], [[0], [1], [0]]),  # gone for a step
    ([at(0), *[None] * LOST, at(0)], [[0], *[None] * LOST, [1]]),  # lost
    ([at(0, 20), at(18)], [[0, 1], [1]]),
    ([[], at(0)], [[], [0]]),
])  # fmt: skip
def test_a_mode_is_the_nearest_of_the_steps_before(modes, names):
    assert link(modes, 0, np.arange(len(modes)) / 10).names == names


def test_a_single_step_that_cannot_be_told_is_gray():
    found = link([at(0), None, at(0), at(0)], 0, np.arange(4) / 10)
    axes = Figure().subplots()
    draw_mass(axes, found)
    shaded = axes.collections[0].get_datalim(axes.transData)
    np.testing.assert_allclose([shaded.x0, shaded.x1], [0.05, 0.15], atol=1e-9)
    draw_mass(axes, link([None, None], 0, np.arange(2) / 10))
    assert axes.get_title() == "Modes cannot be told"


def test_switches_and_choices():
    # Two modes for three steps, of which the second becomes the larger one and stays.
    modes = [at(0), at(0, 200), at(200, 0), None, at(200, 0), at(200)]
    found = link(modes, 3, np.arange(6) / 10)
    assert found.switches == [2]
    assert found.choices == [(1, 4, 1)]
    shown = found.as_dict()
    assert (shown["episode"], shown["told"], len(shown["tracks"])) == (3, 5, 2)
    assert shown["choices"] == [{"first": 1, "last": 4, "lasts": pytest.approx(0.4), "kept": 1}]
    assert shown["tracks"][1] == {"first": 1, "last": 5, "mass": 0.5, "prominence": 2.0, "lasts": pytest.approx(0.5)}
    assert link([at(0, 200)] * 2, 0, np.arange(2) / 10).choices == [(0, 1, None)]


def test_the_figure_and_the_command(dlrender, tmp_path, axes):
    path = write_known(tmp_path / "a.h5", [gaussian([200 + 20 * k, 256], 15) for k in range(4)])
    for panel in TRACKS.panels:
        assert plot_tracks(path, axes, panel=panel) is axes
    np.testing.assert_allclose(read_tracks(path).tracks[0].x, [200, 220, 240, 260], atol=1)
    assert isinstance(plot_tracks(path), Figure)
    code, out, err = dlrender("modes", path, "-o", tmp_path / "tracks.svg", "--json")
    assert (code, json.loads(out)["switches"]) == (0, []), err
    assert (tmp_path / "tracks.svg").is_file()
    strided = write_known(tmp_path / "b.h5", [gaussian([256, 256])] * 2, every=5)
    with pytest.raises(RenderError, match="has 1 in 5 steps"):
        read_tracks(strided)
