"""What `render_episode` writes: whole videos of known names, what was drawn in them, and nothing where it fails."""

import json
import os
from dataclasses import replace

import av
import numpy as np
import pytest
from PIL import Image
from support.drawing import environment, heatmap, with_overlays
from support.synthetic import write_cache

from dlrender.errors import RenderError
from dlrender.existing import AGAIN, FOREIGN, KEPT, NEW, OLDER, OTHER, check_existing, plan
from dlrender.frames.encode import KINDS, video
from dlrender.frames.frame import Frame, planes_of
from dlrender.frames.notes import read_note
from dlrender.frames.panels import HeatmapPanel
from dlrender.metadata import describe_render
from dlrender.output import Output, check_output
from dlrender.style.style import Style
from dlrender.videos import global_norms, render_episode
from dlscore.cache import open_cache

ALL = with_overlays("all")


def frames_of(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


def test_the_videos_of_an_episode(drawn_cache, tmp_path):
    out = tmp_path / "outputs"
    written = render_episode(drawn_cache, ALL, Output(folder=out))
    names = [path.name for path in written]
    assert names == ["episode_0_environment.mp4", "episode_0_heatmaps_likelihood.mp4",
                     "episode_0_combined_likelihood.mp4", "episode_0_config.json"]  # fmt: skip
    assert sorted(os.listdir(out)) == sorted(names)
    with open_cache(drawn_cache) as episode:
        left, right = environment(episode, 5, ALL), heatmap(episode, 5, style=ALL)
        drawn = (left, right, np.hstack([environment(episode, 5, ALL, beside=True), right]))
    for path, width, expected in zip(written, (480, 576, 986), drawn, strict=False):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert (stream.width, stream.height, stream.average_rate) == (width, 480, 10)
            assert "synthetic" in container.metadata["comment"]
        frames = frames_of(path)
        assert len(frames) == 6
        assert np.abs(frames[5] - expected).mean() < 3  # what was encoded is what was drawn
    data = written[2].read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")  # faststart
    config = json.loads(written[3].read_text())
    assert config["run"]["policy"] == "synthetic"
    assert config["renders"]["likelihood"]["style"]["colormap"] == "viridis"

    render_episode(drawn_cache, Style(), Output(("distance",), folder=out))
    assert set(json.loads(written[3].read_text())["renders"]) == {"likelihood", "distance"}


def test_several_methods_stand_side_by_side(drawn_cache, tmp_path):
    methods = ("likelihood", "noise_pred")
    whole = replace(Style(), window="full")
    written = render_episode(drawn_cache, whole, Output(methods, folder=tmp_path))
    assert [path.name for path in written] == [
        "episode_0_environment.mp4", "episode_0_heatmaps_likelihood.mp4", "episode_0_heatmaps_noise_pred.mp4",
        "episode_0_combined_likelihood+noise_pred.mp4", "episode_0_config.json",
    ]  # fmt: skip
    with open_cache(drawn_cache) as episode:
        drawn = [
            environment(episode, 2, whole, beside=True),
            *(heatmap(episode, 2, method, whole) for method in methods),
        ]
    assert np.abs(frames_of(written[3])[2] - np.hstack(drawn)).mean() < 3
    assert np.abs(frames_of(written[2])[2] - drawn[2]).mean() < 3


@pytest.mark.parametrize("kind", ["mp4", "gif"])
def test_one_heatmap_of_two_is_drawn_again(drawn_cache, tmp_path, kind):
    output = Output(("likelihood", "distance"), videos=("heatmaps",), folder=tmp_path / "out", format=kind)
    one, other, _ = render_episode(drawn_cache, Style(), output)
    was = other.read_bytes()
    other.unlink()
    assert [path.name for path in render_episode(drawn_cache, Style(), output)][:-1] == [other.name]
    assert other.read_bytes() == was
    assert one.exists()


@pytest.mark.parametrize("videos", [("combined",), ("environment",), ("heatmaps", "combined")])
def test_only_the_videos_that_are_asked_for(drawn_cache, tmp_path, videos):
    written = render_episode(drawn_cache, Style(), Output(videos=videos, folder=tmp_path))
    assert [path.name.split("_")[2].removesuffix(".mp4") for path in written] == [*videos, "config.json"]


@pytest.mark.parametrize("kind", ["yuv420p", "yuv444p"])
def test_a_picture_converted_in_parts_is_the_one_converted_whole(kind):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (96, 128, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    whole = [
        planes.copy() for planes in planes_of(av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format=kind))
    ]
    for box in ((0, 0, 128, 96), (0, 0, 5, 7), (33, 21, 34, 22), (120, 90, 128, 96), (31, 40, 97, 83)):
        patch = Frame(pixels, box).patch(kind)
        assert (patch.left % 2, patch.top % 2) == (0, 0)
        for planes, part in zip(whole, patch.planes, strict=True):
            share = 128 // planes.shape[1]
            top, left = patch.top // share, patch.left // share
            assert part.shape[0] * share >= box[3] - box[1]
            assert part.shape[1] * share >= box[2] - box[0]
            there = planes[top : top + part.shape[0], left : left + part.shape[1]].astype(int)
            assert np.abs(there - part).max() <= 1
    assert Frame(pixels, None).patch(kind) is None


def test_frames_that_change_in_part_are_encoded_whole(tmp_path):
    pixels = np.full((48, 64, 4), 255, dtype=np.uint8)
    with video(tmp_path / "a.mp4", 64, 48, 10, {}) as writer:
        for k in range(20):
            box = (3 * k, 10, 3 * k + 4, 30)
            pixels[10:30, 3 * k : 3 * k + 4, :3] = (200, 10, 10)
            writer.write(Frame.whole(pixels) if k == 0 else Frame(pixels, box if k % 5 else None))
            if k % 5 == 0 and k:
                pixels[10:30, 3 * k : 3 * k + 4, :3] = 255  # was not told of
    frames = frames_of(tmp_path / "a.mp4")
    assert len(frames) == 20
    red = (frames[-1][20, :, 1] < 100).reshape(-1)
    assert red[57:60].all()
    assert not red[16:18].any()  # step 5, of which nothing was said
    assert red[3:14].all()


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_animations_have_every_frame_and_its_colours(drawn_cache, tmp_path, kind):
    written = render_episode(drawn_cache, Style(), Output(folder=tmp_path, format=kind))
    assert [path.name for path in written][2] == f"episode_0_combined_likelihood.{kind}"
    with open_cache(drawn_cache) as episode, Image.open(written[2]) as animation:
        assert (animation.n_frames, animation.size) == (episode.steps, (986, 480))
        assert animation.info.get("loop") == 0
        for step in (0, episode.steps - 1):
            animation.seek(step)
            found = np.asarray(animation.convert("RGB")).astype(int)
            drawn = np.hstack([environment(episode, step, Style(), beside=True), heatmap(episode, step, style=Style())])
            assert np.abs(found - drawn).mean() < 4


def test_flat_colours_of_a_gif_are_what_they_are(tmp_path):
    path = write_cache(tmp_path / "a.h5", resolution=50)
    written = render_episode(path, Style(), Output(folder=tmp_path, format="gif"))
    with open_cache(path) as episode, Image.open(written[2]) as animation:
        for step in (0, 3, 5):
            animation.seek(step)
            drawn = environment(episode, step, Style(), beside=True)
            found = np.asarray(animation.convert("RGB"))[:, : drawn.shape[1]]
            for colour in ((255, 255, 255), (144, 238, 144), (119, 136, 153)):
                there = (drawn == colour).all(axis=-1)
                assert there.sum() > 1000
                np.testing.assert_array_equal(found[there], np.broadcast_to(colour, (there.sum(), 3)))


def test_png_is_a_folder_of_the_frames_themselves(drawn_cache, tmp_path):
    output = Output(folder=tmp_path, format="png", force=True)
    folder = render_episode(drawn_cache, Style(), output)[0]
    with open_cache(drawn_cache) as episode:
        assert sorted(os.listdir(folder)) == [f"{k:04d}.png" for k in range(episode.steps)]
        with Image.open(folder / "0003.png") as picture:
            np.testing.assert_allclose(np.asarray(picture).astype(int), environment(episode, 3), atol=1)
            assert json.loads(picture.text["Comment"])["policy"] == "synthetic"
    render_episode(drawn_cache, Style(), output)  # over what is there
    assert len(os.listdir(folder)) == 6


def test_sharper_colours(drawn_cache, tmp_path):
    written = render_episode(drawn_cache, Style(), Output(folder=tmp_path, pix_fmt="yuv444p"))
    with av.open(str(written[2])) as container:
        assert container.streams.video[0].pix_fmt == "yuv444p"


def test_a_failure_halfway_leaves_nothing(drawn_cache, tmp_path, monkeypatch):
    def fail(self, view):
        raise ZeroDivisionError

    monkeypatch.setattr(HeatmapPanel, "render", fail)
    with pytest.raises(ZeroDivisionError):
        render_episode(drawn_cache, Style(), Output(folder=tmp_path / "out"))
    assert os.listdir(tmp_path / "out") == []


def test_a_style_is_in_force_for_the_drawing_alone(drawn_cache, tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    render_episode(drawn_cache, replace(Style(), sheets=("dark_background",)), Output(folder=tmp_path))
    assert dict(matplotlib.rcParams) == before


def test_the_global_norm_is_each_methods_over_all_files(drawn_cache, tmp_path):
    other = write_cache(tmp_path / "b.h5", episode=1, sigma=10.0, methods=("likelihood", "distance", "noise_pred"))
    style = Style(norm="global")
    norms = global_norms([drawn_cache, other], style, Output(("likelihood", "distance")))
    highest = []
    for path in (drawn_cache, other):
        with open_cache(path) as episode:
            highest.append(max(episode.score("likelihood", k).max() for k in range(episode.steps)))
    assert set(norms) == {"likelihood", "distance"}
    assert norms["likelihood"].high == max(highest)
    assert global_norms([drawn_cache, other], Style(), Output()) == {}
    single = write_cache(tmp_path / "c.h5", episode=2, methods=("distance",))
    with pytest.raises(RenderError, match="--norm global needs the same methods in all files"):
        global_norms([drawn_cache, single], style, Output())


@pytest.mark.parametrize("kind", KINDS)
def test_a_video_knows_how_it_was_drawn(drawn_cache, tmp_path, kind):
    output, look = Output(folder=tmp_path, format=kind), Style(target_height=120)

    def states(style=look, output=output):
        return [row["state"] for row in plan([drawn_cache], style, output)]

    assert states() == [NEW] * 3
    written = render_episode(drawn_cache, look, output)
    assert states() == [KEPT] * 3
    assert render_episode(drawn_cache, look, output) == []
    assert states(replace(look, colormap="magma")) == [KEPT, OTHER, OTHER]  # the environment has no colormap
    assert states(replace(look, dpi=100)) == [KEPT] * 3  # of figures alone
    assert states(replace(look, norm="global")) == [KEPT, OTHER, OTHER]
    assert states(replace(look, overlays=(*look.overlays, "landscape"))) == [OTHER] * 3
    assert states(output=replace(output, fps=5.0)) == [OTHER] * 3
    assert states(output=replace(output, force=True)) == [AGAIN] * 3
    again = render_episode(drawn_cache, replace(look, gamma=0.5), output)
    assert again == written[1:]
    assert states() == [KEPT, OTHER, OTHER]
    for path in written[:3]:
        os.utime(path, (0, 0))
    assert states() == [OLDER] * 3
    assert render_episode(drawn_cache, look, output) == written


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", [b"", b"mine", b"GIF89a", b'{"dlrender": "0.1"}'])
def test_what_somebody_else_made_is_never_overwritten(drawn_cache, tmp_path, kind, data):
    output = Output(folder=tmp_path, format=kind, videos=("combined",))
    theirs = tmp_path / f"episode_0_combined_likelihood{'' if kind == 'png' else '.' + kind}"
    if kind == "png":
        theirs.mkdir()
    file = theirs / "0000.png" if kind == "png" else theirs
    file.write_bytes(data)
    os.utime(theirs, (0, 0))  # older than the cache, and still theirs
    assert [row["state"] for row in plan([drawn_cache], Style(), output)] == [FOREIGN]
    for render in (render_episode, lambda *args: check_existing([args[0]], *args[1:])):
        with pytest.raises(RenderError, match="exists and was not made by dlrender; --force replaces it"):
            render(drawn_cache, Style(), output)
    assert file.read_bytes() == data
    render_episode(drawn_cache, Style(target_height=120), replace(output, force=True))
    assert read_note(theirs)["policy"] == "synthetic"


def test_a_note_does_not_change_an_animation(drawn_cache, tmp_path):
    output = Output(folder=tmp_path, videos=("combined",))
    for kind in ("gif", "webp"):
        path = render_episode(drawn_cache, Style(target_height=120), replace(output, format=kind))[0]
        with Image.open(path) as animation:
            assert animation.n_frames == 6
            animation.seek(5)
            animation.load()
        assert read_note(path)["colormap"] == "viridis"
    with av.open(str(path.with_suffix(".gif"))) as container:
        assert sum(1 for _ in container.decode(video=0)) == 6


def test_what_a_video_says_of_itself_holds_no_array_and_names_the_style(drawn_episode):
    described = describe_render(drawn_episode, ("likelihood",), Style(), [], Output(pix_fmt="yuv444p"))
    assert json.loads(json.dumps(described))["style"]["pix_fmt"] == "yuv444p"
    assert described["style"]["overlay"]["contours"]["masses"] == (0.5, 0.8, 0.95)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (Output(videos=("combined", "all")), "invalid value 'all' for --videos"),
        (Output(("likelihood", "likelihood")), "names one twice"),
        (Output(("vibes",)), "has no scores of method 'vibes'"),
        (Output(format="avi"), "invalid value 'avi' for --format; choose from mp4, webp, gif, png"),
        (Output(format="gif", pix_fmt="yuv444p"), "--pix-fmt yuv444p is not allowed with --format gif"),
        (Output(format="gif", fps=60), "--fps 60 is not allowed with --format gif; choose 50 or less"),
    ],
)
def test_outputs_that_cannot_be_are_named(drawn_cache, output, words):
    with pytest.raises(RenderError if "vibes" not in words else Exception, match=words):
        check_output([drawn_cache], Style(), output)


def test_a_combined_video_wider_than_encoders_take_is_refused(drawn_cache):
    style = replace(Style(), target_height=2160, layout=replace(Style().layout, width=1920.0))
    with pytest.raises(RenderError, match=r"would be [0-9]+ px wide, more than 16382"):
        check_output([drawn_cache], style, Output(("likelihood", "distance")))
    check_output([drawn_cache], style, Output(("likelihood", "distance"), format="png"))


def test_what_stands_in_the_way_is_found_before_anything_is_drawn(drawn_cache, tmp_path):
    other = write_cache(tmp_path / "b.h5", episode=1)
    (tmp_path / "episode_1_combined_likelihood.mp4").write_bytes(b"mine")
    with pytest.raises(RenderError, match=r"episode_1_combined_likelihood\.mp4 exists and was not made"):
        check_existing([drawn_cache, other], Style(), Output(folder=tmp_path, videos=("combined",)))


def test_a_clean_environment_is_left_for_the_next_method_and_one_with_overlays_is_not(drawn_cache, tmp_path):
    output = Output(("likelihood",), folder=tmp_path)
    environment_video = render_episode(drawn_cache, Style(), output)[0]
    before = environment_video.stat().st_mtime_ns
    written = render_episode(drawn_cache, Style(), replace(output, methods=("distance",)))
    assert environment_video not in written
    assert environment_video.stat().st_mtime_ns == before
    assert environment_video in render_episode(
        drawn_cache, with_overlays("landscape"), replace(output, methods=("noise_pred",))
    )


def test_a_folder_of_somebodys_is_not_replaced_by_a_file(drawn_cache, tmp_path):
    from dlrender.figures import save_still

    (tmp_path / "x.png").mkdir()
    (tmp_path / "x.png" / "precious").write_text("mine")
    with pytest.raises(RenderError, match=r"x\.png"):
        save_still(drawn_cache, 1, tmp_path / "x.png", Style())
    assert (tmp_path / "x.png" / "precious").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["episode_000.h5", "x.png"]


@pytest.mark.parametrize(("limits", "ends"), [({}, (-6.0, 0.0)), ({"vmin": -20.0}, (-1.0, 0.0)),
                                              ({"vmin": -20.0, "vmax": -8.0}, (-20.0, -8.0))])  # fmt: skip
def test_the_bar_of_a_scale_a_frame_tells_what_it_can(drawn_episode, limits, ends):
    from support.drawing import make_panel

    style = replace(Style(), norm="frame", **limits)
    with style.active():
        bar = make_panel(drawn_episode, style=style).figure.axes[1]._colorbar
    assert (bar.norm.vmin, bar.norm.vmax) == ends
    assert bar.extend == ("min" if ends[0] == -6 or ends[0] == -20 else "neither")
