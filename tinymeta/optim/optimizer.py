"""What every optimizer is: two pure functions.

`state = opt.init(params)` and `params, state = opt.update(grads, state, params)`, in Tensor
operations, so an inner loop that uses one is differentiable through its steps, its state and its
learning rate. The learning rate may be a number, a Tensor, a tree like the parameters (one step
size per weight: Meta-SGD), or a schedule: a function from the number of steps taken to a number.

The update rules are PyTorch's, equation by equation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import user_site
from tinymeta.engine.tensor import Tensor
from tinymeta.ops.elementwise import sqrt
from tinymeta.ops.select import where

LearningRate = float | Tensor | Callable[[Tensor], Any] | Any
Setting = float | Tensor
Row = tuple[Any, ...]


class Optimizer(Protocol):
    """The interface; `tm.optim.SGD` and its siblings have it, and so do learned update rules."""

    def init(self, params: Any) -> Any:
        """The state before the first step."""
        ...

    def update(self, grads: Any, state: Any, params: Any) -> tuple[Any, Any]:
        """The parameters and the state after one more step."""
        ...


def start() -> Tensor:
    """The number of steps taken so far: none. (float64, so that β^count is exact enough for any count.)"""
    return Tensor(np.zeros((), np.float64))


def each_leaf(step: Callable[..., Row], params: Any, *others: Any) -> list[Any]:
    """Apply `step(p, *leaves of others)` to every parameter; its results, put together as trees like `params`.

    An entry of `others` is a tree like `params`, or `Leaves`, or None for a part of the state that a setting does
    not have: `step` gets and returns None for it, and so does the caller.
    """
    leaves, structure = tree.flatten(params)
    rows = [step(*row) for row in zip(leaves, *[_column(other, structure, len(leaves)) for other in others])]
    return [None if column[0] is None else tree.unflatten(structure, column) for column in zip(*rows)]


class Leaves(list[Any]):
    """One entry per leaf of the parameters."""


def _column(other: Any, structure: tree.Structure, size: int) -> list[Any]:
    if other is None or isinstance(other, Leaves):
        return [None] * size if other is None else other
    leaves, found = tree.flatten(other)
    if found != structure:
        raise ValueError(
            f"the gradients and the state must have the structure of the parameters ({user_site()}): take the gradient "
            "with respect to these parameters, and the state from optimizer.init(params)"
        )
    return leaves


def rates(lr: LearningRate, taken: Tensor, params: Any) -> Leaves:
    """The learning rate of each leaf of `params`: a number, or a Tensor in its dtype."""
    leaves, structure = tree.flatten(params)
    if callable(lr) and not isinstance(lr, Tensor) and not hasattr(lr, "tree_flatten"):
        lr = lr(taken)
    if isinstance(lr, (int, float)):
        return Leaves([lr] * len(leaves))
    each, found = tree.flatten(lr)
    if found == tree.LEAF:
        each = each * len(leaves)
    elif found != structure:
        raise ValueError(
            f"a learning rate is a number, a Tensor, a schedule, or a tree with the structure of the parameters; "
            f"this one has {len(each)} leaves of another structure than their {len(leaves)} ({user_site()})"
        )
    return Leaves([as_tensor(r).astype(as_tensor(p).dtype) for r, p in zip(each, leaves)])


def used(number: Setting) -> bool:
    """Whether a setting plays a part: a plain 0 doesn't, but a Tensor does, for its gradient at 0 need not be 0."""
    return isinstance(number, Tensor) or bool(number)


def setting(number: Setting, p: Any) -> Any:
    """A setting of the optimizer (momentum, a decay, an ε), in the dtype of parameter `p` if it is a Tensor."""
    return number.astype(as_tensor(p).dtype) if isinstance(number, Tensor) else number


def bias(beta: Setting, count: Tensor, dtype: Any) -> Tensor:
    """1 − β^count, how much an exponential average that started at 0 has seen so far."""
    seen: Tensor = (1.0 - beta**count).astype(dtype)
    return seen


def root(v: Tensor) -> Tensor:
    """√v with derivative 0 at v = 0, where the true one is infinite.

    v is an average of squares g² there, so √v is like |g| near 0: its derivative is one-sided, and 0 lies
    between the sides. In a quotient m/(√v + ε) the choice does not even matter, as m is 0 where v is. Of NaN it is NaN.
    """
    nothing = v <= 0  # False for NaN, which must not pass for 0
    return where(nothing, 0, sqrt(where(nothing, 1, v)))
