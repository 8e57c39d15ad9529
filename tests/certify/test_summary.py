"""Rows of the certification, and the table of them."""

import pytest

from dlscore.certify.certify import Comparison
from dlscore.certify.report import format_table
from dlscore.certify.summary import judge_errors, summarise
from dlscore.scores.distance import Distance


def compared(tv, told=None, seed=0, policy="one", **changes):
    values = {"method": "distance", "policy": policy, "set": "fixed", "schedule": "cosine", "density": "executed",
              "seed": seed, "evaluations": 10, "tv": tv, "noise": 0.0, "kl": 0.1, "hdr95_iou": 0.9, "coverage90": 0.9,
              "spearman": 0.9, "modes_found": 1.0}  # fmt: skip
    return Comparison(**(values | changes), checks={} if told is None else {"error": told})


def test_errors_are_judged_by_their_factor_and_their_order():
    judged = judge_errors([compared(0.04, 0.03), compared(0.1, 0.06), compared(0.02, 0.05), compared(0.06, 0.04)])
    assert judged == {
        "error_within_2": 0.75,
        "error_factor_max": pytest.approx(2.5),
        "error_rank": pytest.approx(0.4),
    }
    assert judge_errors([compared(0.1, 0.1), compared(0.2, 0.1)])["error_rank"] is None


def test_a_true_error_below_the_noise_is_not_taken_for_none():
    judged = judge_errors([compared(0.0, 0.01, noise=0.04)])
    assert judged["error_factor_max"] == pytest.approx(1)


def test_a_row_for_each_density_schedule_and_set():
    results = [
        compared(0.1, seed=0),
        compared(0.3, seed=1),
        compared(0.5, seed=0, policy="two"),
        compared(0.5, seed=1, policy="two"),
        compared(0.2, density="model"),
        compared(0.4, set="fresh", policy="fresh 1/0"),
        compared(0.6, schedule="linear"),
    ]
    rows = summarise(results, {"distance": Distance(), "unused": Distance()})
    keys = [(row["density"], row["schedule"], row["set"]) for row in rows]
    assert keys == [("executed", "cosine", "fixed"), ("model", "cosine", "fixed"), ("executed", "cosine", "fresh"),
                    ("executed", "linear", "fixed")]  # fmt: skip
    assert (rows[0]["tv_mean"], rows[0]["tv_max"]) == (pytest.approx(0.35), pytest.approx(0.5))
    assert rows[0]["tv_std"] == pytest.approx(0.1 / 2**0.5)
    assert rows[0]["tv_max_policy"] == "two"
    assert "error_rank" not in rows[0]


def test_the_fresh_set_stands_beside_the_fixed_one():
    results = [compared(0.1), compared(0.4, set="fresh"), compared(0.2, density="model")]
    header, _, first, second = format_table(summarise(results, {"distance": Distance()})).splitlines()
    titles = [cell.strip() for cell in header.split("|")[1:-1]]
    assert titles[:8] == ["method", "density", "evaluations", "TV", "± seeds", "TV max", "fresh TV", "fresh max"]
    assert not any("error" in title for title in titles)
    assert [cell.strip() for cell in first.split("|")[4:9]] == ["0.100", "0.000", "0.100", "0.400", "0.400"]
    assert [cell.strip() for cell in second.split("|")[7:9]] == ["–", "–"]
    assert len({len(line) for line in (header, first, second)}) == 1


def test_schedules_have_a_column_where_there_are_several_and_errors_where_they_are_told():
    results = [compared(0.1, 0.1), compared(0.2, 0.9, schedule="linear", set="fresh")]
    header, _, first, second = format_table(summarise(results, {"distance": Distance()})).splitlines()
    titles = [cell.strip() for cell in header.split("|")[1:-1]]
    assert titles[2] == "schedule"
    assert titles[-2:] == ["error ≤ 2×", "error max"]
    assert [cell.strip() for cell in first.split("|")[-3:-1]] == ["100%", "1.0×"]
    assert [cell.strip() for cell in second.split("|")[-3:-1]] == ["0%", "4.5×"]
