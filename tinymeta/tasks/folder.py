"""A user's own pictures: a folder with one folder of images per class.

    pictures/cat/1.jpg  pictures/cat/2.png  pictures/dog/1.jpg ...

Deeper folders work the same way: every folder that holds images is a class, and the folder around it its group.
Folders called train, val and test around the classes are a split of the classes, if these differ; and if they are the
same, a split of the pictures, which are put together. All that isn't read is counted, and told.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from tinymeta.engine.errors import UserError
from tinymeta.io.files import read
from tinymeta.tasks.data import LARGEST, DataError, kept, within
from tinymeta.tasks.episode import Array
from tinymeta.tasks.found import Found, odd_classes, same_pictures, some
from tinymeta.tasks.images import ImageClasses
from tinymeta.tasks.picture import SUFFIXES, Deep, Levels, TooLarge, decoded, levels_of, scaled
from tinymeta.tasks.picture import picture as picture

MANY = 300  # pictures that are worth a bar
VERSION = 2  # of what is kept of decoded folders
PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # how light red, green and blue are (ITU-R BT.601)
JUNK = ("__macosx", "@eadir", "thumbs.db", "desktop.ini")

Files = dict[str, list[Path]]  # by class


class Bar(Protocol):
    """Counts what is done."""

    def advance(self) -> None: ...


Progress = Callable[[int, str], AbstractContextManager[Bar]]


def load_folder(
    folder: str | os.PathLike[str],
    size: int = 28,
    colour: Literal["grey", "rgb", "auto"] = "grey",
    invert: bool = False,
    *,
    tell: Callable[[str], None] = warnings.warn,
    progress: Progress | None = None,
    levels: Levels | None = None,
) -> ImageClasses:
    """Load a folder of class folders of images of any size, in any format of `FORMATS`.

    What was decoded is kept in the user's cache folder, for the next time that the same files are asked for.

    Shapes: images (classes, instances, size, size) of uint8, or (classes, instances, 3, size, size) in colour.
    Raises: DataError when there are no class folders, fewer than two of them with a picture, or a link that leads out:
    `tm.tasks.load_folder("nowhere")`.

    Parameters
    ----------
    folder : path
        The folder around the classes. Links within it are followed.
    size : int
        Images are resampled (Lanczos) to `size` x `size`.
    colour : {"grey", "rgb", "auto"}
        One channel, (classes, instances, size, size), or three, (classes, instances, 3, size, size), or three if the
        pictures have colour.
    invert : bool
        Swap black and white: for dark ink on light paper, so that ink is 1 as in all drawings here.
    tell : callable
        Is told what was found, if anything was passed over or is odd.
    progress : callable, optional
        `progress(total, title)`, a context whose value has `advance()`.
    levels : (float, float), optional
        Black and white of greys of more than 8 bits, at least.

    Returns
    -------
    ImageClasses
        uint8; classes may differ in size (`counts`); what was found, passed over and is odd is `found`.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: name the folder that holds one folder of images per class.")
    files, passed, notes = _sorted(root)
    files, parts, more = _layout(root, files)
    _check(root, files, passed)
    stats = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for paths in files.values() for p in paths]
    key = repr((VERSION, str(root.resolve()), size, colour, levels, stats, sorted(passed.items())))
    arrays = kept(
        f"folder-{hashlib.sha256(key.encode()).hexdigest()[:32]}", lambda: _read(files, size, colour, levels, progress)
    )
    found = Found.read(str(arrays["found"]))
    found = replace(
        found, passed=dict(passed + Counter(found.passed)), notes=(*notes, *more, *found.notes), parts=parts
    )
    _check(root, found.pictures, found.passed)
    if found.passed or found.notes:
        tell("; ".join(found.sentences))
    names = list(found.pictures)
    groups = [Path(name).parent.as_posix() for name in names]
    images = 255 - arrays["images"] if invert else arrays["images"]
    counts = np.array(list(found.pictures.values()))
    return ImageClasses(images, np.array(groups), np.array(names), counts, found)


def _sorted(root: Path) -> tuple[Files, Counter[str], list[str]]:
    """The pictures by the folder that they lie in, how many other files there are, by suffix, and what is odd."""
    files: Files = {}
    passed: Counter[str] = Counter()
    loose, folders = [], []
    for path in within(root):
        place = path.relative_to(root)
        if hidden(place):
            continue
        if path.is_dir():
            folders.append(place.as_posix())
        elif path.suffix.lower() not in SUFFIXES:
            passed[path.suffix.lower() or "without a suffix"] += 1
        elif path.parent == root:
            loose.append(str(place))
        else:
            files.setdefault(place.parent.as_posix(), []).append(path)
    if loose:
        passed["outside of the class folders"] += len(loose)
    empty = [name for name in folders if not any(f"{other}/".startswith(f"{name}/") for other in files)]
    around = [name for name in files if any(other.startswith(f"{name}/") for other in files)]
    notes = {
        "in no class folder": loose,
        "folders without a picture": empty,
        "classes beside the classes in them, for they hold pictures, too": around,
    }
    return files, passed, [f"{what}: {some(names)}" for what, names in notes.items() if names]


def hidden(place: Path) -> bool:
    """Whether a path within a folder is nothing of the user's: a system's own, or one that begins with a point."""
    return any(part.startswith(".") or part.lower() in JUNK for part in place.parts)


def _layout(root: Path, files: Files) -> tuple[Files, dict[str, str], list[str]]:
    """The classes, of which part each is where the folders around them say so, and how that was read."""
    named = {word: part for part, words in PARTS.items() for word in words}
    tops = {name: named.get(name.partition("/")[0].lower()) for name in files}
    if None in tops.values() or "train" not in tops.values() or len(set(tops.values())) < 2:
        return files, {}, []
    if not all("/" in name for name in files):  # train itself holds pictures: it is a class
        return files, {}, []
    merged: Files = {}
    where: dict[str, set[str]] = {}
    for name, paths in files.items():
        inner = name.partition("/")[2]
        merged.setdefault(inner, []).extend(paths)
        where.setdefault(inner, set()).add(str(tops[name]))
    if all(len(parts) == 1 for parts in where.values()):
        return merged, {name: next(iter(parts)) for name, parts in where.items()}, []
    shared = sum(len(parts) > 1 for parts in where.values())
    words = ", ".join(sorted({name.partition("/")[0] for name in files}))
    note = f"{words} hold the same classes ({shared} of {len(where)}): their pictures are put together"
    return dict(sorted(merged.items())), {}, [note]


def _check(root: Path, files: Mapping[str, object], passed: Mapping[str, int]) -> None:
    others = ", ".join(f"{n} {kind}" for kind, n in passed.items())
    others = f" ({others})" if others else ""
    if not files:
        raise DataError(f"{root} holds no class folders of images{others}: put those of each class into their own.")
    if len(files) < 2:
        raise DataError(
            f"{root} holds one class only, {next(iter(files))!r}{others}: few-shot tasks need at least two."
        )


def _read(files: Files, size: int, colour: str, levels: Levels | None, progress: Progress | None) -> dict[str, Array]:
    """All pictures, decoded and put into one array, and what was found."""
    channels = "grey" if colour == "grey" else "rgb"
    pictures: dict[str, list[Array | Deep]] = {name: [] for name in files}
    digests: dict[str, dict[str, str]] = {name: {} for name in files}
    passed: Counter[str] = Counter()
    bad, several = [], []
    total = sum(map(len, files.values()))
    with progress(total, "reading pictures") if progress and total >= MANY else nullcontext() as bar:
        for name, paths in files.items():
            for path in paths:
                try:
                    content, pages = read(path, LARGEST), list[int]()
                    pictures[name].append(decoded(io.BytesIO(content), size, channels, pages.append))
                    several += [f"{name}/{path.name} ({n})" for n in pages if n > 1]
                    digests[name][str(path)] = hashlib.sha256(content).hexdigest()
                except (UserError, ValueError) as fault:
                    kind = "too large" if isinstance(fault, TooLarge) else "damaged"
                    passed[kind] += 1
                    bad.append(f"{name}/{path.name} ({fault})")
                if bar is not None:
                    bar.advance()
    pictures = {name: found for name, found in pictures.items() if found}
    levels = levels_of((p for found in pictures.values() for p in found if isinstance(p, Deep)), levels)
    counts = {name: len(found) for name, found in pictures.items()}
    shape = (size, size) if channels == "grey" else (3, size, size)
    images = np.zeros((len(counts), max(counts.values(), default=0), *shape), np.uint8)
    for row, found in zip(images, pictures.values()):
        for place, one in zip(row, found):
            place[:] = scaled(one, levels, channels) if isinstance(one, Deep) else one
    if colour == "auto" and not coloured(images):
        images = np.rint(np.tensordot(images, LUMA, (2, 0))).astype(np.uint8)
    notes = [f"not read: {some(bad)}"] if bad else []
    notes += [f"files of several pictures, of which the first was read: {some(several)}"] if several else []
    notes += (
        [f"without a picture that can be read: {some(files.keys() - counts.keys())}"]
        if len(counts) < len(files)
        else []
    )
    prints = {name: _print(digests[name].values()) for name in counts}
    notes += [*same_pictures(digests), *odd_classes(counts)]
    return {
        "images": images,
        "found": np.array(Found(counts, dict(passed), tuple(notes), prints, {}, levels).written()),
    }


def coloured(images: Array) -> bool:
    """Whether pictures (…, 3, height, width) have colour: one place in 200, beyond what a camera makes of grey."""
    return bool((np.ptp(images, axis=-3) > 24).mean() > 0.005)


def _print(digests: Iterable[str]) -> str:
    """A fingerprint of files that doesn't depend on their names."""
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()[:16]
