"""What `dlscore` prints: results on stdout, warnings and failures on stderr, or JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from dlscore.cache.drift import format_drift
from dlscore.cache.errors import CacheError
from dlscore.cache.summary import PROVENANCE, read_checks
from dlscore.compute.batch import EpisodeResult, Summary


def format_verified(found: dict[str, Any]) -> str:
    """`verify` as a line."""
    steps = f"{found['steps_done']} of {found['steps']} steps of {', '.join(found['methods'])}"
    if found["state"] == "partial":
        return f"{found['path']}: intact so far, {steps}"
    arrays, attributes = found["checksums"]["arrays"], found["checksums"]["attributes"]
    sums = (
        f"{arrays} arrays and {attributes} attributes match their checksums" if arrays else "no checksums (schema 1.2)"
    )
    sealed = "sealed" if found["sealed"] else "no seal: it is of schema 1.2, or another program has changed it"
    return f"{found['path']}: intact, {steps}; {sums}; {sealed}"


CHECK_WORDS = {"sampling_error": "standard error", "level_difference": "difference of the noise levels"}


def format_checks(checks: dict[str, Any], names: Sequence[str] = tuple(CHECK_WORDS)) -> str:
    """`summarize_checks` as a line."""
    parts = [f"{CHECK_WORDS[name]} {checks[name]['median']:.3f}, largest {checks[name]['largest']:.3f}"
             for name in names if name in checks]  # fmt: skip
    return f"{'; '.join(parts)} (total variation)"


def _chunk_cost(described: Mapping[str, Any]) -> str:
    # The chunks are drawn whatever the methods are; files of earlier versions do not say what they cost.
    cost = described.get("chunk_evaluations_per_step")
    return "" if cost is None else f", drawn with {cost} evaluations per step"


def format_cache(described: dict[str, Any]) -> str:
    """`summarize` as indented lines."""
    lines = [
        f"{described['path']}: episode {described['episode']}, {described['state']}, "
        f"{described['steps_done']}/{described['steps']} steps, {described['bytes'] / 1e6:.2f} MB",
        f"  grid {described['grid'][0]} × {described['grid'][1]}, chunks {described['predicted_chunks']}{_chunk_cost(described)}",
        f"  largest drift of the replay: {format_drift(described['largest_drift'])}",
    ]
    for name, attrs in described["methods"].items():
        settings = ", ".join(f"{key} {value}" for key, value in attrs["parameters"].items())
        lines.append(
            f"  {name} [{attrs['units']}]: {attrs['definition']}; {attrs['evaluations_per_step']} evaluations per step"
            + (f" ({settings})" if settings else "")
        )
        if name in described["mass_in_grid"]:
            low, high = described["mass_in_grid"][name]
            lines.append(f"    probability inside the grid: {low:.4f} to {high:.4f} over the steps")
        if name in described["checks"]:
            lines.append(f"    {format_checks(described['checks'][name])}")
    for name in PROVENANCE:
        if described.get(name) not in (None, "") and name != "identity":
            value = described[name]
            text = ", ".join(f"{key} {each}" for key, each in value.items()) if isinstance(value, dict) else value
            lines.append(f"  {name}: {text}")
    return "\n".join(lines)


def note(text: str) -> None:
    """Print a notice on stderr while the run goes on."""
    typer.echo(f"dlscore: {text}", err=True)


def show(result: EpisodeResult) -> None:
    """An episode's line, when it is done; its failure or warning on stderr."""
    if result.outcome is not None:
        typer.echo(format_result(result))
    tell_trouble(result)


def tell_trouble(result: EpisodeResult) -> None:
    """The failure or the warning of an episode, on stderr."""
    if result.outcome is None:
        note(f"episode {result.episode} failed: {' '.join(result.reason.split())}")
    elif result.outcome.warning:
        note(f"warning: {result.outcome.warning}")


def format_result(result: EpisodeResult) -> str:
    """The line of an episode that did not fail."""
    outcome = result.outcome
    assert outcome is not None
    line = (
        f"{result.path}: {outcome.state}, {outcome.steps} steps in {outcome.seconds:.1f} s, largest replay drift "
        f"{format_drift(outcome.drift)}; the block's pose from {outcome.pose_source}"
    )
    checks = read_checks(result.path)
    return line + "".join(
        f"\n  {name}: {format_checks(each, ['sampling_error'])}" for name, each in checks.items() if each
    )


def as_row(result: EpisodeResult) -> dict[str, Any]:
    """An episode's result for JSON."""
    if result.outcome is None:
        return {"episode": result.episode, "path": str(result.path), "state": "failed", "reason": result.reason}
    outcome = result.outcome
    row = {**vars(outcome), "path": str(result.path), "warning": outcome.warning}
    try:
        return {**row, "checks": read_checks(result.path)}
    except CacheError as error:  # it was removed in the meantime
        return {**row, "checks": {}, "unread": str(error)}


def end(summary: Summary, as_json: bool) -> None:
    """Print the summary on stdout; raise BatchError if episodes failed."""
    if as_json:
        typer.echo(
            json.dumps({"episodes": [as_row(result) for result in summary.results], "summary": summary.as_dict()})
        )
    elif len(summary.wanted) > 1:
        typer.echo(summary.as_text())
    summary.raise_failures()


def format_plan(rows: Sequence[Mapping[str, Any]]) -> str:
    """`plan_episodes` as one line per episode, and a count of each state."""
    lines = []
    for row in rows:
        line = f"{row['path']}: {row['state']}"
        if row["state"] != "failed":
            line += f", {row['steps']} steps, {row['evaluations_per_step']} evaluations per step"
        if row["state"] == "partial":
            line += f", {row['steps_done']} steps are done"
        lines.append(line + (f" ({row['reason']})" if row["reason"] else ""))
    if len(rows) > 1:
        states = Counter(row["state"] for row in rows)
        lines.append(f"{len(rows)} episodes: " + ", ".join(f"{count} {state}" for state, count in states.items()))
    return "\n".join(lines)


def format_status(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table, and a count of each state."""
    header = ("folder", "episode", "state", "steps", "methods", "MB")
    lines = [
        (row["folder"], str(row["episode"]), row["state"] + (" (locked)" if row["locked"] else ""),
         f"{row['steps_done']}/{row['steps']}", " ".join(row["methods"]) or row["note"], f"{row['bytes'] / 1e6:.2f}")
        for row in rows
    ]  # fmt: skip
    widths = [max(len(line[k]) for line in (header, *lines)) for k in range(len(header))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
             for line in (header, *lines)]  # fmt: skip
    states = {state: sum(row["state"] == state for row in rows) for state in ("finished", "partial", "damaged")}
    table.append(", ".join(f"{count} {state}" for state, count in states.items()))
    return "\n".join(table)
