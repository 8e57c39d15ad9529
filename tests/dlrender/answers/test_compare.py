"""Comparison of densities whose distances are known."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from support.known import gaussian, write_known

from dlrender import RenderError
from dlrender.answers.compare import distances_between, read_comparison
from dlrender.answers.compare_chart import COMPARISON, plot_comparison


def caches(folder):
    return sorted(folder.glob("*.h5"))


def test_the_total_variation_of_two_gaussians_is_that_of_the_textbook():
    # 2 Φ(d / 2σ) - 1 = 0.5763 for d = 40 px and σ = 25 px
    found = distances_between(gaussian([236, 256], 25), gaussian([276, 256], 25), np.random.default_rng(0))
    assert found["tv"] == pytest.approx(0.5763, abs=0.01)
    same = distances_between(gaussian([236, 256], 25), gaussian([236, 256], 25), np.random.default_rng(0))
    assert same["tv"] < 1e-5
    apart = distances_between(gaussian([100, 100], 10), gaussian([400, 400], 10), np.random.default_rng(0))
    assert apart["tv"] == pytest.approx(1)
    assert apart["js"] == pytest.approx(np.log(2))
    # Far apart: 2 |m - n| less the two spreads of s √π each, and what the spread adds to the distance.
    away = np.hypot(300, 300)
    assert apart["energy_distance"] == pytest.approx(2 * away - 2 * 10 * np.sqrt(np.pi), rel=0.01)


def test_the_difference_and_the_null(policies):
    data = read_comparison(*(caches(policies[name]) for name in ("a", "b", "again")))
    assert (data.pairs.a, data.pairs.b, data.null.b) == ("runs/a", "runs/b", "runs/a, seed 1")
    assert data.pairs.mean("tv").value == pytest.approx(0.5763, abs=0.01)
    # The expected difference is the Kullback-Leibler divergence, d² / 2σ² = 1.28; here at these 24 actions.
    x = data.pairs.columns["surprise_b"] - data.pairs.columns["surprise_a"]
    assert data.pairs.nll_difference().value == pytest.approx(x.mean())
    assert data.pairs.nll_difference().low < 1.28 < data.pairs.nll_difference().high
    assert data.null.within_error() == 1
    assert data.pairs.within_error() == 0
    null = data.null.nll_difference()
    assert null.low <= 0 <= null.high
    assert null.high - null.low < 0.1 * (data.pairs.nll_difference().high - data.pairs.nll_difference().low)


def test_what_cannot_be_paired_is_refused(policies, tmp_path):
    a, b, again = (caches(policies[name]) for name in ("a", "b", "again"))
    with pytest.raises(RenderError, match="the null has the same policy and seed"):
        read_comparison(a, b, a)
    with pytest.raises(RenderError, match="the null is of another policy"):
        read_comparison(a, again, b)
    with pytest.raises(RenderError, match="of several policies"):
        read_comparison([a[0], b[1]], b)
    other = write_known(tmp_path / "other.h5", [gaussian([256, 256])] * 4, episode=99)
    with pytest.raises(RenderError, match="no episode in common"):
        read_comparison(a, [other])
    moved = write_known(tmp_path / "moved.h5", [gaussian([256, 256])] * 4, episode=0, actions=np.full((4, 2), 100.0))
    with pytest.raises(RenderError, match="other recorded actions"):
        read_comparison(a, [moved])


def test_data_sets_are_kept_apart_and_what_has_no_pair_is_counted(dlrender, tmp_path):
    # Two data sets whose only episodes are both number 0: A and B differ in the second alone, by two Gaussians 40 px apart.
    files = {name: [] for name in "ab"}
    for name, x in (("a", 236), ("b", 276)):
        for dataset in ("one", "two"):
            files[name].append(write_known(
                tmp_path / name / f"{dataset}.h5", [gaussian([236 if dataset == "one" else x, 256])] * 4, dataset=dataset,
                policy=f"runs/{name}", actions=np.full((4, 2), 256.0)))  # fmt: skip
    data = read_comparison(files["a"], files["b"])
    assert list(data.pairs.rows_of()) == [("one", 0), ("two", 0)]
    assert data.pairs.columns["tv"][data.pairs.rows_of()["one", 0]].max() < 1e-3
    assert np.abs(data.map.log_a - data.map.log_b).max() > 1  # of the data set where they differ
    assert data.pairs.left_out == {"episodes": 0, "steps": 0}
    write_known(tmp_path / "b" / "one.h5", [gaussian([236, 256])] * 2, dataset="one", policy="runs/b", every=2,
                actions=np.full((2, 2), 256.0))  # fmt: skip
    write_known(tmp_path / "b" / "more.h5", [gaussian([236, 256])] * 2, dataset="three", policy="runs/b")
    code, out, err = dlrender("compare", tmp_path / "a", "--with", tmp_path / "b", "--json")
    assert (code, json.loads(out)["pairs"]["left_out"]) == (0, {"episodes": 1, "steps": 2})
    assert "not compared are 1 episode that only one of the two has, and 2 steps of the others" in err


def test_an_episode_with_two_seeds_is_refused(policies):
    a, b, again = (caches(policies[name]) for name in ("a", "b", "again"))
    for first, second in (([*a, *again], b), (b, [*a, *again])):
        with pytest.raises(RenderError, match="are the same episode under the same policy"):
            read_comparison(first, second)


def test_the_null_stands_at_its_own_steps(tmp_path, axes):
    actions = np.full((6, 2), 256.0)
    a, b = (
        write_known(tmp_path / f"{x}.h5", [gaussian([x, 256])] * 6, policy=f"{x}", actions=actions) for x in (236, 276)
    )
    null = write_known(
        tmp_path / "null.h5", [gaussian([236, 256])] * 2, policy="236", seed=1, every=3, actions=actions[:2]
    )
    plot_comparison(read_comparison([a], [b], [null]), ax=axes, panel="steps")
    assert [line.get_xdata().tolist() for line in axes.lines if line.get_label() == "null"] == [[0, 3]]


def test_every_panel_is_drawn(policies, axes):
    data = read_comparison(caches(policies["a"]), caches(policies["b"]))
    for panel in COMPARISON.panels:
        assert plot_comparison(data, ax=axes, panel=panel) is axes
    assert isinstance(plot_comparison(data), Figure)


def test_the_command_asks_for_a_null_row(dlrender, policies, tmp_path):
    code, out, err = dlrender("compare", policies["a"], "--with", policies["b"], "--json")
    assert code == 0, err
    assert "no null row" in err
    assert json.loads(out)["null"] is None
    code, out, err = dlrender("compare", policies["a"], "--with", policies["b"], "--null", policies["again"], "--json",
                              "-o", tmp_path / "compare.pdf")  # fmt: skip
    assert (code, err) == (0, "")
    assert json.loads(out)["null"]["within_error"] == 1
    assert (tmp_path / "compare.pdf").stat().st_size > 10_000
