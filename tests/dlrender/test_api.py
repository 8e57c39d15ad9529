"""The Python interface: what is in the axes, and that nothing else is touched."""

import os
from dataclasses import dataclass

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from support import ROOT
from support.processes import run_without
from support.synthetic import write_cache

import dlrender
from dlrender import Overlay, RenderError, Style, load_style, log_density, plot_environment, plot_sheet, plot_step
from dlrender.overlays.artists import HaloLines, Mark
from dlrender.overlays.text_artist import Label
from dlscore.cache import CacheError, open_cache
from dlscore.density.mixture import Mixture


@pytest.fixture
def two_axes():
    figure = Figure(figsize=(8, 4))
    FigureCanvasAgg(figure)
    return figure.subplots(1, 2)


@pytest.fixture(autouse=True)
def nothing_is_touched(tmp_path, monkeypatch):
    """rcParams, the backend and pyplot's figures stay as they are, and nothing is written into the folder."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with matplotlib.rc_context({"font.size": 17.0, "image.cmap": "gray", "axes.grid": True, "image.aspect": "auto"}):
        before = dict(matplotlib.rcParams)
        yield
        assert dict(matplotlib.rcParams) == before
    assert os.listdir() == []


def kinds(axes, kind):
    return [child for child in axes.get_children() if isinstance(child, kind)]


def test_a_step_is_drawn_into_axes_of_ones_own(drawn_cache, drawn_episode, two_axes):
    ours, other = two_axes
    ours.set_title("policy A")
    before = [child for child in ours.figure.get_children() if child is not ours], len(other.get_children())
    assert (
        plot_step(drawn_cache, np.int64(3), ours, overlays=("contours", "expert", "counter"), colormap="magma",
                  window="full") is ours
    )  # fmt: skip
    (image,) = kinds(ours, AxesImage)
    assert image.get_cmap().name == "magma"
    assert image.get_extent() == [0, 512, 512, 0]
    low, high = image.get_clim()  # the norm of the colour bar
    assert 6 <= high - low <= 6.1  # what a cache without errors resolves
    x, y = drawn_episode.expert_action[3] / 512 * image.get_array().shape[0]
    colour = image.cmap(1.0, bytes=True)[:3]
    np.testing.assert_allclose(
        image.get_array()[int(y), int(x), :3], colour, atol=2
    )  # the peak has the largest value's
    assert image.get_array()[2, -2, 3] == 0  # far from it there is nothing
    assert (ours.get_xlim(), ours.get_ylim(), ours.get_aspect()) == ((0, 512), (512, 0), 1)
    assert (ours.get_title(), ours.get_xlabel(), ours.get_ylabel()) == ("policy A", "x [px]", "y [px]")
    assert ours.xaxis.label.get_fontsize() == 17  # of the user's rcParams
    (mark,) = kinds(ours, Mark)
    np.testing.assert_array_equal(mark.points, drawn_episode.expert_action[3:4])
    assert len(kinds(ours, HaloLines)[0].paths) == 3
    assert kinds(ours, Label)[0].text.startswith("step 3 of 6 · expert")
    after = [child for child in ours.figure.get_children() if child is not ours], len(other.get_children())
    assert after == before  # no colour bar, no legend, and the other axes are as they were
    ours.figure.canvas.draw()


def test_a_step_in_a_new_figure_has_a_colour_bar_and_a_legend(drawn_cache):
    with open_cache(drawn_cache) as cache:
        axes = plot_step(cache, 2, method="distance", style="paper", norm="frame")
        assert cache.score("distance", 0).shape == (32, 32)  # still open
    (legend,) = axes.figure.legends
    assert axes.get_title() == "score distance"
    assert axes.title.get_fontfamily() == ["serif"]  # of the style
    assert [each._colorbar is not None for each in axes.figure.axes[1:]] == [True]
    assert legend.get_texts()[0].get_text() == "top 10 % of the cells"
    beside = plot_step(drawn_cache, 2, environment=True)
    assert len(beside.figure.axes) == 3
    assert beside.get_title() == "log density, episode 0"
    bare = plot_step(drawn_cache, 2, layout={"legend": False, "colorbar": False}, overlays=())
    assert (len(bare.figure.axes), bare.figure.legends) == (1, [])


def test_an_environment_is_drawn_with_its_own_overlays(drawn_cache, drawn_episode, two_axes):
    axes = plot_environment(drawn_cache, 3, two_axes[0], overlays=("landscape", "expert"))
    world, landscape = kinds(axes, AxesImage)
    np.testing.assert_array_equal(world.get_array(), drawn_episode.frame(3))
    assert landscape.get_array().shape == (512, 512, 4)
    assert kinds(axes, Mark) == []  # its panel is the heatmap
    assert len(kinds(plot_environment(drawn_cache, 3, overlay={"expert": {"panel": "both"}}), Mark)) == 1


def test_a_sheet_is_a_figure(drawn_cache):
    figure = plot_sheet(drawn_cache, [0, 2, 4], methods="distance", columns=2, environment=False)
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["step 0", "step 2", "step 4"]
    assert len(figure.axes) == 4  # and one colour bar
    figure = plot_sheet(drawn_cache, range(2), methods=("distance", "likelihood"), style=Style(norm="rank"))
    assert len(figure.axes) == 2 * 3 + 2


def test_videos_are_rendered(drawn_cache, tmp_path):
    out = tmp_path / "out"
    written = dlrender.render(drawn_cache, output_dir=out, videos="combined", colormap="magma", target_height=120)
    assert [path.name for path in written] == ["episode_0_combined_likelihood.mp4", "episode_0_config.json"]
    assert dlrender.render(drawn_cache, output_dir=out, videos="combined", colormap="magma", target_height=120) == []
    written[0].write_bytes(b"mine")
    with pytest.raises(RenderError, match="exists and was not made by dlrender; force=True replaces it"):
        dlrender.render([str(drawn_cache)], output_dir=out, videos=("combined",))
    with pytest.raises(RenderError, match="render: no files were given"):
        dlrender.render([])


def test_changes_are_fields_of_the_style(drawn_cache, two_axes):
    style = Style(vmin=-14.0, vmax=-6.0)
    axes = plot_step(
        drawn_cache, 1, style=style, center=np.float32(-12.0), layout={"title": "{method}!"}, rc={"font.size": 4}
    )
    low, high = axes.images[0].get_clim()
    assert (low + high) / 2 == pytest.approx(-12)
    assert axes.get_title() == "likelihood!"
    assert plot_step(drawn_cache, 1, two_axes[1], style=style).images[0].get_clim() == (-14, -6)
    assert plot_step(drawn_cache, 1, two_axes[1], style=style, vmin=None).images[-1].get_clim()[0] > -20


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"colormap": "virids"}, RenderError, "invalid value 'virids' for colormap; did you mean viridis"),
        ({"colormpa": "magma"}, RenderError, "plot_step: unknown key 'colormpa'; did you mean colormap"),
        ({"norm": "fram"}, RenderError, "invalid value 'fram' for norm; did you mean frame"),
        ({"overlays": ("contour",)}, RenderError, "unknown overlay 'contour'; did you mean contours"),
        ({"overlay": {"contours": {"mass": 1}}}, RenderError, "overlay.contours: unknown key 'mass'; did you mean masses"),
        ({"overlay": {"contours": 3}}, RenderError, "overlay.contours 3 is not allowed; make it a table"),
        ({"layout": {"widht": 3}}, RenderError, "plot_step: layout: unknown key 'widht'; did you mean width"),
        ({"layout": 3}, RenderError, "plot_step: layout 3 is not allowed"),
        ({"gamma": "high"}, RenderError, "plot_step: gamma 'high' is not allowed; give a finite number"),
        ({"vmin": 2.0, "vmax": 1.0}, RenderError, "vmin 2 is not below vmax 1"),
        ({"vmax": -1e9}, RenderError, "vmin and vmax leave no scale"),
        ({"style": "papr"}, RenderError, "invalid value 'papr' for style; did you mean paper"),
        ({"style": 3}, RenderError, "plot_step: style 3 is not allowed; give a Style"),
        ({"step": 6}, RenderError, "it has steps 0 to 5"),
        ({"step": -1}, RenderError, "step -1 is not in"),
        ({"step": 1.5}, RenderError, "step 1.5 is not allowed; choose a whole number"),
        ({"method": "likelyhood"}, CacheError, "no scores of method 'likelyhood'; did you mean likelihood"),
        ({"cache": "gone.h5"}, CacheError, "gone.h5 is not a file"),
        ({"ax": "all"}, RenderError, "ax is not allowed to be ndarray; give one rectilinear Axes, such as axes[0]"),
        ({"ax": "polar"}, RenderError, "ax is not allowed to be polar"),
        ({"ax": "first", "environment": True}, RenderError, "use plot_environment"),
    ],
)  # fmt: skip
def test_what_is_asked_for_wrongly_is_named(drawn_cache, two_axes, arguments, error, words):
    polar = Figure().add_subplot(projection="polar")
    given = {"all": two_axes, "first": two_axes[0], "polar": polar, None: None}[arguments.get("ax")]
    arguments = {"cache": drawn_cache, "step": 1, **arguments, "ax": given}
    with pytest.raises(error) as caught:
        plot_step(**arguments)
    assert words in str(caught.value)
    assert "--" not in str(caught.value)


def test_an_unfinished_cache_is_drawn_as_far_as_it_is_done(tmp_path):
    from support.synthetic import write_cache

    path = write_cache(tmp_path / "a.h5", finish=False)
    with open_cache(path.with_name("a.h5.part"), partial=True) as cache:
        high = max(cache.score("likelihood", step).max() for step in range(3))
        assert plot_step(cache, 2).images[0].get_clim()[1] == pytest.approx(high)
        with pytest.raises(RenderError, match=r"step 4 of .* is not done yet"):
            plot_step(cache, 4)
    with pytest.raises(CacheError, match="is closed"):
        plot_step(cache, 2)


# ---- overlays from outside -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Centre(Overlay):
    """A mark at the centre of the environment."""

    size: float = 8.0
    at: object = (256.0, 256.0)

    def draw(self, axes, view):
        return [Mark(np.array([self.at]), "o", self.size, "white", 1.0)]


def test_an_overlay_of_ones_own_is_drawn_last(drawn_cache, tmp_path, two_axes):
    style = load_style("paper").with_overlay("centre", Centre(size=5.0))
    assert style.drawn("heatmap")[-1] == Centre(size=5.0)
    axes = plot_step(drawn_cache, 1, two_axes[0], style=style)
    assert [mark.points.tolist() for mark in kinds(axes, Mark)][-1] == [[256.0, 256.0]]
    axes = plot_step(drawn_cache, 1, style=style, overlays=("centre", "expert"), overlay={"centre": {"size": 7}})
    assert [mark.size for mark in kinds(axes, Mark)] == [6.5, 7.0]  # paper's cross first
    array = style.with_overlay("centre", Centre(at=np.array([1.0, 2.0])))
    assert dlrender.render(drawn_cache, style=array, output_dir=tmp_path / "out", target_height=120)
    for name, overlay, words in (
        ("expert", Centre(), "overlay name 'expert' is taken; choose another, such as my_expert"),
        ("all", Centre(), "overlay name 'all' is not allowed"),
        ("a:b", Centre(), "overlay name 'a:b' is not allowed; choose letters, digits"),
        ("centre", Centre, "give an instance of a subclass of dlrender.Overlay"),
    ):
        with pytest.raises(RenderError) as caught:
            style.with_overlay(name, overlay)
        assert words in str(caught.value)


# ---- the package -----------------------------------------------------------------------------------------------------


def test_importing_the_package_imports_nothing_heavy_and_plotting_no_pyplot(drawn_cache):
    code = "import dlrender; assert set(dlrender.__all__) <= set(dir(dlrender)); import dlscore.common.choices"
    done = run_without(code, forbid=("matplotlib", "numpy", "h5py", "typer", "PIL", "av", "tomlkit", "rich"))
    assert done.returncode == 0, done.stderr
    code = (
        "import sys, dlrender; dlrender.plot_step(sys.argv[1], 1); dlrender.plot_sheet(sys.argv[1], [1, 2]);"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    done = run_without(code, str(drawn_cache))
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there_and_explained():
    for name in dlrender.__all__:
        assert getattr(dlrender, name).__doc__
        assert name in dlrender.__doc__
        assert name in (ROOT / "dlrender" / "README.md").read_text()
    with pytest.raises(AttributeError, match="has no attribute 'plot_stepp'"):
        dlrender.plot_stepp  # noqa: B018


# ---- the density itself -----------------------------------------------------------------------------------------------


def two_modes():
    mean = np.array([[240.0, 250.0], [300.1, 260.3], [300.0, 260.0]])
    covariance = np.array([[[900, 200], [200, 300]], [[64, 8], [8, 81]], [[100, 0], [0, 100]]], dtype=float)
    box = np.array([[12.0, 12.0], [500.0, 500.0]])
    return Mixture(mean, covariance, [0.9, 0.5, -0.4], [0.9, 0.0, 0.1], box).normalised()


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    """A cache of 6 steps that holds the density of the executed action, of two modes."""
    return write_cache(tmp_path_factory.mktemp("dense") / "episode_000.h5", mixture=two_modes())


@pytest.mark.parametrize("fine", [4, 16])
def test_the_density_at_points_averaged_over_cells_is_the_scores(dense, fine):
    with open_cache(dense) as cache:
        scores, grid = cache.score("likelihood", 2), cache.grid
        points = log_density(cache, 2, grid.subdivide(fine))
        masses = np.exp(points).reshape(32, fine, 32, fine).mean(axis=(1, 3)) * grid.cell_area
        # The floor is of each point in one, of each cell's mean in the other; it adds 1 % of the mass here.
        assert 0.5 * np.abs(masses - np.exp(scores.astype(float)) * grid.cell_area).sum() < (
            0.02 if fine == 4 else 0.003
        )


def test_the_density_of_a_window_at_any_resolution_is_the_same(dense):
    with open_cache(dense) as cache:
        scores = cache.score("likelihood", 2)
    np.testing.assert_allclose(log_density(dense, 2, resolution=32), scores, rtol=1e-6)
    left, top, side = 160, 320, 48  # three cells of 16 px
    window = log_density(dense, 2, window=(left, top, side), resolution=96)
    masses = np.exp(window).reshape(3, 32, 3, 32).mean(axis=(1, 3))
    np.testing.assert_allclose(masses, np.exp(scores[20:23, 10:13].astype(float)), rtol=0.01)
    beyond = log_density(dense, 2, window=(-100, -100, 50), resolution=8)
    np.testing.assert_array_equal(beyond, -1e6)  # outside the box


def test_a_density_that_is_not_there_is_one_error(dense, drawn_cache):
    with pytest.raises(CacheError, match="has no mixture of likelihood"):
        log_density(drawn_cache, 0)
    with pytest.raises(CacheError, match="has no mixture of distance"):
        log_density(dense, 0, method="distance")
    with pytest.raises(RenderError, match="resolution 1 is not allowed; give left, top"):
        log_density(dense, 0, resolution=1)
    with pytest.raises(RenderError, match="step 9 is not in"):
        log_density(dense, 9)


def test_the_title_names_the_density(dense, drawn_cache):
    for cache, title in ((dense, "log density of the executed action"), (drawn_cache, "log density")):
        axes = plot_step(cache, 2)
        assert axes.get_title() == f"{title}, episode 0"
        assert "log density per px² [nats]" in [each.get_ylabel() for each in axes.figure.axes]
