"""Where data comes from: the user's data folder, archives read in place, and the cache of what was decoded.

Archives are read, never unpacked. A cache holds plain arrays (`.npz`, nothing is ever unpickled), is
written beside its final name and then renamed, and carries a key made of the source's size, time and the
loader's version: one that is truncated, foreign or out of date is made anew.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from types import ModuleType

import numpy as np

from tinymeta.engine.errors import UserError
from tinymeta.io.archive import archive, member
from tinymeta.io.files import read, told, whole
from tinymeta.io.save import contents
from tinymeta.io.visible import visible
from tinymeta.tasks.episode import Array

LARGEST = 1 << 26  # bytes of a picture or a text
MOST = 1_000_000  # files in a folder
LATEST = 16  # decoded folders that are kept


class DataError(UserError):
    """A data folder, archive or file that is missing, short or broken. The message names the fix."""


def data_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder the user named, or else the one in the environment variable TINYMETA_DATA."""
    named = folder if folder is not None else os.environ.get("TINYMETA_DATA")
    if not named:
        raise DataError("No data folder is known: pass --data DIR or set TINYMETA_DATA.")
    path = Path(named).expanduser()
    if not path.exists():
        raise DataError(f"The data folder {path} does not exist: pass --data DIR or set TINYMETA_DATA.")
    return path


def find_source(folder: Path, name: str) -> Path | None:
    """The folder `name` or the archive `name.zip`, at `folder`, in it, or one level down."""
    here = [folder] if folder.name in (name, f"{name}.zip") else []
    inside = [folder / name, folder / f"{name}.zip"]
    below = [*sorted(folder.glob(f"*/{name}")), *sorted(folder.glob(f"*/{name}.zip"))]
    return next((path for path in (*here, *inside, *below) if path.exists()), None)


def read_files(
    source: Path, suffix: str, pass_over: Callable[[PurePosixPath], object] = str
) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Go through the files of a folder or zip archive that end in `suffix`, sorted by path; others are told."""

    def wanted(path: PurePosixPath) -> bool:
        if any(part.startswith((".", "__MACOSX")) for part in path.parts):
            return False
        if path.suffix.lower() != suffix:
            pass_over(path)
        return path.suffix.lower() == suffix

    try:
        if source.is_dir():
            for path in within(source):
                name = PurePosixPath(path.relative_to(source).as_posix())
                if not path.is_dir() and wanted(name):
                    yield name, read(path, LARGEST)
            return
        with archive(source) as found:
            files = [name for name in found.namelist() if not name.endswith("/")]
            for name in sorted(filter(wanted, map(PurePosixPath, files))):
                yield name, member(found, str(name), LARGEST)
    except UserError as fault:
        raise DataError(str(fault)) from fault


def within(folder: Path) -> list[Path]:
    """All that is in a folder and below, sorted; links to what is in it are followed, once around a circle.

    Raises: DataError where a link leads out of it: what is read belongs to the folder that the user named.
    """
    root = folder.resolve()
    found: list[Path] = []
    waiting: list[tuple[Path, tuple[Path, ...]]] = [(folder, (root,))]
    while waiting:
        here, around = waiting.pop()
        with told(here, "read"):
            entries = sorted(here.iterdir())
        for path in entries:
            real = _inside(path, folder, root) if path.is_symlink() else around[-1] / path.name
            found.append(path)
            if len(found) > MOST:
                raise DataError(f"{folder} holds more than {MOST:,} files: name a smaller folder.")
            if real not in around and path.is_dir():
                waiting.append((path, (*around, real)))
    return sorted(found)


def _inside(path: Path, folder: Path, root: Path) -> Path:
    """Where a link leads, which is inside of the root."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError) as fault:  # to itself, or to what is gone
        raise DataError(f"{path} is a link that leads nowhere: remove it.") from fault
    if not real.is_relative_to(root):
        raise DataError(f"{path} is a link that leads out of {folder}: put what it leads to there instead.")
    return real


def pillow() -> ModuleType:
    """Pillow's module `Image`: what reading image files needs, and nothing else here does."""
    try:
        from PIL import Image
    except ModuleNotFoundError as fault:
        raise DataError("Reading image files needs Pillow: pip install 'tinymeta[images]'.") from fault
    return Image


def fingerprint(source: Path) -> str:
    """What changes when a source does: its size and time of change, or those of all files of a folder."""
    files = [p for p in source.rglob("*") if p.is_file()] if source.is_dir() else [source]
    stats = [p.stat() for p in files]
    return f"{len(stats)}-{sum(s.st_size for s in stats)}-{max((s.st_mtime_ns for s in stats), default=0)}"


def cached(source: Path, name: str, key: str, make: Callable[[], dict[str, Array]]) -> dict[str, Array]:
    """The arrays that `make()` returns, kept in `name`.npz for the next time.

    The file lies beside `source`, or in the user's cache folder (XDG_CACHE_HOME, else ~/.cache) where that
    is read-only. A cache with another key is made anew; so is a broken one, with a warning. Failing to
    write is a warning, too.
    """
    places = [source.parent / f"{name}.npz", user_cache() / f"{name}.npz"]
    for path in filter(Path.exists, places):
        try:
            stored, _ = contents(path)
            if str(stored.pop("key")) == key:
                return stored
        except (UserError, KeyError):
            warnings.warn(f"{visible(str(path))} is not a readable cache and is made anew.", stacklevel=3)
    arrays = make()
    writable = is_writable(source.parent)
    try:
        write_npz(places[0] if writable else places[1], {"key": np.array(key), **arrays})
    except (OSError, UserError) as fault:
        warnings.warn(f"{source.name} is decoded every time, as no cache can be kept: {fault}", stacklevel=3)
    return arrays


def kept(name: str, make: Callable[[], dict[str, Array]]) -> dict[str, Array]:
    """The arrays that `make()` returns, kept as `name`.npz in the user's cache folder, with the latest few others.

    The name says all that they depend on. What is broken is made anew; what can't be kept is not.
    """
    path = user_cache() / f"{name}.npz"
    with suppress(UserError):
        if path.exists():
            return contents(path)[0]
    arrays = make()
    with suppress(OSError, UserError):
        write_npz(path, arrays)
        others = sorted(path.parent.glob(f"{name.partition('-')[0]}-*.npz"), key=lambda p: p.stat().st_mtime_ns)
        for old in others[:-LATEST]:
            old.unlink(missing_ok=True)
    return arrays


def user_cache() -> Path:
    """The folder for caches of this user."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "tinymeta"


def is_writable(folder: Path) -> bool:
    """Whether a cache may be put there: a folder without any write bit is left alone even by a superuser."""
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & 0o222)


def write_npz(path: Path, arrays: dict[str, Array]) -> None:
    """Write an archive of named arrays, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as stream:
        np.savez(stream, allow_pickle=False, **arrays)
