"""Products of vectors and matrices, and the length of vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tinymeta_kernels as kernels

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Sample, reals
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.options import several, whole, wholes
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.structure import reshape as _reshape
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import Axis
from tinymeta.ops import extrema
from tinymeta.ops.reduce import norm, normalized, sum
from tinymeta.ops.select import abs
from tinymeta.ops.shape import astype, expand_dims, permute_dims, reshape
from tinymeta.ops.widen import floating, real


class matmul_matrices(Primitive):
    """Y = A B over the last two axes,   dY = dA B + A dB."""

    @staticmethod
    def kernel(a: Array, b: Array) -> Array:
        y: Array = np.matmul(a, b) if a.ndim == 2 == b.ndim else kernels.matmul(a, b)
        return y

    reference = staticmethod(np.matmul)
    domain, kinks = (reals(-1, 1), reals(-1, 1)), ()
    samples = (Sample(((2, 3), (3, 4)), {}), Sample(((2, 1, 2, 3), (3, 3, 1)), {}))
    vjp = lambda g, y, a, b: (lambda: bind(matmul_matrices, g, b.mT), lambda: bind(matmul_matrices, a.mT, g))


def matmul(a: ArrayLike, b: ArrayLike) -> Tensor:
    """The product over the last axis of `a` and the last but one of `b`.

    A vector counts as a row on the left and as a column on the right, and its axis is dropped from the
    result; the axes in front of the last two broadcast.

    Shapes: (…, m, k) and (…, k, n) → (…, m, n).
    Raises: ShapeError where they don't fit: `tm.matmul([[1, 2]], [[1, 2]])`.

    >>> tm.matmul([[1, 2], [3, 4]], [10, 1])
    tensor([12, 34])
    """
    if type(a) is not Tensor or type(b) is not Tensor:
        a, b = as_tensor(a), as_tensor(b)
    left, right = a.shape, b.shape
    if not left or not right or left[-1] != right[max(-2, -len(right))]:
        raise _unfit(left, right)
    if len(left) == 2 == len(right):
        return bind(matmul_matrices, a, b)
    if len(left) == 1:
        y = matmul(bind(_reshape, a, shape=(1, *left), ndim=1), b)
        return bind(_reshape, y, shape=right[:-2] + right[-1:] if len(right) > 1 else (), ndim=y.ndim)
    if len(right) == 1:
        y = matmul(a, bind(_reshape, b, shape=(*right, 1), ndim=1))
        return bind(_reshape, y, shape=left[:-1], ndim=y.ndim)
    if len(right) == 2:  # one matrix for all: their rows together make one large product, and so do the gradients
        rows = reshape(a, (math.prod(left[:-1]), left[-1]))
        return reshape(bind(matmul_matrices, rows, b), (*left[:-1], right[-1]))
    try:
        np.broadcast_shapes(left[:-2], right[:-2])
    except ValueError:
        raise ShapeError(
            f"matmul: the axes in front of the last two of {left} and {right} don't broadcast ({user_site()})"
        ) from None
    return bind(matmul_matrices, a, b)


def _unfit(left: tuple[int, ...], right: tuple[int, ...]) -> ShapeError:
    if not left or not right:
        return ShapeError(f"matmul needs vectors or matrices, not shapes {left} and {right} ({user_site()}): use *")
    which, inner = "second-last" if len(right) > 1 else "only", right[max(-2, -len(right))]
    return ShapeError(
        f"matmul: the last axis of the first, {left}, and the {which} of the second, {right}, differ: "
        f"{left[-1]} ≠ {inner} ({user_site()})"
    )


def outer(a: ArrayLike, b: ArrayLike) -> Tensor:
    """All products of an entry of the vector `a` and one of the vector `b`.

    Shapes: (n,) and (m,) → (n, m).
    Raises: ShapeError for other than two vectors: `tm.outer([[1]], [1])`.

    >>> tm.outer([1, 2], [10, 1])
    tensor([[10,  1],
            [20,  2]])
    """
    a, b = as_tensor(a), as_tensor(b)
    if a.ndim != 1 or b.ndim != 1:
        raise ShapeError(f"outer needs two vectors, not shapes {a.shape} and {b.shape} ({user_site()})")
    return expand_dims(a, 1) * b


def vecdot(a: ArrayLike, b: ArrayLike, axis: int = -1) -> Tensor:
    """Σ a·b along `axis` (negative: it counts from the end in both); the other axes broadcast.

    Shapes: (…, n) and (…, n) → (…).
    Raises: ShapeError where the axis differs in size: `tm.vecdot([1, 2], [1, 2, 3])`.

    >>> tm.vecdot([[1, 2], [3, 4]], [10, 1])
    tensor([12, 34])
    """
    a, b, axis = real("vecdot", as_tensor(a)), as_tensor(b), whole(axis, "axis")
    if not -min(a.ndim, b.ndim) <= axis < 0 or a.shape[axis] != b.shape[axis]:
        raise ShapeError(f"vecdot along axis {axis} of shapes {a.shape} and {b.shape}: sizes differ ({user_site()})")
    products = a * b
    return astype(sum(products, axis), products.dtype)


def tensordot(a: ArrayLike, b: ArrayLike, axes: int | Sequence[Sequence[int]] = 2) -> Tensor:
    """Products summed over some axes of each: the last `axes` of `a` with the first of `b`, or the pairs listed.

    The result has the other axes of `a`, then those of `b`.

    Shapes: (m…, k…) and (k…, n…) → (m…, n…).
    Raises: ShapeError where the axes don't pair up: `tm.tensordot([1, 2], [1, 2, 3], 1)`.

    >>> tm.tensordot([[1, 2], [3, 4]], [10, 1], 1)
    tensor([12, 34])
    """
    a, b = as_tensor(a), as_tensor(b)
    pairs: Any = axes
    if not several(axes):
        count = whole(axes, "axes")
        pairs = (range(a.ndim - count, a.ndim), range(count))
    ours, theirs = ([normalized(i, t.ndim)[0] for i in wholes(group, "an axis")] for group, t in zip(pairs, (a, b)))
    sizes = [a.shape[i] for i in ours]
    if sizes != [b.shape[i] for i in theirs] or len(set(ours)) < len(ours) or len(set(theirs)) < len(theirs):
        raise ShapeError(f"tensordot: axes {axes} of shapes {a.shape} and {b.shape} don't pair up ({user_site()})")
    rows = [i for i in range(-a.ndim, 0) if i not in ours]
    columns = [i for i in range(-b.ndim, 0) if i not in theirs]
    m, n, k = [a.shape[i] for i in rows], [b.shape[i] for i in columns], math.prod(sizes)
    left = reshape(permute_dims(a, [*rows, *ours]), (math.prod(m), k))
    right = reshape(permute_dims(b, [*theirs, *columns]), (k, math.prod(n)))
    return reshape(matmul(left, right), (*m, *n))


def vector_norm(x: ArrayLike, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Tensor:
    """The length of vectors, (Σ |x|^ord)^(1/ord), over `axis` (an int, a tuple of ints, or all axes if None).

    `ord` is a positive number, or ∞ (the largest |x|) or −∞ (the smallest). At the zero vector a length has no
    derivative. For `ord=2`, the default, all derivatives there are taken as 0, at every order, so that the distance
    of a point from itself gives neither NaN nor a direction.

    Shapes: (…) → (…) without the axes, or with size 1 in their place if `keepdims`.
    Raises: ShapeError for an axis that x lacks, or an `ord` that isn't positive: `tm.vector_norm([3, 4], ord=0)`.

    >>> tm.vector_norm([3.0, 4.0]), tm.vector_norm([3.0, -4.0], ord=np.inf)
    (tensor(5.), tensor(4.))
    """
    x = as_tensor(x)
    axes = normalized(axis, x.ndim)
    if ord == 2:
        return norm(x, axes, keepdims)
    if math.isinf(ord):
        x = floating(x)  # the largest int8 is 127, and |−128| is not
        return (extrema.max if ord > 0 else extrema.min)(abs(x), axes, keepdims)
    if not ord > 0:
        raise ShapeError(f"vector_norm needs a positive ord, or ±inf, not {ord} ({user_site()})")
    x = floating(x)
    total = sum(abs(x) if ord == 1 else abs(x) ** ord, axes, keepdims)
    return total if ord == 1 else total ** (1 / ord)
