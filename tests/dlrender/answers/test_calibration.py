"""Calibration rows: the recorded actions, and always the policy's own draws."""

import json

import numpy as np
import pytest
from support.known import gaussian, write_known

from dlrender.answers.calibration import Ranks, read_calibration


def rows_of(data):
    return [(row.label, row.own, len(row.episodes)) for row in data.rows]


def test_every_group_has_a_row_of_the_policys_own_draws(policies):
    files = [file for name in ("a", "b") for file in sorted(policies[name].glob("*.h5"))]
    assert rows_of(read_calibration(files)) == [
        ("a", False, 6), ("a: own draws", True, 6), ("b", False, 6), ("b: own draws", True, 6)
    ]  # fmt: skip
    assert rows_of(read_calibration(files, "dataset")) == [("synthetic", False, 6), ("synthetic: own draws", True, 6)]


def test_a_density_that_is_too_wide_or_too_narrow_is_told_and_its_own_draws_are_uniform(tmp_path):
    rng = np.random.default_rng(0)
    for k, sigma in enumerate((25.0, 50.0, 12.5)):
        for episode in range(6):
            actions = 256 + 25 * rng.standard_normal((10, 2))
            write_known(tmp_path / f"{k}" / f"{episode}.h5", [gaussian([256, 256], sigma)] * 10, actions=actions,
                        episode=episode)  # fmt: skip
    (right, own), (wide, own_wide), (narrow, own_narrow) = (
        read_calibration(sorted((tmp_path / f"{k}").glob("*.h5"))).rows for k in range(3)
    )
    assert wide.mean().high < 0.5 < narrow.mean().low
    assert right.mean().low < 0.5 < right.mean().high
    # Of Gaussians whose deviations are in the ratio r, the share inside the region of level a is 1 - (1 - a)^(r²).
    for row, ratio in ((wide, 2.0), (narrow, 0.5)):
        for level in (0.5, 0.8):
            truth = 1 - (1 - level) ** ratio**2
            assert row.inside(level).low - 0.05 < truth < row.inside(level).high + 0.05
    for row in (own, own_wide, own_narrow):
        assert row.mean().value == pytest.approx(0.5, abs=0.06)


def test_the_band_is_refused_below_five_episodes():
    ranks = [np.linspace(0, 1, 11)] * 4
    assert Ranks("few", ranks, False).band() is None
    assert Ranks("enough", [*ranks, ranks[0]], False).band() is not None
    assert Ranks("few", ranks, False).error().low is None


def test_a_rank_stands_for_the_steps_until_the_next(tmp_path):
    # Of an episode each step, of another each fifth: 4 steps at the peak, rank 0, and 2 for 5 steps each far away, rank 1.
    for episode, every, place in ((0, 1, 256.0), (1, 5, 500.0)):
        write_known(tmp_path / f"{episode}.h5", [gaussian([256, 256])] * (4 if every == 1 else 2), episode=episode, every=every,
                    actions=np.full((4 if every == 1 else 2, 2), place))  # fmt: skip
    recorded, own = read_calibration(sorted(tmp_path.glob("*.h5"))).rows
    assert (recorded.steps, own.steps) == (6, 24)
    assert recorded.mean().value == pytest.approx(10 / 14, abs=0.01)
    assert recorded.inside(0.5).value == pytest.approx(4 / 14)
    np.testing.assert_allclose(recorded.frequencies(np.array([0, 0.5, 1])), [8 / 14, 20 / 14])
    assert recorded.shares()[50] == pytest.approx(4 / 14)


def test_the_command_gives_the_numbers(dlrender, policies):
    code, out, err = dlrender("calibration", policies["a"], "--json")
    assert code == 0, err
    recorded, own = json.loads(out)["rows"]
    assert (recorded["own_draws"], own["own_draws"]) == (False, True)
    assert (recorded["ranks"], own["ranks"]) == (24, 24 * 4)
    assert set(recorded["inside"]) == {"0.5", "0.8", "0.95"}
