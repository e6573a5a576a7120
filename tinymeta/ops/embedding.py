"""Whole numbers as vectors: rows of a table, or a 1 among zeros."""

from __future__ import annotations

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Domain, Sample
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.options import whole
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import DTypeLike
from tinymeta.ops.index import take
from tinymeta.ops.widen import integers


class one_hot_labels(Primitive):
    """y[…, k] = 1 where k is the label, else 0. Labels carry no gradient."""

    @staticmethod
    def kernel(labels: Array, classes: int, dtype: DTypeLike) -> Array:
        if labels.size and not (labels.min() >= 0 and labels.max() < classes):
            raise IndexError(
                f"labels from {labels.min()} to {labels.max()} for {classes} classes: number those of each task from "
                f"0 to {classes - 1}, as np.unique(y, return_inverse=True)[1] does, or make room for more"
            )
        y: Array = (labels[..., None] == np.arange(classes)).astype(dtype)
        return y

    reference = staticmethod(lambda labels, classes, dtype: np.eye(classes, dtype=dtype)[labels])
    raises = True
    domain, kinks, vjp = (Domain(0, 2, "index"),), (), None
    samples = (Sample(((2, 3),), {"classes": 3, "dtype": np.dtype(float)}),)


def one_hot(labels: ArrayLike, classes: int, dtype: DTypeLike = float) -> Tensor:
    """Labels 0 … classes − 1 as vectors: 1 at the label, else 0. They carry no gradient.

    Shapes: integers (…) → (…, classes).
    Raises: IndexError for a label outside: `tm.one_hot([2], 2)`; DtypeError for fractions: `tm.one_hot([0.5], 2)`.

    >>> tm.one_hot([0, 2], 3)
    tensor([[1., 0., 0.],
            [0., 0., 1.]])
    """
    return bind(one_hot_labels, integers(labels, "one_hot"), classes=whole(classes, "classes"), dtype=np.dtype(dtype))


def embedding(table: ArrayLike, ids: ArrayLike) -> Tensor:
    """Rows of `table` by their numbers.

    The gradients of a row that is read several times add up.

    Shapes: (entries, width) and integers (…) → (…, width).
    Raises: ShapeError for a table of other than two axes: `tm.embedding([1.0], [0])`; IndexError for a number that is
    no row: `tm.embedding([[1.0]], [1])`; DtypeError for fractions: `tm.embedding([[1.0]], [0.5])`.

    >>> tm.embedding([[1.0, 2.0], [3.0, 4.0]], [1, 0, 1])
    tensor([[3., 4.],
            [1., 2.],
            [3., 4.]])
    """
    table = as_tensor(table)
    if table.ndim != 2:
        raise ShapeError(f"embedding needs a table (entries, width), not shape {table.shape} ({user_site()})")
    return take(table, integers(ids, "embedding"), 0)
