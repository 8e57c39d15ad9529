"""The recording: entities and rows as documented, whole for Rerun's own check, and refused in one line."""

import os
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from support.known import gaussian, write_known

from dlrender import rerun_export
from dlrender.errors import RenderError
from dlrender.rerun_export import write_rerun
from dlscore.cache import open_cache

STEPS = 7


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rerun")
    actions = np.linspace([100, 200], [160, 260], STEPS)
    return [
        write_known(
            folder / f"{name}.h5", [gaussian(action) for action in actions], actions=actions, policy=name, success=True
        )
        for name in ("one", "two")
    ]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home of its own for Rerun, which keeps there what it is to report of its use; reports as outside CI."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def rows_of(path) -> Counter:
    """The rows of each entity; the reader moved from version to version."""
    try:
        from rerun.chunk import RrdReader
    except ImportError:
        from rerun.experimental import RrdReader
    found = Counter()
    for chunk in RrdReader(str(path)).stream():
        found[chunk.entity_path] += chunk.num_rows
    return found


def test_a_recording_has_what_is_documented_and_nothing_is_reported(caches, tmp_path, dlrender, home):
    pytest.importorskip("rerun", reason="rerun-sdk is not installed; it is in the extra rerun")
    code, out, err = dlrender("rerun", *caches, "-o", tmp_path / "e.rrd")
    assert (code, out) == (0, f"{tmp_path / 'e.rrd'}\n"), err
    assert not list(home.rglob("*rerun*"))  # its reports of use were not even begun
    found = rows_of(tmp_path / "e.rrd")
    for entity in ("action", "state", "next.reward", "next.success", "dlscore/environment"):
        assert found[f"/{entity}"] == STEPS
    for name in ("a", "b"):
        for entity in ("surprise/surprise", "surprise/entropy", "rank/rank", "modes/modes", "chunks/chunk_distance"):
            assert found[f"/dlscore/{name}/likelihood/{entity}"] == STEPS
        # With a row that holds at all times: how it looks.
        assert found[f"/dlscore/{name}/likelihood/scores"] == found[f"/dlscore/environment/{name}/plans"] == STEPS + 1
    # Rerun's own program reports its use, unless it believes that it runs in continuous integration.
    argv = [sys.executable, "-m", "rerun_cli", "rrd", "verify", str(tmp_path / "e.rrd")]
    quiet = {**os.environ, "CI": "true"}
    verified = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120, env=quiet)
    assert verified.returncode == 0, verified.stderr
    assert not list(home.rglob("*rerun*"))


def test_landscapes_open_where_the_density_is(caches):
    rrb = SimpleNamespace(VisualBounds2D=lambda x_range, y_range: np.array([x_range, y_range]))
    with open_cache(caches[0]) as cache:
        bounds = rerun_export._bounds(rrb, cache)
    (left, right), (top, bottom) = bounds * 512 / 32  # px from cells
    # Gaussians of 25 px about actions from (100, 200) to (160, 260): two deviations of each are in view, and little more.
    assert left < 100 - 2 * 25 < 160 + 2 * 25 < right
    assert top < 200 - 2 * 25 < 260 + 2 * 25 < bottom
    assert right - left == bottom - top < 300


def test_what_makes_no_recording_is_told_in_one_line(caches, tmp_path, monkeypatch):
    pytest.importorskip("rerun", reason="rerun-sdk is not installed; it is in the extra rerun")
    other = write_known(tmp_path / "other.h5", [gaussian([256, 256])] * 3, episode=5)
    for files, out, told in (
        (caches, "e.mp4", "end its name in .rrd"),
        ([caches[0], other], "e.rrd", "other episodes or steps"),
        ([], "e.rrd", "no caches were given"),
    ):
        with pytest.raises(RenderError, match=told):
            write_rerun(files, tmp_path / out)
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(RenderError, match=r"needs rerun-sdk.*pip install '\.\[rerun\]'"):
        write_rerun(caches, tmp_path / "e.rrd")
    assert not list(tmp_path.glob("*.rrd"))
