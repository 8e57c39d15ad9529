"""What `dlscore compute` says: a line an episode on stdout as they come, warnings on stderr, a summary, or JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from dlscore.batch import Result, Summary
from dlscore.cache import format_drift
from dlscore.info import format_checks, read_checks
from dlscore.schema import CacheError


def note(text: str) -> None:
    """What a user should know while the run goes on."""
    typer.echo(f"dlscore: {text}", err=True)


def show(result: Result) -> None:
    """An episode's line, when it is done; its failure or warning on stderr."""
    if result.outcome is not None:
        typer.echo(format_result(result))
    tell_trouble(result)


def tell_trouble(result: Result) -> None:
    """The failure or the warning of an episode, on stderr."""
    if result.outcome is None:
        note(f"episode {result.episode} failed: {' '.join(result.reason.split())}")
    elif result.outcome.warning:
        note(f"warning: {result.outcome.warning}")


def format_result(result: Result) -> str:
    """What became of an episode that did not fail."""
    outcome = result.outcome
    assert outcome is not None
    line = (
        f"{result.path}: {outcome.state}, {outcome.steps} steps in {outcome.seconds:.1f} s, largest replay drift "
        f"{format_drift(outcome.drift)}; the block's pose from {outcome.pose_source}"
    )
    checks = read_checks(result.path)
    return line + "".join(f"\n  {name}: {format_checks(each, outcome.steps)}" for name, each in checks.items())


def as_row(result: Result) -> dict[str, Any]:
    """An episode's result for JSON."""
    if result.outcome is None:
        return {"episode": result.episode, "path": str(result.path), "state": "failed", "reason": result.reason}
    outcome = result.outcome
    row = {**vars(outcome), "path": str(result.path), "warning": outcome.warning}
    try:
        return {**row, "checks": read_checks(result.path)}
    except CacheError as error:  # it was taken away since it was finished
        return {**row, "checks": {}, "unread": str(error)}


def end(summary: Summary, as_json: bool) -> None:
    """The summary on stdout, and what the command ends with."""
    if as_json:
        typer.echo(
            json.dumps({"episodes": [as_row(result) for result in summary.results], "summary": summary.as_dict()})
        )
    elif len(summary.wanted) > 1:
        typer.echo(summary.as_text())
    summary.check()


def format_plan(rows: Sequence[Mapping[str, Any]]) -> str:
    """`plan_episodes` as a line an episode, and how many there are of each state."""
    lines = []
    for row in rows:
        line = f"{row['path']}: {row['state']}"
        if row["state"] != "failed":
            line += f", {row['steps']} steps, {row['evaluations_per_step']} evaluations a step"
        if row["state"] == "partial":
            line += f", {row['steps_done']} steps are done"
        lines.append(line + (f" ({row['reason']})" if row["reason"] else ""))
    if len(rows) > 1:
        states = Counter(row["state"] for row in rows)
        lines.append(f"{len(rows)} episodes: " + ", ".join(f"{count} {state}" for state, count in states.items()))
    return "\n".join(lines)
