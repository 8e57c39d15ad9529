"""Programs that tests run in processes of their own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HEAVY = ("torch", "lerobot", "gym_pusht", "diffusers", "cv2", "pygame", "scipy", "datasets", "zarr")
PATIENCE = 300.0  # s after which what a test waits for will not come: a hang, never a machine that is slow

FORBID = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {names!r}:
            raise ModuleNotFoundError(f'{{name}} is not installed here', name=name)
sys.meta_path.insert(0, Refuse())
"""

# What is started in the background of a shell ignores SIGINT, and so do its children, unless they say otherwise.
HEED_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"

# Holds the lock of the cache that is named until its standard input ends.
HOLD = """
import sys
from pathlib import Path
from dlscore.cache.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def run_without(code: str, *argv: str, forbid: tuple[str, ...] = HEAVY) -> subprocess.CompletedProcess:
    """Run code where some packages cannot be imported."""
    code = FORBID.format(names=set(forbid)) + code
    return subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=False)


def start(code: str, *argv: str, **options: object) -> subprocess.Popen:
    """Start code in a Python of its own, with pipes, which Ctrl-C interrupts wherever the tests were started from."""
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    return subprocess.Popen([sys.executable, "-c", HEED_INTERRUPTS + code, *argv], text=True, **pipes | options)


@contextmanager
def holding(path: Path) -> Iterator[subprocess.Popen]:
    """Another process that holds the lock of a cache; it gives it back when its standard input is closed."""
    with start(HOLD, str(path)) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()
