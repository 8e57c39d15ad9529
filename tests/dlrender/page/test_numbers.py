"""What the page shows is what the cache holds: numbers under the pointer, colours, regions, places, times, episodes."""

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from support.drawing import PLAIN, at

from dlrender import step_table
from dlrender.style.change import with_options
from dlrender.window import Window
from dlscore.cache import open_cache
from dlscore.density.regions import mass_inside

NORMS = ("episode", "frame", "global", "rank")
HALF = 0.5 / 64  # of a quantum
OPEN = """async (k) => { const { load } = await import("page/episode"); const { state } = await import("page/state");
          const source = (await load(state.episode)).sources[k]; await source.ready(); """


def test_scores_are_those_of_the_cache_within_half_a_quantum(one_cache, one):
    page = one.go()
    with open_cache(one_cache) as cache:
        for number, method in enumerate(("likelihood", "distance")):
            shown = page(OPEN + "return [0, 9, 23].map((row) => Array.from(source.scores(row))); }", number)
            for values, row in zip(shown, (0, 9, 23), strict=True):
                least = HALF if method == "likelihood" else 0.5 / 16
                assert np.abs(np.reshape(values, (40, 40)) - cache.score(method, row)).max() <= least + 1e-5


def test_a_cell_has_the_numbers_that_numpy_gives(one_cache, one):
    page = one.go("#t=9")
    code = (
        OPEN
        + """const { cellNumbers } = await import("page/field");
        return [[8, 11], [12, 18], [0, 39]].map(([i, j]) => cellNumbers(source.scores(9), 40, { i, j }, true)); }"""
    )
    with open_cache(one_cache) as cache:
        scores, area = cache.score("likelihood", 9).astype(float), cache.grid.cell_area
    for found, (i, j) in zip(page(code, 0), ((8, 11), (12, 18), (0, 39)), strict=True):
        value = scores[j, i]
        rank = (np.exp(scores[scores > value]).sum() + 0.5 * np.exp(scores[np.isclose(scores, value)]).sum()) * area
        assert found["score"] == pytest.approx(value, abs=HALF + 1e-5)
        assert found["mass"] == pytest.approx(np.exp(value) * area, rel=0.01)
        assert found["rank"] == pytest.approx(rank, abs=0.001 + 0.01 * np.exp(value) * area)


def test_the_rank_of_a_gaussian_is_the_known_one(one_cache, one):
    # Of an isotropic Gaussian, P(p(X) > p(a)) = 1 - exp(-r²/2σ²).
    page = one.go()
    code = (
        OPEN
        + """const { cellNumbers, centreOf } = await import("page/field");
        return Array.from({ length: 10 }, (_, k) => [centreOf(40, { i: 9 + k, j: 14 }),
               cellNumbers(source.scores(0), 40, { i: 9 + k, j: 14 }, true).rank]); }"""
    )
    for place, rank in page(code, 0):
        r = np.hypot(*(np.array(place) - [120, 180]))
        assert rank == pytest.approx(1 - np.exp(-(r**2) / (2 * 28.0**2)), abs=0.03)  # cells of 13 px are that coarse


def test_what_is_under_the_pointer_is_told(one_cache, one):
    page = one.go("#t=23&w=full")
    box = page.tab.locator("#canvas-a").bounding_box()
    x, y = (box[name] + box["width"] * action / 512 for name, action in (("x", 320), ("y", 300)))
    page.tab.mouse.move(x, y)
    page.settle()
    with open_cache(one_cache) as cache:
        value = cache.score("likelihood", 23)[int(300 / 12.8), int(320 / 12.8)]
    told = page.text("#readout-a")
    assert told.startswith("action (326, 301) px")  # the cell's centre, x first
    assert float(told.split("log p ")[1].split()[0].replace("−", "-")) == pytest.approx(value, abs=HALF + 0.005)


@pytest.mark.parametrize("method", ["likelihood", "distance"])
@pytest.mark.parametrize("norm", NORMS)
def test_colours_are_those_of_dlrender(one_cache, one, norm, method):
    page = one.go("#t=9")
    window, pixels = Window(130.0, 150.0, 200.0), 60
    code = (
        OPEN
        + """const { set } = await import("page/state"); const panel = await import("page/panel");
        const { shades, paint } = await import("page/colours");
        set({ norm: "NORM", colormap: "magma" });
        const ends = panel.endsOf(source, 9);
        const values = panel.valuesOf(source, 9, { left: 130, top: 150, side: 200 }, 60, ends);
        return [true, false].map((over) => {
          const words = new Uint32Array(60 * 60);
          paint(values, shades(ends, "magma", panel.shownOf(source, 9), over), words);
          return Array.from(new Uint8Array(words.buffer)); }); }"""
    )
    shown = page(code.replace("NORM", norm), ("likelihood", "distance").index(method))
    style = with_options(PLAIN, {"norm": norm, "colormap": "magma"}, {}, (), ())
    with open_cache(one_cache) as cache:
        view = at(cache, 9, method, style, window)
        values = view.values(pixels)
        for colours, over in zip(shown, (True, False), strict=True):
            wanted = view.shades(over).image(values).astype(int)
            difference = np.abs(np.reshape(colours, (pixels, pixels, 4)) - wanted)
            # Where all is clear a colour does not show; between two of a map's 256 colours, rounding may decide.
            seen = difference[..., :3][(wanted[..., 3] > 8)]
            assert np.quantile(seen, 0.99) <= 2
            assert difference[..., 3].max() <= 2


def test_regions_hold_their_mass_and_are_where_the_density_is(pair, two):
    page = two.go("#t=9&a=1")
    rings = page(OPEN + """const { regionsAt } = await import("page/panel"); return regionsAt(source, 9); }""", 1)
    with open_cache(pair[1]) as cache:
        fine = np.stack(np.meshgrid(*[(np.arange(1024) + 0.5) / 2] * 2), axis=-1).reshape(-1, 2)
        near = fine[(np.abs(fine - [230, 240]) < 200).all(axis=1)]
        mass = np.exp(cache.mixture("likelihood", 9).log_density(near)) / 4
        for each, level in zip(rings, (0.5, 0.8, 0.95), strict=True):
            # Rings of d3-contour go one way around and holes the other: the even-odd rule is that of the sum.
            inside = sum(Outline(ring).contains_points(near).astype(int) for ring in each) % 2 == 1
            assert mass[inside].sum() == pytest.approx(level, abs=0.02)  # cells of 16 px


def test_statistics_are_those_of_stats(pair, two):
    page = two.go()
    with page.tab.expect_download() as saved:
        page.tab.keyboard.press("v")
    assert saved.value.suggested_filename == "episode_007_likelihood.csv"
    header, *lines = saved.value.path().read_text().splitlines()
    table = step_table(pair[0])
    assert header.split(",") == list(table)
    for row, line in enumerate(lines):
        for name, text in zip(table, line.split(","), strict=True):
            value = table[name][row]
            if table[name].dtype.kind == "U":
                assert text == value
            elif np.isnan(value):
                assert text == ""
            else:
                assert float(text) == pytest.approx(value, rel=2e-6, abs=1e-9)
    assert len(lines) == len(table["step"])


def test_which_moment_and_which_episode_is_told(two):
    page = two.go("#e=1&t=17")  # rows are each fifth step: the one before
    assert page.text("#where") == "step 15 of 24 · 1.5 s"
    assert page.text("#title") == "known · episode 9"
    page.tab.select_option("#episode", "0")
    page.settle()
    assert page.text("#title") == "known · episode 7"
    assert page.text("#where") == "step 0 of 23 · 0.0 s"
    page.tab.select_option("#source-a", "1")
    page.settle()
    assert page.text("#title") == "</script><img onerror=alert(1) src=x> · episode 7"


def test_marks_and_shapes_are_at_their_places(one):
    page = one.go("#t=23&w=full")
    page.set(marks=dict.fromkeys(page.state["marks"], False) | {"cross": True}, heat="opaque")
    picture = page.pixels("canvas-a").astype(int)
    scale = len(picture) / 512
    red = (picture[..., 0] > 100) & (picture[..., 1] < 40) & (picture[..., 2] < 60)
    y, x = np.argwhere(red).mean(axis=0) / scale
    assert (x, y) == pytest.approx((320, 300), abs=1.5)
    world = page.pixels("canvas-world").astype(int)
    blue = (world[..., 2] > 220) & (world[..., 0] < 100)
    y, x = np.argwhere(blue).mean(axis=0) / (len(world) / 512)  # the agent is where the action is; the cross is over it
    assert (x, y) == pytest.approx((320, 300), abs=2)


def test_a_ratio_is_the_difference_of_the_two(pair, two):
    page = two.go("#t=3&ratio=1&w=full")
    box = page.tab.locator("#canvas-b").bounding_box()
    page.tab.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["width"] * 0.5)
    page.settle()
    with open_cache(pair[0]) as one, open_cache(pair[1]) as other:
        log = float(one.score("likelihood", 3)[16, 16] - other.score("likelihood", 3)[16, 16])
        assert mass_inside(one.score("likelihood", 3), one.grid.cell_area) == pytest.approx(1, abs=0.01)
    told = page.text("#readout-b")
    assert float(told.split("log ratio ")[1].split()[0].replace("−", "-")) == pytest.approx(log, abs=2 * HALF + 0.006)
