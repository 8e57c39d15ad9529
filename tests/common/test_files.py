"""Files get their name when they are complete, and folders are checked before anything is written."""

import os

import pytest

from dlscore.common.errors import UserError
from dlscore.common.files import atomic_path, check_writable, nearest_folder, part_of, remove


class OutputError(UserError):
    pass


def test_a_file_has_its_name_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_path(path, OutputError) as part:
        part.write_text("whole")
        assert not path.exists()
        assert part == part_of(path)
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["a.txt"]


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")

    def fail():
        with atomic_path(path, OutputError) as part:
            part.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_takes_the_place_of_an_older_one(tmp_path):
    path = tmp_path / "frames"
    (path / "old").mkdir(parents=True)
    part_of(path).mkdir()  # of a run that was killed
    (part_of(path) / "stale").touch()
    with atomic_path(path, OutputError) as part:
        part.mkdir()
        (part / "new").touch()
    assert os.listdir(path) == ["new"]


def test_what_the_system_refuses_is_the_callers_error(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutputError, match=r"cannot write .*a\.txt \(.+\); choose another folder"),
        atomic_path(tmp_path / "file" / "a.txt", OutputError),
    ):
        pass


def test_removing_what_is_not_there_is_fine(tmp_path):
    remove(tmp_path / "nothing")
    (tmp_path / "folder" / "below").mkdir(parents=True)
    remove(tmp_path / "folder")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_can_be_made_is_writable_and_is_not_made(tmp_path):
    assert nearest_folder(tmp_path / "a" / "b") == tmp_path
    check_writable(tmp_path / "a" / "b", OutputError)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"--output-dir .* cannot be a folder: .*file is a file"):
        check_writable(tmp_path / "file" / "a", OutputError)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match=r"--figure .* cannot be written \(.* is read-only\)"):
        check_writable(tmp_path / "a", OutputError, "--figure")


def test_a_link_stays_a_link_also_where_its_target_is_not_there_yet(tmp_path):
    (tmp_path / "disk").mkdir()
    link, target = tmp_path / "a.txt", tmp_path / "disk" / "big.txt"
    link.symlink_to("disk/big.txt")
    for text in ("first", "second"):
        with atomic_path(link, OutputError) as part:
            part.write_text(text)
        assert link.is_symlink()
        assert target.read_text() == text
