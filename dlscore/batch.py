"""Many episodes in one run: one that fails does not stop the rest, and one that shows why all will fail does.

An engine is an iterator of results, in whatever order they come: `local` here, `ray_engine` on other machines.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlscore.cache import read_episode
from dlscore.console import debugging
from dlscore.errors import UserError
from dlscore.plan import Settings, count_steps, episode_path
from dlscore.preflight import Estimate, format_seconds
from dlscore.schema import BusyError, CacheError, FolderError, StaleError, part_path

if TYPE_CHECKING:
    from dlscore.compute import Outcome
    from dlscore.diffusion import Policy
    from dlscore.episodes import Source
    from dlscore.progress import Report

ALIKE = 3  # so many failures of one kind in a row, and the rest is not tried


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM in the middle of an episode; the message says what its cache holds."""


class BatchError(UserError):
    """A run that did not do all. exit_code: 1 where no episode succeeded, 3 where some did, 130 interrupted."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Options:
    """What does not decide the numbers: `wait` [s] for another run's cache, and whether to start over."""

    output_dir: Path
    force: bool = False
    replace_stale: bool = False
    wait: float = 0.0


@dataclass(frozen=True)
class Result:
    """What became of one episode: an outcome, or why it failed.

    `hopeless`: the other episodes would fail there too. `own`: what is wrong is what lies at this path (a cache of other
    settings, or one that another run is writing), which says nothing of the other episodes.
    """

    episode: int
    path: Path
    outcome: Outcome | None = None
    reason: str = ""
    hopeless: bool = False
    own: bool = False

    @property
    def kind(self) -> str:
        """The reason without what differs from episode to episode: paths, numbers."""
        return re.sub(r"\S*/\S*|\S+\.h5\S*|[\d.,]+", "#", self.reason)


@dataclass
class Summary:
    """What became of all of them, as far as the run came."""

    wanted: Sequence[int]
    results: list[Result] = field(default_factory=list)
    stopped: str = ""  # why the rest was not tried
    interrupted: str = ""
    seconds: float = 0.0

    @property
    def failed(self) -> list[int]:
        """Episodes that failed, in order."""
        return sorted(result.episode for result in self.results if result.reason)

    @property
    def not_tried(self) -> list[int]:
        """Episodes that the run did not come to the end of, in order."""
        return sorted(set(self.wanted) - {result.episode for result in self.results})

    def as_dict(self) -> dict[str, Any]:
        """For JSON: how many were done, skipped (they were current) and failed, which and why, and what was not tried."""
        states = Counter(result.outcome.state for result in self.results if result.outcome)
        return {
            "wanted": len(self.wanted),
            "done": sum(states.values()) - states["current"],
            "skipped": states["current"],
            "failed": {result.episode: result.reason for result in self.results if result.reason},
            "not_tried": self.not_tried,
            "stopped": self.stopped,
            "seconds": round(self.seconds, 3),
        }

    def as_text(self) -> str:
        """The same as a line."""
        counts = self.as_dict()
        line = f"{counts['wanted']} episodes: {counts['done']} done, {counts['skipped']} skipped (current)"
        line += f", {len(self.failed)} failed" + (f" ({_listed(self.failed)})" if self.failed else "")
        line += f", {len(self.not_tried)} not tried ({_listed(self.not_tried)})" if self.not_tried else ""
        return f"{line}; {format_seconds(self.seconds)}"

    def check(self) -> None:
        """Raise BatchError if not all went well."""
        if self.interrupted:
            raise BatchError(self.interrupted, 130)
        if not self.failed and not self.stopped:
            return
        if len(self.wanted) == 1:
            raise BatchError(self.results[0].reason, 1)
        text = f"{len(self.failed)} of {len(self.wanted)} episodes failed" + (
            f"; {self.stopped}" if self.stopped else ""
        )
        some = len(self.results) > len(self.failed)
        raise BatchError(f"{text}; the same command tries again what is missing", 3 if some else 1)


def collect(results: Iterable[Result], wanted: Sequence[int], show: Callable[[Result], None]) -> Summary:
    """Take an engine's results as they come, and stop it early where what fails is not the episode's own affair."""
    summary, began, alike, kind = Summary(wanted), time.monotonic(), 0, ""
    try:
        for result in results:
            if not result.own:
                alike = 0 if not result.reason else alike + 1 if result.kind == kind else 1
                kind = result.kind
            summary.results.append(result)
            show(result)
            if (result.hopeless or alike >= ALIKE) and summary.not_tried:
                why = "it is not the episode's fault" if result.hopeless else f"the last {ALIKE} failed in the same way"
                summary.stopped = f"stopped early, since {why}"
                break
    except UserError as error:  # the engine's own
        if not summary.results:
            raise
        summary.stopped = f"stopped early, since {error}"
    except KeyboardInterrupt as error:
        summary.interrupted = str(error) or "interrupted; the same command goes on with what is missing"
    finally:
        if isinstance(results, Iterator) and hasattr(results, "close"):
            results.close()  # an engine's workers end with it
    summary.seconds = time.monotonic() - began
    return summary


def local(
    policy: Policy,
    source: Source,
    indices: Sequence[int],
    settings: Settings,
    options: Options,
    watch: Callable[[int], AbstractContextManager[Report]],
    notice: Callable[[str], None],
) -> Iterator[Result]:
    """The engine of this process: one episode after the other under one loaded policy."""
    paths = {index: episode_path(options.output_dir, index) for index in indices}
    todo = [index for index, path in paths.items() if options.force or not path.exists()]
    estimate = Estimate(sum(count_steps(source.lengths[index], settings) for index in todo), len(todo), notice)
    for index, path in paths.items():
        with watch(index) as report:

            def progress(done: int, steps: int, report: Report = report, path: Path = path) -> None:
                report(done, steps)
                estimate.report(path, done)

            result = attempt(policy, source, index, settings, options, progress, notice)
        yield result


def attempt(
    policy: Policy,
    source: Source,
    index: int,
    settings: Settings,
    options: Options,
    progress: Callable[[int, int], None] = lambda done, steps: None,
    notice: Callable[[str], None] = lambda text: None,
) -> Result:
    """Compute one episode; whatever goes wrong is the result's reason, with what its cache holds now."""
    from dlscore.compute import compute_episode

    path = episode_path(options.output_dir, index)
    try:
        outcome = compute_episode(policy, source, index, path, settings, force=options.force,
                                  replace_stale=options.replace_stale, wait=options.wait, progress=progress,
                                  notice=notice)  # fmt: skip
    except KeyboardInterrupt as error:
        raise Interrupted(f"interrupted at episode {index}; {held(path, options.force)}") from error
    except (BusyError, StaleError) as error:
        return Result(index, path, reason=str(error), own=True)
    except UserError as error:
        reason = f"{error}; {held(path, options.force)}"
        return Result(index, path, reason=reason, hopeless=isinstance(error, FolderError))
    except Exception as error:
        if debugging():
            raise
        reason = f"internal error ({type(error).__name__}: {error}); set DLSCORE_DEBUG=1 to see where"
        return Result(index, path, reason=f"{reason}; {held(path, options.force)}")
    return Result(index, path, outcome)


def held(path: Path, force: bool = False) -> str:
    """What a run that came to no good end leaves of `path`: resumable, finished and untouched, or nothing."""
    untouched = f"untouched: {path} is as it was" if path.exists() else f"untouched: no {path.name} was made"
    if force and path.exists():  # without --force it is what there is, and with --force all is started over
        return untouched
    try:
        with read_episode(part_path(path), partial=True) as cache:
            kept = f"{cache.path} keeps {int(cache.done.sum())} of {cache.steps} steps"
            return f"resumable: {kept}, and the same command {'without --force ' if force else ''}goes on there"
    except CacheError:
        return untouched


def _listed(indices: Sequence[int]) -> str:
    # 0-3, 7, 9-11: as --episodes takes them.
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
