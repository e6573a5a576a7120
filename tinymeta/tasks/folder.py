"""A user's own pictures: a folder with one folder of images per class.

    pictures/cat/1.jpg  pictures/cat/2.png  pictures/dog/1.jpg ...

Deeper folders work the same way: every folder that holds images is a class, and the folder around it its
group.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from tinymeta.io.files import opened
from tinymeta.tasks.data import LARGEST, DataError, pillow, within
from tinymeta.tasks.episode import Array
from tinymeta.tasks.images import ImageClasses

SUFFIXES = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")  # else a file's content chooses, and PostScript that is called a PNG starts its interpreter
LARGEST_PICTURE = 50_000_000  # pixels, before they are decoded


def load_folder(
    folder: str | os.PathLike[str],
    size: int = 28,
    colour: Literal["grey", "rgb"] = "grey",
    invert: bool = False,
) -> ImageClasses:
    """Load a folder of class folders of PNG or JPEG images of any size.

    Shapes: images (classes, instances, size, size) of uint8, or (classes, instances, 3, size, size) in colour.
    Raises: DataError when there are no class folders, fewer than two of them, or an image that cannot be read:
    `tm.tasks.load_folder("nowhere")`.

    Parameters
    ----------
    folder : path
        The folder around the classes.
    size : int
        Images are resampled (Lanczos) to `size` x `size`.
    colour : {"grey", "rgb"}
        One channel, (classes, instances, size, size), or three, (classes, instances, 3, size, size).
    invert : bool
        Swap black and white: for dark ink on light paper, so that ink is 1 as in all drawings here.

    Returns
    -------
    ImageClasses
        uint8; classes may differ in size (`counts`).
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: name the folder that holds one folder of images per class.")
    files: dict[Path, list[Path]] = {}
    for path in within(root):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if path.suffix.lower() in SUFFIXES and not hidden:
            files.setdefault(path.parent, []).append(path)
    loose = files.pop(root, [])
    if not files:
        found = f"{len(loose)} images but no folders" if loose else "no PNG or JPEG images"
        raise DataError(f"{root} holds {found}: put the images of each class into a folder of their own.")
    if len(files) < 2:
        raise DataError(f"{root} holds one class only, {next(iter(files)).name!r}: few-shot tasks need at least two.")
    stacks = [np.stack([picture(path, size, colour, invert) for path in paths]) for paths in files.values()]
    counts = np.array([len(stack) for stack in stacks])
    images = np.zeros((len(stacks), counts.max(), *stacks[0].shape[1:]), np.uint8)
    for row, stack in zip(images, stacks):
        row[: len(stack)] = stack
    names = [parent.relative_to(root).as_posix() for parent in files]
    groups = [parent.parent.relative_to(root).as_posix() for parent in files]
    return ImageClasses(images, np.array(groups), np.array(names), counts)


def _stream(file: Path | BinaryIO) -> AbstractContextManager[BinaryIO]:
    return opened(file, LARGEST) if isinstance(file, Path) else nullcontext(file)


def picture(file: Path | BinaryIO, size: int, colour: str = "grey", invert: bool = False, where: str = "") -> Array:
    """Read one image as uint8, (size, size) or (3, size, size). What is transparent becomes white paper.

    Parameters
    ----------
    file : path or binary stream
        What to read; errors call it `where`, or by its path.
    size, colour, invert
        As of `load_folder`.
    """
    image = pillow()
    from PIL import ImageOps

    try:
        with _stream(file) as stream, image.open(stream, formats=FORMATS) as found:
            if found.width * found.height > LARGEST_PICTURE:
                raise ValueError(f"{found.width} by {found.height} pixels are too many")
            upright = ImageOps.exif_transpose(found)
            if upright.has_transparency_data:
                upright = upright.convert("RGBA")
                upright = image.alpha_composite(image.new("RGBA", upright.size, "white"), upright)
            flat = upright.convert("L" if colour == "grey" else "RGB")
            values = np.asarray(flat.resize((size, size), image.Resampling.LANCZOS))
    except Exception as fault:  # foreign bytes trip the decoders, and what reads a camera's notes, in a dozen ways
        raise DataError(f"{where or file} is not a readable image ({fault}): repair, remove or fetch it.") from fault
    values = 255 - values if invert else values
    return values if colour == "grey" else np.moveaxis(values, -1, 0)
