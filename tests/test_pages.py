"""The runner of the tests of pages: exit codes are told, and what does not end is ended with all that it started."""

import sys

import psutil
from pages import run


def test_a_program_that_does_not_end_is_ended_with_its_children(tmp_path):
    note = tmp_path / "children"
    code = (
        "import os; child = os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '600');"
        f"open({str(note)!r}, 'w').write(str(child)); os.wait()"
    )
    assert run([sys.executable, "-S", "-c", code], 8) is None
    child = int(note.read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    assert run([sys.executable, "-c", "raise SystemExit(3)"], 60) == 3
