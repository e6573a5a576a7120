"""One picture, whatever made it: decoded by Pillow from the formats below and no other, upright, on white paper.

A file's content chooses its decoder, whatever it is called, so the formats are those that are recognised by a
signature and read by a decoder inside of this process (PostScript would start its interpreter). Greys of more than
8 bits, of microscopes, X-ray or depth cameras, are scaled by the bits that the largest value needs, or by their range.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from tinymeta.engine.errors import UserError
from tinymeta.io.files import opened
from tinymeta.tasks.data import LARGEST, DataError, pillow
from tinymeta.tasks.episode import Array

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "QOI")
SUFFIXES = tuple(
    f".{word}"
    for word in (
        *("png", "apng", "jpg", "jpeg", "jpe", "jfif", "mpo", "webp", "gif", "bmp", "tif", "tiff", "avif", "avifs"),
        *("ppm", "pgm", "pbm", "pnm", "pfm", "jp2", "j2k", "j2c", "jpc", "jpf", "jpx", "qoi"),
    )
)
LARGEST_PICTURE = 50_000_000  # pixels that are decoded
ENOUGH = 8  # times the wanted side: a JPEG's own decoder may reduce it as far, which changes a grey by 1 of 255 at most
PHOTOMETRIC = 262  # the tag of a TIFF that is 0 where 0 is white
BITS = (8, 10, 12, 14, 16)  # of a pixel, in cameras

Levels = tuple[float, float]  # what becomes black, and what white


class TooLarge(ValueError):
    """A picture of more pixels than are decoded."""


class Deep(NamedTuple):
    """A grey picture of more than 8 bits: its values (size, size), and the least and the largest before resampling."""

    values: Array
    low: float
    high: float
    whole: bool  # integers


def picture(
    file: Path | BinaryIO,
    size: int,
    colour: str = "grey",
    invert: bool = False,
    where: str = "",
    levels: Levels | None = None,
) -> Array:
    """Read one image as uint8, (size, size) or (3, size, size). What is transparent becomes white paper.

    Raises: DataError for what is no picture, too large, or a deep grey beyond `levels`.

    Parameters
    ----------
    file : path or binary stream
        What to read; errors call it `where`, or by its path.
    size, colour, invert
        As of `load_folder`.
    levels
        Of deep greys; by default, those of the picture itself.
    """
    try:
        found = decoded(file, size, colour)
        if isinstance(found, Deep):
            if levels and (found.low < levels[0] or found.high > levels[1]):
                raise ValueError(f"its greys go from {found.low:g} to {found.high:g}, the others {levels}")
            found = scaled(found, levels or levels_of([found]), colour)
    except (UserError, ValueError) as fault:
        raise DataError(f"{where or file} is not a readable image ({fault}): repair, remove or fetch it.") from fault
    return 255 - found if invert else found


def decoded(file: Path | BinaryIO, size: int, colour: str, count: Callable[[int], object] = int) -> Array | Deep:
    """The picture at `size`: uint8, (size, size) or (3, size, size), or a deep grey; `count` is told of how many.

    Of an animation or a stack of pages it is the first; a second picture for the other eye counts as none.
    Raises: TooLarge, or ValueError for what the decoders refuse; UserError for what the system does.
    """
    image = pillow()
    from PIL import ImageOps, UnidentifiedImageError

    try:
        with _stream(file) as stream, _no_alarm(), image.open(stream, formats=FORMATS) as found:
            found.draft(None, (ENOUGH * size, ENOUGH * size))
            count(1 if found.format == "MPO" else getattr(found, "n_frames", 1))
            if found.width * found.height > LARGEST_PICTURE:
                raise TooLarge(f"{found.width} by {found.height} pixels are too many")
            upright = ImageOps.exif_transpose(found)
            how = image.Resampling.LANCZOS
            if upright.mode in ("F", "I") or upright.mode.startswith("I;16"):
                deep = _deep(np.asarray(upright), lambda values: image.fromarray(values).resize((size, size), how))
                return deep if getattr(found, "tag_v2", {}).get(PHOTOMETRIC) != 0 else _negative(deep)
            if upright.has_transparency_data:
                upright = upright.convert("RGBA")
                upright = image.alpha_composite(image.new("RGBA", upright.size, "white"), upright)
            values = np.asarray(upright.convert("L" if colour == "grey" else "RGB").resize((size, size), how))
    except (UserError, TooLarge):
        raise
    except image.DecompressionBombError as fault:
        raise TooLarge(str(fault)) from fault
    except UnidentifiedImageError as fault:
        raise ValueError(f"no picture in a format of {', '.join(FORMATS)}") from fault
    except Exception as fault:  # foreign bytes trip the decoders, and what reads a camera's notes, in a dozen ways
        raise ValueError(str(fault)) from fault
    return values if colour == "grey" else np.moveaxis(values, -1, 0)


def _deep(values: Array, resized: Callable[[Array], npt.ArrayLike]) -> Deep:
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("it holds NaN or infinite greys")
    return Deep(np.asarray(resized(values.astype(np.float32))), low, high, values.dtype.kind != "f")


def _negative(deep: Deep) -> Deep:
    """What was written with 0 for white, as X-rays are; Pillow turns it where there are 8 bits."""
    both = sum(levels_of([deep]) or ())
    return Deep(both - deep.values, both - deep.high, both - deep.low, deep.whole)


def levels_of(pictures: Iterable[Deep], known: Levels | None = None) -> Levels | None:
    """Black and white of deep greys that belong together: no picture brightens by being looked at alone.

    Integers from 0 on have the bits that the largest of them needs, of those that cameras have, so 4095 is white for
    12 bits; fractions lie in [0, 1] or [0, 255]; all else is black at its least and white at its largest value.
    """
    deep = list(pictures)
    if not deep:
        return known
    low, high = min(d.low for d in deep), max(d.high for d in deep)
    if known:
        low, high = min(low, known[0]), max(high, known[1])
    if low >= 0 and all(d.whole for d in deep):
        ends: Iterable[float] = [2**bits - 1 for bits in BITS]
    else:
        ends = [1, 255]
    fitting = [end for end in ends if low >= 0 and high <= end]
    return (0.0, float(fitting[0])) if fitting else (low, high if high > low else low + 1)


def scaled(deep: Deep, levels: Levels | None, colour: str) -> Array:
    """A deep grey as uint8, black and white at `levels`: (size, size) or three such channels."""
    low, high = levels or (0.0, 1.0)
    grey = np.rint(np.clip((deep.values - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    return grey if colour == "grey" else np.stack([grey] * 3)


def _stream(file: Path | BinaryIO) -> AbstractContextManager[BinaryIO]:
    return opened(file, LARGEST) if isinstance(file, Path) else nullcontext(file)


@contextmanager
def _no_alarm() -> Iterator[None]:
    """Pillow warns of what is large before it is known how far the decoder reduces it; we count what comes out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
