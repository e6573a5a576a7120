"""New Tensors from sizes and ranges, with NumPy's meanings and default dtypes; the triangles of a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.options import whole, wholes
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import DTypeLike
from tinymeta.ops.select import where
from tinymeta.ops.shape import astype, broadcast_to

Shape = int | Sequence[int]


def zeros(shape: Shape, dtype: DTypeLike | None = None) -> Tensor:
    """All 0; float64 unless `dtype` says otherwise.

    Shapes: `shape`, an int or a sequence of them.
    Raises: TypeError for a size that isn't whole: `tm.zeros(2.5)`.

    >>> tm.zeros((2, 2), int)
    tensor([[0, 0],
            [0, 0]])
    """
    return Tensor(np.zeros(wholes(shape, "a size"), dtype or float))


def ones(shape: Shape, dtype: DTypeLike | None = None) -> Tensor:
    """All 1; float64 unless `dtype` says otherwise.

    Shapes: `shape`, an int or a sequence of them.
    Raises: TypeError for a size that isn't whole: `tm.ones(2.5)`.

    >>> tm.ones(3)
    tensor([1., 1., 1.])
    """
    return Tensor(np.ones(wholes(shape, "a size"), dtype or float))


def full(shape: Shape, value: ArrayLike, dtype: DTypeLike | None = None) -> Tensor:
    """All `value`, in the value's own dtype unless `dtype` says otherwise; a Tensor has a gradient here.

    Shapes: `shape`, an int or a sequence of them.
    Raises: TypeError for a size that isn't whole: `tm.full(2.5, 7)`.

    >>> tm.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    if isinstance(value, Tensor):
        value = value if dtype is None else astype(value, dtype)
        return broadcast_to(value, shape)
    return Tensor(np.full(wholes(shape, "a size"), value, dtype))


def zeros_like(x: ArrayLike, dtype: DTypeLike | None = None) -> Tensor:
    """All 0, in the shape and dtype of `x`: a constant, not a function of `x`.

    Shapes: any → the same.

    >>> tm.zeros_like([[1.0, 2.0]])
    tensor([[0., 0.]])
    """
    x = as_tensor(x)
    return Tensor(np.zeros(x.shape, dtype or x.dtype))


def ones_like(x: ArrayLike, dtype: DTypeLike | None = None) -> Tensor:
    """All 1, in the shape and dtype of `x`: a constant, not a function of `x`.

    Shapes: any → the same.

    >>> tm.ones_like([[1.0, 2.0]])
    tensor([[1., 1.]])
    """
    x = as_tensor(x)
    return Tensor(np.ones(x.shape, dtype or x.dtype))


def full_like(x: ArrayLike, value: ArrayLike, dtype: DTypeLike | None = None) -> Tensor:
    """All `value`, in the shape and dtype of `x`: not a function of `x`.

    Shapes: any → the same.

    >>> tm.full_like([1, 2], 7.9)
    tensor([7, 7])
    """
    x = as_tensor(x)
    return full(x.shape, value, dtype or x.dtype)


def arange(start: float, stop: float | None = None, step: float = 1, dtype: DTypeLike | None = None) -> Tensor:
    """start, start + step, … up to but without `stop`; with one argument from 0 up to it.

    Shapes: (⌈(stop − start) / step⌉,).
    Raises: ZeroDivisionError for steps of 0: `tm.arange(0, 1, 0)`.

    >>> tm.arange(1, 2, 0.25)
    tensor([1.  , 1.25, 1.5 , 1.75])
    """
    bounds: Any = (0, start, step) if stop is None else (start, stop, step)
    return Tensor(np.arange(*bounds, dtype=dtype))


def linspace(start: float, stop: float, num: int, dtype: DTypeLike | None = None, endpoint: bool = True) -> Tensor:
    """`num` numbers, evenly apart, from `start` to `stop`, which is the last of them if `endpoint`.

    Shapes: (num,).
    Raises: TypeError for a number that isn't whole: `tm.linspace(0, 1, 2.5)`.

    >>> tm.linspace(0, 1, 5)
    tensor([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    return Tensor(np.linspace(start, stop, whole(num, "num"), endpoint, dtype=dtype))


def eye(rows: int, columns: int | None = None, k: int = 0, dtype: DTypeLike | None = None) -> Tensor:
    """1 on diagonal `k` (0 the main one, above it positive), 0 elsewhere; square unless `columns` is given.

    Shapes: (rows, columns).
    Raises: TypeError for a size that isn't whole: `tm.eye(2.5)`.

    >>> tm.eye(2, 3, k=1)
    tensor([[0., 1., 0.],
            [0., 0., 1.]])
    """
    rows = whole(rows, "rows")
    columns = rows if columns is None else whole(columns, "columns")
    return Tensor(np.eye(rows, columns, whole(k, "k"), dtype or float))


def tril(x: ArrayLike, k: int = 0) -> Tensor:
    """The lower triangle of matrices (the last two axes), up to and with diagonal `k`; 0 above it.

    Shapes: (…, m, n) → the same.
    Raises: ShapeError of fewer than two axes: `tm.tril([1, 2])`.

    >>> tm.tril([[1, 2], [3, 4]])
    tensor([[1, 0],
            [3, 4]])
    """
    return where(_triangle(x, whole(k, "k"), "tril"), x, 0)


def triu(x: ArrayLike, k: int = 0) -> Tensor:
    """The upper triangle of matrices (the last two axes), from diagonal `k` on; 0 below it.

    Shapes: (…, m, n) → the same.
    Raises: ShapeError of fewer than two axes: `tm.triu([1, 2])`.

    >>> tm.triu([[1, 2], [3, 4]])
    tensor([[1, 2],
            [0, 4]])
    """
    return where(_triangle(x, whole(k, "k") - 1, "triu"), 0, x)


def _triangle(x: ArrayLike, k: int, what: str) -> Array:
    shape = as_tensor(x).shape
    if len(shape) < 2:
        raise ShapeError(f"{what} needs matrices, and the shape is {shape} ({user_site()})")
    return np.tri(shape[-2], shape[-1], k, dtype=np.bool_)
