"""The runner of the tests of pages: exit codes are told, and what does not end is ended with all that it started."""

import sys
import time

import psutil
from pages import run


def ended(process: int) -> bool:
    try:
        return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_program_that_does_not_end_is_ended_with_its_children(tmp_path):
    note = tmp_path / "children"
    code = (
        "import os; child = os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '600');"
        f"open({str(note)!r}, 'w').write(str(child)); os.wait()"
    )
    assert run([sys.executable, "-S", "-c", code], 8) is None
    child, until = int(note.read_text()), time.monotonic() + 60
    while not ended(child) and time.monotonic() < until:  # what is killed may die a little later
        time.sleep(0.05)
    assert ended(child)
    assert run([sys.executable, "-c", "raise SystemExit(3)"], 60) == 3
