"""What every optimizer is: two pure functions.

`state = opt.init(params)` and `params, state = opt.update(grads, state, params)`, in Tensor
operations, so an inner loop that uses one is differentiable through its steps, its state and its
learning rate. The learning rate may be a number, a Tensor, a tree like the parameters (one step
size per weight: Meta-SGD), or a schedule: a function from the number of steps taken to a number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.tensor import Tensor

LearningRate = float | Tensor | Callable[[Tensor], Any] | Any


class Optimizer(Protocol):
    """The interface; `tm.optim.SGD` and its siblings have it, and so do learned update rules."""

    def init(self, params: Any) -> Any:
        """The state before the first step."""

    def update(self, grads: Any, state: Any, params: Any) -> tuple[Any, Any]:
        """The parameters and the state after one more step."""


def start() -> Tensor:
    """The number of steps taken so far: none. (float64, so that β^count is exact enough for any count.)"""
    return Tensor(np.zeros((), np.float64))


def rates(lr: LearningRate, count: Tensor, params: Any) -> list[Any]:
    """The learning rate of each leaf of `params`, in its dtype."""
    leaves = [as_tensor(p) for p in tree.leaves(params)]
    value = lr(count) if callable(lr) and not isinstance(lr, Tensor) and not hasattr(lr, "tree_flatten") else lr
    if isinstance(value, (int, float)):
        return [value] * len(leaves)
    each = tree.leaves(value)
    if len(each) == 1:
        each = each * len(leaves)
    if len(each) != len(leaves):
        raise ValueError(f"give one learning rate or one for each of {len(leaves)} parameters, not {len(each)}")
    return [as_tensor(r).astype(p.dtype) for r, p in zip(each, leaves)]


def powers(beta: float, count: Tensor, dtype: Any) -> Tensor:
    """1 − β^count, the bias of an exponential average that started at 0."""
    bias: Tensor = (1.0 - beta**count).astype(dtype)
    return bias


def zeros_like(params: Any) -> Any:
    return tree.map(lambda p: Tensor(np.zeros(as_tensor(p).shape, as_tensor(p).dtype)), params)
