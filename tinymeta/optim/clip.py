"""Clipping: gradients no longer than a given length, or within given limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.tensor import Tensor
from tinymeta.ops.linalg import vector_norm
from tinymeta.ops.logic import isfinite
from tinymeta.ops.select import clip, where
from tinymeta.ops.shape import stack
from tinymeta.optim.optimizer import Optimizer, Setting, setting


def global_norm(grads: Any) -> Tensor:
    """√Σ g² over all leaves; its gradient at 0 is 0. Squares that overflow or vanish don't make it ∞ or 0."""
    lengths = [vector_norm(as_tensor(g)).astype(np.float64) for g in tree.leaves(grads)]
    return vector_norm(stack(lengths)) if lengths else as_tensor(0.0)


def clip_by_global_norm(grads: Any, limit: Setting) -> Any:
    """The gradients, shortened together to length `limit` if they are longer (Pascanu et al. 2013, algorithm 1).

    If one of them is infinite or NaN they have no direction, and all that comes out is NaN.
    """
    norm = global_norm(grads)
    long = norm > limit
    factor = where(isfinite(norm), where(long, limit / where(long, norm, 1.0), 1.0), np.nan)
    return tree.map(lambda g: g * factor.astype(g.dtype), grads)


def clip_by_value(grads: Any, limit: Setting) -> Any:
    """Every entry of the gradients brought into [−limit, limit]."""
    return tree.map(lambda g: clip(g, -setting(limit, g), setting(limit, g)), grads)


class Clipped:
    """An optimizer that sees clipped gradients, as in `Clipped(Adam(1e-3), partial(clip_by_global_norm, limit=10))`."""

    def __init__(self, optimizer: Optimizer, clip: Callable[[Any], Any]) -> None:
        self.optimizer, self.clip = optimizer, clip

    def init(self, params: Any) -> Any:
        return self.optimizer.init(params)

    def update(self, grads: Any, state: Any, params: Any) -> tuple[Any, Any]:
        return self.optimizer.update(self.clip(grads), state, params)
