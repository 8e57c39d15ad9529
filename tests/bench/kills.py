"""Runs killed at random moments and resumed (make bench-kills): the same file in the end, and at most ten steps done twice.

Each trial forks this program, which has torch and all else loaded, runs `dlscore compute` of 60 steps in the child, sends
it the signal at a random moment of an undisturbed run's time, then runs the same command to its end.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a forked child has no thread pool
sys.path.insert(0, str(Path(__file__).parents[1]))  # tests, for support
sys.path.insert(0, str(Path(__file__).parents[2]))  # before them the packages, whose names folders of tests have too

STEPS = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--terms", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    from support import stub
    from support.runs import assert_same

    import dlscore.compute  # noqa: F401  loaded before the fork
    from dlscore.cache.reader import open_cache
    from dlscore.cache.schema import part_path

    rng, rows = random.Random(options.seed), []
    with tempfile.TemporaryDirectory() as folder:
        policy = stub.save_policy(Path(folder) / "policy", num_inference_steps=5)
        data = stub.save_dataset(Path(folder) / "data", episodes=1, steps=STEPS)
        argv = ["compute", "--policy-path", policy, "--dataset-root", data, "--device", "cpu", "--action-resolution", 16,
                "--scoring-method", "likelihood,distance", "--density", "model", "--samples", 16, "--solver-steps", 2,
                "--chunks", 2]  # fmt: skip
        whole = Path(folder) / "whole" / "episode_000.h5"
        began = time.monotonic()
        assert finish(start([*argv, "--output-dir", whole.parent]))[0] == 0
        undisturbed = time.monotonic() - began
        for number, sent in enumerate([signal.SIGKILL] * options.kills + [signal.SIGTERM] * options.terms):
            path = Path(folder) / "trial" / "episode_000.h5"
            code = 0
            while code == 0:  # a run that had ended before the signal came was not disturbed, and is no trial
                shutil.rmtree(path.parent, ignore_errors=True)
                child = start([*argv, "--output-dir", path.parent])
                moment = rng.uniform(0, undisturbed)
                time.sleep(moment)
                os.kill(child[0], sent)
                code, encoded = finish(child)
            kept, left = 0, "nothing"
            if path.exists():
                kept, left = STEPS, "finished"
            elif part_path(path).exists():
                with open_cache(part_path(path), partial=True) as cache:
                    kept, left = int(cache.done.sum()), "part"
            resumed, again = finish(start([*argv, "--output-dir", path.parent]))
            row = {"signal": sent.name, "moment_s": moment, "exit": code, "left": left, "kept": kept,
                   "recomputed": encoded + again - STEPS, "resumed": resumed, "same": False}  # fmt: skip
            if resumed == 0:
                try:
                    assert_same(whole, path)
                    row["same"] = sorted(os.listdir(path.parent)) == [path.name]
                except AssertionError as error:
                    row["difference"] = str(error)[:300]
            rows.append(row)
            if not row["same"] or row["recomputed"] > 10:
                print(number, row, flush=True)
    for name in ("SIGKILL", "SIGTERM"):
        mine = [row for row in rows if row["signal"] == name]
        if mine:
            print(
                f"{name}: {len(mine)} of an undisturbed run of {undisturbed:.1f} s; {sum(row['same'] for row in mine)} ended in "
                f"the same file; at most {max(row['recomputed'] for row in mine)} steps recomputed; found "
                f"{dict(Counter(row['left'] for row in mine))}, exits {dict(Counter(row['exit'] for row in mine))}"
            )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    sys.exit(any(not row["same"] or row["recomputed"] > 10 for row in rows))


def start(argv: list[object]) -> tuple[int, int]:
    """(process, pipe) of a fork that runs the command, and tells through the pipe each step that it encodes."""
    reader, writer = os.pipe()
    process = os.fork()
    if process:
        os.close(writer)
        return process, reader
    os.close(reader)
    code = 99
    try:
        from dlscore.cli import commands
        from dlscore.policy.base import Policy

        observe = Policy.observe  # of which each family's encoder makes use

        def told(self, windows):
            os.write(writer, b"." * len(windows["observation.state"]))
            return observe(self, windows)

        Policy.observe = told
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        sys.argv = ["dlscore", *map(str, argv)]
        commands.main()
    except SystemExit as exit:
        code = int(exit.code or 0)
    finally:
        os._exit(code)


def finish(child: tuple[int, int]) -> tuple[int, int]:
    """(exit code, steps encoded) of a child, when it has ended."""
    process, reader = child
    with os.fdopen(reader, "rb") as pipe:
        encoded = len(pipe.read())
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), encoded


if __name__ == "__main__":
    main()
