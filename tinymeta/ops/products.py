"""Sums and products along an axis that keep every partial result, and the product of all.

The derivative of a product is the product of all the other factors. To divide it out of the whole
would fail at a zero; here it is the product of those before times the product of those after, so
zeros, one or several, are exact at every order.
"""

from __future__ import annotations

import math

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Sample, reals
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import Axis
from tinymeta.ops.arrange import flip
from tinymeta.ops.elementwise import scale
from tinymeta.ops.index import getitem
from tinymeta.ops.reduce import keep_axes, normalized
from tinymeta.ops.shape import concat, expand_dims, permute_dims, reshape

_any = (reals(-2, 2),)


class prod_last(Primitive):
    """y = Π x over the last axis,   dy = Σₖ dxₖ Π_{i≠k} xᵢ."""

    kernel = staticmethod(lambda x: np.multiply.reduce(x, axis=-1))

    @staticmethod
    def reference(x: Array) -> Array:
        y = np.ones(x.shape[:-1], x.dtype)
        for k in range(x.shape[-1]):
            y = y * x[..., k]
        return y

    domain, kinks = _any, ()
    samples = (Sample(((2, 3),), {}), Sample(((5,),), {}))
    vjp = lambda g, y, x: scale(expand_dims(g, -1), _others(x))


class cumulative_sum_axis(Primitive):
    """yₖ = Σ_{i≤k} xᵢ along one axis, or Σ_{i≥k} if reversed; each is the adjoint of the other."""

    @staticmethod
    def kernel(x: Array, axis: int, reverse: bool) -> Array:
        return np.flip(np.cumsum(np.flip(x, axis), axis), axis) if reverse else np.cumsum(x, axis)

    @staticmethod
    def reference(x: Array, axis: int, reverse: bool) -> Array:
        n = x.shape[axis]
        taken = np.tri(n) if not reverse else np.tri(n).T  # y = T x with ones where i ≤ k, or i ≥ k
        return np.moveaxis(np.einsum("ki,...i->...k", taken, np.moveaxis(x, axis, -1)), -1, axis)

    domain, kinks = _any, ()
    samples = (Sample(((2, 3),), {"axis": -2, "reverse": False}), Sample(((2, 3),), {"axis": -1, "reverse": True}))
    vjp = lambda g, y, x, axis, reverse: bind(cumulative_sum_axis, g, axis=axis, reverse=not reverse)


def prod(x: ArrayLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Π x over `axis` (an int, a tuple of ints, or all axes if None); zeros are exact at every order.

    Shapes: (…) → (…) without the axes, or with size 1 in their place if `keepdims`.
    Raises: ShapeError for an axis that x lacks, or one named twice: `tm.prod([1, 2], axis=1)`.

    >>> tm.grad(tm.prod)(np.array([0.0, 2.0, 3.0])).tolist()
    [6.0, 0.0, 0.0]
    """
    x = as_tensor(x)
    axes = normalized(axis, x.ndim)
    kept = [a for a in range(-x.ndim, 0) if a not in axes]
    rows = reshape(permute_dims(x, [*kept, *axes]), [*(x.shape[a] for a in kept), math.prod(x.shape[a] for a in axes)])
    y = bind(prod_last, rows)
    return keep_axes(y, axes, x.ndim) if keepdims else y


def cumulative_sum(x: ArrayLike, axis: int | None = None, include_initial: bool = False) -> Tensor:
    """The partial sums along `axis`, each with its own element; `include_initial` puts a 0 in front.

    `axis` may be left out for one-dimensional arrays.

    Shapes: (…, n, …) → the same, or (…, n + 1, …) with `include_initial`.
    Raises: ShapeError for an axis that x lacks, or none where x has several: `tm.cumulative_sum([[1, 2]])`.

    >>> tm.cumulative_sum([1.0, 2.0, 3.0], include_initial=True)
    tensor([0., 1., 3., 6.])
    """
    x, a = _along(x, axis)
    y = bind(cumulative_sum_axis, x, axis=a, reverse=False)
    return _after(y, a, 0) if include_initial else y


def cumulative_prod(x: ArrayLike, axis: int | None = None, include_initial: bool = False) -> Tensor:
    """The partial products along `axis`, each with its own element; `include_initial` puts a 1 in front.

    By doubling: after step s each entry is the product of the last 2ˢ factors up to its own. So zeros are
    exact at every order, and the rule is that of a product of two.

    Shapes: (…, n, …) → the same, or (…, n + 1, …) with `include_initial`.
    Raises: ShapeError for an axis that x lacks, or none where x has several: `tm.cumulative_prod([[1, 2]])`.
    Source: Hillis & Steele 1986, for the doubling.

    >>> tm.cumulative_prod([1.0, 2.0, 3.0])
    tensor([1., 2., 6.])
    """
    y, a = _along(x, axis)
    if y.dtype.kind in "biu":  # into the dtype of their product
        y = y.astype(np.multiply.reduce(np.ones(1, y.dtype)).dtype)
    reach, n = 1, y.shape[a]
    while reach < n:
        earlier = _slice(y, a, 0, n - reach)
        y = concat([_slice(y, a, 0, reach), _slice(y, a, reach, n) * earlier], a)
        reach *= 2
    return _after(y, a, 1) if include_initial else y


def _others(x: Tensor) -> Tensor:
    """For each entry along the last axis, the product of all the others."""
    n = x.shape[-1]
    before = _slice(cumulative_prod(x, -1, include_initial=True), -1, 0, n)
    after = flip(_slice(cumulative_prod(flip(x, -1), -1, include_initial=True), -1, 0, n), -1)
    return before * after


def _along(x: ArrayLike, axis: int | None) -> tuple[Tensor, int]:
    x = as_tensor(x)
    if axis is None and x.ndim != 1:
        raise ShapeError(f"a running sum or product of shape {x.shape} needs an axis ({user_site()})")
    return x, normalized(axis, x.ndim)[0]


def _slice(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    return getitem(x, (..., slice(start, stop), *(slice(None),) * (-1 - axis)))


def _after(y: Tensor, axis: int, first: int) -> Tensor:
    """`y` with a `first` in front along the axis."""
    shape = list(y.shape)
    shape[axis] = 1
    return concat([np.full(shape, first, y.dtype), y], axis)
