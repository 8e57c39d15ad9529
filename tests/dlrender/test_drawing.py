"""Pictures are the same whoever draws them: this process, or several that are forked from it."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from support.drawing import with_overlays
from support.synthetic import write_cache

from dlrender import drawing
from dlrender.drawing import LONGEST, block_length, draw_steps
from dlrender.errors import RenderError
from dlrender.frames.frame import Frame
from dlrender.scene import Scene
from dlscore.cache import open_cache

STEPS = 3 * LONGEST + 5
KINDS = {"environment": "rgb24", "likelihood": "yuv420p", "combined": "yuv444p"}

# Draws a cache twice, alone and in three processes, in a program of one thread: that of the tests has more.
TWICE = """
import json, os, sys
os.environ["OPENBLAS_NUM_THREADS"] = "1"
from dataclasses import replace
from pathlib import Path
from dlrender import drawing
from dlrender.output import Output
from dlrender.style.toml import load_style
from dlrender.videos import render_episode
pools = []
class Pool(drawing.ProcessPoolExecutor):
    def __init__(self, processes, *more, **named):
        pools.append(processes)
        super().__init__(processes, *more, **named)
drawing.ProcessPoolExecutor = Pool
file, out, kind, name, window = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]
style = replace(load_style(name), target_height=160, window=window)
style = replace(style, overlays=tuple(dict.fromkeys((*style.overlays, "chunk", "expert"))))
steps = []
for jobs in (1, 3):
    output = Output(("likelihood", "distance"), folder=out / str(jobs), format=kind, jobs=jobs, provenance=False)
    render_episode(file, style, output, progress=lambda done, total: steps.append(done))
print(json.dumps({"pools": pools, "steps": steps}))
"""

# A step that cannot be drawn, as where a disk fails.
DAMAGED = """
import os, sys
os.environ["OPENBLAS_NUM_THREADS"] = "1"
from pathlib import Path
from dlrender.output import Output
from dlrender.scene import Scene
from dlrender.style.style import Style
from dlrender.videos import render_episode
from dlscore.cache import CacheError
render = Scene.render
def fail(self, step):
    if step == 30:
        raise CacheError(f"drawn by {os.getpid()}")
    return render(self, step)
Scene.render = fail
try:
    render_episode(Path(sys.argv[1]), Style(target_height=160), Output(folder=Path(sys.argv[2]), jobs=2))
except CacheError as error:
    drawn_by = str(error).split()[-1]
    assert drawn_by != str(os.getpid())
    assert not os.path.exists(f"/proc/{drawn_by}")  # nor does it wait to be taken notice of
    print(error)
"""


@pytest.fixture(scope="module")
def long_cache(tmp_path_factory):
    turn = 2 * np.pi * np.arange(STEPS) / 25
    expert = 256 + 255 * np.stack([np.cos(turn), np.sin(turn)], axis=1)  # to the edges, where markers are clipped
    path = tmp_path_factory.mktemp("drawing") / "episode_000.h5"
    return write_cache(path, steps=STEPS, resolution=20, expert=expert, methods=("likelihood", "distance"))


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux")
@pytest.mark.parametrize(
    ("kind", "style", "window"),
    [("mp4", "default", "follow"), ("png", "paper", "full"), ("gif", "dark", "fit"), ("webp", "talk", "follow")],
)
def test_several_processes_make_the_same_files_as_one(long_cache, tmp_path, kind, style, window):
    argv = [sys.executable, "-c", TWICE, str(long_cache), str(tmp_path), kind, style, window]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert told == {"pools": [3], "steps": [*range(1, STEPS + 1)] * 2}
    one, three = (
        {
            path.relative_to(tmp_path / jobs): path.read_bytes()
            for path in (tmp_path / jobs).rglob("*.*")
            if path.is_file()
        }
        for jobs in ("1", "3")
    )
    assert len(one) == (4 * STEPS + 1 if kind == "png" else 5)
    assert one == three


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux")
def test_what_fails_in_a_process_fails_as_it_would_in_one(long_cache, tmp_path):
    argv = [sys.executable, "-c", DAMAGED, str(long_cache), str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("drawn by ")
    assert list(tmp_path.iterdir()) == []


def test_a_block_does_not_depend_on_what_was_drawn_before(long_cache):
    style = with_overlays("all")
    with open_cache(long_cache) as cache, style.active():
        first, fresh = (Scene(cache, ("likelihood",), style, {}) for _ in range(2))
        assert block_length(first, KINDS) == LONGEST
        for _ in zip(range(2 * LONGEST), draw_steps(first, KINDS, 1), strict=False):
            pass
        steps = range(LONGEST, LONGEST + 3)
        for one, other in zip(*(drawing._draw_block(scene, KINDS, steps) for scene in (first, fresh)), strict=True):
            np.testing.assert_array_equal(one["environment"], other["environment"])
            for name in ("likelihood", "combined"):
                assert len(one[name]) == len(other[name])
                for (left, patch), (same, like) in zip(one[name], other[name], strict=True):
                    assert (left, patch.left, patch.top) == (same, like.left, like.top)
                    for planes, others in zip(patch.planes, like.planes, strict=True):
                        np.testing.assert_array_equal(planes, others)


def test_a_patch_that_was_sent_has_the_same_planes():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 4), dtype=np.uint8)
    patch = Frame(pixels, (5, 4, 20, 31)).patch("yuv420p")
    sent = pickle.loads(pickle.dumps(patch))
    assert (sent.left, sent.top) == (patch.left, patch.top)
    for planes, others in zip(sent.planes, patch.planes, strict=True):
        np.testing.assert_array_equal(planes, others)


FORKS = """
import os
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import multiprocessing, sys, threading
from dlrender.drawing import can_fork
told = [can_fork()]
with multiprocessing.get_context("fork").Pool(1) as pool:
    told.append(pool.apply(can_fork))
until = threading.Event()
threading.Thread(target=until.wait).start()
told.append(can_fork())
until.set()
print(told)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux")
def test_a_process_of_one_thread_that_is_not_itself_one_of_several_is_forked():
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[True, False, False]\n", "")


def test_blocks_are_shorter_where_pictures_are_large(long_cache):
    style = replace(with_overlays("expert"), target_height=1080)
    with open_cache(long_cache) as cache, style.active():
        scene = Scene(cache, ("likelihood",), style, {})
    assert block_length(scene, {"combined": "yuv420p"}) == LONGEST
    assert block_length(scene, dict.fromkeys(("environment", "likelihood", "combined"), "rgb24")) == 4


@pytest.mark.parametrize("refused", ["mmap", "fork"])
def test_where_the_system_refuses_processes_one_draws(long_cache, monkeypatch, refused):
    def refuse(*anything, **more):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(drawing, "can_fork", lambda: True)
    monkeypatch.setattr(*((drawing, "mmap") if refused == "mmap" else (os, "fork")), refuse)
    style = with_overlays("expert")
    with open_cache(long_cache) as cache, style.active():
        scene = Scene(cache, ("likelihood",), style, {}, {"likelihood"})
        assert sum(1 for _ in draw_steps(scene, {"likelihood": "yuv420p"}, 2)) == STEPS


def test_an_error_that_cannot_be_sent_is_told_by_its_name():
    class Odd(Exception):
        def __init__(self, one, other):
            super().__init__(f"{one} and {other}")

    assert str(drawing._sendable(Odd(1, 2))) == "Odd: 1 and 2"
    error = RenderError("as it is")
    assert drawing._sendable(error) is error


def test_hdf5_reads_by_position(long_cache):
    with open_cache(long_cache) as cache:
        handle = cache._file.file.id.get_vfd_handle()
        before = os.lseek(handle, 0, os.SEEK_CUR)
        cache.frame(STEPS - 1)
        cache.score("distance", STEPS // 2)
        assert (
            os.lseek(handle, 0, os.SEEK_CUR) == before
        )  # else forked processes, which share it, would move each other's
