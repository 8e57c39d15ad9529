"""One run writes a cache at a time, also on network file systems without file locks.

The lock is a file beside the cache, created with O_EXCL, which is atomic on NFS since version 3. It names its holder. A
run that was killed leaves its lock behind: on the same machine its process is gone; on another one the lock is no longer
touched. In both cases the next run takes it over. Should two runs write after all, each replaces complete files only.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dlscore.cache.errors import BusyError, FolderError
from dlscore.common.text import reason_of

TOUCHED = 15.0  # s between two updates of the lock's modification time
SILENT = 120.0  # s without an update after which a run on another machine counts as dead

_held: set[str] = set()  # tokens of the locks that this process holds


class Lock:
    """A lock that this process holds; `check` before every step that cannot be undone."""

    def __init__(self, path: Path, token: str) -> None:
        self.path, self._token = path, token
        _held.add(token)
        self._ended = threading.Event()
        threading.Thread(target=self._keep_alive, daemon=True).start()

    def check(self) -> None:
        """Raise BusyError if another run has taken over the lock, or FolderError if its folder is gone."""
        found = _read(self.path)
        if found is None:
            raise FolderError(f"{self.path} has gone, and with it what keeps other runs away; start the command again")
        if found.get("token") != self._token:
            raise BusyError(f"{self.path} was taken over by another run, because this one did not update it in time")

    def release(self) -> None:
        """Release the lock, if it is still ours."""
        self._ended.set()
        _held.discard(self._token)
        if (_read(self.path) or {}).get("token") == self._token:
            with suppress(OSError):
                self.path.unlink()

    def _keep_alive(self) -> None:
        while not self._ended.wait(TOUCHED):
            with suppress(OSError):
                os.utime(self.path)


@contextmanager
def exclusive(path: Path, wait: float = 0.0, option: str = "--output-dir") -> Iterator[Lock]:
    """Hold the lock of the cache `path`, or of a folder. option: of the command, that chooses its place.

    Raises FolderError if no lock file can be created, BusyError if another run still holds it after `wait` seconds.
    """
    lock = path.with_name(path.name + ".lock")
    mark: dict[str, Any] = {
        "place": _place(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "token": uuid.uuid4().hex,
    }
    until = time.monotonic() + wait
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while not _make(lock, mark):
            try:
                _take_over(lock, mark, option)
                break
            except BusyError:
                if time.monotonic() > until:
                    raise
                time.sleep(min(1.0, wait))
    except OSError as error:
        raise FolderError(f"cannot make {lock} ({reason_of(error)}); choose another {option}") from error
    held = Lock(lock, mark["token"])
    try:
        yield held
    finally:
        held.release()


def _make(path: Path, mark: dict[str, Any]) -> bool:
    try:
        with path.open("x") as file:
            json.dump(mark, file)
    except FileExistsError:
        return False
    except OSError:
        with suppress(OSError):  # on a full disk: an empty lock would not name its holder
            path.unlink()
        raise
    return True


def _take_over(lock: Path, mark: dict[str, Any], option: str) -> None:
    # The claim lets one run at a time judge and replace the lock. Its time stamp is by the file server's clock.
    claim = lock.with_name(lock.name + ".claim")
    if not _make(claim, mark):
        raise BusyError(f"{lock} is being taken over by another run; wait for it (if there is none, remove {claim})")
    try:
        found = _read(lock)
        if found is None:
            if not _make(lock, mark):
                raise _busy(lock, "another run", option)
        elif _alive(found, lock, claim):
            whom = f"process {found['pid']} on {found['place'].split()[0]}" if found else "just started"
            raise _busy(lock, whom, option)
        else:
            os.replace(claim, lock)
    finally:
        with suppress(OSError):
            claim.unlink()


def _busy(lock: Path, whom: str, option: str) -> BusyError:
    cache = lock.with_suffix("")
    return BusyError(
        f"{cache} is being written by another run ({whom}); wait for it (--wait), or choose another {option}"
    )


def _alive(found: dict[str, Any], lock: Path, claim: Path) -> bool:
    if found.get("place") == _place():
        if found["pid"] == os.getpid() and found["started"] == _started(os.getpid()):
            return found["token"] in _held
        try:
            os.kill(found["pid"], 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        if started := _started(found["pid"]):
            return bool(started == found["started"])
        # Unknown, since systems may hide the processes of other users: then only the clock decides.
    with suppress(FileNotFoundError):
        return claim.stat().st_mtime - lock.stat().st_mtime < SILENT
    return False


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}  # half written: its holder is unknown
    known = {"place": str, "pid": int, "started": str, "token": str}
    whole = isinstance(found, dict) and all(isinstance(found.get(key), kind) for key, kind in known.items())
    return found if whole else {}


def _place() -> str:
    # A machine since its last boot, and its process namespace, which differs between containers.
    boot, processes = "", ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        processes = os.readlink("/proc/self/ns/pid")
    return f"{socket.gethostname()} {boot} {processes}".strip()


def _started(pid: int) -> str:
    # When a process started, which tells it from a later one with the same number; "" if unknown.
    with suppress(OSError):
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "ended" if state in "ZX" else fields[18]
    return ""
