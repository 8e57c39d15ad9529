"""What tells failures: areas and p of known groups, and warnings of known courses."""

import itertools
import json
import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from dlrender import RenderError
from dlrender.answers import failures, roc
from dlrender.answers.failures import FEATURES, Course, conformal_band, find_failures
from dlrender.answers.failures_chart import FAILURES, plot_failures
from dlrender.answers.roc import aurocs, exact_p, midranks


@pytest.mark.parametrize("d", [0.0, 0.5, 1.0, 2.0])
def test_gaussian_scores_have_the_area_of_the_textbook(d):
    rng = np.random.default_rng(0)
    values, failed = rng.standard_normal(3000), np.arange(3000) % 2 == 1
    ranks = midranks(values + d * failed)
    area = (ranks[failed].sum() - 1500 * 1501 / 2) / 1500**2
    truth = 0.5 * math.erfc(-d / 2)  # Φ(d / √2)
    assert area == pytest.approx(truth, abs=0.02)


@pytest.mark.parametrize("values", [[3.1, 0.2, 5.5, 4.1, 1.7, 2.2, 6.0], [1, 1, 2, 2, 2, 3, 3]])
def test_p_is_that_of_all_assignments(values):
    values, failed = np.array(values, float), np.array([1, 0, 1, 1, 0, 0, 0], bool)
    ranks = midranks(values)
    sums = [ranks[list(chosen)].sum() for chosen in itertools.combinations(range(7), 3)]
    away = np.abs(np.array(sums) - np.mean(sums)) >= abs(ranks[failed].sum() - np.mean(sums)) - 1e-9
    assert exact_p(ranks, failed) == pytest.approx(away.mean())
    (found,) = aurocs(values[None], failed)
    assert found.corrected == pytest.approx(found.p)  # one feature needs no correction


def test_perfect_separation_of_few_has_the_p_that_it_can_have():
    (found,) = aurocs(np.arange(12.0)[None], np.arange(12) >= 7)
    assert (found.value, found.p) == (1, pytest.approx(2 / math.comb(12, 5)))


def test_a_p_of_random_assignments_is_never_0_and_a_corrected_one_never_below_its_own():
    values, failed = np.stack([np.arange(40.0), np.arange(40) % 7]), np.arange(40) >= 20
    found = aurocs(values, failed)
    assert found[0].corrected == pytest.approx(1 / 10_001)
    assert found[0].p == pytest.approx(2 / math.comb(40, 20))
    assert all(each.corrected >= each.p for each in found)
    for seed in range(20):  # one feature: drawn and exact p are equal but for chance
        (alone,) = aurocs(np.random.default_rng(seed).standard_normal((1, 40)), failed, seed)
        assert alone.corrected >= alone.p


def test_of_many_episodes_p_is_of_random_assignments(monkeypatch):
    failed = np.arange(122) % 2 == 0
    values = np.random.default_rng(0).standard_normal(122) + 0.4 * failed
    exact = exact_p(midranks(values), failed)
    monkeypatch.setattr(roc, "exact_p", None)  # not called
    (found,) = aurocs(values[None], failed)
    assert found.p == pytest.approx(exact, abs=4 * math.sqrt(exact / roc.DRAWN))
    assert found.p == found.corrected


@pytest.mark.parametrize("sign", [1, -1])
def test_perfect_separation_of_few_is_not_certain(sign):
    wide = [aurocs(sign * np.arange(2.0 * n)[None], np.arange(2 * n) >= n)[0] for n in (3, 6, 20)]
    assert {each.value for each in wide} == {(1 + sign) / 2}
    widths = [each.high - each.low for each in wide]
    assert widths[0] > 0.2 > widths[1] > widths[2] > 0


def test_without_an_effect_a_corrected_p_below_5_percent_is_rare():
    rng, found = np.random.default_rng(1), 0
    failed = np.arange(11) >= 6
    for _ in range(500):
        common = rng.standard_normal(11)
        values = 0.6 * common + 0.8 * rng.standard_normal((8, 11))  # features are correlated
        found += min(each.corrected for each in aurocs(values, failed)) < 0.05
    assert found <= 25
    assert found >= 5  # and it is no empty promise


def courses_of(rng, good, bad, seconds=8.0):
    time = np.arange(0, seconds, 0.1)
    plain = [Course(k, False, time, rng.standard_normal(len(time)).cumsum() * 0.05) for k in range(good)]
    wrong = [Course(99, True, time, np.where(time > 5, 50.0, 0.0)) for _ in range(bad)]
    return plain + wrong


def test_a_failure_that_leaves_the_band_is_warned_of_when_it_does():
    band, why = conformal_band(courses_of(np.random.default_rng(0), 30, 2))
    assert why == ""
    assert band.leads == [pytest.approx(7.9 - 5.1)] * 2
    assert band.false_alarms <= 3  # 10 % of 30


def test_the_band_keeps_its_promise_to_successes_that_it_never_saw():
    rng, alarms = np.random.default_rng(2), 0
    for _ in range(200):
        seen = courses_of(rng, 12, 0)
        fresh = courses_of(rng, 1, 0)[0]
        band, _ = conformal_band([*seen, Course(0, True, fresh.time, fresh.value)])
        alarms += band.leads[0] is not None
    assert alarms / 200 <= 0.1 + 2 * np.sqrt(0.09 / 200)


def test_few_successes_have_no_band_and_the_reason_is_told():
    band, why = conformal_band(courses_of(np.random.default_rng(0), 8, 2))
    assert (band, why) == (None, "a band needs 9 successes or more, not 8")


def table_of(outcomes, steps=30, feature=None):
    """A table of episodes whose entropy is `feature` higher in failures; successes end after 20 steps."""
    rng, parts = np.random.default_rng(0), []
    for episode, success in enumerate(outcomes):
        length = 20 if success else steps
        part = {name: rng.standard_normal(length) for name in FEATURES}
        part["entropy"] = 7 + 0.1 * rng.standard_normal(length) + (0 if success else feature or 0)
        part |= {"episode": np.full(length, episode), "step": np.arange(length), "time": np.arange(length) / 10,
                 "episode_success": np.full(length, float(success))}  # fmt: skip
        parts.append(part | {name: np.full(length, "x") for name in ("policy", "dataset", "seed")})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def test_episodes_are_compared_over_the_time_that_all_have(axes):
    found = find_failures(table_of([1, 0, 1, 0, 1, 0, 1, 1], feature=1.0))
    assert found.seconds == pytest.approx(1.9)
    entropy = found.areas[found.names.index("entropy")]
    assert (entropy.value, entropy.p) == (1, pytest.approx(2 / math.comb(8, 3)))
    assert entropy.corrected >= entropy.p
    for panel in FAILURES.panels:
        assert plot_failures(found, axes, panel=panel) is axes
    assert isinstance(plot_failures(found), Figure)


def test_an_action_that_the_policy_never_takes_is_left_out_of_the_means():
    table = table_of([1, 0, 1, 0, 1])
    known = find_failures(table)
    row = int(np.flatnonzero(table["episode"] == 1)[3])
    rest = np.delete(table["surprise"][table["episode"] == 1][:20], 3).mean()
    for name, infinite in (("surprise", 1e6), ("excess", 1e6 - 7)):
        table[name][row] = infinite
    found = find_failures(table)
    assert found.values[found.names.index("surprise")][1] == pytest.approx(rest)
    others = [k for k, name in enumerate(found.names) if name not in ("surprise", "excess")]
    np.testing.assert_array_equal(found.values[others], known.values[others])


def test_what_cannot_be_compared_is_refused(dlrender, policies, tmp_path, monkeypatch):
    code, _, err = dlrender("failures", policies["a"], "-o", tmp_path / "f.png")
    assert (code, "do not say whether their episodes succeed" in err) == (1, True)
    code, _, err = dlrender("failures", policies["a"], "-o", tmp_path / "f.png", "--feature", "entropi")
    assert (code, "did you mean entropy" in err) == (1, True)
    with pytest.raises(RenderError, match="1 of 3 episodes fail; failures and successes are compared from 2 of each"):
        find_failures(table_of([1, 1, 0]))
    blank = table_of([1, 1, 0, 0])
    blank["mode_switch"] = np.where(blank["episode"] == 0, np.nan, blank["mode_switch"])
    with pytest.raises(
        RenderError, match=r"--feature mode_switch is not there for every episode; choose from surprise, "
    ):
        find_failures(blank, "mode_switch")
    with pytest.raises(RenderError, match=r"--seconds 2\.5 is not allowed; the shortest episode has 1\.9"):
        find_failures(table_of([1, 1, 0, 0]), seconds=2.5)
    monkeypatch.setattr(failures, "read_tables", lambda *_, **__: table_of([1, 0] * 12, feature=1.0))
    code, out, err = dlrender("failures", policies["a"], "--json", "-o", tmp_path / "f.pdf", "--seconds", 1)
    assert code == 0, err
    assert json.loads(out)["features"]["entropy"]["value"] == 1
    assert (tmp_path / "f.pdf").is_file()
