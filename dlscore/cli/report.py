"""What `dlscore` prints: results on stdout, warnings and failures on stderr, or JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import typer

from dlscore.cache.drift import format_drift
from dlscore.cache.errors import CacheError
from dlscore.cache.summary import PROVENANCE, read_checks, read_densities
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


# The checks of files of schema 1.4 and before.
EARLIER = {"sampling_error": "standard error", "level_difference": "difference of the noise levels"}


def format_checks(checks: Mapping[str, Any], names: Sequence[str] = tuple(EARLIER)) -> str:
    """`summarize_checks` of an earlier version's checks as a line; "" without them."""
    parts = [f"{EARLIER[name]} {checks[name]['median']:.3f}, largest {checks[name]['largest']:.3f}"
             for name in names if name in checks]  # fmt: skip
    return f"{'; '.join(parts)} (total variation)" if parts else ""


def format_density(density: Mapping[str, Any], checks: Mapping[str, Any] = MappingProxyType({})) -> str:
    """`summarize_density` as a line: error, mass inside, and how the policy's own actions lie in the density."""
    parts = [format_checks(checks, ["sampling_error"])]
    if "error" in density:
        parts = [f"error {density['error']['median']:.3f}, largest {density['error']['largest']:.3f} (total variation)"]
    if "inside" in density:
        parts.append(f"inside the grid {100 * density['inside']['least']:.1f} % or more")
    if "calibration" in density:
        parts.append(format_calibration(density["calibration"]))
    return "; ".join(filter(None, parts))


def format_calibration(calibration: Mapping[str, Any]) -> str:
    """`Calibration.as_dict` in a few words."""

    def said(estimate: Mapping[str, Any], scale: int, digits: int) -> str:
        interval = estimate["interval"]
        ends = "" if interval is None else f" [{scale * interval[0]:.{digits}f}, {scale * interval[1]:.{digits}f}]"
        return f"{scale * estimate['value']:.{digits}f}{ends}"

    levels = "/".join(f"{100 * each['level']:g}" for each in calibration["coverage"])
    shares = ", ".join(said(each, 100, 0) for each in calibration["coverage"])
    return f"own actions: mean rank {said(calibration['mean_rank'], 1, 2)}, in the {levels} % regions {shares} %"


def _stride(every: int) -> str:
    return f" (1 in {every})" if every > 1 else ""


def _chunk_cost(described: Mapping[str, Any]) -> str:
    # The chunks are drawn whatever the methods are; files of earlier versions do not say what they cost.
    cost = described.get("chunk_evaluations_per_step")
    return "" if cost is None else f", drawn with {cost} evaluations per step"


def format_cache(described: dict[str, Any]) -> str:
    """`summarize` as indented lines."""
    lines = [
        f"{described['path']}: episode {described['episode']}, {described['state']}, "
        f"{described['steps_done']}/{described['steps']} steps{_stride(described['every'])}, "
        f"{described['bytes'] / 1e6:.2f} MB",
        f"  grid {described['grid'][0]} × {described['grid'][1]}, chunks {described['predicted_chunks']}{_chunk_cost(described)}",
        f"  largest drift of the replay: {format_drift(described['largest_drift'])}",
        f"  recorded actions: {described['recorded_action']}; per step: {', '.join(described['outcome']) or 'no outcome'}",
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
        checks, density = described["checks"].get(name, {}), described["densities"].get(name, {})
        if attrs.get("density"):
            lines.append(
                f"    density of the {attrs['density']} action, {attrs.get('components', 0)} components a step"
            )
        lines += [
            f"    {line}"
            for line in (format_density(density) if "error" in density else format_checks(checks),)
            if line
        ]
        lines += [f"    warning: {warning}" for warning in density.get("warnings", ())]
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
        return
    warnings = [result.outcome.warning] if result.outcome.warning else []
    with suppress(CacheError):  # it was removed in the meantime
        warnings += [each for density in read_densities(result.path).values() for each in density["warnings"]]
    for warning in warnings:
        note(f"warning: {warning}")


def format_result(result: EpisodeResult) -> str:
    """The line of an episode that did not fail."""
    outcome = result.outcome
    assert outcome is not None
    line = (
        f"{result.path}: {outcome.state}, {outcome.steps} steps in {outcome.seconds:.1f} s, largest replay drift "
        f"{format_drift(outcome.drift)}; the block's pose from {outcome.pose_source}"
    )
    checks, densities = read_checks(result.path), read_densities(result.path)
    told = {name: format_density(density, checks.get(name, {})) for name, density in densities.items()}
    return line + "".join(f"\n  {name}: {each}" for name, each in told.items() if each)


def as_row(result: EpisodeResult) -> dict[str, Any]:
    """An episode's result for JSON."""
    if result.outcome is None:
        return {"episode": result.episode, "path": str(result.path), "state": "failed", "reason": result.reason}
    outcome = result.outcome
    row = {**vars(outcome), "path": str(result.path), "warning": outcome.warning}
    try:
        return {**row, "checks": read_checks(result.path), "densities": read_densities(result.path)}
    except CacheError as error:  # it was removed in the meantime
        return {**row, "checks": {}, "densities": {}, "unread": str(error)}


def tell_summary(summary: Summary) -> None:
    """Print the summary of several episodes on stdout."""
    if len(summary.wanted) > 1:
        typer.echo(summary.as_text())


def end(summaries: Mapping[str, Summary], as_json: bool) -> None:
    """Print the summaries as JSON on stdout, by checkpoint unless the only name is ""; raise BatchError if episodes failed."""
    if as_json:
        tables = {name: {"episodes": [as_row(result) for result in summary.results], "summary": summary.as_dict()}
                  for name, summary in summaries.items()}  # fmt: skip
        typer.echo(json.dumps(tables.get("", {"checkpoints": tables})))
    worst = sorted(summaries.values(), key=lambda summary: (bool(summary.interrupted), len(summary.failed)))
    worst[-1].raise_failures()


def format_rollouts(found: Mapping[str, Any]) -> str:
    """`Rollouts.as_dict` as a line for each seed, and the success rate."""
    lines = [
        f"seed {each['seed']}: {'success' if each['success'] else 'no success'}, {each['steps']} steps, best reward "
        f"{each['best_reward']:.3f}"
        for each in found["rollouts"]
    ]
    success = found["success"]
    low, high = success["interval"]
    lines.append(
        f"{found['folder']}: {found['state']}, {success['successes']} of {success['rollouts']} succeeded: {success['rate']:.2f} "
        f"[{low:.2f}, {high:.2f}] (95 %, Wilson)"
    )
    return "\n".join(lines)


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
