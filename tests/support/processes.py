"""Programs that tests run in processes of their own."""

import subprocess
import sys

HEAVY = ("torch", "lerobot", "gym_pusht", "diffusers", "cv2", "pygame", "scipy", "datasets", "zarr")

FORBID = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {names!r}:
            raise ModuleNotFoundError(f'{{name}} is not installed here', name=name)
sys.meta_path.insert(0, Refuse())
"""

# Holds the lock of the cache that is named, until it is killed.
HOLD = """
import sys, time
from pathlib import Path
from dlscore.cache.lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def run_without(code: str, *argv: str, forbid: tuple[str, ...] = HEAVY) -> subprocess.CompletedProcess:
    """Run code where some packages cannot be imported."""
    code = FORBID.format(names=set(forbid)) + code
    return subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=False)
