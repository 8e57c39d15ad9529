import functools
import json
import os
import subprocess
from pathlib import Path

import h5py
import matplotlib
import numpy as np
import pytest
from PIL import Image
from synthetic import write_cache

from dlrender import cli
from dlrender.errors import RenderError
from dlrender.heatmap import Limits, Norm, colour, colour_table, make_norm
from dlrender.overlays import OVERLAYS, Arrow, Contours, ExpertAction, ExpertTrace, PolicyPrediction
from dlrender.panels import TEXT, EnvironmentPanel, HeatmapPanel, combined_frame
from dlrender.render import Style, render_episode
from dlrender.stills import parse_steps, save_sheet, save_still
from dlscore.cache import read_episode

CORNER = np.array([100.0, 400.0])  # low x, high y: nothing symmetric hides a flipped or swapped axis


@pytest.fixture
def cache(tmp_path) -> Path:
    return write_cache(tmp_path / "episode_000.h5", methods=("likelihood", "distance", "noise_pred"))


@pytest.fixture
def episode(cache):
    with read_episode(cache) as opened:
        yield opened


def make_panel(episode, method="likelihood", overlays=(), height=480, colormap="viridis") -> HeatmapPanel:
    norm = make_norm("episode", [episode], method, 10.0)
    return HeatmapPanel(episode, method, colormap=colormap, norm=norm, overlays=overlays, height=height)


# ---- axes: the same action at the same place, everywhere --------------------------------------------------------


@pytest.fixture
def corner(tmp_path):
    path = write_cache(
        tmp_path / "corner.h5", steps=2, resolution=50, expert=CORNER, predicted=CORNER + [60, -60], sigma=12.0
    )
    with read_episode(path) as opened:
        yield opened


def test_axes_of_the_artists(corner):
    panel = make_panel(corner, overlays=[ExpertAction(), PolicyPrediction()])
    cross, star = panel.artists(1)[:2]
    for artist, action in ((cross, CORNER), (star, CORNER + [60, -60])):
        assert artist.get_xydata().tolist() == [action.tolist()]
        column, from_bottom = artist.get_transform().transform(artist.get_xydata())[0]
        np.testing.assert_allclose([column, panel.height - from_bottom], panel.data_to_pixel(*action), atol=1e-6)
    assert panel.axes.get_ylim() == (512, 0)  # y down, as in the environment


@pytest.mark.parametrize("height", [240, 480, 722])
def test_axes_of_the_pixels(corner, height):
    plain = make_panel(corner, height=height, colormap="gray")
    environment = EnvironmentPanel(corner, height).draw(1)[..., :3].copy()
    frame = combined_frame(environment, plain.draw(1)[..., :3].copy()).astype(int)
    assert frame.shape == (height, height + plain.width, 3)

    # the agent, blue, in the environment on the left
    left = frame[:, :height]
    rows, columns = np.nonzero((np.abs(left - [65, 105, 225]).sum(axis=-1)) < 30)
    np.testing.assert_allclose([columns.mean() + 0.5, rows.mean() + 0.5], CORNER / 512 * height, atol=1)

    # the peak of the scores, in the heatmap on the right
    x0, y0, side = plain.square
    heat = frame[y0 + 2 : y0 + side - 2, height + x0 + 2 : height + x0 + side - 2, 0].astype(float)
    heat[: side // 8, side // 2 :] = 0  # the step counter is white, too
    weight = np.clip(heat - 250, 0, None)
    rows, columns = np.indices(weight.shape)
    peak = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum() + 2.5
    np.testing.assert_allclose(peak, CORNER / 512 * side, atol=0.5 * side / 50 + 0.5)

    # the cross, red, over it
    marked = (
        make_panel(corner, overlays=[ExpertAction()], height=height, colormap="gray")
        .draw(1)[..., :3]
        .copy()
        .astype(int)
    )
    rows, columns = np.nonzero((marked[..., 0] > 200) & (marked[..., 1] < 60) & (marked[..., 2] < 60))
    inside = rows < y0 + side  # the legend has one, too
    found = [columns[inside].mean() + 0.5, rows[inside].mean() + 0.5]
    np.testing.assert_allclose(found, plain.data_to_pixel(*CORNER), atol=1)


@pytest.mark.parametrize("height", [240, 480, 512, 722])
def test_an_environment_scaled_in_parts_is_the_one_scaled_whole(tmp_path, height):
    # The agent goes along two edges, so parts touch the border, and jumps, so that parts are large and small.
    places = np.array([[15, 15], [15, 60], [300, 15], [495, 495], [490, 490], [490, 490], [20, 480]], dtype=float)
    with read_episode(write_cache(tmp_path / "episode_000.h5", steps=len(places), expert=places)) as episode:
        panel = EnvironmentPanel(episode, height)
        for step in (*range(len(places)), 2, 0):
            kind = Image.Resampling.LANCZOS if height < 512 else Image.Resampling.BICUBIC
            whole = np.asarray(Image.fromarray(episode.frame(step)).resize((height, height), kind)).astype(int)
            assert np.abs(panel.draw(step)[..., :3] - whole).max() <= 1
            assert (panel.draw(step)[..., 3] == 255).all()


# ---- norms and colours ------------------------------------------------------------------------------------------


def test_norms(episode):
    whole = make_norm("episode", [episode], "distance", 10.0)
    values = np.stack([episode.score("distance", k) for k in range(episode.steps)])
    assert (whole.low, whole.high, whole.cut) == (values.min(), values.max(), False)
    one = make_norm("frame", [episode], "distance", 10.0, step=2)
    assert (one.low, one.high) == (values[2].min(), values[2].max())
    density = make_norm("episode", [episode], "likelihood", 10.0)
    assert density.cut
    assert density.high - density.low == pytest.approx(10)
    ranked = make_norm("rank", [], "distance", 10.0).prepare(np.array([[3.0, 1.0], [2.0, 9.0]]))
    np.testing.assert_allclose(ranked, [[2 / 3, 0], [1 / 3, 1]])
    with pytest.raises(RenderError, match="choose from episode, frame, global, rank"):
        make_norm("vibes", [], "distance", 10.0)


def test_limits_set_the_ends_and_the_bar_is_pointed_where_scores_lie_beyond(episode):
    values = np.stack([episode.score("distance", k) for k in range(episode.steps)])
    low, high = float(values.min()), float(values.max())
    norm = make_norm("episode", [episode], "distance", 10.0, limits=Limits(vmin=low + 5, vmax=high - 5))
    assert (norm.low, norm.high, norm.cut, norm.cut_above) == (low + 5, high - 5, True, True)
    wide = make_norm("episode", [episode], "distance", 10.0, limits=Limits(vmin=low - 5))
    assert (wide.low, wide.high, wide.cut, wide.cut_above) == (low - 5, high, False, False)
    even = make_norm("episode", [episode], "distance", 10.0, limits=Limits(center=high - 1))
    assert even.unit(np.array([high - 1])) == pytest.approx(0.5)
    assert even.low == pytest.approx(low)
    for panel_norm, extend in ((norm, "both"), (wide, "neither")):
        panel = HeatmapPanel(episode, "distance", colormap="viridis", norm=panel_norm)
        assert panel.figure.axes[1]._colorbar.extend == extend


def test_a_power_is_matplotlibs(episode):
    norm = Norm(-8.0, -2.0, gamma=0.5)
    scores = np.random.default_rng(0).uniform(-8, -2, (6, 6))
    np.testing.assert_allclose(norm.unit(scores), norm.of_matplotlib()(scores))
    picture = colour(scores, norm, colour_table("viridis"), 6, 6)
    expected = matplotlib.colormaps["viridis"].resampled(1024)(norm.of_matplotlib()(scores), bytes=True)[..., :3]
    assert np.abs(picture.astype(int) - expected).max() <= 2


@pytest.mark.parametrize(
    ("kind", "limits", "words"),
    [
        ("episode", Limits(vmin=2, vmax=1), "--vmin 2 is not below --vmax 1"),
        ("episode", Limits(vmin=np.nan), "--vmin nan is not allowed"),
        ("episode", Limits(gamma=0), "--gamma 0 is not allowed"),
        ("episode", Limits(center=0, vmax=1), "leave out --vmin and --vmax"),
        ("rank", Limits(vmin=1), "--vmin 1 has no meaning with --norm rank"),
        ("episode", Limits(vmax=-1e9), "leaves no scale from"),
    ],
)
def test_limits_that_make_no_scale_are_named(episode, kind, limits, words):
    with pytest.raises(RenderError, match=words):
        make_norm(kind, [episode], "distance", 10.0, limits=limits)


def test_cells_of_one_score_have_one_rank():
    ranked = Norm(0.0, 1.0, rank=True).prepare(np.array([[5.0, 5.0], [5.0, 9.0]]))
    np.testing.assert_allclose(ranked, [[0, 0], [0, 1]])


def test_a_flat_score_has_one_colour():
    picture = colour(np.zeros((4, 4)), Norm(0.0, 0.0), colour_table("viridis"), 8, 8)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1


def test_colours_are_the_colormaps():
    scores = np.array([[0.0, 1.0], [1.0, 0.0]])
    picture = colour(scores, Norm(0.0, 1.0), colour_table("plasma"), 2, 2)
    np.testing.assert_array_equal(picture[0, 0], matplotlib.colormaps["plasma"](0.0, bytes=True)[:3])
    np.testing.assert_array_equal(picture[0, 1], matplotlib.colormaps["plasma"](1.0, bytes=True)[:3])


def test_an_unknown_colormap_names_near_ones():
    with pytest.raises(RenderError, match="did you mean viridis"):
        colour_table("virids")


# ---- overlays ---------------------------------------------------------------------------------------------------


def test_contours_hold_the_mass_they_name(tmp_path):
    path = write_cache(tmp_path / "fine.h5", steps=1, resolution=256, expert=np.array([256.0, 256.0]), sigma=40.0)
    with read_episode(path) as fine:
        scores = fine.score("likelihood", 0)
        levels = Contours().levels(scores, "log_density")
        # of an isotropic Gaussian the region of mass p is where the density is over (1 - p) of its peak
        np.testing.assert_allclose(levels - scores.max(), np.log([0.05, 0.2, 0.5]), atol=0.02)
        _, lines = Contours().draw(make_panel(fine).axes, fine, 0, "likelihood")
        for path_of_level, mass in zip(lines.get_paths(), (0.95, 0.8, 0.5), strict=True):
            radius = np.hypot(*(path_of_level.vertices - 256).T)
            np.testing.assert_allclose(radius, 40 * np.sqrt(-2 * np.log(1 - mass)), rtol=0.02)


def test_contours_are_solid_though_the_levels_are_negative(episode):
    assert (Contours().levels(episode.score("likelihood", 0), "log_density") < 0).all()
    halo, lines = Contours().draw(make_panel(episode).axes, episode, 0, "likelihood")
    assert halo.get_linewidth()[0] > lines.get_linewidth()[0]
    assert all(style[1] is None for style in lines.get_linestyle())


def test_contours_of_a_score_are_the_best_tenth_of_the_cells_and_say_so(episode):
    scores = episode.score("distance", 0)
    (level,) = Contours().levels(scores, "score")
    assert np.mean(scores >= level) == pytest.approx(0.1, abs=0.01)
    assert [handle.get_label() for handle in Contours().legend(episode, "distance")] == ["top 10 % of the cells"]
    assert [handle.get_label() for handle in Contours().legend(episode, "likelihood")] == ["50/80/95 % of the mass"]


def test_contours_of_a_flat_score_are_none():
    assert not len(Contours().levels(np.zeros((5, 5), dtype=np.float32), "log_density"))


def test_the_arrow_goes_from_the_policy_to_the_expert(episode):
    (arrow,) = Arrow().draw(make_panel(episode).axes, episode, 3, "likelihood")
    start, end = arrow._posA_posB
    np.testing.assert_allclose(start, episode.predicted_action[3])
    np.testing.assert_allclose(end, episode.expert_action[3])


def test_the_arrow_ends_before_the_cross_and_goes_all_the_way_without_it():
    (arrow,) = Style(overlays=("arrow", "expert")).make_overlays()[:1]
    assert arrow.gap > ExpertAction().size / 2
    assert Style(overlays=("arrow",)).make_overlays() == [Arrow(gap=0.0)]


def test_no_arrow_where_they_agree(tmp_path):
    path = write_cache(tmp_path / "agree.h5", steps=1, expert=CORNER, predicted=CORNER)
    with read_episode(path) as agreed:
        assert Arrow().draw(make_panel(agreed).axes, agreed, 0, "likelihood") == []


def test_the_trace_is_the_past_only(episode):
    axes = make_panel(episode).axes
    assert ExpertTrace().draw(axes, episode, 0, "likelihood") == []
    halo, trace = ExpertTrace(length=3).draw(axes, episode, 5, "likelihood")
    segments = np.array(trace.get_segments())
    np.testing.assert_array_equal(segments, halo.get_segments())
    np.testing.assert_allclose(segments[0, 0], episode.expert_action[2])
    np.testing.assert_allclose(segments[-1, 1], episode.expert_action[5])


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_overlay_draws_explains_itself_and_leaves_the_axes_clean(episode, name):
    overlay = OVERLAYS[name]()
    panel = make_panel(episode, overlays=[overlay])
    before = len(panel.axes.get_children())
    plain = make_panel(episode).draw(4)[..., :3].copy()
    one, two = panel.draw(4)[..., :3].copy(), panel.draw(4)[..., :3].copy()
    np.testing.assert_array_equal(one, two)  # nothing piles up from frame to frame
    assert (one != plain).any()
    assert len(panel.axes.get_children()) == before
    assert overlay.legend(episode, "likelihood")[0].get_label()


@pytest.mark.parametrize("height", [120, 240, 480, 1080])
@pytest.mark.parametrize("method", ["likelihood", "distance", "noise_pred"])
def test_nothing_is_clipped_and_the_legend_leaves_the_data_free(episode, method, height):
    panel = make_panel(episode, method, overlays=[overlay() for overlay in OVERLAYS.values()], height=height)
    renderer, (legend,) = panel.figure.canvas.get_renderer(), panel.figure.legends
    with matplotlib.rc_context(TEXT):
        whole = panel.figure.get_tightbbox(renderer).transformed(panel.figure.dpi_scale_trans)
        box = legend.get_window_extent(renderer)
    for extent in (whole, box):
        assert extent.x0 >= 0
        assert extent.x1 <= panel.width
        assert extent.y0 >= 0
        assert extent.y1 <= panel.height
    assert box.y1 < panel.axes.xaxis.get_tightbbox(renderer).y0


# ---- videos, stills, config -------------------------------------------------------------------------------------


def test_the_videos_of_an_episode(cache, tmp_path):
    import av

    out = tmp_path / "outputs"
    written = render_episode(cache, Style(overlays=tuple(OVERLAYS)), out)
    names = [path.name for path in written]
    assert names == ["episode_0_environment.mp4", "episode_0_heatmaps_likelihood.mp4",
                     "episode_0_combined_likelihood.mp4", "episode_0_config.json"]  # fmt: skip
    assert sorted(os.listdir(out)) == sorted(names)
    for path, width in zip(written, (480, 640, 1120), strict=False):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert (stream.width, stream.height, stream.average_rate) == (width, 480, 10)
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
            assert "synthetic" in container.metadata["comment"]
        assert len(frames) == 6
    data = written[2].read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")  # faststart
    with read_episode(cache) as episode:
        right = make_panel(episode, overlays=[overlay() for overlay in OVERLAYS.values()]).draw(5)[..., :3].copy()
    assert np.abs(frames[5][:, 480:].astype(int) - right).mean() < 3  # what was encoded is what was drawn
    config = json.loads(written[3].read_text())
    assert config["run"]["policy"] == "synthetic"
    assert config["renders"]["likelihood"]["style"]["colormap"] == "viridis"

    render_episode(cache, Style(scoring_method="distance"), out)
    assert set(json.loads(written[3].read_text())["renders"]) == {"likelihood", "distance"}
    with pytest.raises(RenderError, match="--force draws it again"):
        render_episode(cache, Style(), out)
    os.utime(cache)
    os.utime(written[1], (0, 0))
    os.utime(written[2], (0, 0))
    render_episode(cache, Style(), out)  # the cache is newer: no --force needed


@pytest.mark.parametrize("method", ["likelihood", "distance", "noise_pred"])
@pytest.mark.parametrize("norm", ["episode", "frame", "rank"])
def test_every_method_and_norm_draws(episode, method, norm):
    made = None if norm == "frame" else make_norm(norm, [episode], method, 10.0)
    panel = HeatmapPanel(episode, method, colormap="inferno", norm=made, overlays=[Contours()], height=240)
    assert panel.draw(0)[..., :3].copy().shape == (240, 320, 3)


def test_a_still_beside_the_environment_is_wider(cache, tmp_path):
    from PIL import Image

    path = save_still(cache, 3, tmp_path / "both.png", Style(), environment=True)
    assert Image.open(path).size == (2240, 960)
    assert Image.open(save_still(cache, 3, tmp_path / "one.png", Style())).size == (1280, 960)


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_stills(cache, tmp_path, suffix, magic):
    path = save_still(cache, 3, tmp_path / "figures" / f"fig{suffix}", Style(overlays=tuple(OVERLAYS)))
    assert path.read_bytes().startswith(magic)
    if suffix == ".svg":
        assert "expert's action" in path.read_text()  # text, not outlines
    assert os.listdir(path.parent) == [path.name]


# ---- the command line -------------------------------------------------------------------------------------------


@pytest.fixture
def dlrender(command):
    return functools.partial(command, cli)


def test_options_with_underscores(dlrender, cache, tmp_path):
    code, out, err = dlrender("render", cache, "--scoring_method", "noise_pred", "--target_height", 240, "--output_dir",
                              tmp_path / "out", "--show_confidence_intervals", "--json")  # fmt: skip
    assert code == 0, err
    assert [Path(name).name for name in json.loads(out)["files"]][2] == "episode_0_combined_noise_pred.mp4"


def test_the_global_norm_spans_the_files(dlrender, cache, tmp_path):
    other = write_cache(tmp_path / "other" / "episode_001.h5", episode=1, sigma=10.0)
    code, _, err = dlrender("render", cache, other, "--norm", "global", "--output-dir", tmp_path / "out")
    assert code == 0, err


def test_two_files_of_one_episode_are_refused(dlrender, cache, tmp_path):
    other = write_cache(tmp_path / "other" / "episode_000.h5")
    code, _, err = dlrender("render", cache, other, "--output-dir", tmp_path / "out")
    assert code == 1
    assert "are both of episode 0" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("argv", "words", "code"),
    [
        (["--colormap", "virids"], "--colormap virids does not exist", 1),
        (["--scoring-method", "vibes"], "has no scores of method 'vibes'; it has distance, likelihood, noise_pred", 1),
        (["--norm", "vibes"], "--norm vibes does not exist", 1),
        (["--target-height", "481"], "--target-height 481 is not allowed; choose an even number", 1),
        (["--target-height", "tall"], "target-height", 2),
        (["--fps", "0"], "--fps 0 is not allowed", 1),
        (["--fps", "0.0001"], "--fps 0.0001 is not allowed; choose --fps from 0.1 to 240", 1),
        (["--range-nats", "-1"], "--range-nats -1 is not allowed", 1),
        (["--range-nats", "nan"], "--range-nats nan is not allowed", 1),
        (["--no-such-option"], "No such option", 2),
    ],
)
def test_bad_options_are_one_line(dlrender, cache, tmp_path, argv, words, code):
    exit_code, out, err = dlrender("render", cache, "--output-dir", tmp_path / "out", *argv)
    assert exit_code == code
    assert words in err
    assert err.count("\n") == 1
    assert out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("where", "name", "value", "words"),
    [
        ("/", "fps", None, "lacks the attribute fps; compute it again"),
        ("/", "fps", 0.0, "has fps 0, which is not allowed; choose --fps"),
        ("/", "episode", None, "lacks the attribute episode; compute it again"),
        ("scores/likelihood", "kind", None, "lacks the attribute kind of scores/likelihood; compute it again"),
        ("scores/likelihood", "units", None, "lacks the attribute units of scores/likelihood; compute it again"),
    ],
)
def test_bad_attributes_are_one_line(dlrender, cache, tmp_path, where, name, value, words):
    with h5py.File(cache, "a") as file:
        del file[where].attrs[name]
        if value is not None:
            file[where].attrs[name] = value
    code, _, err = dlrender("render", cache, "--output-dir", tmp_path / "out")
    assert code == 1
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_bad_files_are_one_line(dlrender, cache, tmp_path):
    (tmp_path / "foreign.h5").write_bytes(b"not HDF5")
    (tmp_path / "cut.h5").write_bytes(cache.read_bytes()[:20000])
    for name, words in (("foreign.h5", "no readable HDF5"), ("cut.h5", "truncated"), ("gone.h5", "is not a file")):
        code, _, err = dlrender("render", cache, tmp_path / name, "--output-dir", tmp_path / "out")
        assert code == 1
        assert words in err
        assert err.count("\n") == 1
        assert not (tmp_path / "out").exists()  # not even for the file that is whole


def test_an_output_folder_that_cannot_be(dlrender, cache):
    for folder in ("README.md", "/proc/nowhere"):
        code, _, err = dlrender("render", cache, "--output-dir", folder)
        assert code == 1
        assert err.count("\n") == 1
        assert folder in err


def test_a_sheet_has_a_column_a_step(cache, tmp_path, monkeypatch):
    figures = []
    from dlrender import stills

    plain = stills._sheet_figure
    monkeypatch.setattr(stills, "_sheet_figure", lambda *args: figures.append(plain(*args)) or figures[-1])
    save_sheet(cache, [0, 2, 4], tmp_path / "a.png", Style(), columns=2)
    axes = figures[0].axes
    assert len(axes) == 3 * 2 + 1  # environments and heatmaps, and one bar
    assert [each.get_title() for each in axes[:6:2]] == ["step 0", "step 2", "step 4"]
    assert {tuple(each.get_ylim()) for each in axes[:6]} == {(512, 0)}  # the same way up
    left, bottom = axes[0].get_position().get_points()[0]
    assert axes[2].get_position().x0 > left  # beside
    assert axes[4].get_position().y0 < bottom  # below, since two fit in a row
    save_sheet(cache, [1], tmp_path / "b.pdf", Style(norm="frame"), environment=False)
    assert len(figures[1].axes) == 2


def test_a_still_says_what_it_was_made_of(cache, tmp_path):
    for name in ("a.png", "a.svg", "a.pdf"):
        save_still(cache, 1, tmp_path / name, Style(colormap="magma"))
    with Image.open(tmp_path / "a.png") as picture:
        assert json.loads(picture.text["Comment"])["policy"] == "synthetic"
        assert json.loads(picture.text["Comment"])["colormap"] == "magma"
    assert "synthetic" in (tmp_path / "a.svg").read_text()
    assert b"synthetic" in (tmp_path / "a.pdf").read_bytes()


def test_steps_of_a_sheet():
    assert parse_steps("0, 20,40") == [0, 20, 40]
    for text in ("", "1,,2", "a", "-1", "1-3", "٣"):
        with pytest.raises(RenderError, match="write such as 0,20,40"):
            parse_steps(text)


def test_still_errors(dlrender, cache, tmp_path):
    for argv, words in (
        (["--step", 99, "-o", tmp_path / "a.png"], "step 99 is not in"),
        (["--step", 1, "-o", tmp_path / "a.doc"], "end its name in .png, .pdf, .svg"),
    ):
        code, _, err = dlrender("still", cache, *argv)
        assert code == 1
        assert words in err
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_animations_have_every_frame_and_its_colours(cache, tmp_path, kind):
    written = render_episode(cache, Style(format=kind), tmp_path)
    assert [path.name for path in written][2] == f"episode_0_combined_likelihood.{kind}"
    with read_episode(cache) as episode, Image.open(written[2]) as animation:
        assert (animation.n_frames, animation.size) == (episode.steps, (1120, 480))
        assert animation.info.get("loop") == 0
        norm = make_norm("episode", [episode], "likelihood", 10.0)
        panel = HeatmapPanel(episode, "likelihood", colormap="viridis", norm=norm, overlays=Style().make_overlays())
        for step in (0, episode.steps - 1):
            animation.seek(step)
            found = np.asarray(animation.convert("RGB")).astype(int)
            drawn = combined_frame(EnvironmentPanel(episode, 480).draw(step), panel.draw(step))[..., :3]
            assert np.abs(found - drawn).mean() < 4


def test_png_is_a_folder_of_the_frames_themselves(cache, tmp_path):
    written = render_episode(cache, Style(format="png"), tmp_path)
    folder = written[0]
    with read_episode(cache) as episode:
        assert sorted(os.listdir(folder)) == [f"{k:04d}.png" for k in range(episode.steps)]
        panel = EnvironmentPanel(episode, 480)
        with Image.open(folder / "0003.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), panel.draw(3)[..., :3])
            assert json.loads(picture.text["Comment"])["policy"] == "synthetic"
    render_episode(cache, Style(format="png"), tmp_path, force=True)  # over what is there
    assert len(os.listdir(folder)) == 6


def test_sharper_colours(cache, tmp_path):
    import av

    written = render_episode(cache, Style(pix_fmt="yuv444p"), tmp_path)
    with av.open(str(written[2])) as container:
        assert container.streams.video[0].pix_fmt == "yuv444p"


def test_formats_that_cannot_be_are_one_line(dlrender, cache, tmp_path):
    for argv, words in (
        (["--format", "avi"], "--format avi does not exist; choose from mp4, webp, gif, png"),
        (["--format", "gif", "--pix-fmt", "yuv444p"], "--pix-fmt yuv444p is not allowed with --format gif"),
        (["--pix-fmt", "rgb24"], "--pix-fmt rgb24 is not allowed with --format mp4"),
        (["--format", "gif", "--fps", 60], "gif shows at most 50 frames/s"),
    ):
        code, _, err = dlrender("render", cache, "--output-dir", tmp_path / "out", *argv)
        assert code == 1
        assert words in err
        assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_failure_halfway_leaves_nothing(cache, tmp_path, monkeypatch):
    def fail(self, step):
        raise ZeroDivisionError

    monkeypatch.setattr(HeatmapPanel, "draw", fail)
    with pytest.raises(ZeroDivisionError):
        render_episode(cache, Style(), tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []


def test_it_renders_where_scoring_is_not_installed(cache, tmp_path):
    from test_boundaries import run

    done = run("from dlrender.cli import main; main()", "render", str(cache), "--output-dir", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert len(os.listdir(tmp_path / "out")) == 4


def test_help_imports_nothing_heavy():
    from test_boundaries import HEAVY, run

    for argv in (["--help"], ["render", "--help"], ["--version"]):
        done = run("from dlrender.cli import main; main()", *argv, forbid=(*HEAVY, "matplotlib", "h5py", "av", "PIL"))
        assert done.returncode == 0, done.stderr
    assert isinstance(done, subprocess.CompletedProcess)
