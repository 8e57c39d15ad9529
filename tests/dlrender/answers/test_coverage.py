"""Coverage of records that are drawn from the policy, and of others."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.known import gaussian, write_known

from dlrender import RenderError
from dlrender.answers.coverage import CELLS, benjamini_hochberg, find_coverage, read_coverage
from dlrender.answers.coverage_chart import COVERAGE, plot_coverage


def steps_of(rng, count=40, sigma=25.0):
    """Points, weights and centres of Gaussians about places all over the world."""
    centres = rng.uniform(100, 412, (count, 2))
    points = [centre + sigma * rng.standard_normal((400, 2)) for centre in centres]
    return points, [np.full(400, 1 / 400)] * count, centres


def test_a_record_of_the_policys_own_is_inside_the_null_and_another_is_not():
    rng, inside, outside, told = np.random.default_rng(0), 0, 0, 0
    for seed in range(40):
        points, weights, centres = steps_of(rng)
        own = centres + 25 * rng.standard_normal(centres.shape)
        found = find_coverage(points, weights, own, seed=seed)
        inside += found.p_value > 0.05
        told += found.told.any()
        outside += find_coverage(points, weights, own + [90, 0], seed=seed).p_value <= 0.05
    assert inside >= 36  # 95 % of 40, less a deviation
    assert outside >= 38
    assert told <= 4  # cells are told of in 5 % of such records


def test_expected_counts_are_the_mass_in_the_cells():
    points, weights, centres = steps_of(np.random.default_rng(0))
    found = find_coverage(points, weights, centres)
    assert found.expected.sum() == pytest.approx(40)
    assert found.counts.sum() == 40
    assert found.density.sum() * (512 / 64) ** 2 == pytest.approx(1)
    assert found.counts.shape == (CELLS, CELLS)
    x, y = (centres[0] / 51.2).astype(int)
    assert found.counts[y, x] >= 1


def test_benjamini_and_hochberg_tell_what_their_example_tells():
    # Benjamini & Hochberg (1995), section 3.2: of 15 tests, 4 at 0.05.
    p = np.array([0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
                  0.7590, 1.0])  # fmt: skip
    np.testing.assert_array_equal(np.flatnonzero(benjamini_hochberg(p[::-1], np.ones(15, bool))), [11, 12, 13, 14])
    assert not benjamini_hochberg(p, np.zeros(15, bool)).any()


def test_several_strides_are_refused(tmp_path):
    files = [write_known(tmp_path / f"{n}.h5", [gaussian([256, 256])] * 2, episode=n, every=n) for n in (1, 5)]
    with pytest.raises(
        RenderError, match=r"1 in 1 steps and .* 1 in 5; coverage counts steps: name caches of one stride"
    ):
        read_coverage(files)


def test_mass_far_from_every_action_is_measured():
    points = [np.array([[100.0, 100.0], [400.0, 400.0]])] * 3
    found = find_coverage(points, [np.array([0.75, 0.25])] * 3, np.full((3, 2), 110.0))
    assert found.new_mass == pytest.approx(0.25)


def test_the_blocks_frame_brings_together_what_is_done_with_it(tmp_path, axes):
    # The block stands elsewhere at each step; the action is always 60 px to the right of it, as the block is turned.
    rng = np.random.default_rng(0)
    pose = np.column_stack([rng.uniform(150, 350, (8, 2)), rng.uniform(0, 6.28, 8)])
    actions = pose[:, :2] + 60 * np.column_stack([np.cos(pose[:, 2]), np.sin(pose[:, 2])])
    state = np.concatenate([actions, pose], axis=1)
    file = write_known(tmp_path / "a.h5", [gaussian(action, 10) for action in actions], actions=actions, state=state)
    found = read_coverage([file], "block")
    np.testing.assert_allclose(found.actions, np.tile([60.0, 0.0], (8, 1)), atol=1e-3)
    y, x = np.unravel_index(found.density.argmax(), found.density.shape)
    assert (x * 8 - 252, y * 8 - 252) == pytest.approx((60, 0), abs=12)
    for panel in COVERAGE.panels:
        assert plot_coverage(found, axes, panel=panel) is axes
    assert isinstance(plot_coverage(found), Figure)


def test_the_command(dlrender, policies, tmp_path):
    code, out, err = dlrender("coverage", policies["a"], "-o", tmp_path / "c.pdf", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["episodes"], found["steps"]) == (6, 24)
    assert found["p"] > 0.01
    code, out, err = dlrender("coverage", policies["b"], "--json")
    assert json.loads(out)["p"] < 0.01
    code, _, err = dlrender("coverage", policies["a"], "--frame", "blok", "--json")
    assert (code, "did you mean block" in err) == (1, True)
