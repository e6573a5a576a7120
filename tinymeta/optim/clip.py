"""Clipping: gradients no longer than a given length."""

from __future__ import annotations

from typing import Any

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.tensor import Tensor
from tinymeta.ops.elementwise import sqrt, square
from tinymeta.ops.reduce import sum
from tinymeta.ops.select import where


def global_norm(grads: Any) -> Tensor:
    """√Σ g² over all leaves; its gradient at 0 is 0."""
    total = as_tensor(0.0)
    for g in tree.leaves(grads):
        total = total + sum(square(as_tensor(g)))
    positive = total > 0
    return where(positive, sqrt(where(positive, total, 1.0)), 0.0)


def clip_by_global_norm(grads: Any, limit: float) -> Any:
    """The gradients, shortened together to length `limit` if they are longer (Pascanu et al. 2013, algorithm 1)."""
    norm = global_norm(grads)
    factor = where(norm > limit, limit / where(norm > limit, norm, 1.0), 1.0)
    return tree.map(lambda g: g * factor.astype(g.dtype), grads)
