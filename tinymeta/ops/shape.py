"""Operations that move numbers about without changing them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Sample, reals
from tinymeta.engine.errors import DtypeError, ShapeError, user_site
from tinymeta.engine.options import several, whole, wholes
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.structure import astype as _astype
from tinymeta.engine.structure import broadcast
from tinymeta.engine.structure import reshape as _reshape
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import Axis, Cotangents, DTypeLike
from tinymeta.ops.index import index
from tinymeta.ops.reduce import normalized


class permute(Primitive):
    """Axes in another order; `axes` are negative numbers, one for each visible axis."""

    kernel = staticmethod(lambda x, axes: x.transpose((*range(x.ndim - len(axes)), *axes)))

    @staticmethod
    def reference(x: Array, axes: tuple[int, ...]) -> Array:
        letters = "abcdefgh"[: len(axes)]
        return np.asarray(np.einsum(f"...{letters}->...{''.join(letters[a] for a in axes)}", x))

    domain, kinks = (reals(-2, 2),), ()
    samples = (Sample(((2, 3, 4),), {"axes": (-1, -3, -2)}),)
    vjp = lambda g, y, x, axes: bind(permute, g, axes=_inverse(axes))


class join(Primitive):
    """Arrays laid end to end along one axis; hidden axes are broadcast against each other."""

    @staticmethod
    def kernel(*xs: Array, axis: int) -> Array:
        others = [_with(x.shape, axis, 1) for x in xs]
        if others.count(others[0]) < len(others):
            shape = np.broadcast_shapes(*others)
            xs = tuple(np.broadcast_to(x, _with(shape, axis, x.shape[axis])) for x in xs)
        return np.concatenate(xs, axis=axis)

    @staticmethod
    def reference(*xs: Array, axis: int) -> Array:
        rows = [np.moveaxis(x, axis, 0) for x in xs]
        shape = np.broadcast_shapes(*[r.shape[1:] for r in rows])
        parts = [np.broadcast_to(part, shape) for r in rows for part in r]
        return np.stack(parts, axis)

    domain, kinks = (reals(-2, 2),), ()
    samples = (Sample(((2, 1, 2), (2, 3, 2), (2, 2, 2)), {"axis": -2}),)

    @staticmethod
    def vjp(g: Tensor, y: Tensor, *xs: Tensor, axis: int) -> Cotangents:
        ends = accumulate(x.shape[axis] for x in xs)
        return tuple(lambda a=end - x.shape[axis], b=end: _between(g, axis, a, b) for x, end in zip(xs, ends))


def reshape(x: ArrayLike, shape: int | Sequence[int]) -> Tensor:
    """The same numbers in row-major order in another shape; one entry may be −1.

    Shapes: (…) → `shape`, with as many numbers.
    Raises: ShapeError where the number of elements differs: `tm.reshape([1, 2, 3], (2, 2))`.

    >>> tm.reshape([1, 2, 3, 4], (2, -1))
    tensor([[1, 2],
            [3, 4]])
    """
    if type(x) is not Tensor:
        x = as_tensor(x)
    have = x.shape
    wanted = wholes(shape, "a size")
    if wanted == have:
        return x
    if -1 in wanted:
        rest = -prod(wanted)
        if wanted.count(-1) == 1 and rest > 0 and prod(have) % rest == 0:
            wanted = tuple(prod(have) // rest if n == -1 else n for n in wanted)
    if prod(wanted) != prod(have) or min(wanted, default=0) < 0:
        raise ShapeError(f"reshape can't fit {prod(have)} elements of shape {have} into {wanted} ({user_site()})")
    return bind(_reshape, x, shape=wanted, ndim=len(have))


def permute_dims(x: ArrayLike, axes: Sequence[int]) -> Tensor:
    """Axis `i` of the result is axis `axes[i]` of `x`.

    Shapes: (n₀, n₁, …) → (n_axes[0], n_axes[1], …).
    Raises: ShapeError unless each axis is named once: `tm.permute_dims([[1, 2]], (0, 0))`.

    >>> tm.permute_dims(np.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    x = as_tensor(x)
    n = x.ndim
    negative = tuple([a - n if a >= 0 else a for a in wholes(axes, "an axis")])
    if sorted(negative) != list(range(-n, 0)):
        raise ShapeError(f"permute_dims needs each axis of shape {x.shape} once and got {tuple(axes)} ({user_site()})")
    return x if negative == tuple(range(-n, 0)) else bind(permute, x, axes=negative)


def matrix_transpose(x: ArrayLike) -> Tensor:
    """The last two axes exchanged.

    Shapes: (…, m, n) → (…, n, m).
    Raises: ShapeError of fewer than two axes: `tm.matrix_transpose([1, 2])`.

    >>> tm.matrix_transpose([[1, 2, 3]]).shape
    (3, 1)
    """
    x = as_tensor(x)
    n = x.ndim
    if n < 2:
        raise ShapeError(f"a matrix transpose needs two axes, and the shape is {x.shape} ({user_site()})")
    return bind(permute, x, axes=(-1, -2) if n == 2 else (*range(-n, -2), -1, -2))


def moveaxis(x: ArrayLike, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """The axes `source` moved to the positions `destination`, the others in their order.

    Shapes: the sizes of x in that order.
    Raises: ShapeError where they are not as many, or not distinct: `tm.moveaxis([[1, 2]], 0, (0, 1))`.

    >>> tm.moveaxis(np.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    x = as_tensor(x)
    sources, places = (wholes(t, "an axis") for t in (source, destination))
    moved = {normalized(b, x.ndim)[0]: normalized(a, x.ndim)[0] for a, b in zip(sources, places)}
    if len(sources) != len(places) or len(set(moved.values())) < len(sources):
        raise ShapeError(
            f"moveaxis needs one place for each of distinct axes, not {source} to {destination} ({user_site()})"
        )
    rest = iter([i for i in range(-x.ndim, 0) if i not in moved.values()])
    return permute_dims(x, [moved[i] if i in moved else next(rest) for i in range(-x.ndim, 0)])


def expand_dims(x: ArrayLike, axis: int = 0) -> Tensor:
    """A new axis of size 1 at position `axis` of the result.

    Shapes: (…) → (…, 1, …).
    Raises: ShapeError where the result has no such position: `tm.expand_dims([1, 2], 3)`.

    >>> tm.expand_dims([1, 2], -1).shape
    (2, 1)
    """
    x = as_tensor(x)
    shape, axis = x.shape, whole(axis, "axis")
    at = axis if axis >= 0 else axis + len(shape) + 1
    if not 0 <= at <= len(shape):
        raise ShapeError(f"expand_dims can't put a new axis at {axis} into shape {shape} ({user_site()})")
    return bind(_reshape, x, shape=(*shape[:at], 1, *shape[at:]), ndim=len(shape))


def squeeze(x: ArrayLike, axis: Axis = None) -> Tensor:
    """Without the axes of size 1 that are named (all of them if None).

    Shapes: (…, 1, …) → (…).
    Raises: ShapeError for an axis of another size: `tm.squeeze([1, 2], 0)`.

    >>> tm.squeeze([[1], [2]]).shape
    (2,)
    """
    x = as_tensor(x)
    axes = [i - x.ndim for i, n in enumerate(x.shape) if n == 1] if axis is None else normalized(axis, x.ndim)
    if any(x.shape[a] != 1 for a in axes):
        raise ShapeError(f"squeeze drops axes of size 1, and axis {axis} of shape {x.shape} is not one ({user_site()})")
    return reshape(x, [n for i, n in enumerate(x.shape) if i - x.ndim not in axes])


def broadcast_to(x: ArrayLike, shape: int | Sequence[int]) -> Tensor:
    """`x` repeated along new leading axes and axes of size 1.

    Shapes: (…) → `shape`.
    Raises: ShapeError where x does not broadcast to it: `tm.broadcast_to([1, 2], (2, 3))`.

    >>> tm.broadcast_to([1, 2], (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    x, shape = as_tensor(x), wholes(shape, "a size")
    lead = len(shape) - x.ndim
    if lead < 0 or any(n not in (1, m) for n, m in zip(x.shape, shape[lead:])):
        raise ShapeError(f"shape {x.shape} does not broadcast to {shape} ({user_site()})")
    return broadcast(x, shape)


def concat(xs: Sequence[ArrayLike], axis: int = 0) -> Tensor:
    """The arrays laid end to end along an existing axis; their other sizes agree. The dtype is what theirs promote to.

    Shapes: (…, n₁, …), (…, n₂, …), … → (…, n₁ + n₂ + …, …).
    Raises: ShapeError for no arrays, or sizes that differ elsewhere: `tm.concat([[1], [[2]]])`.

    >>> tm.concat([[1.0, 2.0], [3.0]])
    tensor([1., 2., 3.])
    """
    tensors = _of_one_dtype(xs, "concat")
    (a,) = normalized(axis, tensors[0].ndim)
    shapes = [t.shape for t in tensors]
    if len({len(s) for s in shapes}) > 1 or len({_with(s, a, 0) for s in shapes}) > 1:
        raise ShapeError(f"concat along axis {axis} needs shapes that agree elsewhere, not {shapes} ({user_site()})")
    return bind(join, *tensors, axis=a)


def stack(xs: Sequence[ArrayLike], axis: int = 0) -> Tensor:
    """The arrays, all of one shape, side by side along a new axis. The dtype is what theirs promote to.

    Shapes: k times (…) → (…, k, …).
    Raises: ShapeError for no arrays, or several shapes: `tm.stack([[1], [2, 3]])`.

    >>> tm.stack([[1, 2], [3, 4]], axis=1)
    tensor([[1, 3],
            [2, 4]])
    """
    tensors = _of_one_dtype(xs, "stack")
    if len({t.shape for t in tensors}) > 1:
        raise ShapeError(f"stack needs arrays of one shape, not {[t.shape for t in tensors]} ({user_site()})")
    return concat([expand_dims(t, axis) for t in tensors], axis)


def split(x: ArrayLike, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """`sections` equal parts along `axis`, or the parts between the given indices.

    Shapes: (…, n, …) → so many (…, n / sections, …).
    Raises: ShapeError where the parts would not be equal: `tm.split([1, 2, 3], 2)`.

    >>> tm.split([1, 2, 3, 4], [1, 3])
    [tensor([1]), tensor([2, 3]), tensor([4])]
    """
    x = as_tensor(x)
    (a,) = normalized(axis, x.ndim)
    n = x.shape[a]
    if not several(sections):
        sections = whole(sections, "sections")
        if sections < 1 or n % sections:
            raise ShapeError(f"{n} elements don't split into {sections} equal parts ({user_site()})")
        cuts = list(range(0, n + 1, n // sections)) if n else [0] * (sections + 1)
    else:
        cuts = [0, *wholes(sections, "a cut"), n]
    return [_between(x, a, start, stop) for start, stop in zip(cuts, cuts[1:])]


def astype(x: ArrayLike, dtype: DTypeLike) -> Tensor:
    """The same numbers in another dtype. A gradient comes back in the dtype of `x`.

    Shapes: any → the same.
    Raises: TypeError for what is no dtype: `tm.astype([1.0], "number")`.

    >>> tm.astype([1.9, -1.9], int)
    tensor([ 1, -1])
    """
    x = as_tensor(x)
    return x if x.dtype == np.dtype(dtype) else bind(_astype, x, dtype=np.dtype(dtype))


def floats(what: str, *xs: ArrayLike) -> list[Tensor]:
    """The arguments as Tensors of one floating-point dtype."""
    tensors = [as_tensor(x) for x in xs]
    for t in tensors:
        if t.dtype.kind not in "fc":
            raise DtypeError(
                f"{what} computes with floating-point numbers and got {t.dtype} of shape {t.shape} ({user_site()}): "
                "convert with x.astype(np.float32)"
            )
    wide = max((t.dtype for t in tensors), key=lambda d: (d.kind == "c", d.itemsize))
    return [astype(t, wide) for t in tensors]


def _between(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    key = [slice(None)] * x.ndim
    key[axis] = slice(start, stop)
    return bind(index, x, key=tuple(key))


def _of_one_dtype(xs: Sequence[ArrayLike], what: str) -> list[Tensor]:
    tensors = [as_tensor(x) for x in xs]
    if not tensors:
        raise ShapeError(f"{what} needs at least one array ({user_site()})")
    dtype = np.result_type(*[t.dtype for t in tensors])
    return [astype(t, dtype) for t in tensors]


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    n = len(axes)
    return tuple(sorted(range(-n, 0), key=lambda i: axes[i]))


def _with(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    """`shape` with `size` at the (negative) position `axis`."""
    at = axis + len(shape)
    return (*shape[:at], size, *shape[at + 1 :])
