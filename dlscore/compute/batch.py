"""Many episodes in one run: an episode that fails does not stop the rest, unless the others would fail too.

An engine is an iterator of results in any order: `run_local` in this process, `ray_engine` on other machines.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlscore.cache.errors import BusyError, CacheError, FolderError, StaleError
from dlscore.cache.reader import open_cache
from dlscore.cache.schema import part_path
from dlscore.common.errors import UserError, debugging
from dlscore.common.progress import Notice, Report, Watch, no_notice, no_report, silent
from dlscore.common.text import format_seconds
from dlscore.compute.resources import CostEstimate
from dlscore.compute.settings import Options, episode_path

if TYPE_CHECKING:
    from dlscore.compute.outcome import Outcome
    from dlscore.compute.run import Run


SLURM_TEMPLATE = Path(__file__).parent / "slurm" / "array.sbatch"
ALIKE = 3  # after so many failures of one kind in a row the rest is not tried


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM in the middle of an episode; the message says what its cache holds."""


class BatchError(UserError):
    """A run that did not finish everything. exit_code: 1 if no episode succeeded, 3 if some did, 130 if interrupted."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True)
class EpisodeResult:
    """What happened to one episode: an outcome, or the reason why it failed.

    fatal: the cause affects every episode. local: it concerns this episode only (a cache of other settings at its path, or
    one that another run is writing). notes: of the policy, where it was loaded in another process.
    """

    episode: int
    path: Path
    outcome: Outcome | None = None
    reason: str = ""
    fatal: bool = False
    local: bool = False
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The reason without paths and numbers, which differ between episodes."""
        return re.sub(r"\S*/\S*|\S+\.h5\S*|[\d.,]+", "#", self.reason)


@dataclass
class Summary:
    """What happened to the episodes that the run reached."""

    wanted: Sequence[int]
    results: list[EpisodeResult] = field(default_factory=list)
    stopped: str = ""  # why the rest was not tried
    interrupted: str = ""
    seconds: float = 0.0

    @property
    def failed(self) -> list[int]:
        """Episodes that failed, in order."""
        return sorted(result.episode for result in self.results if result.reason)

    @property
    def not_tried(self) -> list[int]:
        """Episodes that the run did not finish, in order."""
        return sorted(set(self.wanted) - {result.episode for result in self.results})

    def as_dict(self) -> dict[str, Any]:
        """For JSON: counts of done, skipped (current) and failed episodes, the reasons, and the episodes that were not tried."""
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

    def raise_failures(self) -> None:
        """Raise BatchError unless every episode succeeded."""
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
        raise BatchError(f"{text}; the same command tries the missing ones again", 3 if some else 1)


def collect(results: Iterable[EpisodeResult], wanted: Sequence[int], show: Callable[[EpisodeResult], None]) -> Summary:
    """Take an engine's results as they come, and stop it early if the remaining episodes would fail too."""
    summary, began, alike, kind = Summary(wanted), time.monotonic(), 0, ""
    try:
        for result in results:
            if not result.local:
                alike = 0 if not result.reason else alike + 1 if result.kind == kind else 1
                kind = result.kind
            summary.results.append(result)
            show(result)
            if (result.fatal or alike >= ALIKE) and summary.not_tried:
                why = "the cause affects every episode" if result.fatal else f"the last {ALIKE} failed in the same way"
                summary.stopped = f"stopped early: {why}"
                break
    except UserError as error:  # of the engine itself
        if not summary.results:
            raise
        summary.stopped = f"stopped early: {error}"
    except KeyboardInterrupt as error:
        summary.interrupted = str(error) or "interrupted; the same command resumes with what is missing"
    finally:
        if isinstance(results, Iterator) and hasattr(results, "close"):
            results.close()  # ends the engine's workers
    summary.seconds = time.monotonic() - began
    return summary


def run_local(
    run: Run,
    indices: Sequence[int],
    folder: Path,
    options: Options = Options(),  # noqa: B008  frozen
    *,
    watch: Watch = silent,
    notice: Notice = no_notice,
) -> Iterator[EpisodeResult]:
    """The engine of this process: one episode after another with one loaded policy."""
    paths = {index: episode_path(folder, index) for index in indices}
    todo = [index for index, path in paths.items() if options.force or not path.exists()]
    estimate = CostEstimate(sum(run.count_steps(index) for index in todo), len(todo), notice)
    for index, path in paths.items():
        with watch(f"episode {index}") as report:

            def progress(done: int, steps: int, report: Report = report, path: Path = path) -> None:
                report(done, steps)
                estimate.report(path, done)

            result = attempt(run, index, folder, options, progress=progress, notice=notice)
        yield result


def attempt(
    run: Run,
    index: int,
    folder: Path,
    options: Options = Options(),  # noqa: B008  frozen
    *,
    progress: Report = no_report,
    notice: Notice = no_notice,
) -> EpisodeResult:
    """Compute one episode. Whatever goes wrong is the result's reason, with what its cache holds now."""
    from dlscore.compute.episode import compute_episode

    path = episode_path(folder, index)
    try:
        outcome = compute_episode(run, index, path, options, progress=progress, notice=notice)
    except KeyboardInterrupt as error:
        raise Interrupted(f"interrupted at episode {index}; {describe_remains(path, options.force)}") from error
    except (BusyError, StaleError) as error:
        return EpisodeResult(index, path, reason=str(error), local=True)
    except UserError as error:
        reason = f"{error}; {describe_remains(path, options.force)}"
        return EpisodeResult(index, path, reason=reason, fatal=isinstance(error, FolderError))
    except Exception as error:
        if debugging():
            raise
        reason = f"internal error ({type(error).__name__}: {error}); set DLSCORE_DEBUG=1 to see where"
        return EpisodeResult(index, path, reason=f"{reason}; {describe_remains(path, options.force)}")
    return EpisodeResult(index, path, outcome)


def describe_remains(path: Path, force: bool = False) -> str:
    """What a failed or interrupted run leaves of `path`: a resumable part, the finished file as it was, or nothing."""
    untouched = f"untouched: {path} is as it was" if path.exists() else f"untouched: no {path.name} was made"
    if force and path.exists():  # with --force a part is never resumed
        return untouched
    try:
        with open_cache(part_path(path), partial=True) as cache:
            kept = f"{cache.path} keeps {int(cache.done.sum())} of {cache.steps} steps"
            return f"resumable: {kept}, and the same command {'without --force ' if force else ''}resumes there"
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
