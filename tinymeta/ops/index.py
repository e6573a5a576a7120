"""Indexing and its adjoint, scattering: what was read once gets its cotangent once, what was read twice gets both.

Two pairs of adjoint primitives carry all of it: `index` and `place` for integers and slices, `gather`
and `scatter` for an array of integers along one axis. Several integer arrays become one by merging
their axes, and a boolean mask becomes the integers where it is true.
"""

from __future__ import annotations

import math
from types import EllipsisType
from typing import Any

import numpy as np
from tinymeta_kernels.scatter import scatter_add

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Domain, Sample, reals
from tinymeta.engine.errors import DtypeError, ShapeError, user_site
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.structure import reshape
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.transforms import vjp
from tinymeta.ops.reduce import normalized
from tinymeta.ops.select import where

Key = tuple[int | slice | None, ...]  # an int or a slice for every visible axis, None for a new one

_all = slice(None)
_basic = {int, slice, type(None), EllipsisType}


class index(Primitive):
    """y = x[key] for integers, slices and new axes."""

    kernel = reference = staticmethod(lambda x, key: x[(..., *key)])
    domain, kinks = (reals(-2, 2),), ()
    samples = (
        Sample(((3, 4),), {"key": (1, slice(None, None, -2))}),
        Sample(((3,),), {"key": (None, slice(0, 2))}),
    )
    vjp = lambda g, y, x, key: bind(place, g, key=key, shape=x.shape, ndim=y.ndim)


class place(Primitive):
    """Zeros of `shape`, with y[key] = x: the adjoint of `index`. `ndim` is the visible rank of x."""

    @staticmethod
    def kernel(x: Array, key: Key, shape: tuple[int, ...], ndim: int) -> Array:
        y = np.zeros(x.shape[: x.ndim - ndim] + shape, x.dtype)
        y[(..., *key)] = x
        return y

    reference = kernel
    domain, kinks = (reals(-2, 2),), ()
    samples = (
        Sample(((2,),), {"key": (1, slice(None, None, -2)), "shape": (3, 4), "ndim": 1}),
        Sample(((1, 2),), {"key": (None, slice(0, 2)), "shape": (3,), "ndim": 2}),
    )
    vjp = lambda g, y, x, key, shape, ndim: bind(index, g, key=key)


class gather(Primitive):
    """y[…, i, …] = x[…, indices[i], …] along one axis, for integer `indices` of any shape (`ndim` visible axes)."""

    @staticmethod
    def kernel(x: Array, indices: Array, axis: int, ndim: int) -> Array:
        hidden, shape = indices.shape[: indices.ndim - ndim], indices.shape[indices.ndim - ndim :]
        if math.prod(hidden) == 1:
            taken: Array = x.take(indices.reshape(shape), axis=axis)
            return taken
        h, before = len(hidden), x.ndim + axis - len(hidden)
        x = np.moveaxis(x, axis, h)
        lead = np.broadcast_shapes(hidden, x.shape[:h])
        x = np.broadcast_to(x, (*lead, *x.shape[h:]))
        own = [np.arange(n).reshape(-1, *(1,) * (h - i)) for i, n in enumerate(lead)]
        y: Array = x[(*own, indices.reshape(*hidden, math.prod(shape)))]  # hidden…, indices, the other axes
        y = np.moveaxis(y, h, h + before)
        return y.reshape(*y.shape[: h + before], *shape, *y.shape[h + before + 1 :])

    reference = kernel
    domain, kinks, broadcasts = (reals(-2, 2), Domain(0, 2, "index")), (), False
    samples = (
        Sample(((2, 3), (4,)), {"axis": -1, "ndim": 1}),
        Sample(((3, 2), (2, 2)), {"axis": -2, "ndim": 2}),
    )
    vjp = lambda g, y, x, indices, axis, ndim: (
        lambda: bind(scatter, g, indices, axis=axis, ndim=ndim, size=x.shape[axis]),
        None,
    )


class scatter(Primitive):
    """y[…, indices[i], …] += x[…, i, …] into zeros of `size` along the axis: the adjoint of `gather`."""

    @staticmethod
    def kernel(x: Array, indices: Array, axis: int, ndim: int, size: int) -> Array:
        hidden = indices.shape[: indices.ndim - ndim]
        first = x.ndim + axis + 1 - ndim  # where the axes of the indices begin
        n = math.prod(x.shape[first : first + ndim])
        rows = x.reshape(*x.shape[:first], n, *x.shape[first + ndim :])
        return scatter_add(rows, indices.reshape(*hidden, *(1,) * (first - len(hidden)), n), size, first)

    @staticmethod
    def reference(x: Array, indices: Array, axis: int, ndim: int, size: int) -> Array:
        hidden, first = indices.shape[: indices.ndim - ndim], x.ndim + axis + 1 - ndim
        h = len(hidden)
        x = np.broadcast_to(x, (*np.broadcast_shapes(hidden, x.shape[:h]), *x.shape[h:]))
        indices = np.broadcast_to(indices, (*x.shape[:h], *indices.shape[h:]))
        y = np.zeros((*x.shape[:first], size, *x.shape[first + ndim :]), x.dtype)
        for at in np.ndindex(x.shape[:h]):
            np.add.at(y[at], (*[_all] * (first - h), indices[at]), x[at])
        return y

    domain, kinks, broadcasts = (reals(-2, 2), Domain(0, 2, "index")), (), False
    samples = (
        Sample(((2, 4), (4,)), {"axis": -1, "ndim": 1, "size": 3}),
        Sample(((2, 2, 2), (2, 2)), {"axis": -2, "ndim": 2, "size": 3}),
    )
    vjp = lambda g, y, x, indices, axis, ndim, size: (lambda: bind(gather, g, indices, axis=axis, ndim=ndim), None)


class wrap(Primitive):
    """Indices into an axis of `size` elements, with negative ones counted from its end."""

    @staticmethod
    def kernel(i: Array, size: int) -> Array:
        if i.size and not (-size <= i.min() and i.max() < size):
            raise IndexError(f"an index from {i.min()} to {i.max()} lies outside of −{size}…{size - 1}")
        return i % size if size else i

    reference = kernel
    domain, kinks, vjp = (Domain(-3, 2, "index"),), (), None
    samples = (Sample(((2, 3),), {"size": 3}),)


def take(x: ArrayLike, indices: ArrayLike, axis: int = 0) -> Tensor:
    """The entries of `x` at integer `indices` (any shape) along `axis`; repeated indices add up in the gradient."""
    x, indices = as_tensor(x), integers(indices, "take")
    (a,) = normalized(axis, x.ndim)
    return bind(gather, x, indices, axis=a, ndim=indices.ndim)  # type: ignore[no-any-return]


def getitem(x: Tensor, key: Any) -> Tensor:
    """x[key] as in NumPy: integers, slices, `...`, `None`, integer arrays, and boolean masks of known value."""
    entries = key if type(key) is tuple else (key,)
    for k in entries:
        if type(k) not in _basic:
            return _advanced(x, _expanded(x, [_plain(k) for k in entries]))
    return _sliced(x, _expanded(x, list(entries)))


def index_add(x: ArrayLike, key: Any, values: ArrayLike) -> Tensor:
    """`x` with `values` added at `x[key]`; where the key names an element twice, both are added.

    Tensors never change, so this is the form of NumPy's `np.add.at(x, key, values)`.
    """
    x, values = as_tensor(x), as_tensor(values)
    y, pullback = vjp(lambda t: getitem(t, key), x)
    return x + pullback((y * 0 + values).astype(x.dtype))[0]  # type: ignore[no-any-return]


def index_set(x: ArrayLike, key: Any, values: ArrayLike) -> Tensor:
    """`x` with `values` in place of `x[key]`: the form of `x[key] = values`. The key names no element twice."""
    x = as_tensor(x)
    zeros = Tensor(np.zeros(x.shape, x.dtype))
    return where(index_add(zeros, key, 1) != 0, index_add(zeros, key, values), x)


def integers(indices: ArrayLike, what: str) -> Tensor:
    """`indices` as a Tensor of integers."""
    found = as_tensor(indices)
    if found.data.size == 0 and not isinstance(indices, (Tensor, np.ndarray)):
        return Tensor(found.data.astype(np.int64))
    if found.dtype.kind not in "iu":
        raise DtypeError(f"{what} needs integer indices and got {found.dtype} ({user_site()})")
    return found
