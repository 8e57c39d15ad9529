"""The step table, from caches whose density is known; and the command `stats`."""

import csv
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from support import ROOT
from support.known import gaussian, mixture_of, write_known
from support.synthetic import rewrite, write_cache

from dlrender import RenderError
from dlrender.answers.columns import COLUMNS, action_age
from dlrender.answers.compare import read_comparison
from dlrender.answers.steps import Episode
from dlrender.answers.summary import QUANTITIES, calibration_error, estimate, step_weights, summarize
from dlrender.answers.table import read_tables, step_table, write_table
from dlscore.cache import CacheError, open_cache

SIGMA = 25.0
H = np.log(2 * np.pi * np.e * SIGMA**2)


@pytest.fixture(scope="module")
def still_episode(tmp_path_factory):
    """Ten steps of one Gaussian at (256, 256), whose recorded actions are at known distances from it."""
    path = tmp_path_factory.mktemp("known") / "episode_003.h5"
    actions = 256 + np.stack([np.linspace(0, 90, 10), np.zeros(10)], axis=1)
    return write_known(path, [gaussian([256, 256], SIGMA)] * 10, actions=actions, episode=3)


@pytest.fixture(scope="module")
def six_episodes(tmp_path_factory):
    """Six episodes of 12 steps, whose actions are drawn from the density: two modes at each third step."""
    folder = tmp_path_factory.mktemp("six")
    two = mixture_of([(0.6, [150, 200], 20), (0.4, [350, 300], 20)])
    one = mixture_of([(0.6, [150, 200], 20), (0.4, [150, 200], 20)])
    mixtures = [two if k % 3 == 0 else one for k in range(12)]
    return [write_known(folder / f"episode_{k:03}.h5", mixtures, episode=k) for k in range(6)]


def test_a_gaussians_statistics_are_those_of_the_textbook(still_episode):
    table = step_table(still_episode)
    away = np.linspace(0, 90, 10)
    surprise = away**2 / (2 * SIGMA**2) + np.log(2 * np.pi * SIGMA**2)
    np.testing.assert_allclose(table["surprise"], surprise, atol=2e-3)
    np.testing.assert_allclose(table["entropy"], H, atol=0.06)
    np.testing.assert_allclose(table["excess"], surprise - H, atol=0.06)
    np.testing.assert_allclose(table["gain"], np.log(512**2) - surprise, atol=2e-3)
    np.testing.assert_allclose(table["rank"], 1 - np.exp(-(away**2) / (2 * SIGMA**2)), atol=0.03)
    assert (table["rank_low"] <= table["rank"]).all()
    assert (table["rank"] <= table["rank_high"]).all()
    np.testing.assert_allclose(table["effective_area"], np.exp(H), rtol=0.06)
    np.testing.assert_allclose(table["area_50"], 2 * np.log(2) * np.pi * SIGMA**2, rtol=0.1)
    np.testing.assert_array_equal(table["modes"], 1)
    np.testing.assert_allclose(table["mode_1_x"], 256, atol=0.5)
    assert np.isnan(table["mode_2_x"]).all()
    # Up to three steps late or early: the least of the neighbours' distances.
    np.testing.assert_allclose(table["surprise_untimed"], surprise[np.maximum(np.arange(10) - 3, 0)], atol=2e-3)
    # The bins of the error end 1, 4 and 10 nats below the peak.
    below = away**2 / (2 * SIGMA**2)
    np.testing.assert_allclose(table["surprise_error"], np.select([below < 1, below < 4], [0.02, 0.04], 0.1), rtol=1e-5)


def test_actions_are_least_surprising_at_their_own_step(tmp_path):
    # The density moves 15 px a step, and the action with it: at a lag of k, −log p is (15 k)² / 2σ² more on average.
    places = [[100.0 + 15 * k, 256] for k in range(24)]
    path = write_known(tmp_path / "a.h5", [gaussian(place, SIGMA) for place in places], rng=np.random.default_rng(0))
    found = {lag: [] for lag in range(-3, 4)}
    with open_cache(path) as cache:
        for step in Episode(cache, "likelihood").steps():
            for row, log_density in step.log_densities.items():
                found[row - step.row].append(-log_density)
    nll = {lag: np.mean(values) for lag, values in found.items()}
    assert min(nll, key=nll.get) == 0
    for lag in (-3, 3):
        assert nll[lag] - nll[0] == pytest.approx((15 * lag) ** 2 / (2 * SIGMA**2), abs=0.9)


def test_the_columns_are_those_of_the_table_and_what_is_not_known_is_nan(still_episode):
    table = step_table(still_episode)
    assert list(table) == [column.name for column in COLUMNS]
    assert {len(values) for values in table.values()} == {10}
    assert np.isnan(table["reward"]).all()
    assert np.isnan(table["drift_block"]).all()
    assert list(step_table(still_episode, columns=["step", "surprise"])) == ["step", "surprise"]
    with pytest.raises(RenderError, match="unknown column 'suprise'; did you mean surprise"):
        step_table(still_episode, columns=["suprise"])


def test_a_table_is_the_same_whenever_it_is_made(still_episode):
    one, two = step_table(still_episode), step_table(still_episode)
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])


def test_a_number_is_the_same_whatever_else_is_asked(tmp_path):
    # The policy clips to a box, and the recorded actions lie on its edge: these are spread at random.
    box = np.array([[0.0, 0.0], [512.0, 512.0]])
    path = write_known(tmp_path / "a.h5", [gaussian([5, 256], box=box)] * 3, actions=[[0.0, 256.0]] * 3)
    table = step_table(path)
    for names in (["surprise"], ["entropy"], ["surprise_untimed", "rank"], ["entropy", "surprise"], ["rank"]):
        for name, values in step_table(path, columns=names).items():
            np.testing.assert_array_equal(values, table[name])


def test_the_least_surprise_in_time_is_no_more_than_the_surprise(tmp_path):
    stored = {"recorded_log_density": [-5.0, -9.0], "recorded_rank": [0.2, 0.4], "recorded_rank_low": [0.1, 0.4],
              "recorded_rank_high": [0.3, 0.4]}  # fmt: skip
    stored = {name: np.array(values) for name, values in stored.items()}
    table = step_table(write_known(tmp_path / "a.h5", [gaussian([256, 256])] * 2, recorded=stored))
    assert table["surprise_untimed"][0] == pytest.approx(5)
    assert table["surprise_untimed"][1] < 9


@pytest.mark.parametrize(("who", "age"), [("runs/a", 2.0), ("runs/b", np.nan), ("", np.nan)])
def test_an_action_has_an_age_in_the_plans_of_the_policy_that_acted(who, age):
    cache = SimpleNamespace(attrs={"policy": "runs/a", "executed_by": who}, current=1)
    step = SimpleNamespace(row=0, episode=SimpleNamespace(cache=cache, fields={"executed/entry": np.array([3])}))
    np.testing.assert_equal(action_age(step), age)


def test_modes_are_left_blank_where_the_density_cannot_say(tmp_path):
    path = write_known(tmp_path / "a.h5", [gaussian([256, 256])] * 2, error=0.12)
    assert np.isnan(step_table(path)["modes"]).all()
    path = write_known(tmp_path / "b.h5", [gaussian([-20, 256])] * 2, actions=np.full((2, 2), 256.0))
    assert np.isnan(step_table(path)["modes"]).all()


def test_a_jump_of_the_main_mode_is_a_switch(tmp_path):
    places = [[100, 100], [130, 100], [300, 300], [300, 330]]
    table = step_table(write_known(tmp_path / "a.h5", [gaussian(place) for place in places]))
    np.testing.assert_array_equal(table["mode_switch"], [np.nan, 0, 1, 0])


def test_outcomes_are_of_the_whole_episode_and_an_expert_has_none(tmp_path, still_episode):
    files = [write_known(tmp_path / f"{k}.h5", [gaussian([256, 256])] * 3, episode=k, success=k > 0) for k in range(5)]
    table = read_tables(files)
    summary = summarize(table)
    assert (summary["success"].value, summary["success"].episodes) == (0.8, 5)
    assert summary["reward"].value == pytest.approx(0.9)
    assert table["executed_by"][0] == "known"
    np.testing.assert_allclose(table["reward"][:3], [0, 0.25, 0.5])
    expert = step_table(still_episode)
    assert expert["executed_by"][0] == ""
    assert np.isnan(expert["episode_success"]).all()


def test_what_an_expert_or_another_policy_does_is_no_success_of_the_policy(tmp_path):
    for who, name in (("", "expert"), ("runs/other", "other")):
        path = write_known(tmp_path / f"{name}.h5", [gaussian([256, 256])] * 3, success=True, policy="runs/a")
        rewrite(path, lambda file, who=who: file.attrs.__setitem__("executed_by", who))
        table = step_table(path)
        assert table["episode_success"][0] == 1
        found = summarize(table)
        assert not {"success", "reward"} & set(found)
        assert (found["recorded_success"].value, found["recorded_reward"].value) == (1, 1)


def test_a_stride_keeps_the_steps_numbers_and_leaves_blank_what_needs_neighbours(tmp_path):
    table = step_table(write_known(tmp_path / "a.h5", [gaussian([256, 256])] * 4, every=5))
    np.testing.assert_array_equal(table["step"], [0, 5, 10, 15])
    assert np.isnan(table["surprise_untimed"]).all()
    assert np.isnan(table["mode_switch"]).all()
    assert np.isnan(table["chunk_distance"]).all()


def test_what_the_cache_holds_of_the_recorded_action_is_taken(tmp_path):
    recorded = {"recorded_log_density": [-7.0, -8.0], "recorded_rank": [0.2, 0.4], "recorded_rank_low": [0.1, 0.4],
                "recorded_rank_high": [0.3, 0.4]}  # fmt: skip
    stored = {name: np.array(values) for name, values in recorded.items()}
    table = step_table(write_known(tmp_path / "a.h5", [gaussian([256, 256])] * 2, recorded=stored))
    np.testing.assert_allclose(table["surprise"], [7, 8])
    for name in ("rank", "rank_low", "rank_high"):
        np.testing.assert_allclose(table[name], stored[f"recorded_{name}"], rtol=1e-6)


def test_chunks_that_agree_have_no_distance_and_others_have_theirs(tmp_path):
    places = [[100, 100]] * 30 + [[300, 100]]
    distance = step_table(write_known(tmp_path / "a.h5", [gaussian(place, 5) for place in places]))["chunk_distance"]
    assert np.isnan(distance[0])
    assert abs(distance[1:30].mean()) < 1
    assert distance[30] == pytest.approx(2 * 200 - 2 * 5 * np.sqrt(np.pi), rel=0.05)


def test_the_summary_of_true_draws_is_calibrated(six_episodes):
    table = read_tables(six_episodes)
    summary = summarize(table)
    assert summary["multimodal"].value == pytest.approx(1 / 3, abs=1e-9)
    for name, truth in (("mean_rank", 0.5), ("excess", 0.0), ("inside_80", 0.8)):
        assert summary[name].low <= truth <= summary[name].high
    assert summary["calibration_error"].value < 0.1
    assert {each.name for each in QUANTITIES} - {"reward", "recorded_reward"} == set(summary)


def test_the_calibration_error_of_a_known_distribution():
    alphas = np.linspace(0, 1, 101)
    assert calibration_error(alphas) == 0
    assert calibration_error(np.ones(101)) == pytest.approx(0.5)
    assert calibration_error(alphas**2) == pytest.approx(1 / 6, abs=1e-3)


def test_steps_that_stand_for_more_weigh_more(still_episode):
    table = step_table(still_episode)
    every = {name: np.concatenate([values, values[::3]]) for name, values in table.items()}
    every["episode"] = np.repeat([0, 1], [10, 4])
    np.testing.assert_array_equal(step_weights(every), np.repeat([1, 3], [10, 4]))
    nll = next(each for each in QUANTITIES if each.name == "nll")
    weighted = np.average(every["surprise"], weights=step_weights(every))
    assert estimate(nll, every).value == pytest.approx(weighted)


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_a_written_table_is_read_back(still_episode, tmp_path, suffix):
    table = step_table(still_episode)
    path = write_table(table, tmp_path / f"steps.{suffix}")
    if suffix == "parquet":
        rows = pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
    elif suffix == "json":
        rows = json.loads(path.read_text())
    else:
        rows = list(csv.DictReader(path.open()))
    assert len(rows) == 10
    assert [float(row["surprise"]) for row in rows] == pytest.approx(table["surprise"])
    assert {row["reward"] for row in rows} == ({""} if suffix == "csv" else {None})


def test_the_command_prints_the_summary_and_writes_the_table(dlrender, six_episodes, tmp_path):
    code, out, err = dlrender("stats", *six_episodes, "-o", tmp_path / "steps.csv")
    assert code == 0, err
    assert "72 steps of 6 episodes" in out
    assert "95 % intervals: bootstrap over episodes" in out
    assert len((tmp_path / "steps.csv").read_text().splitlines()) == 73
    code, out, err = dlrender("stats", *six_episodes[:2], "--json")
    assert code == 0, err
    nll = json.loads(out)["summary"]["nll"]
    assert (nll["low"], nll["episodes"]) == (None, 2)


def test_several_at_a_time_give_the_same_table(six_episodes):
    one, two = read_tables(six_episodes[:3]), read_tables(six_episodes[:3], jobs=2)
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    with pytest.raises(RenderError, match="--jobs 0 is not allowed"):
        read_tables(six_episodes, jobs=0)


def test_what_cannot_be_tabulated_is_told_in_one_line(dlrender, still_episode, tmp_path, monkeypatch):
    code, _, err = dlrender("stats", still_episode, "-o", tmp_path / "steps.xlsx")
    assert (code, "has no known format; end its name in .parquet, .csv, .json" in err) == (1, True)
    code, _, err = dlrender("stats", still_episode, still_episode)
    assert (code, "are the same episode under the same policy" in err) == (1, True)
    code, _, err = dlrender("stats", write_cache(tmp_path / "old.h5"))
    assert (code, "has no mixture of likelihood" in err) == (1, True)
    code, _, err = dlrender("stats", write_cache(tmp_path / "old.h5"), "-m", "distance")
    assert (code, "is no density" in err) == (1, True)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, _, err = dlrender("stats", still_episode, "-o", tmp_path / "steps.parquet")
    assert (code, "parquet needs pyarrow" in err) == (1, True)
    assert not list(tmp_path.glob("steps*"))
    with pytest.raises(CacheError):
        step_table(tmp_path / "none.h5")


def test_every_column_and_quantity_is_documented():
    told = (ROOT / "dlrender" / "answers" / "README.md").read_text()
    for name in (*(column.name for column in COLUMNS), *(each.name for each in QUANTITIES)):
        if not name.startswith(("mode_2", "mode_3")):
            assert f"`{name}`" in told, name


def test_actions_beyond_the_box_are_counted_and_left_out_of_means(tmp_path):
    box = np.array([[0.0, 0.0], [300.0, 512.0]])
    files = [
        write_known(tmp_path / f"{x}.h5", [gaussian([x, 256], 25, box)] * 4, policy=f"{x}",
                    actions=[[200, 256], [200, 256], [200, 256], [310, 256]]) for x in (200, 200.5)
    ]  # fmt: skip
    found = summarize(read_tables(files[:1]))
    assert found["beyond_box"].value == 0.25
    assert found["nll"].value == pytest.approx(np.log(2 * np.pi * 25**2), abs=0.01)
    # Both policies exclude the last action; of the three others, A's peak is half a px from B's.
    pairs = read_comparison(files[:1], files[1:]).pairs
    assert np.isnan(pairs.difference).tolist() == [False, False, False, True]
    assert abs(pairs.nll_difference().value) < 0.01
