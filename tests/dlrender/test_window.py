"""Windows: how they are named, where they are, and that a place of the world is at one place in all that is drawn."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from support.drawing import PLAIN, at, heatmap, make_panel, with_overlays
from support.synthetic import write_cache

from dlrender.errors import RenderError
from dlrender.frames.axes import tick_positions
from dlrender.overlays import Contours, Regions
from dlrender.style.style import Style
from dlrender.style.toml import load_style
from dlrender.window import KINDS, WHOLE, Window, make_windows, nice, parse_window
from dlscore.cache import open_cache
from dlscore.density.mixture import Mixture

SIDE = 160.0


def mixture(deviation=8.0):
    return Mixture([[256.0, 256.0]], [np.diag([deviation**2, 1.5 * deviation**2])], [1.0], [1.0])


@pytest.fixture
def moving(tmp_path):
    """A density that goes along a line, then jumps back and forth by 40 px."""
    x = np.concatenate([np.linspace(60, 420, 20), 400 + 20.0 * (-1.0) ** np.arange(10)])
    expert = np.column_stack([x, np.full(30, 300.0)])
    with open_cache(
        write_cache(tmp_path / "a.h5", steps=30, expert=expert, resolution=50, mixture=mixture())
    ) as opened:
        yield opened


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("folow", "did you mean follow"),
        ("1,2", "give X,Y,SIZE in px"),
        ("1,2,x", "give X,Y,SIZE in px"),
        ("1,2,0", "choose a size from 16 to 2048 px"),
        ("1,2,9999", "choose a size from 16 to 2048 px"),
        ("600,2,100", "shows nothing of the world"),
    ],
)
def test_windows_that_are_none_are_refused(text, words):
    with pytest.raises(RenderError, match=words):
        parse_window(text)


@given(some.floats(-100, 500), some.floats(-100, 500), some.floats(16, 2048))
def test_a_window_of_numbers_is_what_they_say(left, top, side):
    text = f"{left:.2f}, {top:.2f},{side:.2f}"
    if -side < left and -side < top and 16 <= round(side, 2) <= 2048:
        assert parse_window(text) == Window(round(left, 2), round(top, 2), round(side, 2))


@given(some.text(max_size=12))
def test_any_other_text_is_a_window_or_one_line(text):
    try:
        assert parse_window(text) in KINDS or isinstance(parse_window(text), Window)
    except RenderError as error:
        assert str(error).startswith("--window")


@pytest.mark.parametrize(("distance", "expected"), [(40, 50), (32, 50), (26, 20), (128, 100), (7.2, 10), (1.2, 1)])
def test_nice_numbers(distance, expected):
    assert nice(distance) == pytest.approx(expected)


def test_a_window_that_follows_keeps_the_density_in_view_and_never_jerks(moving):
    windows = make_windows(moving, ["likelihood"], "follow", SIDE, range(30))
    assert {window.side for window in windows} == {SIDE}
    for window, (x, y) in zip(windows, moving.expert_action, strict=True):
        assert window.left + 3 * 8 <= x <= window.left + SIDE - 3 * 8 or x < 64 or x > 448  # the world ends
        assert window.top + 3 * 8 <= y <= window.top + SIDE - 3 * 8
    left = np.array([window.left for window in windows])
    assert np.abs(np.diff(left, 2)).max() < 0.15 * np.abs(np.diff(moving.expert_action[:, 0], 2)).max()
    # No step's window depends on which others are asked for, so a still is a frame of the video.
    assert make_windows(moving, ["likelihood"], "follow", SIDE, [7, 25]) == [windows[7], windows[25]]
    assert [make_windows(moving, ["likelihood"], "follow", SIDE, [k])[0] for k in range(30)] == windows
    assert min(left) >= -16
    assert max(left) + SIDE <= 512 + 16


def test_one_window_fits_the_whole_episode(moving):
    windows = make_windows(moving, ["likelihood"], "fit", SIDE, range(30))
    (window,) = set(windows)
    assert window.left < 60 < 420 < window.left + window.side
    assert window.side < 512


def test_a_spread_density_gets_a_larger_window(tmp_path):
    path = write_cache(tmp_path / "a.h5", expert=np.array([256.0, 256.0]), sigma=60.0)
    with open_cache(path) as episode:
        (window,) = make_windows(episode, ["likelihood"], "follow", SIDE, [3])
        assert 2 * 2.33 * 60 < window.side < 2.5 * 2.33 * 60 + 32
        (around_actions,) = make_windows(episode, ["distance"], "follow", SIDE, [3])
        assert around_actions.side == SIDE
        assert make_windows(episode, ["distance", "likelihood"], "follow", SIDE, [0])[0].side == window.side


def test_whole_and_given_windows(moving):
    assert make_windows(moving, ["likelihood"], "full", SIDE, [1, 2]) == [WHOLE, WHOLE]
    assert make_windows(moving, ["likelihood"], "10,20,300", SIDE, [1]) == [Window(10, 20, 300)]


# ---- one world ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_mixture", [True, False])
@pytest.mark.parametrize("window", ["full", "follow", "fit", "30,310,160", "60.5,371.3,97"])
def test_a_place_is_at_one_pixel_in_frame_regions_and_marks(tmp_path, window, with_mixture):
    place = np.array([100.0, 400.0])  # of the agent, the density and the expert's action
    density = mixture(6.0) if with_mixture else None
    path = write_cache(tmp_path / "a.h5", steps=2, resolution=100, expert=place, sigma=7.0, mixture=density)
    with open_cache(path) as episode:
        style = replace(PLAIN, window=window, heat="off")
        panel = make_panel(episode, style=style)
        shown = at(episode, 1, style=style).window
        expected = np.array(panel.data_to_pixel(*place, shown))

        def centre(name, rgb, **looks):
            base = with_overlays(name, **looks)
            pixels = heatmap(episode, 1, style=replace(base, window=window, heat="off")).astype(int)
            left, top, side = panel.square
            inside = pixels[top + 2 : top + side - 2, left + 2 : left + side - 2]
            rows, columns = np.nonzero(np.abs(inside - rgb).max(axis=-1) < 60)
            return np.array([left, top]) + 2.5 + [columns.mean(), rows.mean()]

        blue = (65, 105, 225)
        np.testing.assert_allclose(centre("world", blue, alpha=1.0), expected, atol=1)
        np.testing.assert_allclose(centre("world", blue, look="picture", alpha=1.0), expected, atol=1)
        np.testing.assert_allclose(
            centre("regions", (255, 0, 0), masses=(0.5,), color="red", alpha=1.0), expected, atol=1
        )
        np.testing.assert_allclose(centre("expert", (0, 100, 0), color="#006400"), expected, atol=1)


@pytest.mark.parametrize("window", [WHOLE, Window(20.0, 320.0, 160.0), Window(90.0, 390.0, 40.0)])
@pytest.mark.parametrize("height", [120, 480])
def test_bands_hold_their_mass_at_any_window_and_resolution(tmp_path, window, height):
    rng = np.random.default_rng(0)
    signed = Mixture([[250.0, 256.0], [262.0, 250.0], [256.0, 262.0]], [np.eye(2) * 60, np.eye(2) * 9, np.eye(2) * 25],
                     [0.9, 0.3, -0.2], [0.6, 0.2, 0.2])  # fmt: skip
    path = write_cache(tmp_path / "a.h5", steps=1, expert=np.array([110.0, 410.0]), mixture=signed.normalised())
    with open_cache(path) as episode:
        view = at(episode, 0, window=window)
        view.values(round(height * 386 / 480))  # the raster that the picture has
        drawn = episode.mixture("likelihood", 0).draw(100_000, rng)
        axes = make_panel(episode, height=height).axes
        (bands,) = Regions().draw(axes, view)
        inside = [path.contains_points(drawn).mean() for path in bands.paths]  # a hole counts as inside
        np.testing.assert_allclose(inside[::-1], Regions().masses, atol=0.005)  # of which 0.003 is chance
        (lines,) = Contours().draw(axes, view)
        inside = [path.contains_points(drawn).mean() for path in lines.paths]
        np.testing.assert_allclose(inside[::-1], Contours().masses, atol=0.005)


def test_regions_end_where_the_policy_clips(tmp_path):
    box = np.array([[90.0, 12.0], [511.0, 511.0]])
    clipped = Mixture([[256.0, 256.0]], [np.eye(2) * 400], [1.0], [1.0], box - [[-156.0, 0], [-156.0, 0]])
    path = write_cache(tmp_path / "a.h5", steps=1, expert=np.array([100.0, 256.0]), mixture=replace(clipped, box=box))
    with open_cache(path) as episode:
        (bands,) = Regions().draw(make_panel(episode).axes, at(episode, 0))
        assert min(path.vertices[:, 0].min() for path in bands.paths) >= 90


def test_a_video_shows_no_cells_whatever_the_grid(tmp_path):
    """The picture of a mixture does not depend on the grid that was scored."""
    pictures = []
    for resolution in (16, 128):
        path = write_cache(tmp_path / f"{resolution}.h5", steps=1, resolution=resolution, mixture=mixture(),
                           expert=np.array([200.0, 300.0]))  # fmt: skip
        with open_cache(path) as episode:
            style = replace(Style(overlays=()), window="120,220,160")
            pictures.append(heatmap(episode, 0, style=style).astype(int))
    np.testing.assert_array_equal(*pictures)


@given(left=some.floats(-20, 500), side=some.floats(20, 511), name=some.sampled_from(["default", "talk", "paper"]))
def test_a_window_has_two_ticks_or_more_on_round_numbers_within_it(left, side, name):
    found, _ = tick_positions(load_style(name), Window(left, 0.0, side))
    assert len(found) >= 2
    assert left <= found[0] < found[-1] <= left + side
    assert nice(found[1] - found[0]) == pytest.approx(found[1] - found[0])
