"""New drawings, and new classes, out of the drawings at hand.

A picture is resampled once at places moved by a random affine map and a smooth random field, then its lines
are thickened or thinned. Drawn anew for every image this imitates another hand; drawn once for all images
of a class (`shared=1`) it makes another class, as a slanted or stretched character may well be one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinymeta.tasks.episode import Array

COARSE = 4  # the smooth field is a sum of COARSE x COARSE cosines

# Interpolation blurs thin lines. This contrast about mid-grey gives Omniglot's greys back: the median of
# its inked pixels (above 0.05) is 0.65, 0.48 after interpolation, and 0.64 with the contrast.
CONTRAST = 1.4


@dataclass(frozen=True)
class Augment:
    """Random affine and elastic changes of line drawings, 0 the paper and 1 the ink.

    Every amount is the standard deviation of a normal draw, so that most images change little.

    Shapes: images (…, height, width) → the same, and their dtype.
    Raises: ValueError for more shared axes than there are: `tm.tasks.Augment(shared=1)(None, np.zeros((28, 28)))`.

    Parameters
    ----------
    rotate : float
        Degrees.
    shear, scale : float
        Slant, and log-scale of each axis.
    translate, bend : float
        Pixels: shift of the whole, and typical displacement by the smooth field.
    pen : float
        How much of a pixel's width lines grow or shrink at their edges (see `repen`), at most 1.
    shared : int
        How many of the last leading axes share one draw: 0, every image its own; 1, with images given as
        (tasks, classes, instances, height, width), all instances of a class.

    Examples
    --------
    >>> drawings = np.zeros((2, 5, 28, 28), np.float32)
    >>> tm.tasks.Augment(rotate=10, bend=1.0)(np.random.default_rng(0), drawings).shape
    (2, 5, 28, 28)
    """

    rotate: float = 8.0
    shear: float = 0.1
    scale: float = 0.1
    translate: float = 1.0
    bend: float = 0.7
    pen: float = 0.15
    shared: int = 0

    def __call__(self, rng: np.random.Generator, images: Array) -> Array:
        """Change a batch (..., height, width) of floating point images, and keep its shape and dtype."""
        draws = shared_draws(images.shape[:-2], self.shared, "Augment")
        rows, columns = self.places(rng, draws, *images.shape[-2:])
        moved = resample(images, rows, columns)
        moved *= CONTRAST
        moved -= (CONTRAST - 1) / 2
        np.minimum(np.maximum(moved, 0, out=moved), 1, out=moved)
        return repen(moved, np.clip(self.pen * rng.standard_normal(draws, dtype=np.float32), -1, 1))

    def places(self, rng: np.random.Generator, draws: tuple[int, ...], height: int, width: int) -> tuple[Array, Array]:
        """Where each pixel takes its value from: rows and columns, each (*draws, height, width)."""

        def normal(amount: float, *shape: int) -> Array:
            values: Array = np.float32(amount) * rng.standard_normal((*draws, *shape), dtype=np.float32)
            return values

        angle, slant = normal(np.deg2rad(self.rotate)), normal(self.shear)
        tall, wide = np.exp(normal(self.scale)), np.exp(normal(self.scale))
        sine, cosine = np.sin(angle), np.cos(angle)
        # The columns of turn @ slant @ stretch, a map of (row, column) about the middle of the image.
        of_row = np.stack([cosine - sine * slant, sine + cosine * slant], axis=-1) * tall[..., None]
        of_column = np.stack([-sine, cosine], axis=-1) * wide[..., None]
        middle = np.array([height - 1, width - 1], np.float32) / 2
        shift = middle + normal(self.translate, 2)
        y = np.arange(height, dtype=np.float32)[:, None] - middle[0]
        x = np.arange(width, dtype=np.float32) - middle[1]
        vertical, horizontal = cosines(height), cosines(width)

        def moved(axis: int) -> Array:
            row, column, home = (v[..., axis, None, None] for v in (of_row, of_column, shift))
            # A sum of COARSE^2 products of unit-variance cosines over COARSE has unit variance.
            place: Array = vertical @ (normal(self.bend / COARSE, COARSE, COARSE) @ horizontal.T)
            place += row * y + home
            place += column * x
            return place

        return moved(0), moved(1)


@dataclass(frozen=True)
class AugmentPhotos:
    """Random crops, mirrorings and light, as of a scene that is photographed again.

    What a crop lacks at an edge is what mirrors there.

    Shapes: images (…, height, width) → the same, and their dtype.
    Raises: ValueError for more shared axes than there are: `tm.tasks.AugmentPhotos(shared=1)(None, np.zeros((8, 8)))`.

    Parameters
    ----------
    shift : float
        The most that a picture is moved by, in sides.
    light, contrast : float
        Standard deviations of what is added, and of the logarithm of the factor of what differs from the mean.
    tint : float
        Standard deviation of what is added to each channel alone.
    shared : int
        How many of the last leading axes share one draw of all but the tint: 1 for channels.

    Examples
    --------
    >>> photos = np.zeros((2, 5, 3, 32, 32), np.float32)
    >>> tm.tasks.AugmentPhotos(shared=1)(np.random.default_rng(0), photos).shape
    (2, 5, 3, 32, 32)
    """

    shift: float = 0.12
    light: float = 0.1
    contrast: float = 0.2
    tint: float = 0.03
    shared: int = 0

    def __call__(self, rng: np.random.Generator, images: Array) -> Array:
        """Change a batch (..., height, width) of floating point images in [0, 1], and keep its shape and dtype."""
        lead, (height, width) = images.shape[:-2], images.shape[-2:]
        draws = shared_draws(lead, self.shared, "AugmentPhotos")

        def normal(amount: float, *shape: int) -> Array:
            return np.float32(amount) * rng.standard_normal((*shape, 1, 1), dtype=np.float32)

        def moved(length: int) -> Array:
            most = round(self.shift * length)
            at = np.abs(np.arange(length) + rng.integers(-most, most + 1, draws)[..., None])
            mirrored: Array = length - 1 - np.abs(length - 1 - at)
            return mirrored

        rows, columns = moved(height), moved(width)
        columns = np.where(rng.random((*draws, 1)) < 0.5, columns, width - 1 - columns)
        seen = np.take_along_axis(np.take_along_axis(images, rows[..., None], -2), columns[..., None, :], -1)
        middle = seen.mean(tuple(range(-2 - self.shared, 0)), keepdims=True)
        seen = middle + (seen - middle) * np.exp(normal(self.contrast, *draws))
        seen += normal(self.light, *draws) + normal(self.tint, *lead)
        changed: Array = np.clip(seen, 0, 1).astype(images.dtype)
        return changed


def shared_draws(lead: tuple[int, ...], shared: int, what: str) -> tuple[int, ...]:
    """The shape of draws for images with the leading axes `lead`, of which the last ones share a draw."""
    if shared > len(lead):
        raise ValueError(
            f"{what}(shared={shared}) needs at least {shared} axes before height and width, and got {lead}."
        )
    return lead[: len(lead) - shared] + (1,) * shared


def cosines(length: int) -> Array:
    """The COARSE slowest cosines along an axis, each of unit mean square: (length, COARSE)."""
    s = (np.arange(length) + 0.5) / length
    waves = np.cos(np.pi * s[:, None] * np.arange(COARSE)) * np.where(np.arange(COARSE) > 0, np.sqrt(2), 1)
    return waves.astype(np.float32)


def resample(images: Array, rows: Array, columns: Array) -> Array:
    """Read images (..., height, width) at fractional places by bilinear interpolation; outside is 0."""
    height, width = images.shape[-2:]
    flat = images.reshape(-1, height, width)
    # Paper all around: one pixel before, and two behind, so that the last place has a next pixel, too.
    padded = np.zeros((len(flat), height + 3, width + 3), images.dtype)
    padded[:, 1:-2, 1:-2] = flat
    r = np.minimum(np.maximum(rows + 1, 0), height + 1)
    c = np.minimum(np.maximum(columns + 1, 0), width + 1)
    top, left = r.astype(np.intp), c.astype(np.intp)
    down, right = (r - top).astype(images.dtype), (c - left).astype(images.dtype)
    line = width + 3
    start = np.arange(len(flat)).reshape(*images.shape[:-2], 1, 1) * ((height + 3) * line)
    at = start + (top * line + left)
    here, next_ = padded.reshape(-1), padded.reshape(-1)[1:]
    below, below_next = here[line:], next_[line:]
    upper = here.take(at)
    upper += right * (next_.take(at) - upper)
    lower = below.take(at)
    lower += right * (below_next.take(at) - lower)
    lower -= upper
    lower *= down
    lower += upper
    result: Array = lower
    return result


def repen(images: Array, amount: Array) -> Array:
    """Thicken (amount > 0) or thin (amount < 0) lines.

    A pixel is blended with the maximum, or minimum, of itself and its 4 neighbours.
    """
    # The minimum is the maximum of the negative, so that one pass serves both.
    share = amount.astype(images.dtype)[..., None, None]
    sign = np.where(share < 0, images.dtype.type(-1), images.dtype.type(1))
    signed = images * sign
    widest: Array = signed.copy()
    for one, other in ((np.s_[..., 1:, :], np.s_[..., :-1, :]), (np.s_[..., :, 1:], np.s_[..., :, :-1])):
        np.maximum(widest[one], signed[other], out=widest[one])
        np.maximum(widest[other], signed[one], out=widest[other])
    widest -= signed
    widest *= share
    widest += images
    return widest
