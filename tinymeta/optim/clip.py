"""Clipping: gradients no longer than a given length, or within given limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.tensor import Tensor
from tinymeta.ops.elementwise import square
from tinymeta.ops.reduce import sum
from tinymeta.ops.select import clip, where
from tinymeta.optim.optimizer import Optimizer, root


def global_norm(grads: Any) -> Tensor:
    """√Σ g² over all leaves; its gradient at 0 is 0."""
    total = as_tensor(0.0)
    for g in tree.leaves(grads):
        total = total + sum(square(as_tensor(g)))
    return root(total)


def clip_by_global_norm(grads: Any, limit: float) -> Any:
    """The gradients, shortened together to length `limit` if they are longer (Pascanu et al. 2013, algorithm 1)."""
    norm = global_norm(grads)
    factor = where(norm > limit, limit / where(norm > limit, norm, 1.0), 1.0)
    return tree.map(lambda g: g * factor.astype(g.dtype), grads)


def clip_by_value(grads: Any, limit: float) -> Any:
    """Every entry of the gradients brought into [−limit, limit]."""
    return tree.map(lambda g: clip(g, -limit, limit), grads)


class Clipped:
    """An optimizer that sees clipped gradients, as in `Clipped(Adam(1e-3), partial(clip_by_global_norm, limit=10))`."""

    def __init__(self, optimizer: Optimizer, clip: Callable[[Any], Any]) -> None:
        self.optimizer, self.clip = optimizer, clip

    def init(self, params: Any) -> Any:
        return self.optimizer.init(params)

    def update(self, grads: Any, state: Any, params: Any) -> tuple[Any, Any]:
        return self.optimizer.update(self.clip(grads), state, params)
