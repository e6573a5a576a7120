"""Turning, rolling, repeating and padding: shapes and slices put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Sample, reals
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.options import several, whole, wholes
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.structure import zeros_like
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.typing import Axis
from tinymeta.ops.index import getitem, put_at, take
from tinymeta.ops.reduce import normalized
from tinymeta.ops.shape import broadcast_to, concat, reshape, stack


def flip(x: ArrayLike, axis: Axis = None) -> Tensor:
    """The elements in reverse order along `axis` (an int, a tuple of ints, or all axes if None).

    Shapes: any → the same.
    Raises: ShapeError for an axis that x lacks: `tm.flip([1, 2], axis=1)`.

    >>> tm.flip([1, 2, 3])
    tensor([3, 2, 1])
    """
    x = as_tensor(x)
    axes = normalized(axis, x.ndim)
    return getitem(x, tuple(slice(None, None, -1 if a in axes else None) for a in range(-x.ndim, 0)))


def roll(x: ArrayLike, shift: int | Sequence[int], axis: Axis = None) -> Tensor:
    """Each element `shift` places further along `axis`, from the end round to the start.

    Several axes take a shift each, or one for all. Without `axis` the array is rolled as if it were flat.

    Shapes: any → the same.
    Raises: ShapeError for other than one shift or one per axis: `tm.roll([[1, 2]], (1, 2, 3), (0, 1))`.

    >>> tm.roll([1, 2, 3], 1)
    tensor([3, 1, 2])
    """
    x = as_tensor(x)
    if axis is None:
        return reshape(roll(reshape(x, (x.size,)), shift, 0), x.shape)
    axes = wholes(axis, "axis")
    shifts = wholes(shift, "shift") if several(shift) else (whole(shift, "shift"),) * len(axes)
    if len(shifts) != len(axes):
        raise ShapeError(f"roll needs a shift for each axis and got {shift} for axis {axis} ({user_site()})")
    for one, by in zip(axes, shifts):
        (a,) = normalized(one, x.ndim)
        if x.shape[a] and (cut := -by % x.shape[a]):
            tail = (slice(None),) * (-1 - a)
            x = concat([getitem(x, (..., slice(cut, None), *tail)), getitem(x, (..., slice(cut), *tail))], a)
    return x


def tile(x: ArrayLike, repetitions: int | Sequence[int]) -> Tensor:
    """Copies of the whole array side by side, so many along each axis; new axes come in front.

    Shapes: (n₁, n₂, …) → (n₁·r₁, n₂·r₂, …).
    Raises: ShapeError for a negative number of copies: `tm.tile([1], -1)`.

    >>> tm.tile([1, 2], (2, 2))
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    x = as_tensor(x)
    times = wholes(repetitions, "a number of repetitions")
    rank = max(x.ndim, len(times))
    times = (1,) * (rank - len(times)) + times
    shape = (1,) * (rank - x.ndim) + x.shape
    copies = broadcast_to(
        reshape(x, [m for n in shape for m in (1, n)]), [m for n, t in zip(shape, times) for m in (t, n)]
    )
    return reshape(copies, [n * t for n, t in zip(shape, times)])


def repeat(x: ArrayLike, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
    """Each element so many times in a row along `axis` (of the flattened array if None); a count for all, or each.

    Shapes: (…, n, …) → (…, the sum of the counts, …).
    Raises: ShapeError for other than one count or one per element: `tm.repeat([1, 2, 3], [1, 2])`.

    >>> tm.repeat([1, 2], [1, 3])
    tensor([1, 2, 2, 2])
    """
    x = as_tensor(x)
    if axis is None:
        return repeat(reshape(x, (x.size,)), repeats, 0)
    (a,) = normalized(axis, x.ndim)
    n, at = x.shape[a], a + x.ndim
    if not several(repeats):
        repeats = whole(repeats, "repeats")
        before, after = x.shape[: at + 1], x.shape[at + 1 :]
        copies = broadcast_to(reshape(x, (*before, 1, *after)), (*before, repeats, *after))
        return reshape(copies, (*x.shape[:at], n * repeats, *x.shape[at + 1 :]))
    counts = np.asarray(repeats)
    if counts.shape != (n,):
        raise ShapeError(f"repeat needs a count for each of {n} elements and got {counts.shape} ({user_site()})")
    return take(x, np.repeat(np.arange(n), np.array(wholes(counts, "repeats"), int)), a)


def pad(x: ArrayLike, width: int | Sequence[int] | Sequence[Sequence[int]], value: float = 0) -> Tensor:
    """The array with `value` around it.

    Shapes: (n₁, …) → (before₁ + n₁ + after₁, …).
    Raises: ShapeError for widths that are negative, or that don't fit the axes: `tm.pad([1, 2], -1)`.

    Parameters
    ----------
    width
        How many before and after: one number for all sides, (before, after) for all axes, or such a pair for
        each axis.

    Examples
    --------
    >>> tm.pad([1, 2], (1, 2))
    tensor([0, 1, 2, 0, 0])
    """
    x = as_tensor(x)
    sides: Any = width if several(width) else (width,)
    widths = [wholes(w, "a width") for w in sides] if any(map(several, sides)) else wholes(sides, "a width")
    try:
        pairs = np.broadcast_to(widths, (x.ndim, 2)).tolist()
    except ValueError:
        raise ShapeError(f"pad can't give each axis of shape {x.shape} a width from {width} ({user_site()})") from None
    if any(n < 0 for both in pairs for n in both):
        raise ShapeError(f"pad adds elements, so no width is negative, and got {width} ({user_site()})")
    shape = tuple(n + before + after for n, (before, after) in zip(x.shape, pairs))
    key = tuple(slice(before, before + n) for n, (before, _) in zip(x.shape, pairs))
    y = bind(put_at, x, key=key, shape=shape, ndim=x.ndim)
    if value == 0:
        return y
    border = np.full(shape, value, x.dtype)
    border[key] = 0
    return y + border


class slices(Primitive):
    """All slices along one axis at once, each without it; their cotangents are laid side by side again."""

    kernel = staticmethod(lambda x, axis: tuple(np.moveaxis(x, axis, 0)))
    reference = staticmethod(lambda x, axis: tuple(np.take(x, i, axis) for i in range(x.shape[axis])))
    domain, kinks = (reals(-2, 2),), ()
    samples = (Sample(((3, 2),), {"axis": -2}), Sample(((2, 2, 1),), {"axis": -1}))
    vjp = lambda g, y, x, axis: stack([zeros_like(one) if h is None else h for h, one in zip(g, y)], axis)


def unstack(x: ArrayLike, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices along `axis`, each without it: the inverse of `stack`.

    Shapes: (…, n, …) → n times (…).
    Raises: ShapeError for an axis that x lacks: `tm.unstack(1.0)`.

    >>> tm.unstack([[1, 2], [3, 4]])
    (tensor([1, 2]), tensor([3, 4]))
    """
    x = as_tensor(x)
    (a,) = normalized(axis, x.ndim)
    return tuple(slices(x, axis=a)) if x.shape[a] else ()
