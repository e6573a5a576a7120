"""Products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import reals
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import Array, ArrayLike, Tensor


class matmul_matrices(Primitive):
    """Y = A B over the last two axes,   dY = dA B + A dB."""

    @staticmethod
    def kernel(a: Array, b: Array) -> Array:
        if b.ndim > 2 and a.ndim > 2 and all(n == 1 for n in b.shape[:-2]):
            # One matrix for all tasks: their rows together make one large product.
            rows: Array = a.reshape(-1, a.shape[-1]) @ b.reshape(b.shape[-2:])
            return rows.reshape(*(1,) * (b.ndim - a.ndim), *a.shape[:-1], b.shape[-1])
        product: Array = np.matmul(a, b)
        return product

    reference = staticmethod(np.matmul)
    domain, kinks = (reals(-1, 1), reals(-1, 1)), ()
    vjp = lambda g, y, a, b: (lambda: bind(matmul_matrices, g, b.mT), lambda: bind(matmul_matrices, a.mT, g))


def matmul(a: ArrayLike, b: ArrayLike) -> Tensor:
    """The product over the last axis of `a` and the last but one of `b`; vectors count as a row and a column."""
    a, b = as_tensor(a), as_tensor(b)
    if not a.ndim or not b.ndim:
        raise ShapeError(f"matmul needs vectors or matrices, not shapes {a.shape} and {b.shape}: use * ({user_site()})")
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ShapeError(
            f"matmul: the last axis of the first, {a.shape}, and the {'second-last' if b.ndim > 1 else 'only'} "
            f"of the second, {b.shape}, differ: {a.shape[-1]} ≠ {inner} ({user_site()})"
        )
    y: Any = bind(matmul_matrices, a.expand_dims(0) if a.ndim == 1 else a, b.expand_dims(-1) if b.ndim == 1 else b)
    if b.ndim == 1:
        y = y.squeeze(-1)
    return y.squeeze(-1 if b.ndim == 1 else -2) if a.ndim == 1 else y  # type: ignore[no-any-return]
