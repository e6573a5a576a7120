"""A folder of a run: one process writes to it at a time, and it holds plain files.

The lock is the operating system's, on the file `.lock`: it ends with the process that holds it, however that ends. The
file's text names the owner, for the sentence that the second one gets.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tinymeta.engine.errors import UserError
from tinymeta.io.files import PART, kind, opened, told

LOCK = ".lock"
_LEFT = re.compile(rf"\.[0-9a-f]{{16}}\.{PART}")


def check_plain(folder: Path) -> None:
    """Refuse a folder that holds links, pipes, sockets or devices: what is read or written there is elsewhere."""
    with told(folder, "read"):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            mode = entry.stat(follow_symlinks=False).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise UserError(f"{entry.path} is {kind(mode)}, and a run's folder holds plain files: remove it")


def may_be_written(folder: Path) -> bool:
    """Whether files may be put there: a folder without any write bit is left alone even by a superuser."""
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & 0o222)


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Be the one process that writes to a folder while the block runs; what a killed one left half written goes.

    Raises: UserError where another process is; or the folder may not be written to, or holds what is no plain file.
    """
    check_plain(folder)
    if not may_be_written(folder):
        raise UserError(f"{folder} may not be written to: choose another folder")
    path = folder / LOCK
    with told(path):
        handle = _locked(path)
    try:
        with told(path):
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()} on {socket.gethostname()}\n".encode())
        for entry in filter(lambda entry: _LEFT.fullmatch(entry.name), folder.iterdir()):
            entry.unlink(missing_ok=True)
        yield
    finally:
        if sys.platform != "win32":  # while it is held: whoever then locks a file that has no name any more looks again
            path.unlink(missing_ok=True)
        os.close(handle)
        if sys.platform == "win32":  # which removes no open file, so not the one of a next owner either
            with suppress(OSError):
                path.unlink()


def writer(folder: Path) -> str | None:
    """Who writes to a folder now, in words; None if nobody does."""
    path = folder / LOCK
    if not path.exists():
        return None
    with opened(path) as stream:
        try:
            _lock(stream.fileno())
        except (BlockingIOError, PermissionError):
            return _owner(path)
        except OSError:  # a file system without locks
            return None
    return None


def _locked(path: Path) -> int:
    """A handle of the file at `path`, with a lock that no other process has."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            _lock(handle)
            if sys.platform == "win32" or os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False)):
                return handle
        except FileNotFoundError:
            pass  # its owner has removed it since it was opened
        except (BlockingIOError, PermissionError) as error:
            os.close(handle)
            raise UserError(f"{path.parent} is being written by {_owner(path)}: wait for it, or stop it") from error
        except OSError:  # a file system without locks: better a run than none
            return handle
        os.close(handle)


def _owner(path: Path) -> str:
    """The process that holds the lock, in its own words."""
    with suppress(UserError), opened(path, most=1000) as stream:
        said = re.fullmatch(r"(\d+ on [\w.-]+)\n", stream.read().decode(errors="replace"))
        return f"process {said[1]}" if said else "another process"
    return "another process"


if sys.platform != "win32":
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

else:
    import msvcrt

    def _lock(handle: int) -> None:
        """One byte far behind the text, which stays readable for the others."""
        os.lseek(handle, 1 << 30, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)
