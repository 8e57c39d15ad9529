"""Errors are one line and an exit code."""

import os
import subprocess
import sys

import pytest
from support.runs import flat

from dlscore.common import console


def test_an_internal_error_is_one_line_too(dlscore, quick_options, monkeypatch):
    monkeypatch.setattr("dlscore.compute.prepare.open_request", lambda *_, **__: 1 / 0)
    monkeypatch.delenv("DLSCORE_DEBUG", raising=False)
    code, _, err = dlscore("compute", *flat(quick_options))
    assert code == 1
    assert (
        err
        == "dlscore: error: internal error (ZeroDivisionError: division by zero); set DLSCORE_DEBUG=1 to see where\n"
    )


def test_an_interrupt_is_130(dlscore, quick_options, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("dlscore.compute.prepare.open_request", interrupt)
    code, _, err = dlscore("compute", *flat(quick_options))
    assert code == 130
    assert err.strip() == "dlscore: error: interrupted; the same command resumes with what is missing"


def test_no_arguments_show_the_help(dlscore):
    code, out, err = dlscore()
    assert code == 2
    assert "Usage: dlscore" in out + err
    assert "error" not in out + err


def test_option_spelling():
    assert console.normalize("policy_path") == console.normalize("policy.path") == "policy-path"
    assert console.normalize("policy.device") == "device"
    assert console.normalize("dataset.repo_id") == "dataset-repo-id"


@pytest.mark.parametrize("program", ["dlscore.cli.commands", "dlrender.cli"])
def test_a_terminal_that_lacks_a_character_shows_another(program):
    code = f"import sys; from {program} import main; sys.argv = ['x', '--help']; sys.exit(main())"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout.decode("latin-1")
