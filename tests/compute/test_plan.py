"""`dlscore compute --dry-run`: what a run would find and do."""

import json

from support.runs import fail_at, flat


def test_a_dry_run_tells_what_each_episode_is(dlscore, options, policy, dataset, monkeypatch):
    assert dlscore("compute", *flat(options | {"episodes": "0"}))[0] == 0
    assert dlscore("compute", *flat(options | {"episodes": "1", "seed": 1}))[0] == 0
    fail_at(monkeypatch, 2)
    assert dlscore("compute", *flat(options | {"episodes": "2"}))[0] == 1
    options["scoring-method"] = "distance"
    code, out, _ = dlscore("compute", *flat(options), "--dry-run")
    assert code == 0
    lines = out.splitlines()
    assert [line.split(": ")[1].split(",")[0].split(" (")[0] for line in lines[:5]] == [
        "current", "stale", "partial", "missing", "missing",
    ]  # fmt: skip
    assert "seed: 1 -> 0" in lines[1]
    assert lines[5] == "5 episodes: 1 current, 1 stale, 1 partial, 2 missing"
    code, out, _ = dlscore("compute", *flat(options), "--dry-run", "--json")
    assert [row["steps_done"] for row in json.loads(out)["episodes"]] == [14, 0, 0, 0, 0]
