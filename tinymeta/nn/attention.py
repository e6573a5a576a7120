"""Attention: every row looks at the rows that it is shown, and takes a weighted mean of what they offer."""

from __future__ import annotations

import math

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import DtypeError, ShapeError, user_site
from tinymeta.engine.options import wholes
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.typing import DTypeLike
from tinymeta.nn import init
from tinymeta.nn.layers import Linear
from tinymeta.nn.module import Module
from tinymeta.ops.select import where
from tinymeta.ops.shape import moveaxis
from tinymeta.ops.softmax import softmax
from tinymeta.ops.widen import floating


def attention(q: ArrayLike, k: ArrayLike, v: ArrayLike, mask: ArrayLike | None = None) -> Tensor:
    """softmax(q kᵀ/√d) v: a mean of the values, weighted by how well their keys fit the query.

    Shapes: queries (…, n, d), keys (…, m, d), values (…, m, e) → (…, n, e).
    Raises: DtypeError for a mask that isn't of booleans: `tm.nn.attention([[1.0]], [[1.0]], [[1.0]], [[0.0]])`;
    ShapeError where q, k and v don't fit: `tm.nn.attention([[1.0]], [[1.0, 2.0]], [[1.0]])`.
    Source: Vaswani et al. 2017, eq. 1.

    Parameters
    ----------
    mask
        Booleans that broadcast to (…, n, m): which keys a query may look at. Each must be let see one.

    Examples
    --------
    >>> tm.nn.attention([[0.0]], [[1.0], [2.0]], [[10.0], [30.0]])
    tensor([[20.]])
    """
    q, k, v = floating(q), floating(k), floating(v)
    scores = (q @ k.mT) * (1 / math.sqrt(q.shape[-1]))
    if mask is not None:
        if as_tensor(mask).dtype.kind != "b":
            raise DtypeError(
                f"attention's mask says in booleans which keys a query may look at, and this one is "
                f"{as_tensor(mask).dtype} ({user_site()}): of numbers to be added to the scores, 0 or very negative, "
                "pass mask == 0"
            )
        scores = where(mask, scores, -np.inf)
    return softmax(scores, -1) @ v


class MultiHeadAttention(Module):
    """Attention with several heads, each in its own projection to width/heads.

    Shapes: x (…, n, width), memory (…, m, width) → (…, n, width).
    Raises: ValueError where the heads don't divide the width: `tm.nn.MultiHeadAttention(4, 3, rng=None)`;
    ShapeError for x or memory of fewer than two axes.
    Source: Vaswani et al. 2017, § 3.2.2.

    Parameters
    ----------
    width
        Of what comes in and goes out.
    heads
        How many; they divide the width.

    Examples
    --------
    >>> tm.nn.MultiHeadAttention(4, 2, rng=np.random.default_rng(0))(np.ones((5, 3, 4))).shape
    (5, 3, 4)
    """

    def __init__(self, width: int, heads: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> None:
        width, heads = wholes((width, heads), "a width or a number of heads")
        if heads < 1 or width % heads:
            raise ValueError(f"MultiHeadAttention can't split a width of {width} into {heads} heads ({user_site()})")
        self.heads = heads
        self.query, self.key, self.value, self.out = [
            Linear(width, width, rng=rng, weight_init=init.glorot_uniform, dtype=dtype) for _ in range(4)
        ]

    def __call__(self, x: ArrayLike, memory: ArrayLike | None = None, mask: ArrayLike | None = None) -> Tensor:
        """Rows x (…, n, width) look at `memory` (…, m, width), at themselves if None; `mask` as in `attention`."""
        x = as_tensor(x)
        memory = x if memory is None else as_tensor(memory)
        if x.ndim < 2 or memory.ndim < 2:
            raise ShapeError(f"attention joins rows (…, n, width), not {x.shape} and {memory.shape} ({user_site()})")
        q, k, v = self._split(self.query(x)), self._split(self.key(memory)), self._split(self.value(memory))
        y = attention(q, k, v, mask)
        y = moveaxis(y, -3, -2)
        return self.out(y.reshape((*y.shape[:-2], y.shape[-2] * y.shape[-1])))

    def _split(self, x: Tensor) -> Tensor:
        """(…, n, width) to (…, heads, n, width/heads)."""
        return moveaxis(x.reshape((*x.shape[:-1], self.heads, x.shape[-1] // self.heads)), -2, -3)
