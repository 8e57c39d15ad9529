"""Frames: everything in its place, drawn fast and the same as matplotlib draws it."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.colors import rgb_to_hsv, to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.text import Text
from PIL import Image
from support.drawing import PLAIN, at, environment, heatmap, make_panel, norm_of, with_overlays
from support.known import mixture_of, write_known
from support.synthetic import write_cache

from dlrender.errors import RenderError
from dlrender.figures import still_figure
from dlrender.frames import axes
from dlrender.frames.panels import EnvironmentPanel
from dlrender.frames.panels import artists as drawn_artists
from dlrender.overlays import OVERLAYS, Overlay
from dlrender.overlays.contrast import contrast, on_ground
from dlrender.scene import Scene
from dlrender.style.style import Style
from dlrender.style.toml import bundled, load_style
from dlscore.cache import open_cache

RED = with_overlays("expert", color="red", linewidth=3.0)
CORNER = np.array([100.0, 400.0])  # low x, high y: nothing symmetric hides a flipped or swapped axis


@pytest.fixture
def corner(tmp_path):
    path = write_cache(
        tmp_path / "corner.h5", steps=2, resolution=50, expert=CORNER, predicted=CORNER + [60, -60], sigma=12.0
    )
    with open_cache(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def drawn_mixture(tmp_path_factory):
    parts = [(0.6, (230.0, 250.0), 9.0), (0.4, (290.0, 300.0), 16.0)]
    path = write_known(tmp_path_factory.mktemp("known") / "known.h5", [mixture_of(parts)] * 6)
    with open_cache(path) as opened:
        yield opened


# ---- axes: the same action at the same place, everywhere --------------------------------------------------------


def test_axes_of_the_artists(corner):
    panel = make_panel(corner)
    for overlay, action in zip(
        with_overlays("expert", "prediction").drawn(), (CORNER + [60, -60], CORNER), strict=True
    ):
        (mark,) = drawn_artists([overlay], panel.axes, at(corner, 1))
        column, from_bottom = mark.get_transform().transform(mark.points)[0]
        np.testing.assert_allclose([column, panel.height - from_bottom], panel.data_to_pixel(*action), atol=1e-6)
    assert panel.axes.get_ylim() == (512, 0)  # y down, as in the environment


@pytest.mark.parametrize("height", [240, 480, 722])
def test_axes_of_the_pixels(corner, height):
    gray = replace(PLAIN, colormap="gray")
    panel, world = make_panel(corner, height=height), EnvironmentPanel(gray, height, beside=True)
    alone, left = (environment(corner, 1, height=height, beside=beside).astype(int) for beside in (False, True))
    right = heatmap(corner, 1, style=gray, height=height).astype(int)
    assert (alone.shape, left.shape) == ((height, height, 3), (height, world.width, 3))
    assert world.square[1:] == panel.square[1:]  # as large as the heatmap, and in its rows

    # the agent, blue, in the environment
    for pixels, (x0, y0, side) in ((alone, (0, 0, height)), (left, world.square)):
        rows, columns = np.nonzero((np.abs(pixels - [65, 105, 225]).sum(axis=-1)) < 30)
        np.testing.assert_allclose(
            [columns.mean() + 0.5, rows.mean() + 0.5], np.array([x0, y0]) + CORNER / 512 * side, atol=1
        )

    # the peak of the scores, in the heatmap
    x0, y0, side = panel.square
    heat = right[y0 + 2 : y0 + side - 2, x0 + 2 : x0 + side - 2, 0].astype(float)
    weight = np.clip(heat - 250, 0, None)
    rows, columns = np.indices(weight.shape)
    peak = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum() + 2.5
    np.testing.assert_allclose(peak, CORNER / 512 * side, atol=0.5 * side / 50 + 0.5)

    # the cross, red, over it
    marked = heatmap(corner, 1, style=replace(RED, colormap="gray"), height=height).astype(int)
    rows, columns = np.nonzero((marked[..., 0] > 200) & (marked[..., 1] < 60) & (marked[..., 2] < 60))
    inside = rows < y0 + side  # the legend has one, too
    found = [columns[inside].mean() + 0.5, rows[inside].mean() + 0.5]
    np.testing.assert_allclose(found, panel.data_to_pixel(*CORNER), atol=1)


def test_an_overlay_of_the_environment_is_where_it_is_in_the_heatmap(corner):
    style = with_overlays("expert", panel="both", color="red", linewidth=3.0)
    world, heat = environment(corner, 1, style).astype(int), heatmap(corner, 1, style=style).astype(int)
    left, top, side = axes.square_of(style)
    for pixels, place, scale in ((world, np.zeros(2), 480 / 512), (heat, np.array([left, top]), side / 512)):
        rows, columns = np.nonzero((pixels[..., 0] > 200) & (pixels[..., 1] < 60) & (pixels[..., 2] < 60))
        inside = rows < 420
        found = np.array([columns[inside].mean(), rows[inside].mean()]) + 0.5
        np.testing.assert_allclose(found, place + CORNER * scale, atol=1)
    assert (environment(corner, 1) != world).any()


@pytest.mark.parametrize("height", [240, 480, 512, 722])
def test_an_environment_scaled_in_parts_is_the_one_scaled_whole(tmp_path, height):
    # The agent goes along two edges, so parts touch the border, and jumps, so that parts are large and small.
    places = np.array([[15, 15], [15, 60], [300, 15], [495, 495], [490, 490], [490, 490], [20, 480]], dtype=float)
    with open_cache(write_cache(tmp_path / "episode_000.h5", steps=len(places), expert=places)) as episode:
        panel, before = EnvironmentPanel(PLAIN, height), None
        for step in (*range(len(places)), 2, 0):
            kind = Image.Resampling.LANCZOS if height < 512 else Image.Resampling.BICUBIC
            whole = np.asarray(Image.fromarray(episode.frame(step)).resize((height, height), kind)).astype(int)
            frame = panel.render(at(episode, step))
            assert np.abs(frame.pixels[..., :3] - whole).max() <= 1
            assert (frame.pixels[..., 3] == 255).all()
            if before is not None:  # what is said to be the same is the same
                same = np.ones((height, height), dtype=bool)
                if frame.changed is not None:
                    left, top, right, bottom = frame.changed
                    same[top:bottom, left:right] = False
                np.testing.assert_array_equal(frame.pixels[same], before[same])
            before = frame.pixels.copy()


def test_only_the_square_of_a_heatmap_changes(drawn_episode):
    style = with_overlays("all")
    with style.active():
        panel = make_panel(drawn_episode, style=style)
        first = panel.render(at(drawn_episode, 0))
        assert first.changed == (0, 0, panel.width, panel.height)
        before, second = first.pixels.copy(), panel.render(at(drawn_episode, 5))
    left, top, right, bottom = second.changed
    same = np.ones(before.shape[:2], dtype=bool)
    same[top:bottom, left:right] = False
    np.testing.assert_array_equal(before[same], second.pixels[same])


# ---- against frames drawn wholly by matplotlib -------------------------------------------------------------------


def fast_and_whole(episode, style, step, methods=("likelihood",)):
    with style.active():
        scene = Scene(episode, methods, style, {})
        scene.render(0)  # whatever is left of another frame would show
        fast = np.hstack([frame.pixels[..., :3] for frame in scene.render(step)["combined"]]).astype(int)
        views = [at(episode, step, method, style, scene.windows[step]) for method in methods]
        figure = still_figure(views, replace(style, dpi=100), True, moving=style.window == "follow")
        figure.canvas.draw()
        return fast, np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)


@pytest.mark.parametrize("overlays", ["its own", "all"])
@pytest.mark.parametrize("name", bundled())
def test_a_frame_is_the_one_that_matplotlib_draws(tmp_path, name, overlays):
    path = write_cache(tmp_path / "a.h5", resolution=50, drift=np.full((6, 3), 9.0), methods=("likelihood", "distance"))
    style, methods = replace(load_style(name), target_height=480), ["likelihood", "distance"]  # with one legend
    if overlays == "all":  # of which a legend would be too large
        style = replace(style, overlays=tuple(OVERLAYS), layout=replace(style.layout, legend=False))
    with open_cache(path) as episode:
        fast, whole = fast_and_whole(episode, style, 4, methods)
    assert fast.shape == whole.shape
    assert np.abs(fast - whole).mean() <= 0.3  # of 255
    assert (np.abs(fast - whole).max(axis=-1) > 100).sum() <= 10  # no line, mark or letter elsewhere


@pytest.mark.parametrize("heat", ["over", "opaque", "off"])
@pytest.mark.parametrize("window", ["full", "fit", "follow", "180,200,160"])
@pytest.mark.parametrize("name", bundled())
def test_a_frame_is_the_one_that_matplotlib_draws_in_every_window(drawn_mixture, name, window, heat):
    style = replace(load_style(name), target_height=480, window=window, heat=heat)
    style = replace(style, overlays=(*style.overlays, "contours"))
    fast, whole = fast_and_whole(drawn_mixture, style, 4)
    assert fast.shape == whole.shape
    assert np.abs(fast - whole).mean() <= 0.3
    assert (np.abs(fast - whole).max(axis=-1) > 100).sum() <= 20


@dataclass(frozen=True, kw_only=True)
class Plain(Overlay):
    """Artists as matplotlib makes them, in no order of theirs."""

    panel: str = "both"

    def draw(self, axes, view):
        text = Text(300, 100, "here", color="red", fontsize=14)
        return [text, Line2D([0, 700], [500, 100], color="lime"), Circle((200, 300), 60, color="orange")]


def test_artists_of_matplotlib_are_drawn_as_matplotlib_does(drawn_episode):
    style = with_overlays("expert").with_overlay("plain", Plain())
    fast, whole = fast_and_whole(drawn_episode, style, 4)
    assert np.abs(fast - whole).mean() <= 0.3
    assert (np.abs(fast - whole).max(axis=-1) > 100).sum() <= 10
    bare, _ = fast_and_whole(drawn_episode, with_overlays("expert"), 4)
    assert (np.abs(fast - bare).max(axis=-1) > 100).sum() > 10_000


@pytest.mark.parametrize("name", bundled())
def test_marks_are_within_a_pixel_of_matplotlibs(corner, name):
    base = load_style(name)
    for overlay, color in (("expert", "#00ff00"), ("prediction", "#ff00ff")):
        looks = {**base.overlay, overlay: replace(base.overlay[overlay], color=color)}
        layout = replace(base.layout, legend=False)
        style = replace(base, target_height=480, overlays=(overlay,), overlay=looks, layout=layout, colormap="gray")
        centres = []
        for pixels in fast_and_whole(corner, style, 1):
            near = np.abs(pixels[:, 480:] - ((0, 255, 0) if overlay == "expert" else (255, 0, 255))).max(axis=-1) < 40
            rows, columns = np.nonzero(near)
            centres.append([columns.mean(), rows.mean()])
        assert np.hypot(*np.subtract(*centres)) < 0.5


@pytest.mark.parametrize("name", bundled())
def test_an_environment_is_on_the_ground_of_its_style(drawn_episode, name):
    style = replace(load_style(name), overlays=(), target_height=480)
    with style.active():
        ground = np.array(to_rgb(rcParams["axes.facecolor"])) * 255
    world = environment(drawn_episode, 3, style).astype(int)
    np.testing.assert_allclose(world[5, 5], ground, atol=1)
    colors = world.reshape(-1, 3)[np.abs(world.reshape(-1, 3) - ground).max(axis=-1) > 60] / 255
    for shade in ((144, 238, 144), (65, 105, 225), (119, 136, 153)):  # goal, agent and block keep hue and contrast
        found = on_ground(np.array(shade, dtype=np.uint8), ground / 255) / 255
        assert np.abs(colors - found).max(axis=-1).min() < 0.02
        assert contrast([found], [ground / 255])[0] > 1.3
        assert rgb_to_hsv(found)[0] == pytest.approx(rgb_to_hsv(np.array(shade) / 255)[0], abs=0.01)


# ---- fit to read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("height", [120, 480, 1080])
@pytest.mark.parametrize("method", ["likelihood", "distance", "noise_pred"])
@pytest.mark.parametrize("name", bundled())
def test_nothing_is_clipped_and_the_legend_leaves_the_data_free(drawn_episode, name, method, height):
    for style in (load_style(name), replace(load_style(name), overlays=tuple(OVERLAYS))):
        with style.active():
            panel = make_panel(drawn_episode, method, style, height)
            renderer, (legend,) = panel.figure.canvas.get_renderer(), panel.figure.legends
            whole = panel.figure.get_tightbbox(renderer).transformed(panel.figure.dpi_scale_trans)
            box = legend.get_window_extent(renderer)
            columns = Counter(text.get_window_extent(renderer).x0 for text in legend.get_texts())
            title = panel.axes.title.get_window_extent(renderer)
            below = (panel.axes.xaxis.get_tightbbox(renderer) or panel.axes.bbox).y0  # a window that moves has no ticks
        for extent in (whole, box, title):
            assert extent.x0 >= 0
            assert extent.x1 <= panel.width
            assert extent.y0 >= 0
            assert extent.y1 <= panel.height
        assert box.y1 + 4 * height / 480 <= below  # it touches neither the labels nor the edges
        assert min(box.x0, box.y0, panel.width - box.x1) >= 3.9 * height / 480
        assert len(columns) == -(-columns.total() // max(columns.values()))  # its rows are as even as they can be


def test_a_legend_that_cannot_fit_is_an_error_that_says_what_to_do(drawn_episode):
    style = with_overlays("all")
    style = replace(style, layout=replace(style.layout, side=420.0))
    with style.active(), pytest.raises(RenderError, match=r"draw fewer overlays, lower layout\.side or fonts\.legend"):
        make_panel(drawn_episode, style=style)


def test_chrome_can_be_left_out(drawn_episode):
    bare = replace(Style().layout, legend=False, colorbar=False, axis_labels=False, ticks=0.0, title="")
    style = replace(Style(), layout=bare)
    with style.active():
        panel = make_panel(drawn_episode, style=style)
    assert len(panel.figure.axes) == 1
    assert not panel.figure.legends
    assert (panel.axes.get_xlabel(), panel.axes.get_title(), list(panel.axes.get_xticks())) == ("", "", [])


@pytest.mark.parametrize("method", ["likelihood", "distance", "noise_pred"])
@pytest.mark.parametrize("norm", ["episode", "frame", "rank"])
def test_every_method_and_norm_draws(drawn_episode, method, norm):
    style = replace(with_overlays("contours"), norm=norm, colormap="inferno")
    assert (norm_of(drawn_episode, method, style) is None) == (norm == "frame")
    assert heatmap(drawn_episode, 0, method, style, height=240).shape == (240, 288, 3)
