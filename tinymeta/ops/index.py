"""Indexing and its adjoint, scattering: what was read once gets its cotangent once, what was read twice gets both."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Domain, reals
from tinymeta.engine.errors import DtypeError, ShapeError, user_site
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.ops.reduce import normalized

Key = tuple[int | slice, ...]  # one entry for every visible axis


class index(Primitive):
    """y = x[key] for integers and slices."""

    kernel = reference = staticmethod(lambda x, key: x[(..., *key)])
    domain, kinks = (reals(-2, 2),), ()
    vjp = lambda g, y, x, key: bind(place, g, key=key, shape=x.shape, ndim=y.ndim)


class place(Primitive):
    """Zeros of `shape`, with y[key] = x: the adjoint of `index`."""

    @staticmethod
    def kernel(x: Array, key: Key, shape: tuple[int, ...], ndim: int) -> Array:
        y = np.zeros(x.shape[: x.ndim - ndim] + shape, x.dtype)
        y[(..., *key)] = x
        return y

    reference = kernel
    domain, kinks = (reals(-2, 2),), ()
    vjp = lambda g, y, x, key, shape, ndim: bind(index, g, key=key)


class gather(Primitive):
    """y[…, i, …] = x[…, indices[i], …] along one axis, for integer `indices` of any shape (`ndim` visible axes)."""

    @staticmethod
    def kernel(x: Array, indices: Array, axis: int, ndim: int) -> Array:
        hidden, shape = indices.shape[: indices.ndim - ndim], indices.shape[indices.ndim - ndim :]
        if all(n == 1 for n in hidden):
            return np.take(x, indices.reshape(shape), axis=axis)
        x, own = _lined_up(x, axis, hidden)
        y: Array = x[(*own, indices.reshape(*hidden, -1))]  # hidden…, indices…, the other axes
        y = y.reshape(*y.shape[: len(hidden)], *shape, *y.shape[len(hidden) + 1 :])
        for _ in range(axis + x.ndim - len(hidden)):  # the axes before `axis` go back before the indices
            y = np.moveaxis(y, len(hidden) + ndim, len(hidden))
        return y

    reference = kernel
    domain, kinks, broadcasts = (reals(-2, 2), Domain(0, 1, "index")), (), False
    vjp = lambda g, y, x, indices, axis, ndim: (
        lambda: bind(scatter, g, indices, axis=axis, ndim=ndim, size=x.shape[axis]),
        None,
    )


class scatter(Primitive):
    """y[…, indices[i], …] += x[…, i, …] into zeros of `size` along the axis: the adjoint of `gather`."""

    @staticmethod
    def kernel(x: Array, indices: Array, axis: int, ndim: int, size: int) -> Array:
        hidden, shape = indices.shape[: indices.ndim - ndim], indices.shape[indices.ndim - ndim :]
        before = x.ndim - len(hidden) - ndim + axis + 1  # visible axes in front of the indices
        first = len(hidden) + before
        x = np.moveaxis(x, range(first, first + ndim), range(len(hidden), len(hidden) + ndim))
        x = x.reshape(*x.shape[: len(hidden)], int(np.prod(shape, dtype=np.int64)), *x.shape[len(hidden) + ndim :])
        y = np.zeros((*x.shape[: len(hidden)], size, *x.shape[len(hidden) + 1 :]), x.dtype)
        own = [np.arange(n).reshape(-1, *(1,) * (len(hidden) - i)) for i, n in enumerate(x.shape[: len(hidden)])]
        np.add.at(y, (*own, indices.reshape(*hidden, -1)), x)
        return np.moveaxis(y, len(hidden), first)

    reference = kernel
    domain, kinks, broadcasts = (reals(-2, 2), Domain(0, 1, "index")), (), False
    vjp = lambda g, y, x, indices, axis, ndim, size: (lambda: bind(gather, g, indices, axis=axis, ndim=ndim), None)


def take(x: ArrayLike, indices: ArrayLike, axis: int = 0) -> Tensor:
    """The entries of `x` at integer `indices` (any shape) along `axis`; repeated indices add up in the gradient."""
    x, indices = as_tensor(x), as_tensor(indices)
    (a,) = normalized(axis, x.ndim)
    indices = _checked(indices, x.shape[a], "take")
    return bind(gather, x, indices, axis=a, ndim=indices.ndim)  # type: ignore[no-any-return]


def take_along_axis(x: ArrayLike, indices: ArrayLike, axis: int = -1) -> Tensor:
    """For each position, the entry of `x` that `indices` names along `axis`; the other axes line up."""
    x, indices = as_tensor(x), as_tensor(indices)
    if x.ndim != indices.ndim:
        raise ShapeError(f"take_along_axis needs as many axes in both: {x.shape}, {indices.shape} ({user_site()})")
    (a,) = normalized(axis, x.ndim)
    indices = _checked(indices, x.shape[a], "take_along_axis")
    order = [i for i in range(-x.ndim, 0) if i != a]
    lead = np.broadcast_shapes(*[tuple(t.shape[i] for i in order) for t in (x, indices)])
    rows = int(np.prod(lead, dtype=np.int64))
    flat = []
    for t in (x, indices):
        moved = t.permute_dims([*order, a])
        flat.append(moved.broadcast_to((*lead, t.shape[a])).reshape((rows, t.shape[a])))
    offsets = np.arange(rows)[:, None] * x.shape[a]
    y = take(flat[0].reshape((rows * x.shape[a],)), flat[1] + offsets)
    back = list(range(-x.ndim, -1))
    back.insert(a + x.ndim, -1)
    return y.reshape((*lead, indices.shape[a])).permute_dims(back)  # type: ignore[no-any-return]


def getitem(x: Tensor, key: Any) -> Tensor:
    """x[key]: integers, slices, `...`, `None`, and at most one integer array."""
    entries = list(key) if isinstance(key, tuple) else [key]
    arrays = [i for i, k in enumerate(entries) if isinstance(k, (Tensor, np.ndarray, list))]
    used = len([k for k in entries if k is not None and k is not Ellipsis])
    if used > x.ndim:
        raise ShapeError(f"{used} indices for a Tensor of shape {x.shape} ({user_site()})")
    fill = [slice(None)] * (x.ndim - used)
    at = next((i for i, k in enumerate(entries) if k is Ellipsis), len(entries))
    entries[at : at + 1] = fill
    if len(arrays) > 1:
        raise ShapeError(f"index with one integer array at a time ({user_site()}): x[i][:, j], or tm.take_along_axis")
    basic = [slice(None) if isinstance(k, (Tensor, np.ndarray, list)) else k for k in entries if k is not None]
    y = x if all(k == slice(None) for k in basic) else bind(index, x, key=tuple(_checked_key(x, basic)))
    axis = 0
    for k in entries:
        if k is None:
            y = y.expand_dims(axis)
        elif isinstance(k, (Tensor, np.ndarray, list)):
            y = take(y, k, axis)
            axis += as_tensor(k).ndim - 1
        axis += not isinstance(k, (int, np.integer))
    return y


def _checked_key(x: Tensor, key: list[Any]) -> list[Any]:
    for i, (k, n) in enumerate(zip(key, x.shape)):
        if isinstance(k, (int, np.integer)) and not isinstance(k, bool):
            if not -n <= k < n:
                raise IndexError(f"index {k} is out of range for axis {i} of shape {x.shape} ({user_site()})")
        elif not isinstance(k, slice):
            raise DtypeError(f"index with integers, slices, None, ... or integer arrays, not {k!r} ({user_site()})")
    return key


def _checked(indices: Tensor, size: int, what: str) -> Tensor:
    if indices.dtype.kind not in "iu":
        raise DtypeError(f"{what} needs integer indices, not {indices.dtype} ({user_site()})")
    if indices.data.size and (indices.data.max() >= size or indices.data.min() < -size):
        raise IndexError(f"{what}: an index lies outside −{size}…{size - 1} ({user_site()})")
    return bind(wrap, indices, size=size) if indices.data.size and indices.data.min() < 0 else indices


class wrap(Primitive):
    """Negative indices counted from the end."""

    kernel = reference = staticmethod(lambda i, size: i % size)
    domain, kinks, vjp = (Domain(0, 1, "index"),), (), None


def _lined_up(x: Array, axis: int, hidden: tuple[int, ...]) -> tuple[Array, list[Array]]:
    """`x` with its indexed axis right behind the hidden ones, and an index for each hidden axis."""
    x = np.moveaxis(x, axis, len(hidden))
    x = np.broadcast_to(x, (*np.broadcast_shapes(hidden, x.shape[: len(hidden)]), *x.shape[len(hidden) :]))
    own = [np.arange(n).reshape(-1, *(1,) * (len(hidden) - i)) for i, n in enumerate(x.shape[: len(hidden)])]
    return x, own
