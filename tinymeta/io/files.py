"""A file is written whole or not at all, and says in which format: beside its place first, then renamed over it.

A reader, a crash or a full disk therefore meets the old file or the new one, never half of one. What the
operating system refuses (no space, no permission, a file where a folder should be) is told in one sentence.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tinymeta.engine.errors import UserError

FORMAT = 2  # of every file that is written; 1 is what version 0.1.0 wrote, without a number


def check_format(path: Path, number: object) -> None:
    """Refuse a file of a format that doesn't exist yet.

    Parameters
    ----------
    path : Path
        The file, for the error.
    number : object
        What it says its format is; None where it says nothing, as those of version 0.1.0 do.

    Raises
    ------
    UserError
        `number` is above `FORMAT`, or no number.
    """
    text = "1" if number is None else str(number)
    if not (text.isdecimal() and 1 <= int(text) <= FORMAT):
        raise UserError(
            f"{path} has format {text}, and this version of tinymeta reads those up to {FORMAT}: install a later one"
        )


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A binary stream whose content becomes the file `path` when the block ends without an exception.

    Parameters
    ----------
    path : Path
        The file to write or to replace; its folder exists.

    Raises
    ------
    UserError
        The system refused to write; `path` is as it was.
    """
    # One fixed name per file: what a killed process left behind is overwritten by the next one.
    beside = path.with_name(f".{path.name}.part")
    with told(path):
        try:
            with open(beside, "wb") as stream:
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


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what the system refuses about `path` into a `UserError` of one sentence."""
    try:
        yield
    except OSError as error:
        raise UserError(f"can't write {path}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
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
