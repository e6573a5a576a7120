"""Clipping: gradients no longer than a given length, or within given limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymeta.engine import tree
from tinymeta.ops.logic import isfinite
from tinymeta.ops.select import clip, where
from tinymeta.ops.tree import norm
from tinymeta.optim.optimizer import Optimizer, Setting, setting

global_norm = norm  # the field's name for it


def clip_by_global_norm(grads: Any, limit: Setting) -> Any:
    """The gradients, shortened together to length `limit` if they are longer (Pascanu et al. 2013, algorithm 1).

    If one of them is infinite or NaN they have no direction, and all that comes out is NaN.
    """
    length = norm(grads)
    long = length > limit
    factor = where(isfinite(length), where(long, limit / where(long, length, 1.0), 1.0), np.nan)
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
