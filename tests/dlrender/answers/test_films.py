"""Films of answers: frames, rate, even sides, metadata, and what they refuse."""

import av
import numpy as np
import pytest
from matplotlib.figure import Figure
from support.known import gaussian, mixture_of, write_known

from dlrender.answers.charts import chart_style
from dlrender.answers.compare import read_comparison
from dlrender.answers.compare_film import comparison_film
from dlrender.answers.films import DENSITIES, Film, write_film
from dlrender.answers.table import caches_in
from dlrender.answers.training import read_training
from dlrender.answers.training_film import training_film
from dlrender.frames.notes import read_note
from dlrender.style.style import Style

SMALL = Style(dpi=50)


def frames_of(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return (
            stream.width,
            stream.height,
            float(stream.average_rate),
            [f.to_ndarray(format="rgb24") for f in container.decode(video=0)],
        )


def test_a_film_shows_each_frame_in_turn_and_has_even_sides(tmp_path):
    def make():
        figure = Figure(figsize=(2.03, 1.01))
        patch = figure.patch
        return Film(figure, 3, lambda k: patch.set_facecolor(["red", "lime", "blue"][k]), 5.0)

    path = write_film(make, tmp_path / "film.mp4", SMALL, {"files": ["a.h5"]})
    width, height, rate, frames = frames_of(path)
    assert (width, height, rate, len(frames)) == (102, 50, 5.0, 3)
    assert [int(frame.mean(axis=(0, 1)).argmax()) for frame in frames] == [0, 1, 2]
    assert read_note(path)["files"] == ["a.h5"]


def test_the_film_of_a_comparison_has_the_steps_of_the_episode_on_one_scale(policies):
    a, b = (caches_in([policies[name]]) for name in "ab")
    with chart_style(SMALL):
        film = comparison_film(read_comparison(a, b), a, b)
        assert (film.frames, film.fps) == (4, 10.0)
        film.show(2)
    images = [axes.images[0] for axes in film.figure.axes[:3]]
    assert [(image.norm.vmin, image.norm.vmax) for image in images[:2]] == [DENSITIES] * 2
    # A's peak is 40 px left of B's; half way between them the ratio is 1.
    peaks = [np.unravel_index(image.get_array().argmax(), image.get_array().shape)[1] for image in images[:2]]
    left, right, *_ = images[0].get_extent()
    assert (peaks[1] - peaks[0]) * (right - left) / images[0].get_array().shape[0] == pytest.approx(40, abs=4)
    assert images[2].get_array().min() < -1 < 1 < images[2].get_array().max()


def test_the_film_of_a_training_has_a_column_for_each_checkpoint(tmp_path):
    places = {}
    for steps, sigma in ((100, 80.0), (200, 20.0)):
        write_known(tmp_path / f"{steps}.h5", [gaussian([200, 300], sigma)] * 3, policy=f"run/{steps}", every=2,
                    actions=np.full((3, 2), 210.0))  # fmt: skip
        places[steps] = [tmp_path / f"{steps}.h5"]
    with chart_style(SMALL):
        film = training_film(read_training(places), places)
        film.show(1)
    assert (film.frames, film.fps) == (3, 5.0)
    peaks = [axes.images[0].get_array().max() for axes in film.figure.axes[:2]]
    assert peaks == pytest.approx([1 / (2 * np.pi * 80**2), 1 / (2 * np.pi * 20**2)], rel=0.02)


def test_the_commands_write_films_and_refuse_what_is_none(dlrender, tmp_path):
    file = write_known(tmp_path / "a.h5", [mixture_of([(0.6, [180, 250], 15), (0.4, [320, 330], 15)])] * 2)
    (tmp_path / "small.toml").write_text("dpi = 50\n")
    film, style = tmp_path / "modes.mp4", ("--style", tmp_path / "small.toml")
    code, out, err = dlrender("modes", file, "--film", film, *style, "--no-provenance")
    assert (code, out.strip()) == (0, str(film)), err
    assert len(frames_of(film)[3]) == 2
    assert "files" not in read_note(film)
    code, _, err = dlrender("modes", file, "--film", tmp_path / "a.avi")
    assert (code, "end its name in .mp4 or .webp" in err) == (1, True)
    code, _, err = dlrender("modes", file, "--film", film, "--step", 1)
    assert (code, "leave out --step" in err) == (2, True)
    code, _, err = dlrender("modes", file)
    assert (code, "name the figure with -o" in err) == (2, True)
