"""A zip archive that nobody vouches for: read in place, never unpacked, one file of a bounded size at a time."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tinymeta.engine.errors import UserError
from tinymeta.io.files import opened


@contextmanager
def archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """An archive to be read; UserError if it is none, or what is read from it turns out to be damaged or encrypted."""
    try:
        with opened(path) as stream, zipfile.ZipFile(stream) as found:
            yield found
    # Foreign bytes trip the module in each of these ways; NotImplementedError and RuntimeError: unusually packed.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as fault:
        if isinstance(fault, UserError):
            raise
        raise UserError(f"{path} is not a whole zip archive ({fault}): fetch or copy it again") from fault


def member(found: zipfile.ZipFile, name: str, most: int) -> bytes:
    """One file of an archive, of at most `most` bytes."""
    info = found.getinfo(name)
    check_packed(info)
    if info.file_size > most:
        raise ValueError(f"'{name}' has {info.file_size} bytes, and at most {most} are read")
    with found.open(info) as entry:
        return entry.read(most)


def check_packed(info: zipfile.ZipInfo) -> None:
    """Refuse a file of an archive that is encrypted, or packed in a way that not every reader knows."""
    if info.flag_bits & 1:
        raise ValueError(f"'{info.filename}' is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"'{info.filename}' is packed in an unusual way: zip it again with plain deflate")
