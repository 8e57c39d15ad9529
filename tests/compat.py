"""LeRobot's versions (make compat): the tests of checkpoints and data sets under each, and whether the scores are the same bits.

Each version is an overlay in build/compat, installed there once and put before the environment's own packages. What a
version needs otherwise than the environment has it is overlaid too, but for torch, which is gigabytes: what departs from
the version's own requirements is printed. PYTHONPATH goes after the overlay, so a folder with another torch can be given.

For the scores each version saves a policy that looks at pictures and a data set, and each version scores the savings of
all: every array of every cache must be the same to the last bit.
"""

import argparse
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "compat"
OLDER = ("draccus==0.10.0", "diffusers==0.35.2")  # what 0.5.1 and 0.6.0 ask for, and 0.6.1 does not allow
OVERLAYS = {
    # 0.5.1 imports every robot of LeRobot's with the policies.
    "0.5.1": ("lerobot==0.5.1", *OLDER, "pyserial==3.5", "deepdiff==8.6.1", "orderly-set==5.5.0"),
    "0.6.0": ("lerobot==0.6.0", *OLDER),
    "0.6.1": ("lerobot==0.6.1",),
}
EXTRAS = ("", "dataset", "diffusion", "pusht", "av-dep", "diffusers-dep")
TESTS = ("tests/policy", "tests/episodes", "tests/cli/test_offline.py")
LEFT_OUT = "tests/episodes/test_human.py"  # reads the whole human data
NO_VIDEO = (
    "module 'torchvision.io' has no attribute 'VideoReader'"  # LeRobot 0.5 decodes with it; torchvision < 0.26 has it
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--versions", nargs="+", choices=OVERLAYS, default=list(OVERLAYS))
    parser.add_argument("--save", type=Path, help="(its own use) save a policy and a data set here")
    parser.add_argument(
        "--score", nargs="+", type=Path, help="(its own use) score what was saved in these into the first"
    )
    options = parser.parse_args()
    if options.save:
        return save(options.save)
    if options.score:
        return score(*options.score)
    overlays = {each: install(each) for each in options.versions}
    good = compare(overlays)
    print(f"{'LeRobot':8} {'passed':>7} {'failed':>7} {'skipped':>8} {'no video':>9} {'seconds':>8}", flush=True)
    for each, overlay in overlays.items():
        good = run_tests(each, overlay) and good
    for each, overlay in overlays.items():
        if apart := departures(overlay):
            print(f"{each} ran with {', '.join(apart)}")
    sys.exit(not good)


def install(name: str) -> Path:
    """The overlay of a LeRobot version; it needs the network once."""
    folder, wanted = FOLDER / f"lerobot-{name}", "\n".join(OVERLAYS[name])
    stamp = folder / "installed"
    if not stamp.is_file() or stamp.read_text() != wanted:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--retries", "1",
                   "--timeout", "15", "--target", str(folder), *OVERLAYS[name]]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = next((line for line in reversed(done.stderr.splitlines()) if "ERROR" in line), "pip failed")
            sys.exit(
                f"compat: LeRobot {name} cannot be installed into {folder.relative_to(ROOT)} (no network?): {last}"
            )
        stamp.write_text(wanted)
    return folder


def call(overlay: Path, *argv: object) -> subprocess.CompletedProcess:
    """A Python program under an overlay, at one thread."""
    places = [overlay, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), ROOT, ROOT / "tests"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, argv)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def run_tests(name: str, overlay: Path) -> bool:
    """Print the row of a version, and what failed; whether nothing did."""
    began, report = time.monotonic(), overlay.with_suffix(".xml")
    report.unlink(missing_ok=True)
    done = call(overlay, "-m", "pytest", "-q", "-n", 2, "-p", "no:cacheprovider", f"--junit-xml={report}", *TESTS,
                f"--ignore={LEFT_OUT}")  # fmt: skip
    if not report.is_file():
        print(f"{name:8} did not run: {(done.stderr or done.stdout).strip().splitlines()[-1]}", flush=True)
        return False
    counts, failed = Counter(), []
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag: (child.get("message") or "") + (child.text or "") for child in case}
        text = kinds.get("failure", kinds.get("error"))
        if text is None:
            counts["skipped" if "skipped" in kinds else "passed"] += 1
        elif NO_VIDEO in text:
            counts["no video"] += 1
        else:
            counts["failed"] += 1
            failed.append(f"  {case.get('classname')}.{case.get('name')}: {' '.join(text.split())[:200]}")
    row = f"{counts['passed']:7} {counts['failed']:7} {counts['skipped']:8} {counts['no video']:9}"
    print(f"{name:8} {row} {time.monotonic() - began:8.0f}", *failed, sep="\n", flush=True)
    return not failed and counts["passed"] > 0


def departures(overlay: Path) -> list[str]:
    """Packages of another version than LeRobot asks for, of those that are installed."""
    from packaging.requirements import Requirement

    found = {each.name.lower(): each for each in distributions(path=[str(overlay)])}
    apart = []
    for each in map(Requirement, found["lerobot"].requires or ()):
        if each.name == "lerobot" or not any(each.marker is None or each.marker.evaluate({"extra": x}) for x in EXTRAS):
            continue
        try:
            have = found[each.name].version if each.name in found else version(each.name)
        except PackageNotFoundError:
            continue
        if not each.specifier.contains(have):
            apart.append(f"{each.name} {have} (it asks for {each.specifier})")
    return apart


def compare(overlays: dict[str, Path]) -> bool:
    """Print whether each version scores what each has saved to the same bits; whether they do."""
    import tempfile

    from support.runs import everything

    with tempfile.TemporaryDirectory() as place:
        saved = [Path(place) / f"saved-{name}" for name in overlays]
        for overlay, folder in zip(overlays.values(), saved, strict=True):
            finish(call(overlay, __file__, "--save", folder))
        for name, overlay in overlays.items():
            finish(call(overlay, __file__, "--score", Path(place) / f"by-{name}", *saved))
        files = sorted(Path(place).glob("by-*/*.h5"))
        first, *others = [everything(file) for file in files]
        apart = [
            file.relative_to(place) for file, arrays in zip(files[1:], others, strict=True) if not same(first, arrays)
        ]
    print(f"scores: {len(files)} caches ({len(overlays)} savers × {len(overlays)} readers) of {len(first)} arrays, "
          + (f"apart from the first: {', '.join(map(str, apart))}" if apart else "the same to the last bit"))  # fmt: skip
    return not apart


def same(one: dict, two: dict) -> bool:
    return one.keys() == two.keys() and all(
        values.dtype == two[name].dtype and values.tobytes() == two[name].tobytes() for name, values in one.items()
    )


def finish(done: subprocess.CompletedProcess) -> None:
    if done.returncode:
        sys.exit(f"compat: {' '.join(map(str, done.args[1:]))} failed:\n{done.stderr[-2000:]}")


def save(folder: Path) -> None:
    """A policy and a data set, as the LeRobot that is imported saves them."""
    from support import stub

    from dlscore.episodes.episode import IMAGE

    stub.save_policy(folder / "policy", **stub.image_config())
    stub.save_dataset(folder / "data", episodes=1, steps=12, cameras=(IMAGE,), video=False)


def score(output: Path, *saved: Path) -> None:
    """A cache of each saved pair in `output`."""
    from support.runs import ALL

    from dlscore.compute.episode import compute_episode
    from dlscore.compute.run import Run
    from dlscore.episodes.dataset import open_dataset
    from dlscore.policy.load import load_policy

    output.mkdir()
    for folder in saved:
        run = Run(load_policy(str(folder / "policy"), device="cpu"), open_dataset(root=folder / "data"), ALL)
        compute_episode(run, 0, output / f"{folder.name}.h5")


if __name__ == "__main__":
    main()
