"""Indexing and its adjoint, scattering: what was read once gets its cotangent once, what was read twice gets both.

Two pairs of adjoint primitives carry all of it: `index` and `put_at` for integers and slices, `gather`
and `scatter` for an array of integers along one axis. Several integer arrays become one by merging
their axes, and a boolean mask becomes the integers where it is true.
"""

from __future__ import annotations

import math
import operator
from types import EllipsisType
from typing import Any

import numpy as np
import tinymeta_kernels as kernels

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Domain, Sample, reals
from tinymeta.engine.errors import DtypeError, ShapeError, user_site
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.ops.reduce import normalized
from tinymeta.ops.transposed import transposed
from tinymeta.ops.widen import integers

Key = tuple[int | slice, ...]  # one entry for every visible axis

_all = slice(None)
_basic = {int, slice, type(None), EllipsisType}


class index(Primitive):
    """y = x[key] for integers and slices."""

    kernel = staticmethod(lambda x, key: x[(..., *key)])

    @staticmethod
    def reference(x: Array, key: Key) -> Array:
        for axis, k in zip(range(-len(key), 0), key):
            places = [k % x.shape[axis]] if isinstance(k, int) else range(*k.indices(x.shape[axis]))
            x = np.take(x, np.array(places, int), axis)
        return np.squeeze(x, tuple(i - len(key) for i, k in enumerate(key) if isinstance(k, int)))

    domain, kinks = (reals(-2, 2),), ()
    samples = (
        Sample(((3, 4),), {"key": (1, slice(None, None, -2))}),
        Sample(((3,),), {"key": (slice(0, 2),)}),
    )
    vjp = lambda g, y, x, key: bind(put_at, g, key=key, shape=x.shape, ndim=y.ndim)


class put_at(Primitive):
    """Zeros of `shape`, with y[key] = x: the adjoint of `index`. `ndim` is the visible rank of x."""

    @staticmethod
    def kernel(x: Array, key: Key, shape: tuple[int, ...], ndim: int) -> Array:
        y = np.zeros(x.shape[: x.ndim - ndim] + shape, x.dtype)
        y[(..., *key)] = x
        return y

    reference = staticmethod(
        lambda x, key, shape, ndim: transposed(lambda units: index.reference(units, key), shape, x)
    )
    domain, kinks = (reals(-2, 2),), ()
    samples = (
        Sample(((2,),), {"key": (1, slice(None, None, -2)), "shape": (3, 4), "ndim": 1}),
        Sample(((2,),), {"key": (slice(0, 2),), "shape": (3,), "ndim": 1}),
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

    @staticmethod
    def reference(x: Array, indices: Array, axis: int, ndim: int) -> Array:
        hidden, h = indices.shape[: indices.ndim - ndim], indices.ndim - ndim
        lead = np.broadcast_shapes(hidden, x.shape[:h])
        x, indices = np.broadcast_to(x, lead + x.shape[h:]), np.broadcast_to(indices, lead + indices.shape[h:])
        rows = [np.take(x[at], indices[at], axis) for at in np.ndindex(lead)]
        return np.array(rows, x.dtype).reshape(lead + rows[0].shape)

    raises = True
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
        return kernels.scatter_add(rows, indices.reshape(*hidden, *(1,) * (first - len(hidden)), n), size, first)

    @staticmethod
    def reference(x: Array, indices: Array, axis: int, ndim: int, size: int) -> Array:
        hidden, first = indices.shape[: indices.ndim - ndim], x.ndim + axis + 1 - ndim
        h = len(hidden)
        x = np.broadcast_to(x, (*np.broadcast_shapes(hidden, x.shape[:h]), *x.shape[h:]))
        indices = np.broadcast_to(indices, (*x.shape[:h], *indices.shape[h:]))
        y = np.zeros((*x.shape[:first], size, *x.shape[first + ndim :]), x.dtype)
        for at in np.ndindex(x.shape[:h]):
            key: Any = (*[_all] * (first - h), indices[at])
            np.add.at(y[at], key, x[at])
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

    reference = staticmethod(lambda i, size: np.where(i < 0, i + size, i))
    raises = True
    domain, kinks, vjp = (Domain(-3, 2, "index"),), (), None
    samples = (Sample(((2, 3),), {"size": 3}),)


def take(x: ArrayLike, indices: ArrayLike, axis: int = 0) -> Tensor:
    """The entries of `x` at integer `indices` along `axis`; repeated indices add up in the gradient.

    Shapes: (…, n, …) and integers (k…) → (…, k…, …).
    Raises: IndexError for an index that x lacks: `tm.take([1, 2], 2)`; DtypeError for fractions:
    `tm.take([1, 2], 0.5)`.

    >>> tm.take([[1, 2, 3], [4, 5, 6]], [2, 0], axis=1)
    tensor([[3, 1],
            [6, 4]])
    """
    x, indices = as_tensor(x), integers(indices, "take")
    (a,) = normalized(axis, x.ndim)
    return bind(gather, x, indices, axis=a, ndim=indices.ndim)


def getitem(x: Tensor, key: object) -> Tensor:
    """x[key] as in NumPy: integers, slices, `...`, `None`, integer arrays, and boolean masks of known value."""
    entries = [_bounded(k) if type(k) is slice else k for k in (key if type(key) is tuple else (key,))]
    for k in entries:
        if type(k) not in _basic:
            entries = [_plain(k) for k in entries]
            return _advanced(x, _spelled_out(x, entries), _apart(entries))
    return _sliced(x, _spelled_out(x, entries))


def _bounded(k: slice) -> slice:
    """A slice with plain integers for its bounds, which may come as Tensors or as NumPy's."""
    parts = (k.start, k.stop, k.step)
    if all(p is None or type(p) is int for p in parts):
        return k
    try:
        return slice(*[None if p is None else operator.index(p) for p in parts])
    except TypeError as error:
        raise DtypeError(f"the bounds of a slice are integers, not {k} ({user_site()}): {error}") from None


def _apart(entries: list[Any]) -> bool:
    """Whether a slice, `None` or `...` stands between the arrays and integers of a key (even one of no axes)."""
    places = [i for i, k in enumerate(entries) if isinstance(k, (int, Tensor, np.ndarray))]
    return places[-1] - places[0] >= len(places)


def _plain(k: Any) -> Any:
    """An entry of a key as an int, a slice, None or `...`, a Tensor of integers, or a boolean NumPy array."""
    if type(k) in _basic:
        return k
    if isinstance(k, range):
        k = list(k)
    if isinstance(k, (Tensor, np.ndarray, list)):
        found = as_tensor(k)
        if found.dtype.kind != "b" or not found.ndim:
            return integers(k, "an index")
        if found.batch:
            raise ShapeError(
                f"a boolean mask selects a different number of elements for each example of a vmap ({user_site()}): "
                "use tm.where(mask, x, 0), or select outside of vmap"
            )
        return np.asarray(found)
    if hasattr(k, "__index__") and not isinstance(k, (bool, np.bool_)):
        return int(k)
    raise DtypeError(f"index with integers, slices, None, ..., integer arrays or masks, not {k!r} ({user_site()})")


def _spelled_out(x: Tensor, key: list[Any]) -> list[Any]:
    """The key with `...` and masks written out: an int, a slice or a Tensor for each axis of x; None for new axes."""
    shape, ndim, used, dots = x.shape, x.ndim, 0, []
    for i, k in enumerate(key):
        if k is Ellipsis:
            dots.append(i)
        elif k is not None:
            used += k.ndim if type(k) is np.ndarray else 1
    if used > ndim or len(dots) > 1:
        raise ShapeError(f"{used} indices and {len(dots)} '...' for a Tensor of shape {shape} ({user_site()})")
    at = dots[0] if dots else len(key)
    full: list[Any] = []
    axis = 0
    for k in (*key[:at], *(_all,) * (ndim - used), *key[at + 1 :]):
        if type(k) is np.ndarray:
            if k.shape != shape[axis : axis + k.ndim]:
                raise ShapeError(f"a mask of shape {k.shape} does not fit axis {axis} of shape {shape} ({user_site()})")
            full.extend(Tensor(i) for i in k.nonzero())
            axis += k.ndim
            continue
        if type(k) is int and not -shape[axis] <= k < shape[axis]:
            raise IndexError(f"index {k} is out of range for axis {axis} of shape {shape} ({user_site()})")
        full.append(k)
        axis += k is not None
    return full


def _sliced(x: Tensor, key: list[Any]) -> Tensor:
    """x[key] for a key without Tensors."""
    plain = tuple([k for k in key if k is not None])
    y: Tensor = x if plain.count(_all) == x.ndim else bind(index, x, key=plain)
    if len(plain) == len(key):
        return y
    sizes = iter(y.shape)
    return y.reshape(tuple([1 if k is None else next(sizes) for k in key if type(k) is not int]))


def _advanced(x: Tensor, key: list[Any], apart: bool) -> Tensor:
    """x[key] for a key with Tensors of integers.

    They broadcast. Their axes go where the first of them stands if they stand side by side (counting ints
    among them), else in front: NumPy's rule.
    """
    y = _sliced(x, [_all if isinstance(k, Tensor) else k for k in key])
    kept = [k for k in key if not isinstance(k, int)]
    axes = [i for i, k in enumerate(kept) if isinstance(k, Tensor)]
    indices = [kept[a] for a in axes]
    if not axes:
        return y
    start, n = axes[0], len(axes)
    if apart:
        start = 0
        y = y.permute_dims([*axes, *(i for i in range(y.ndim) if i not in axes)])
    if n > 1:
        sizes = y.shape[start : start + n]
        indices = [_merged(indices, sizes)]
        y = y.reshape((*y.shape[:start], math.prod(sizes), *y.shape[start + n :]))
    return bind(gather, y, indices[0], axis=start - y.ndim, ndim=indices[0].ndim)


def _merged(indices: list[Tensor], sizes: tuple[int, ...]) -> Tensor:
    """One index into axes of these sizes, laid out in a row, from an index into each."""
    try:
        np.broadcast_shapes(*[i.shape for i in indices])
    except ValueError:
        shapes = [i.shape for i in indices]
        raise ShapeError(f"index arrays of shapes {shapes} don't broadcast ({user_site()})") from None
    total = bind(wrap, indices[0], size=sizes[0])
    for i, size in zip(indices[1:], sizes[1:]):
        total = total * size + bind(wrap, i, size=size)
    return total
