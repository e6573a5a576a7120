"""Picking elements along one axis by an index for each position, and what that gives: sorting."""

from __future__ import annotations

import numpy as np
import tinymeta_kernels as kernels

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Domain, Sample, reals
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.options import whole
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.ops.index import getitem
from tinymeta.ops.reduce import normalized
from tinymeta.ops.widen import integers

_any = reals(-2, 2)


class take_along(Primitive):
    """y[…, k, …] = x[…, indices[…, k, …], …] along one axis; the other axes broadcast."""

    kernel = reference = staticmethod(np.take_along_axis)
    raises = True
    domain, kinks = (_any, Domain(0, 2, "index")), ()
    samples = (Sample(((2, 3), (2, 4)), {"axis": -1}), Sample(((3, 2), (2, 1)), {"axis": -2}))
    vjp = lambda g, y, x, indices, axis: (
        lambda: bind(put_along, g, indices, axis=axis, size=x.shape[axis]),
        None,
    )


class put_along(Primitive):
    """y[…, indices[…, k, …], …] += x[…, k, …] into zeros of `size` along the axis: the adjoint of `take_along`."""

    @staticmethod
    def kernel(x: Array, indices: Array, axis: int, size: int) -> Array:
        x, indices = np.moveaxis(x, axis, -1), np.moveaxis(indices, axis, -1)
        return np.moveaxis(kernels.scatter_add(x, indices, size), -1, axis)

    @staticmethod
    def reference(x: Array, indices: Array, axis: int, size: int) -> Array:
        x, indices = np.broadcast_arrays(np.moveaxis(x, axis, -1), np.moveaxis(indices, axis, -1))
        y = np.zeros((*x.shape[:-1], size), x.dtype)
        for at in np.ndindex(x.shape):
            y[(*at[:-1], indices[at])] += x[at]
        return np.moveaxis(y, -1, axis)

    domain, kinks = (_any, Domain(0, 2, "index")), ()
    samples = (
        Sample(((2, 4), (2, 4)), {"axis": -1, "size": 3}),
        Sample(((2, 2), (2, 1)), {"axis": -2, "size": 3}),
    )
    vjp = lambda g, y, x, indices, axis, size: (lambda: bind(take_along, g, indices, axis=axis), None)


class argsort_axis(Primitive):
    """The indices that sort along one axis; equal elements keep their order, in both directions."""

    @staticmethod
    def kernel(x: Array, axis: int, descending: bool) -> Array:
        if not descending:
            return np.argsort(x, axis=axis, kind="stable")
        backwards = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
        y: Array = x.shape[axis] - 1 - np.flip(backwards, axis)
        return y

    @staticmethod
    def reference(x: Array, axis: int, descending: bool) -> Array:
        rows = np.moveaxis(np.real(x), axis, -1)
        signed = -rows if descending else rows
        order = [sorted(range(len(row)), key=row.__getitem__) for row in signed.reshape(-1, rows.shape[-1])]
        return np.moveaxis(np.array(order, int).reshape(rows.shape), -1, axis)

    domain, kinks, vjp = (_any,), (), None
    samples = (
        Sample(((2, 3),), {"axis": -1, "descending": False}),
        Sample(((3, 2),), {"axis": -2, "descending": True}),
    )


def take_along_axis(x: ArrayLike, indices: ArrayLike, axis: int = -1) -> Tensor:
    """For each position, the entry of `x` that `indices` names along `axis`; the other axes broadcast.

    Shapes: (…, n, …) and integers (…, k, …) → (…, k, …).
    Raises: ShapeError where the others don't broadcast: `tm.take_along_axis([[1, 2]], [0])`; IndexError for an index
    that x lacks: `tm.take_along_axis([1, 2], [2])`; DtypeError for fractions: `tm.take_along_axis([1, 2], [0.5])`.

    >>> tm.take_along_axis([[1, 2], [3, 4]], [[1], [0]])
    tensor([[2],
            [3]])
    """
    x, indices = as_tensor(x), integers(indices, "take_along_axis")
    (a,) = normalized(axis, x.ndim)
    sizes = [{n, m} - {1} for i, (n, m) in enumerate(zip(x.shape, indices.shape), -x.ndim) if i != a]
    if x.ndim != indices.ndim or any(len(s) > 1 for s in sizes):
        raise ShapeError(
            f"take_along_axis along axis {axis} needs shapes that agree elsewhere, not {x.shape} and "
            f"{indices.shape} ({user_site()}): see tm.take for indices of another shape"
        )
    return bind(take_along, x, indices, axis=a)


def argsort(x: ArrayLike, axis: int = -1, descending: bool = False) -> Tensor:
    """The indices that sort `x` along `axis`; equal elements keep their order. No gradient.

    Shapes: any → the same, int64.
    Raises: ShapeError for an axis that x lacks: `tm.argsort(1.0)`.

    >>> tm.argsort([3.0, 1.0, 2.0], descending=True)
    tensor([0, 2, 1])
    """
    x = as_tensor(x)
    return bind(argsort_axis, x, axis=normalized(axis, x.ndim)[0], descending=descending)


def sort(x: ArrayLike, axis: int = -1, descending: bool = False) -> Tensor:
    """The elements along `axis` in ascending order. Each gradient returns to where its element was.

    Shapes: any → the same.
    Raises: ShapeError for an axis that x lacks: `tm.sort(1.0)`.

    >>> tm.sort([3.0, 1.0, 2.0])
    tensor([1., 2., 3.])
    """
    x = as_tensor(x)
    return bind(take_along, x, argsort(x, axis, descending), axis=normalized(axis, x.ndim)[0])


def topk(x: ArrayLike, k: int, axis: int = -1) -> tuple[Tensor, Tensor]:
    """The `k` largest elements along `axis`, the largest first, and their indices; of equal ones the first count.

    Shapes: (…, n, …) → (…, k, …), twice.
    Raises: ShapeError where there are fewer than k: `tm.topk([1, 2], 3)`.

    >>> tm.topk([3.0, 1.0, 2.0], 2)
    (tensor([3., 2.]), tensor([0, 2]))
    """
    x, k = as_tensor(x), whole(k, "k")
    (a,) = normalized(axis, x.ndim)
    if not 0 <= k <= x.shape[a]:
        raise ShapeError(f"topk: axis {axis} of shape {x.shape} has no {k} elements ({user_site()})")
    indices = getitem(argsort(x, a, descending=True), (..., slice(k), *(slice(None),) * (-1 - a)))
    return bind(take_along, x, indices, axis=a), indices
