import sys
import types

import matplotlib
import numpy as np
import pytest
from PIL import Image
from support.drawing import make_panel
from support.synthetic import write_cache

from dlrender.colors import Limits, Norm, color_table, get_colormap, make_norm
from dlrender.errors import RenderError
from dlrender.shading import FADE, Shades, draw_heat, make_shades, sample
from dlrender.style.style import Style
from dlrender.window import WHOLE, Window
from dlscore.cache import open_cache


def colour(scores, norm, colormap, pixels):
    """(P, P, 3) uint8 of scores over the whole world, where nothing fades."""
    return make_shades(norm, colormap, None, over=False).image(sample(norm.prepare(scores), WHOLE, pixels))[..., :3]


def test_norms(drawn_episode):
    whole = make_norm("episode", [drawn_episode], "distance", 10.0)
    values = np.stack([drawn_episode.score("distance", k) for k in range(drawn_episode.steps)])
    assert (whole.low, whole.high, whole.cut) == (values.min(), values.max(), False)
    one = make_norm("frame", [drawn_episode], "distance", 10.0, step=2)
    assert (one.low, one.high) == (values[2].min(), values[2].max())
    density = make_norm("episode", [drawn_episode], "likelihood", 10.0)
    assert density.cut
    assert 10 <= density.high - density.low <= 10.1  # below the lowest of the peaks
    ranked = make_norm("rank", [], "distance", 10.0).prepare(np.array([[3.0, 1.0], [2.0, 9.0]]))
    np.testing.assert_allclose(ranked, [[2 / 3, 0], [1 / 3, 1]])
    with pytest.raises(RenderError, match="choose from episode, frame, global, rank"):
        make_norm("vibes", [], "distance", 10.0)


def test_limits_set_the_ends_and_the_bar_is_pointed_where_scores_lie_beyond(drawn_episode):
    values = np.stack([drawn_episode.score("distance", k) for k in range(drawn_episode.steps)])
    low, high = float(values.min()), float(values.max())
    norm = make_norm("episode", [drawn_episode], "distance", 10.0, limits=Limits(vmin=low + 5, vmax=high - 5))
    assert (norm.low, norm.high, norm.cut, norm.cut_above) == (low + 5, high - 5, True, True)
    wide = make_norm("episode", [drawn_episode], "distance", 10.0, limits=Limits(vmin=low - 5))
    assert (wide.low, wide.high, wide.cut, wide.cut_above) == (low - 5, high, False, False)
    even = make_norm("episode", [drawn_episode], "distance", 10.0, limits=Limits(center=high - 1))
    assert even.unit(np.array([high - 1])) == pytest.approx(0.5)
    assert even.low == pytest.approx(low)
    for limits, extend in (({"vmin": low + 5, "vmax": high - 5}, "both"), ({"vmin": low - 5}, "neither")):
        panel = make_panel(drawn_episode, "distance", Style(overlays=(), **limits))
        assert panel.figure.axes[1]._colorbar.extend == extend


def test_a_power_is_matplotlibs():
    norm = Norm(-8.0, -2.0, gamma=0.5)
    scores = np.random.default_rng(0).uniform(-8, -2, (6, 6))
    np.testing.assert_allclose(norm.unit(scores), norm.of_matplotlib()(scores))
    picture = colour(scores, norm, "viridis", 6)
    expected = matplotlib.colormaps["viridis"].resampled(1024)(norm.of_matplotlib()(scores), bytes=True)[..., :3]
    assert np.abs(picture.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("window", [WHOLE, Window(100.0, 300.0, 80.0), Window(-40.0, 460.0, 120.0)])
def test_interpolated_scores_keep_a_parabola_and_go_through_the_cells(window):
    cells = 32
    centres = (np.arange(cells) + 0.5) * 512 / cells
    scores = -((centres[None] - 300) ** 2) / 900 - (centres[:, None] - 200) ** 2 / 2500
    pixels = 128
    at = [start + (np.arange(pixels) + 0.5) * window.side / pixels for start in (window.left, window.top)]
    exact = -((at[0][None] - 300) ** 2) / 900 - (at[1][:, None] - 200) ** 2 / 2500
    inner = np.outer(*(((each > centres[1]) & (each < centres[-2])) for each in at[::-1]))
    np.testing.assert_allclose(sample(scores, window, pixels)[inner], exact[inner], atol=2e-3)


def test_where_cells_are_smaller_than_pixels_they_are_averaged_as_pillow_does():
    scores = np.random.default_rng(1).uniform(-1, 1, (400, 400)).astype(np.float32)
    small = np.asarray(Image.fromarray(scores).resize((100, 100), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(sample(scores, WHOLE, 100), small)
    part = sample(scores, Window(128.0, 256.0, 128.0), 20)
    assert np.abs(part).max() < 0.5


def test_colours_of_a_density_fade_below_what_is_resolved():
    norm = Norm(-8.0, 0.0)
    over, alone = (make_shades(norm, "viridis", -5.0, over) for over in (True, False))
    values = np.array([[-0.1, -3.9, -5.0, -5.0 - FADE, -30.0]], dtype=np.float32)
    opacity = over.image(values)[0, :, 3].astype(int)
    assert opacity[0] == opacity[1] == round(0.88 * 255)  # whole a nat above the lowest
    assert opacity[1] > opacity[2] > opacity[3] == opacity[4] == 0
    assert (alone.image(values)[..., 3] == 255).all()
    np.testing.assert_array_equal(alone.image(values)[0, 3:, :3], np.repeat(color_table("viridis")[:1], 2, axis=0))
    np.testing.assert_allclose(alone.image(values)[0, 0, :3], color_table("viridis")[-13], atol=3)


@pytest.mark.parametrize(
    ("kind", "limits", "words"),
    [
        ("episode", Limits(vmin=2, vmax=1), "--vmin 2 is not below --vmax 1"),
        ("episode", Limits(vmin=np.nan), "--vmin nan is not allowed"),
        ("episode", Limits(gamma=0), "--gamma 0 is not allowed"),
        ("episode", Limits(center=0, vmax=1), "leave out --vmin and --vmax"),
        ("rank", Limits(vmin=1), "--vmin 1 has no meaning with --norm rank"),
        ("episode", Limits(vmax=-1e9), "leave no scale: it would go from"),
    ],
)
def test_limits_that_make_no_scale_are_named(drawn_episode, kind, limits, words):
    with pytest.raises(RenderError, match=words):
        make_norm(kind, [drawn_episode], "distance", 10.0, limits=limits)


def test_cells_of_one_score_have_one_rank():
    ranks = Norm(0, 1, rank=True).prepare(np.array([[1.0, 1.0], [1.0, 2.0]]))
    np.testing.assert_allclose(ranks, [[0, 0], [0, 1]])


def test_a_flat_score_has_one_colour():
    picture = colour(np.full((4, 4), 3.0), Norm(3.0, 3.0), "viridis", 8)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1


def test_the_ends_of_the_scale_are_the_ends_of_the_colormap():
    scores = np.array([[0.0, 1.0], [1.0, 0.0]])
    picture = colour(scores, Norm(0.0, 1.0), "plasma", 2)
    np.testing.assert_array_equal(picture[0, 0], matplotlib.colormaps["plasma"](0.0, bytes=True)[:3])
    np.testing.assert_array_equal(picture[0, 1], matplotlib.colormaps["plasma"](1.0, bytes=True)[:3])


def test_a_density_cut_below_all_of_an_episode_has_the_others_scale(tmp_path):
    sharp = write_cache(tmp_path / "a.h5", sigma=10.0)
    with open_cache(sharp) as one:
        norm = make_norm("global", [one], "likelihood", 4.0)
        assert 4 <= norm.high - norm.low <= 4.5


def test_an_unknown_colormap_names_near_ones():
    with pytest.raises(RenderError, match="did you mean viridis"):
        color_table("virids")


@pytest.mark.parametrize(("name", "package"), [("cmc.batlow", "cmcrameri"), ("cet_fire", "colorcet")])
def test_colormaps_of_other_packages_are_found_or_their_package_is_named(monkeypatch, name, package):
    for module in (package, f"{package}.cm"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        RenderError, match=rf"belongs to {package}, which is not installed; pip install '.\[colormaps\]'"
    ):
        get_colormap(name)
    for module in (package, f"{package}.cm"):  # one that registers a colormap when it is there
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
    monkeypatch.setattr(matplotlib, "colormaps", {name: matplotlib.colormaps["gray"]})
    assert get_colormap(name).name == "gray"


def test_colours_blend_as_rounded_divisions_do():
    rng = np.random.default_rng(0)
    table, under = rng.integers(0, 256, (2, 1024, 4), dtype=np.uint8)
    table[:, 3], under[:, 3] = np.arange(1024) % 256, 255
    pixels, ground = under.copy(), np.zeros(1, dtype=np.uint32)
    draw_heat(pixels.view(np.uint32), ground, Shades(0.0, 1023.0, table), np.arange(1024.0)[:, None])
    alpha = table[:, 3:].astype(int)
    exact = (alpha * table[:, :3] + (255 - alpha) * under[:, :3]) / 255
    np.testing.assert_array_equal(pixels[:, :3], np.floor(exact + 0.5))
    np.testing.assert_array_equal(pixels[:, 3], 255)
