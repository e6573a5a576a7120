"""What every optimizer is: two pure functions.

`state = opt.init(params)` and `params, state = opt.update(grads, state, params)`, in Tensor
operations, so an inner loop that uses one is differentiable through its steps, its state and its
learning rate. The learning rate may be a number, a Tensor, a tree like the parameters (one step
size per weight: Meta-SGD), or a schedule: a function from the number of steps taken to a number.

The update rules are PyTorch's, equation by equation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor, as_tensors
from tinymeta.engine.errors import DtypeError, ShapeError, UserError, user_site
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.typing import DTypeLike, Tree, X
from tinymeta.ops.elementwise import sqrt
from tinymeta.ops.select import where
from tinymeta.ops.widen import real

LearningRate = float | Tensor | Callable[[Tensor], Tensor] | Tree
Setting = float | Tensor
Row = tuple[Tensor | None, ...]  # of one parameter: what it becomes, and its part of the state


class Optimizer(Protocol):
    """The interface; `tm.optim.SGD` and its siblings have it, and so do learned update rules."""

    def init(self, params: Tree) -> Tree:
        """The state before the first step."""
        ...

    def update(self, grads: Tree, state: Tree, params: X) -> tuple[X, Tree]:
        """The parameters and the state after one more step."""
        ...


def check_rule(what: str, rule: object) -> None:
    """Refuse what is no optimizer: a class that was not called, or a step size alone. Raises: UserError."""
    if isinstance(rule, type) or not (hasattr(rule, "init") and hasattr(rule, "update")):
        raise UserError(
            f"{what} must be an optimizer, such as tm.optim.SGD(0.01), not {rule!r} ({user_site()}): it needs "
            "init(params) and update(grads, state, params)"
        )


def start() -> Tensor:
    """The number of steps taken so far: none. (float64, so that β^count is exact enough for any count.)"""
    return Tensor(np.zeros((), np.float64))


def each_leaf(step: Callable[..., Row], params: Tree, *others: Tree) -> list[Tree]:
    """Apply `step(p, *leaves of others)` to every parameter; its results, put together as trees like `params`.

    An entry of `others` (the gradients, then parts of the state) is a tree like `params`, or `Leaves`, or None for a
    part of the state that a setting does not have: `step` gets and returns None for it, and so does the caller.

    Raises: ValueError if a tree has another structure than `params`; ShapeError if a leaf has another shape than its
    parameter, or DtypeError another dtype: the step would spread the one over it, or turn it into the other.
    """
    leaves, structure = tree.flatten(params)
    columns = [_column(k, other, leaves, structure) for k, other in enumerate(others)]
    rows = [step(*row) for row in zip(leaves, *columns)]
    results = list(zip(*rows))
    if results:
        _check_leaves("value that the learning rate or another setting gives to", results[0], leaves, structure)
    return [None if column[0] is None else tree.unflatten(structure, column) for column in results]


class Leaves(list[Any]):
    """One entry per leaf of the parameters."""


def check_gradients(grads: Tree, params: Tree) -> None:
    """Raise what `each_leaf` does, for an optimizer that doesn't go leaf by leaf."""
    _column(0, grads, *tree.flatten(params))


def _column(k: int, other: Tree, params: list[Any], structure: tree.Structure) -> list[Any]:
    for p in () if k else params:
        real("an optimizer", as_tensor(p))
    if other is None or isinstance(other, Leaves):
        return [None] * len(params) if other is None else other
    leaves, found = tree.flatten(other)
    if found != structure:
        raise ValueError(
            f"the gradients and the state must have the structure of the parameters ({user_site()}): take the gradient "
            "with respect to these parameters, and the state from optimizer.init(params)"
        )
    _check_leaves("state of" if k else "gradient with respect to", leaves, params, structure)
    return leaves


def _check_leaves(what: str, leaves: Sequence[Any], params: list[Any], structure: tree.Structure) -> None:
    for k, (x, p) in enumerate(zip(leaves, params)):
        both = type(x) is type(p) is Tensor and x.batch == p.batch  # most are, and need no call
        if both and x.array.shape == p.array.shape and x.array.dtype == p.array.dtype:
            continue
        p = as_tensors((p, x))[0]
        x = as_tensor(x, p.dtype)  # a Python number has no dtype of its own
        if x.shape != p.shape or x.dtype != p.dtype:
            place = f"parameter '{tree.places(structure)[k]}'" if structure != tree.LEAF else "the parameter"
            raise (ShapeError if x.shape != p.shape else DtypeError)(
                f"the {what} {place} has shape {x.shape} and dtype {x.dtype}, and the parameter {p.shape} and "
                f"{p.dtype} ({user_site()}): take the gradient with respect to these parameters, the state from "
                "optimizer.init(params), and settings that are numbers"
            )


def rates(lr: LearningRate, taken: Tensor, params: Tree) -> Leaves:
    """The learning rate of each leaf of `params`: a number, or a Tensor in its dtype."""
    leaves, structure = tree.flatten(params)
    if callable(lr) and not hasattr(lr, "tree_flatten"):
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


def setting(number: Setting, p: ArrayLike) -> Setting:
    """A setting of the optimizer (momentum, a decay, an ε), in the dtype of parameter `p` if it is a Tensor."""
    return number.astype(as_tensor(p).dtype) if isinstance(number, Tensor) else number


def bias(beta: Setting, count: Tensor, dtype: DTypeLike) -> Tensor:
    """1 − β^count, how much an exponential average that started at 0 has seen so far."""
    return (1.0 - beta**count).astype(dtype)


def root(v: Tensor) -> Tensor:
    """√v with derivative 0 at v = 0, where the true one is infinite.

    v is an average of squares g² there, so √v is like |g| near 0: its derivative is one-sided, and 0 lies
    between the sides. In a quotient m/(√v + ε) the choice does not even matter, as m is 0 where v is. Of NaN it is NaN.
    """
    nothing = v <= 0  # False for NaN, which must not pass for 0
    return where(nothing, 0, sqrt(where(nothing, 1, v)))
