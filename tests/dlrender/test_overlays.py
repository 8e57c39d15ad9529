"""What each overlay draws, on its artists; and that matplotlib's own artists look the same where ours replace them."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch
from support.drawing import PLAIN, artists, at, heatmap, make_panel, with_overlays
from support.synthetic import rewrite, write_cache

from dlrender.colors import color_table
from dlrender.errors import RenderError
from dlrender.overlays import (
    OVERLAYS,
    Agent,
    Arrow,
    Block,
    Chunk,
    Cloud,
    Contours,
    Counter,
    Drift,
    ExpertAction,
    ExpertTrace,
    Inside,
    Landscape,
    PolicyPrediction,
    Regions,
    Scale,
    Worms,
)
from dlrender.overlays.artists import HaloArrow, HaloLines, Mark, OpenMark, halo, open_mark_handle, place
from dlrender.overlays.contrast import contrast, halo_color, luminance
from dlrender.overlays.labels import score_at
from dlrender.overlays.text_artist import MARGIN, Label, box_height, coverage
from dlrender.overlays.world import AGENT, AGENT_EDGE, BLOCK, BLOCK_EDGE, GOAL, WALL, filled, things_of, walls
from dlrender.style.style import Style
from dlrender.style.toml import bundled, load_style
from dlscore.cache import CacheError, open_cache
from dlscore.grid import Grid


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_overlay_draws_explains_itself_and_leaves_the_axes_clean(tmp_path, name):
    edge = np.linspace([4.0, 100.0], [4.0, 300.0], 6)  # almost half of the mass is beyond the grid
    path = write_cache(tmp_path / "a.h5", drift=np.full((6, 3), 9.0), expert=edge, predicted=edge + 60)
    with open_cache(path) as episode:
        window = "0,60,400"  # a scale is drawn where the window is not the world
        style = replace(with_overlays(name, panel="heatmap"), heat="over", window=window)
        panel, view = make_panel(episode, style=style), at(episode, 4)
        before = len(panel.axes.get_children())
        plain = heatmap(episode, 4, style=replace(PLAIN, heat="over", window=window))
        one, two = panel.render(view).pixels[..., :3].copy(), panel.render(view).pixels[..., :3].copy()
        np.testing.assert_array_equal(one, two)  # nothing piles up from frame to frame
        inside = np.s_[
            panel.square[1] : panel.square[1] + panel.square[2], panel.square[0] : panel.square[0] + panel.square[2]
        ]
        assert (one[inside] != plain[inside]).any()
        assert len(panel.axes.get_children()) == before
        handles = style.overlay[name].legend(episode, "likelihood")
        assert all(handle.get_label() for handle in handles)
        assert bool(handles) == (
            name not in ("world", "landscape", "inset", "scale", "counter", "drift", "inside")
        )  # these explain themselves


@pytest.mark.parametrize(
    ("overlay", "looks", "words"),
    [
        (
            Contours,
            {"color": "reddish"},
            "color reddish is not allowed; choose an opaque colour of matplotlib",
        ),
        (Contours, {"color": "#ff000010"}, "choose an opaque colour"),
        (ExpertAction, {"size": 0.0}, "size 0.0 is not allowed; choose more than 0 points"),
        (Counter, {"fontsize": 0.0}, "choose more than 0 points"),
        (ExpertAction, {"label": "$\\foo$"}, "choose a text whose"),
        (Contours, {"masses": (0.5, 1.0)}, "choose numbers between 0 and 1"),
        (Contours, {"masses": ()}, "choose numbers between 0 and 1"),
        (Contours, {"top": 0.0}, "choose a fraction of the cells"),
        (ExpertAction, {"marker": "cross"}, "marker cross is not allowed; choose one of"),
        (ExpertAction, {"marker": ","}, "choose one of"),
        (ExpertAction, {"size": -1.0}, "choose 0 to 100 points"),
        (ExpertTrace, {"length": 0}, "choose 1 or more actions"),
        (Worms, {"alpha": 1.5}, "choose 0 to 1"),
        (Landscape, {"strength": -0.1}, "choose 0 to 1"),
        (Counter, {"corner": "middle"}, "choose from upper right, upper left, lower right, lower left"),
        (Arrow, {"panel": "left"}, "choose from heatmap, environment, both"),
    ],
)
def test_looks_that_cannot_be_drawn_are_refused(overlay, looks, words):
    with pytest.raises(RenderError, match=words):
        overlay(**looks)


# ---- the scores -------------------------------------------------------------------------------------------------


def test_contours_hold_the_mass_they_name(tmp_path):
    path = write_cache(tmp_path / "fine.h5", steps=1, resolution=256, expert=np.array([256.0, 256.0]), sigma=40.0)
    with open_cache(path) as fine:
        _, levels = Contours().levels(at(fine, 0))
        # of an isotropic Gaussian the region of mass p is where the density is over (1 - p) of its peak
        below = np.array([level for _, level in levels]) + np.log(2 * np.pi * 40**2)
        np.testing.assert_allclose(below, np.log([0.05, 0.2, 0.5]), atol=0.02)
        assert [place for place, _ in levels] == [2, 1, 0]
        (lines,) = artists(fine, Contours(), 0)
        for path_of_level, mass in zip(lines.paths, (0.95, 0.8, 0.5), strict=True):
            radius = np.hypot(*(path_of_level.vertices - 256).T)
            np.testing.assert_allclose(radius, 40 * np.sqrt(-2 * np.log(1 - mass)), rtol=0.02)


def test_contours_of_a_score_are_the_best_tenth_of_the_cells_and_say_so(drawn_episode):
    scores = drawn_episode.score("distance", 0)
    _, ((_, level),) = Contours().levels(at(drawn_episode, 0, "distance"))
    assert np.mean(scores >= level) == pytest.approx(0.1, abs=0.01)
    labels = [Contours().legend(drawn_episode, method)[0].get_label() for method in ("distance", "likelihood")]
    assert labels == ["top 10 % of the cells", "50, 80, 95 % of the mass"]


@pytest.mark.parametrize("method", ["likelihood", "distance"])
def test_regions_of_a_flat_score_are_none(drawn_episode, method):
    view = replace(at(drawn_episode, 0, method), scores=np.full((32, 32), -12.0, dtype=np.float32))
    for overlay in (Contours(), Regions()):
        assert overlay.draw(make_panel(drawn_episode, method).axes, view) == []


def test_contours_are_solid_though_the_levels_are_negative(tmp_path):
    where = np.array([256.0, 256.0])
    path = write_cache(tmp_path / "a.h5", steps=1, resolution=64, expert=where, predicted=where, sigma=60.0)
    with open_cache(path) as episode:
        style = with_overlays("contours", masses=(0.8,), linewidth=3.0)
        with style.active():
            panel = make_panel(episode, style=style)
            pixels = panel.render(at(episode, 0)).pixels[..., :3]
        turn = np.linspace(0, 2 * np.pi, 400)
        ring = where[:, None] + 60 * np.sqrt(-2 * np.log(0.2)) * np.array([np.cos(turn), np.sin(turn)])
        columns, rows = np.floor(panel.data_to_pixel(*ring)).astype(int)
        assert (pixels[rows, columns].min(axis=-1) > 200).all()  # white all the way round


def test_the_landscape_is_clear_where_scores_are_low_and_coloured_where_they_are_high(drawn_episode):
    style = with_overlays("landscape")
    (image,) = artists(drawn_episode, Landscape(), 3)
    pixels = image.get_array()
    x, y = drawn_episode.expert_action[3].astype(int)
    assert pixels[y, x, 3] == pytest.approx(255 * 0.88 * 0.75, abs=2)
    assert pixels[2, 500, 3] == 0
    assert (pixels[y, x, :3] > [200, 200, 0]).all()  # the yellow end of viridis
    assert style.drawn("environment") == [Landscape()]
    assert style.drawn("heatmap") == []


# ---- actions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("overlay", "name"), [(ExpertAction, "expert_action"), (PolicyPrediction, "predicted_action")])
def test_marks_are_at_their_actions(drawn_episode, overlay, name):
    (mark,) = artists(drawn_episode, overlay(), 3)
    np.testing.assert_array_equal(mark.points, getattr(drawn_episode, name)[3:4])


def test_the_arrow_joins_the_policy_and_the_expert_and_covers_neither(drawn_episode):
    (arrow,) = artists(drawn_episode, Arrow(gap=6.0))
    np.testing.assert_allclose(arrow.start, drawn_episode.predicted_action[3])
    np.testing.assert_allclose(arrow.end, drawn_episode.expert_action[3])
    corners, ends = arrow.corners(100 / 72), arrow.get_transform().transform([arrow.start, arrow.end])
    for corner, end in ((corners[0], ends[0]), (corners[2], ends[1])):
        assert np.hypot(*(corner - end)) == pytest.approx(6.0 * 100 / 72)


@pytest.mark.parametrize(("points", "drawn"), [(0.0, False), (15.4, False), (15.8, True)])
def test_no_arrow_where_it_would_be_shorter_than_its_head(tmp_path, points, drawn):
    where, apart = np.array([100.0, 400.0]), points * (100 / 72) * 512 / 386  # px of the environment
    with open_cache(write_cache(tmp_path / "a.h5", steps=1, expert=where, predicted=where + [apart, 0])) as agreed:
        assert bool(artists(agreed, Arrow(), 0)) == drawn  # of gaps of 6 points and a head of 3.6


def test_marks_that_coincide_are_both_seen_and_so_is_what_is_under_them(tmp_path):
    where = np.array([256.0, 256.0])
    path = write_cache(tmp_path / "a.h5", steps=1, resolution=64, expert=where, predicted=where, sigma=60.0)
    with open_cache(path) as episode:
        bare, star, cross, both = (
            heatmap(episode, 0, style=with_overlays(*names)).astype(int)[28:414, 62:448]
            for names in ((), ("prediction",), ("expert",), ("prediction", "expert"))
        )
    for alone in (star, cross):
        marked = np.abs(alone - bare).max(axis=-1) > 40
        assert (np.abs(both - alone).max(axis=-1) < 8)[marked].mean() > 0.5
    rows, columns = np.nonzero(np.abs(both - bare).max(axis=-1) > 0)
    box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert (np.abs(both - bare).max(axis=-1) == 0)[box].mean() > 0.3  # the density between their lines


def test_the_trace_is_the_past_only_and_gets_thinner_into_it(drawn_episode):
    assert artists(drawn_episode, ExpertTrace(), 0) == []
    (trace,) = artists(drawn_episode, ExpertTrace(length=3), 5)
    points = np.vstack([path.vertices for path in trace.paths])
    np.testing.assert_allclose(points[0], drawn_episode.expert_action[2])
    np.testing.assert_allclose(points[-1], drawn_episode.expert_action[5])
    for one, other in zip(trace.paths, trace.paths[1:], strict=False):
        np.testing.assert_array_equal(one.vertices[-1], other.vertices[0])  # without a gap
    assert (np.diff(trace.shares) > 0).all()
    assert trace.shares[-1] == 1


# ---- chunks -----------------------------------------------------------------------------------------------------


def test_chunks_begin_with_the_current_action(drawn_episode):
    now = drawn_episode.predicted_chunks[3, :, 1:]
    (cloud,) = artists(drawn_episode, Cloud())
    np.testing.assert_array_equal(cloud.points, now[:, 0])
    (worms,) = artists(drawn_episode, Worms())
    np.testing.assert_array_equal([path.vertices for path in worms.paths], now)
    line, dots = artists(drawn_episode, Chunk())
    np.testing.assert_array_equal(line.paths[0].vertices, now[0])
    np.testing.assert_array_equal(dots.points, now[0])
    np.testing.assert_array_equal(now[0, 0], drawn_episode.predicted_action[3])


@pytest.mark.parametrize("value", [None, -1, 16, "one"])
def test_a_cache_that_does_not_say_where_now_is_is_named(drawn_episode, value):
    drawn_episode.attrs["current_action_index"] = value
    with pytest.raises(CacheError, match="does not say which action of a chunk is the current one"):
        artists(drawn_episode, Worms())


# ---- the world --------------------------------------------------------------------------------------------------


def test_outlines_are_those_of_gym_pusht():
    from dlscore.pusht.env import get_keypoints, make_env, render_canvas, set_state

    env = make_env()
    state = np.array([120.0, 380.0, 300.0, 210.0, 2.3])
    set_state(env, state)
    points = get_keypoints(env)
    corners = Block().corners(state)
    for corner in corners:  # each is a vertex, or lies on an edge between two
        assert np.hypot(*(points - corner).T).min() < 1e-6 or _on_an_edge(points, corner)
    for vertex in points:
        assert np.hypot(*(corners - vertex).T).min() < 1e-6 or _on_an_edge(corners, vertex)
    assert np.hypot(*(Agent().corners(state) - state[:2]).T) == pytest.approx(
        env.agent.radius if hasattr(env.agent, "radius") else 15
    )
    frame = render_canvas(env)
    middle = corners[:3].mean(axis=0).round().astype(int)
    assert tuple(frame[middle[1], middle[0]]) not in ((255, 255, 255), (144, 238, 144))  # the block is there


def _on_an_edge(corners, point):
    ends = np.roll(corners, -1, axis=0) - corners
    to = point - corners
    across = np.abs(ends[:, 0] * to[:, 1] - ends[:, 1] * to[:, 0]) / np.hypot(*ends.T)
    share = (ends * to).sum(axis=1) / (ends**2).sum(axis=1)
    return bool(((across < 1e-6) & (share > 0) & (share < 1)).any())


@pytest.mark.parametrize(
    "state", [(120.0, 380.0, 300.0, 210.0, 2.3), (256.5, 60.2, 250.0, 260.0, 0.8), (30, 30, 90, 400, 5)]
)
def test_the_shapes_of_an_environment_are_where_its_picture_has_them(state):
    from dlscore.pusht.env import make_env, render_canvas, set_state

    env = make_env()
    set_state(env, np.array(state))
    figure = Figure(figsize=(5.12, 5.12), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 512), ylim=(512, 0))
    axes.set_axis_off()
    axes.add_artist(place(axes, filled([*walls(), *things_of(np.array(state))], axes)))
    figure.canvas.draw()
    painted = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)
    colors = np.array(
        [(255, 255, 255), *(np.array(to_rgb(c)) * 255 for c in (GOAL, BLOCK, BLOCK_EDGE, AGENT, AGENT_EDGE, WALL))]
    )
    away = [np.abs(pixels[:, :, None] - colors).sum(axis=-1) for pixels in (painted, render_canvas(env).astype(int))]
    for one, other in (away, away[::-1]):
        here, pure = one.argmin(axis=-1), one.min(axis=-1) < 12  # the rest is mixed, at edges
        wide = np.pad(other.argmin(axis=-1), 1, mode="edge")
        near = [wide[1 + y : 513 + y, 1 + x : 513 + x] == here for y in (-1, 0, 1) for x in (-1, 0, 1)]
        elsewhere = (pure & ~np.any(near, axis=0)).sum()  # what one paints, the other paints within a pixel
        assert elsewhere <= 60  # of 262,144, but for slivers and round corners


# ---- words ------------------------------------------------------------------------------------------------------


def test_the_counter_tells_the_score_of_the_cell_that_the_expert_is_in(drawn_episode):
    (label,) = artists(drawn_episode, Counter(), 3)
    x, y = drawn_episode.expert_action[3]
    grid, scores = drawn_episode.grid, drawn_episode.score("likelihood", 3)
    value = scores[np.abs(grid.centres - y).argmin(), np.abs(grid.centres - x).argmin()]
    assert label.text == f"step 3 of 6 · expert: {value:.1f} nats".replace("-", "−")
    (label,) = artists(drawn_episode, Counter(), 3, "distance")
    assert label.text.endswith(" px")
    assert artists(drawn_episode, Counter(score=False), 3)[0].text == "step 3 of 6"
    grid, scores = Grid(4), np.arange(16.0).reshape(4, 4)
    for action, expected in (((0, 0), 0), ((511.9, 0), 3), ((512, 512), 15), ((-3, 700), 12), ((130, 10), 1)):
        assert score_at(grid, scores, np.array(action, dtype=float)) == expected


def test_drift_is_told_where_it_is_over_its_limit(tmp_path):
    drift = np.array([[0, 4.9, 0], [5.1, 0, 0], [0, 0, 0.1]], dtype=float)  # agent px, block px, block rad
    with open_cache(write_cache(tmp_path / "a.h5", steps=3, drift=drift)) as episode:
        assert artists(episode, Drift(), 0) == []
        said = [artists(episode, Drift(), step)[0].text for step in (1, 2)]
    assert said == ["the replay is 5.1 px off the record", "the replay is 7.5 px off the record"]  # 0.1 rad · 75 px


def test_mass_beyond_the_grid_is_told_in_the_picture_and_in_the_legend(tmp_path):
    expert = np.array([[256.0, 256.0], [30.0, 256.0], [0.0, 256.0]])
    with open_cache(write_cache(tmp_path / "a.h5", steps=3, expert=expert, resolution=64)) as episode:
        assert artists(episode, Inside(), 0) == []
        said = [artists(episode, Inside(), step)[0].text for step in (1, 2)]
        assert said == ["84 % of the mass inside", "50 % of the mass inside"]  # Φ(1) and Φ(0)
        assert artists(episode, Inside(), 2, "distance") == []
        (handle,) = Contours().legend(episode, "likelihood")
        assert handle.get_label() == "50, 80, 95 % of the mass (in part beyond the grid)"


@pytest.mark.parametrize(("x", "drawn"), [(253.1, 3), (30.0, 2), (-3.0, 0)])
def test_regions_that_the_grid_cannot_hold_have_no_contour(tmp_path, x, drawn):
    path = write_cache(tmp_path / "a.h5", steps=1, expert=np.array([x, 257.9]), resolution=64)
    with open_cache(path) as episode:
        scores = episode.score("likelihood", 0).astype(float)
        _, levels = Contours().levels(at(episode, 0))
        assert len(levels) == drawn
        for place, level in levels:
            content = np.exp(scores[scores >= level]).sum() * episode.grid.cell_area
            assert content == pytest.approx(Contours().masses[place], abs=0.02)


# ---- contrast ----------------------------------------------------------------------------------------------------

GROUNDS = [*np.concatenate([color_table(load_style(name).colormap) / 255 for name in bundled()]),
           *np.array([(255, 255, 255), (144, 238, 144), (119, 136, 153), (65, 105, 225)]) / 255]  # fmt: skip


# Of linear RGB: Machado, Oliveira and Fernandes 2009, severity 1.
EYES = {
    "trichromacy": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    "gray": np.tile([0.2126, 0.7152, 0.0722], (3, 1)),
}


def as_seen(colors, eyes):
    """(K, 3) sRGB of colours as they are seen."""
    srgb = to_rgba_array(colors)[:, :3]
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(EYES[eyes]).T, 0, 1)
    return np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("name", bundled())
def test_marks_keep_their_contrast_on_every_map_and_on_the_world(name, eyes):
    style, grounds = load_style(name), as_seen(GROUNDS, eyes)
    for overlay in ("trace", "arrow", "prediction", "expert"):
        color = style.overlay[overlay].color
        line, edge = as_seen([color], eyes), as_seen([halo_color(color)], eyes)
        assert np.maximum(contrast(line, grounds), contrast(edge, grounds)).min() >= 3, overlay
        assert contrast(line, edge) >= 3, overlay
    policy, expert = (as_seen([style.overlay[each].color], eyes) for each in ("prediction", "expert"))
    assert contrast(policy, expert) >= 3  # told apart without hue


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("name", bundled())
def test_colours_get_lighter_with_the_score_whoever_looks(name, eyes):
    light = luminance(as_seen(color_table(load_style(name).colormap)[::32] / 255, eyes))
    assert (np.diff(light) > 0).all()


def test_contrast_is_that_of_wcag():
    assert contrast("white", "black") == pytest.approx(21)
    assert contrast("#777777", "white") == pytest.approx(4.48, abs=0.005)  # a known pair of its guides
    assert (halo_color("#850014"), halo_color("#ffd60a")) == ("white", "black")


# ---- our artists and matplotlib's ----------------------------------------------------------------------------------


def _drawn(*made, dpi=200.0):
    figure = Figure(figsize=(2, 2), dpi=dpi, facecolor="gray")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 512), ylim=(512, 0))
    axes.set_axis_off()
    for artist in made:
        axes.add_artist(place(axes, artist))
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)


@pytest.mark.parametrize("marker", ["*", "x", "o"])
def test_an_open_mark_is_matplotlibs(marker):
    points = np.array([[123.0, 300.0], [400.0, 77.0]])
    line = open_mark_handle("", marker, 20.0, "red", 3.0, 2.0)
    line.set(data=points.T, snap=False)
    assert (
        np.abs(_drawn(OpenMark(points, marker, 20.0, "red", 3.0, 2.0)) - _drawn(line)).mean() < 0.6
    )  # its are snapped


@pytest.mark.parametrize("marker", ["*", "X", "o"])
def test_a_mark_is_matplotlibs(marker):
    ours = _drawn(Mark(np.array([[123.0, 300.0], [400.0, 77.0]]), marker, 20.0, "red", 2.0))
    line = Line2D([123, 400], [300, 77], linestyle="none", marker=marker, markersize=20, markerfacecolor="red",
                  markeredgecolor="black", markeredgewidth=2, snap=False)  # fmt: skip
    assert np.abs(ours - _drawn(line)).mean() < 0.5


def test_a_line_is_matplotlibs():
    from matplotlib.path import Path

    points = np.array([[40.0, 40.0], [200.0, 300.0], [480.0, 310.0]])
    line = Line2D(
        *points.T, color="red", linewidth=3, path_effects=halo(5), solid_joinstyle="round", solid_capstyle="butt"
    )
    assert np.abs(_drawn(HaloLines([Path(points)], "red", 3.0, 2.0)) - _drawn(line)).mean() < 0.5


def test_an_arrow_is_nearly_matplotlibs():
    start, end, looks = np.array([60.0, 430.0]), np.array([400.0, 120.0]), Arrow()
    theirs = FancyArrowPatch(tuple(start), tuple(end), arrowstyle="-|>", mutation_scale=looks.size, shrinkA=0, shrinkB=0,
                             color=looks.color, linewidth=looks.linewidth)  # fmt: skip
    theirs.set_path_effects(halo(looks.linewidth + looks.edge))
    assert (
        np.abs(
            _drawn(
                HaloArrow(
                    start,
                    end,
                    color=looks.color,
                    linewidth=looks.linewidth,
                    edge=looks.edge,
                    size=looks.size,
                )
            )
            - _drawn(theirs)
        ).mean()
        < 1.5
    )


def test_a_label_does_not_depend_on_what_was_drawn_before_with_other_settings():
    text = "step 34/56"
    with Style().active():
        fresh = _drawn(Label(text, "upper left", 9.0, "white", 1.0))
    coverage.cache_clear()
    with matplotlib.rc_context({"text.hinting": "force_autohint"}):
        hinted = _drawn(Label(text, "upper left", 9.0, "white", 1.0))
    assert (hinted != fresh).any()
    with Style().active():
        np.testing.assert_array_equal(_drawn(Label(text, "upper left", 9.0, "white", 1.0)), fresh)


def test_a_weight_may_be_a_number():
    drawn = []
    for weight in (400, 700):
        with matplotlib.rc_context({"font.weight": weight}):
            drawn.append(_drawn(Label("step 34", "upper left", 9.0, "white", 1.0)))
    assert (drawn[0] != drawn[1]).any()


@pytest.mark.parametrize(("corner", "where"), [("lower left", (0, 1)), ("upper right", (1, 0))])
def test_an_inset_is_the_world_in_a_corner(drawn_episode, corner, where):
    with PLAIN.active():
        panel = make_panel(drawn_episode)
        left, bottom, width, height = panel.axes.bbox.bounds
        to_canvas = OVERLAYS["inset"](corner=corner, share=0.25).to_axes(panel.axes)
    margin, step = MARGIN * panel.axes.figure.dpi / 72, 0.75 * width
    near = [left + margin + where[0] * (step - 2 * margin), bottom + margin + (1 - where[1]) * (step - 2 * margin)]
    assert height == pytest.approx(width)
    np.testing.assert_allclose(to_canvas.transform((0, 512)), near)  # y goes down
    np.testing.assert_allclose(to_canvas.transform((512, 0)), np.add(near, 0.25 * width))


@pytest.mark.parametrize("height", [120, 480, 1080])
def test_a_scale_is_as_long_as_it_says_and_above_its_label(drawn_episode, height):
    panel = make_panel(drawn_episode, style=Style(window="100,200,160"), height=height)
    view = at(drawn_episode, 3, style=Style(window="100,200,160"))
    bar, label = Scale().draw(panel.axes, view)
    (left, y), (right, _) = bar.paths[0].vertices
    assert f"{right - left:g} px" == label.text
    room = (360 - y) / 160 * panel.axes.bbox.height * 72 / panel.figure.dpi  # points below the bar
    assert room > 5 + box_height(label.fontsize) + Scale().linewidth


def test_a_label_that_is_wider_than_its_axes_has_a_line_for_each_part():
    parts = ("step 12 of 78", "expert: −9.3 nats and as many words as do not fit")
    with Style().active():
        first, second = (_drawn(Label(part, "upper left", 9.0, "white", 1.0)) for part in parts)
        both = _drawn(Label(" · ".join(parts), "upper left", 9.0, "white", 1.0))
    line = (1.1 * 9 + 5) * 200 / 72  # px of a box, below a margin of 5 points
    top = round(5 * 200 / 72 + line) - 2
    np.testing.assert_array_equal(both[:top], first[:top])
    below = both[top + 4 : top + 38]
    shifts = [np.abs(below - second[top + 4 - k : top + 38 - k]).max() for k in (int(line), int(line) + 1)]
    assert min(shifts) == 0
    assert np.ptp(below) > 100  # the second part is there


@pytest.mark.parametrize("dpi", [100.0, 200.0])
def test_a_label_is_matplotlibs_text(dpi):
    text, point = "step 12/299 · expert −9.3", dpi / 72
    height = (1.1 * 9 + 5) * point
    with Style().active():
        ours = _drawn(Label(text, "upper left", 9.0, "white", 1.0), dpi=dpi)
        figure = Figure(figsize=(2, 2), dpi=dpi, facecolor="black")
        FigureCanvasAgg(figure)
        figure.text((5 + 2.5) * point / (2 * dpi), 1 - (5 * point + height - (2.5 + 0.25 * 9) * point) / (2 * dpi), text,
                    fontsize=9, color="white")  # fmt: skip
        figure.canvas.draw()
    ink, expected = ours.max(axis=-1) > 140, np.asarray(figure.canvas.buffer_rgba())[..., 0] > 140
    assert abs(ink.sum() - expected.sum()) < 0.1 * expected.sum()
    for axis, limit in ((0, 1.0), (1, dpi / 100)):  # the same place: ours has no kerning between its pieces
        ours_at, theirs_at = np.nonzero(ink)[axis], np.nonzero(expected)[axis]
        assert abs(ours_at.mean() - theirs_at.mean()) <= limit
        assert abs(ours_at.max() - theirs_at.max()) <= 2 * limit


def test_a_policys_own_actions_are_called_executed(drawn_cache):
    rewrite(drawn_cache, lambda file: file.attrs.__setitem__("executed_by", "some policy"))
    with open_cache(drawn_cache) as episode:
        handles = [
            handle for name in ("trace", "arrow", "expert") for handle in OVERLAYS[name]().legend(episode, "likelihood")
        ]
        assert [handle.get_label() for handle in handles] == [
            "past executed actions",
            "policy to executed",
            "executed action",
        ]
        assert OVERLAYS["expert"](label="mine").legend(episode, "likelihood")[0].get_label() == "mine"
        assert "· executed: " in OVERLAYS["counter"]().text(at(episode, 3))
