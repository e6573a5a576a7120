"""A file is written whole or not at all, and says in which format: beside its place first, then renamed over it.

A reader, a crash or a full disk therefore meets the old file or the new one, never half of one. What stands beside has
a name that nobody can foresee and must not exist before, so nothing is written through a link that somebody laid.
What is read is a regular file of a bounded size: a pipe would be waited for, and a device has no end. What the
operating system refuses (no space, no permission, a file where a folder should be) is told in one sentence.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tinymeta.engine.errors import UserError

# Absent on Windows: links to follow, pipes to wait for; and elsewhere: bytes that are changed when they are text.
_NO_LINK, _NO_WAIT, _BYTES = (getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
PART = "part"  # what is being written beside its place is called .0123456789abcdef.part
LARGEST = 1 << 30  # bytes of a file that is read whole

FORMAT = 2  # of every file that is written; 1 is what version 0.1.0 wrote, without a number


def check_format(path: Path, number: object) -> None:
    """Refuse a file of a format that doesn't exist yet.

    Raises: UserError where `number` is above `FORMAT`, or no number.

    Parameters
    ----------
    path : Path
        The file, for the error.
    number : object
        What it says its format is; None where it says nothing, as those of version 0.1.0 do.
    """
    text = "1" if number is None else str(number)
    if not (text.isdecimal() and 1 <= int(text) <= FORMAT):
        raise UserError(
            f"{path} has format {text}, and this version of tinymeta reads those up to {FORMAT}: install a later one"
        )


def named(text: str) -> Path:
    """A path that the user wrote, with the home for a ~ that the shell has left, as in --out=~/runs.

    Raises: UserError for nothing, which would be the folder at hand: `--out "$UNSET"`.
    """
    if not text:
        raise UserError("a path is empty: write it out (. is the folder at hand)")
    if "\0" in text:
        raise UserError(f"no path holds NUL: {text!r}")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise UserError(f"{text} names a home that there is none of: write the path out") from error


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A binary stream whose content becomes the file `path` when the block ends without an exception.

    Raises: UserError where the system refused to write, or a pipe or a device stands there; `path` is as it was.

    Parameters
    ----------
    path : Path
        The file to write or to replace; its folder exists.
    """
    if not path.name:
        raise UserError(f"{path} is a folder: name a file")
    beside = path.with_name(f".{secrets.token_hex(8)}.{PART}")
    with told(path):
        if path.exists() and not (path.is_file() or path.is_dir()):  # a device would give way to a file
            raise UserError(f"{path} is {kind(path.stat().st_mode)}, and a file is written: choose another path")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | _BYTES, 0o666)
        try:
            with open(handle, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        _settle(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    with whole(path) as stream:
        stream.write(text.encode())


def read(path: Path, most: int = LARGEST) -> bytes:
    """The content of a regular file of at most `most` bytes.

    Raises: UserError where it is larger or no regular file, or the system refuses to read.
    """
    with opened(path, most) as stream, told(path, "read"):
        content = stream.read(most + 1)
    if len(content) > most:  # it has grown meanwhile
        raise UserError(f"{path} has more than {most} bytes: name another file")
    return content


def read_json(path: Path, most: int = 1 << 24) -> Any:
    """What a JSON file of at most `most` bytes says; UserError if it is none, or what `read` raises."""
    text = read(path, most)
    try:
        found = json.loads(text.decode())
        json.dumps(found, ensure_ascii=False).encode()  # halves of characters can't be written again
        return found
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged, or no JSON ({error}): name another one") from error


@contextmanager
def opened(path: Path, most: int = sys.maxsize) -> Iterator[BinaryIO]:
    """A regular file of at most `most` bytes, to be read; it raises what `read` does."""
    with told(path, "read"):
        handle = os.open(path, os.O_RDONLY | _NO_WAIT | _BYTES)
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_size > most:
        os.close(handle)
        if stat.S_ISREG(found.st_mode):
            raise UserError(f"{path} has {found.st_size} bytes, and at most {most} are read: name another file")
        raise UserError(f"{path} is {kind(found.st_mode)}, and a file is wanted: name another one")
    with open(handle, "rb") as stream:
        yield stream


@contextmanager
def longer(path: Path) -> Iterator[BinaryIO]:
    """A stream that adds to the end of a regular file, which appears if there is none, and is no link.

    Raises: UserError if it is something else, or what the system refuses while the block runs.
    """
    with told(path):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _NO_LINK | _NO_WAIT | _BYTES, 0o666)
        found = os.fstat(handle).st_mode
        if not stat.S_ISREG(found):
            os.close(handle)
            raise UserError(f"{path} is {kind(found)}, and nothing is added to that: remove it")
        with open(handle, "ab") as stream:
            yield stream


def append(path: Path, text: str) -> None:
    """Add `text` as UTF-8 to the end of a file, as `longer` does, and hand it to the system."""
    with longer(path) as stream:
        stream.write(text.encode())


def settle(path: Path) -> None:
    """Make what was added to a file survive a power cut."""
    with told(path):
        handle = os.open(path, os.O_RDWR | _NO_LINK | _NO_WAIT | _BYTES)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def kind(mode: int) -> str:
    """What stands in a folder, in words."""
    named = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return named.get(stat.S_IFMT(mode), "a device")


@contextmanager
def told(path: Path, deed: str = "write") -> Iterator[None]:
    """Turn what the system refuses about `path` into a `UserError` of one sentence."""
    if "\0" in str(path):  # of which Python says nothing but that
        raise UserError(f"can't {deed} {path}: no path has a null character")
    try:
        yield
    except OSError as error:
        raise UserError(f"can't {deed} {path}: {_reason(error, deed)}") from error


def _reason(error: OSError, deed: str) -> str:
    if deed == "read":
        return error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: free some space or choose another folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "the folder may not be written to: choose another one"
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return "a file stands where a folder is needed (or the other way round): choose another path"
    return error.strerror or str(error)


def _settle(folder: Path) -> None:
    """Make the rename itself survive a power cut. Only POSIX systems can open a folder for that."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
