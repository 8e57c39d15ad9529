"""Damaged caches (make bench-damage): dlscore verify, dlscore info and dlrender answer each with a result or one line.

A result is right where the file reads back as the intact one does. Workers run the commands in their own process, so that
a crash, a hang or a peak above 1 GB is one file's and is counted.
"""

import argparse
import contextlib
import io
import json
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests, for support
sys.path.insert(0, str(Path(__file__).parents[2]))  # before them the packages, whose names folders of tests have too

LIMIT_S, LIMIT_MB = 20, 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--each", type=int, default=50, help="files a worker")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", nargs=2, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(*options.worker)
        return
    rows = []
    first, last = options.first, options.first + options.count
    while first < last:
        until = min(first + options.each, last)
        done = subprocess.run([sys.executable, __file__, "--worker", str(first), str(until)], capture_output=True,
                              text=True, check=False)  # fmt: skip
        found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        rows += found
        first += len(found)
        if done.returncode:  # it died at the file after the last that it told of
            rows.append(
                {
                    "seed": first,
                    "change": "?",
                    "verdict": f"worker died ({done.returncode})",
                    "lines": done.stderr[-300:],
                }
            )
            first += 1
    print(Counter(row["verdict"] for row in rows))
    print(Counter(row["change"] for row in rows))
    for row in rows:
        if row["verdict"] not in ("refused", "right"):
            print(row)
    print(f"{len(rows)} damaged caches; peak {max(row.get('peak_mb', 0) for row in rows):.0f} MB")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


def work(first: int, until: int) -> None:
    from support.damage import damaged
    from support.synthetic import write_cache

    from dlrender import cli as rendering
    from dlscore.cli import commands as scoring

    with tempfile.TemporaryDirectory() as folder:
        path = write_cache(Path(folder) / "intact" / "episode_000.h5", steps=3, resolution=8)
        intact, reference = path.read_bytes(), content(path)
        path = Path(folder) / "episode_000.h5"
        for seed in range(first, until):
            change = damaged(intact, seed, path)
            verdicts, lines = [], []
            for cli, *argv in (
                (scoring, "verify", path),
                (scoring, "info", path),
                (scoring, "info", path, "--json"),
                (rendering, "render", path, "--output-dir", Path(folder) / "out", "--target-height", 120, "--force"),
            ):
                code, _, err = call(cli, *argv)
                line = err.strip().splitlines()
                if code == 0:
                    verdicts.append("right" if content(path) == reference else "another result")
                elif (
                    code in (1, 2) and len([each for each in line if "error:" in each]) == 1 and "Traceback" not in err
                ):
                    verdicts.append("internal error" if "internal error" in err else "refused")
                else:
                    verdicts.append(f"exit {code}")
                lines.append(f"{argv[0]}: {code} {err.strip()[-300:]}")
            peak = peak_mb()
            if peak > LIMIT_MB:
                verdicts.append("too much memory")
            worst = next((each for each in verdicts if each not in ("right", "refused")), verdicts[0])
            row = {"seed": seed, "change": change, "verdict": worst, "peak_mb": peak}
            if worst not in ("right", "refused"):
                row["lines"] = lines
            print(json.dumps(row), flush=True)


def call(cli, *argv) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    sys.argv = [cli.app.info.name, *map(str, argv)]

    def hang(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, hang)
    signal.alarm(LIMIT_S)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            cli.main()
    except SystemExit as exit:
        return int(exit.code or 0), out.getvalue(), err.getvalue()
    except BaseException as error:
        return 99, out.getvalue(), f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    return 0, out.getvalue(), err.getvalue()


def content(path: Path) -> object:
    """All that readers see of a cache."""
    from dlscore.cache.reader import open_cache
    from dlscore.common.errors import UserError

    try:
        with open_cache(path, partial=True) as cache:
            arrays = [
                cache.time,
                cache.expert_action,
                cache.predicted_action,
                cache.predicted_chunks,
                cache.state,
                cache.drift,
            ]
            arrays += [cache.frame(k) for k in range(cache.steps)]
            arrays += [cache.score(method, k) for method in cache.methods for k in range(cache.steps)]
            attrs = {key: cache.attrs.get(key) for key in ("episode", "fps")}
            methods = {
                method: {key: cache.score_attrs(method)[key] for key in ("kind", "units")} for method in cache.methods
            }
            return [array.tobytes() for array in arrays], attrs, methods
    except UserError as error:
        return str(error)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


if __name__ == "__main__":
    main()
