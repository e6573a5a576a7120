"""Operations that move numbers about without changing them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import reals
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.structure import astype as _astype
from tinymeta.engine.structure import broadcast
from tinymeta.engine.structure import reshape as _reshape
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.ops.index import index
from tinymeta.ops.reduce import Axis, normalized


class permute(Primitive):
    """Axes in another order; `axes` are negative numbers, one for each visible axis."""

    @staticmethod
    def kernel(x: Array, axes: tuple[int, ...]) -> Array:
        hidden = x.ndim - len(axes)
        return np.transpose(x, (*range(hidden), *(a + x.ndim for a in axes)))

    reference = kernel
    domain, kinks = (reals(-2, 2),), ()
    vjp = lambda g, y, x, axes: bind(permute, g, axes=_inverse(axes))


class join(Primitive):
    """Arrays laid end to end along one axis; hidden axes are broadcast against each other."""

    @staticmethod
    def kernel(*xs: Array, axis: int) -> Array:
        others = np.broadcast_shapes(*[_with(x.shape, axis, 1) for x in xs])
        return np.concatenate([np.broadcast_to(x, _with(others, axis, x.shape[axis])) for x in xs], axis=axis)

    reference = kernel
    domain, kinks = (reals(-2, 2), reals(-2, 2)), ()

    @staticmethod
    def vjp(g: Tensor, y: Tensor, *xs: Tensor, axis: int) -> Any:
        ends = np.cumsum([x.shape[axis] for x in xs]).tolist()
        return tuple(lambda a=end - x.shape[axis], b=end: _between(g, axis, a, b) for x, end in zip(xs, ends))


def reshape(x: ArrayLike, shape: int | Sequence[int]) -> Tensor:
    """The same numbers in row-major order in another shape; one entry may be −1."""
    x = as_tensor(x)
    wanted = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(n) for n in shape)
    if -1 in wanted:
        rest = -int(np.prod(wanted, dtype=np.int64))
        if wanted.count(-1) > 1 or rest == 0 or x.size % rest:
            raise ShapeError(f"reshape can't fit {x.size} elements of shape {x.shape} into {wanted} ({user_site()})")
        wanted = tuple(x.size // rest if n == -1 else n for n in wanted)
    if int(np.prod(wanted, dtype=np.int64)) != x.size:
        raise ShapeError(f"reshape can't fit {x.size} elements of shape {x.shape} into {wanted} ({user_site()})")
    return x if wanted == x.shape else bind(_reshape, x, shape=wanted, ndim=x.ndim)


def permute_dims(x: ArrayLike, axes: Sequence[int]) -> Tensor:
    """Axis `i` of the result is axis `axes[i]` of `x`."""
    x = as_tensor(x)
    negative = tuple(int(a) - x.ndim if a >= 0 else int(a) for a in axes)
    if sorted(negative) != list(range(-x.ndim, 0)):
        raise ShapeError(f"permute_dims needs each axis of shape {x.shape} once and got {tuple(axes)} ({user_site()})")
    return x if negative == tuple(range(-x.ndim, 0)) else bind(permute, x, axes=negative)


def matrix_transpose(x: ArrayLike) -> Tensor:
    """The last two axes exchanged."""
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"a matrix transpose needs two axes, and the shape is {x.shape} ({user_site()})")
    return bind(permute, x, axes=(*range(-x.ndim, -2), -1, -2))  # type: ignore[no-any-return]


def moveaxis(x: ArrayLike, source: int, destination: int) -> Tensor:
    """Axis `source` moved to position `destination`, the others in their order."""
    x = as_tensor(x)
    (a,) = normalized(source, x.ndim)
    (b,) = normalized(destination, x.ndim)
    rest = [i for i in range(-x.ndim, 0) if i != a]
    rest.insert(b + x.ndim, a)
    return permute_dims(x, rest)


def expand_dims(x: ArrayLike, axis: int = 0) -> Tensor:
    """A new axis of size 1 at position `axis` of the result."""
    x = as_tensor(x)
    (a,) = normalized(axis, x.ndim + 1)
    at = a + x.ndim + 1
    return reshape(x, (*x.shape[:at], 1, *x.shape[at:]))


def squeeze(x: ArrayLike, axis: Axis = None) -> Tensor:
    """Without the axes of size 1 that are named (all of them if None)."""
    x = as_tensor(x)
    axes = [i - x.ndim for i, n in enumerate(x.shape) if n == 1] if axis is None else normalized(axis, x.ndim)
    if any(x.shape[a] != 1 for a in axes):
        raise ShapeError(f"squeeze drops axes of size 1, and axis {axis} of shape {x.shape} is not one ({user_site()})")
    return reshape(x, [n for i, n in enumerate(x.shape) if i - x.ndim not in axes])


def broadcast_to(x: ArrayLike, shape: Sequence[int]) -> Tensor:
    """`x` repeated along new leading axes and axes of size 1."""
    x, shape = as_tensor(x), tuple(shape)
    lead = len(shape) - x.ndim
    if lead < 0 or any(n not in (1, m) for n, m in zip(x.shape, shape[lead:])):
        raise ShapeError(f"shape {x.shape} does not broadcast to {shape} ({user_site()})")
    return broadcast(x, shape)


def concat(xs: Sequence[ArrayLike], axis: int = 0) -> Tensor:
    """The arrays laid end to end along an existing axis; their other sizes agree."""
    tensors = _of_one_dtype(xs, "concat")
    (a,) = normalized(axis, tensors[0].ndim)
    shapes = [t.shape for t in tensors]
    if len({len(s) for s in shapes}) > 1 or len({_with(s, a, 0) for s in shapes}) > 1:
        raise ShapeError(f"concat along axis {axis} needs shapes that agree elsewhere, not {shapes} ({user_site()})")
    return bind(join, *tensors, axis=a)  # type: ignore[no-any-return]


def stack(xs: Sequence[ArrayLike], axis: int = 0) -> Tensor:
    """The arrays, all of one shape, side by side along a new axis."""
    tensors = _of_one_dtype(xs, "stack")
    if len({t.shape for t in tensors}) > 1:
        raise ShapeError(f"stack needs arrays of one shape, not {[t.shape for t in tensors]} ({user_site()})")
    return concat([expand_dims(t, axis) for t in tensors], axis)


def split(x: ArrayLike, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """`sections` equal parts along `axis`, or the parts between the given indices."""
    x = as_tensor(x)
    (a,) = normalized(axis, x.ndim)
    n = x.shape[a]
    if isinstance(sections, int):
        if sections < 1 or n % sections:
            raise ShapeError(f"{n} elements don't split into {sections} equal parts ({user_site()})")
        cuts = list(range(0, n + 1, n // sections)) if n else [0] * (sections + 1)
    else:
        cuts = [0, *sections, n]
    return [_between(x, a, start, stop) for start, stop in zip(cuts, cuts[1:])]


def astype(x: ArrayLike, dtype: Any) -> Tensor:
    """The same numbers in another dtype."""
    x = as_tensor(x)
    return x if x.dtype == np.dtype(dtype) else bind(_astype, x, dtype=np.dtype(dtype))


def _between(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    key = [slice(None)] * x.ndim
    key[axis] = slice(start, stop)
    return bind(index, x, key=tuple(key))  # type: ignore[no-any-return]


def _of_one_dtype(xs: Sequence[ArrayLike], what: str) -> list[Tensor]:
    if not xs:
        raise ShapeError(f"{what} needs at least one array ({user_site()})")
    tensors = [as_tensor(x) for x in xs]
    dtype = np.result_type(*[t.dtype for t in tensors])
    return [astype(t, dtype) for t in tensors]


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    n = len(axes)
    return tuple(int(i) - n for i in np.argsort([a + n for a in axes]))


def _with(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    """`shape` with `size` at the (negative) position `axis`."""
    at = axis + len(shape)
    return (*shape[:at], size, *shape[at + 1 :])
