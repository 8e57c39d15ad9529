"""What `compute` and `info` print of a density."""

import json

import numpy as np
from support.synthetic import rewrite, write_cache

from dlscore.cli.report import format_density
from dlscore.density.calibration import calibrate
from dlscore.density.mixture import Mixture

ONE = Mixture([[256.0, 256.0]], [np.diag([400.0, 900.0])], [1.0], [1.0])


def test_info_tells_error_mass_and_own_actions(tmp_path, dlscore):
    path = write_cache(tmp_path / "episode_000.h5", mixture=ONE)
    rewrite(path, lambda file: file["checks/likelihood/error"].__setitem__(slice(None), 0.2))
    code, out, err = dlscore("info", path)
    assert code == 0, err
    assert "density of the executed action, 1 components a step" in out
    assert (
        "error 0.200, largest 0.200 (total variation); inside the grid 100.0 % or more; own actions: mean rank 0.50, "
        in out
    )
    assert "warning: likelihood: the estimated error is above 0.1 on 6 of 6 steps" in out
    described = json.loads(dlscore("info", path, "--json")[1])["files"][0]["densities"]["likelihood"]
    assert described["error"]["steps"] == 6
    assert described["calibration"]["coverage"][1]["level"] == 0.8


def test_an_interval_is_told_where_there_is_one():
    told = format_density({"calibration": calibrate(np.random.default_rng(0).random((60, 8))).as_dict()})
    assert told.startswith("own actions: mean rank 0.5")
    assert told.count("[") == 4
    assert "in the 50/80/95 % regions" in told
