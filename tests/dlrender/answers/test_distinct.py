"""An episode counts once, and what is of one policy is refused of several."""

import json

import pytest

from dlrender import RenderError
from dlrender.answers.calibration import read_calibration
from dlrender.answers.coverage import read_coverage
from dlrender.answers.failures import read_failures
from dlrender.answers.report import read_report
from dlrender.answers.table import read_tables
from dlrender.answers.training import read_training


def caches(folder):
    return sorted(folder.glob("*.h5"))


@pytest.mark.parametrize("read", [read_tables, read_calibration, read_coverage, read_report, read_failures])
@pytest.mark.parametrize("again", ["a", "again"])
def test_an_episode_counts_once(policies, read, again):
    with pytest.raises(RenderError, match="are the same episode under the same policy"):
        read([caches(policies["a"])[0], caches(policies[again])[0]])
    with pytest.raises(RenderError, match="no caches were given"):
        read([])


@pytest.mark.parametrize("read", [read_coverage, read_report, read_failures])
def test_several_policies_are_not_mixed(policies, read):
    with pytest.raises(RenderError, match=r"of several policies \(runs/a, runs/b\); .* is of one"):
        read([caches(policies["a"])[0], caches(policies["b"])[1]])


def test_a_checkpoint_is_one_policy(policies):
    both = [caches(policies["a"])[0], caches(policies["b"])[0]]
    with pytest.raises(RenderError, match="checkpoint 400 is of one"):
        read_training({400: both, 2000: caches(policies["b"])[:1]})


def test_each_policy_has_a_summary_of_its_own(dlrender, policies):
    one, two = caches(policies["a"])[:1], caches(policies["b"])[:1]
    alone = [json.loads(dlrender("stats", *files, "--json")[1])["summary"] for files in (one, two)]
    code, out, err = dlrender("stats", *one, *two, "--json")
    assert code == 0, err
    assert json.loads(out) == {"summaries": {"runs/a": alone[0], "runs/b": alone[1]}}
    told = dlrender("stats", *one, *two)[1]
    assert told.startswith("runs/a\n4 steps of 1 episode\n")
    assert "\n\nruns/b\n4 steps of 1 episode\n" in told
