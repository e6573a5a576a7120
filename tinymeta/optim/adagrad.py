"""Adagrad (Duchi, Hazan & Singer 2011): steps divided by the size of all gradients so far."""

from __future__ import annotations

from typing import NamedTuple

from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Tree, X
from tinymeta.ops.elementwise import square
from tinymeta.ops.tree import full_like
from tinymeta.optim.optimizer import LearningRate, Row, Setting, each_leaf, rates, root, setting, start, used


class AdagradState(NamedTuple):
    taken: Tensor  # steps so far
    square: Tree  # v: sum of the squared gradients


class Adagrad:
    """v ← v + g²,   θ ← θ − lr/(1 + taken·lr_decay) · g/(√v + ε).

    Shapes: parameters a pytree; gradients and v are like it.
    Raises: ShapeError (by `update`; of a dtype DtypeError, of a tree ValueError) for gradients unlike the parameters:
    `tm.optim.Adagrad().update(tm.ones(2), tm.optim.Adagrad().init(tm.ones(3)), tm.ones(3))`.
    Source: Duchi, Hazan & Singer 2011.

    Parameters
    ----------
    lr
        Learning rate: a number, a Tensor, a tree like the parameters, or a schedule.
    lr_decay
        How fast the learning rate itself goes down. Like every number here a float or a Tensor, which may be
        differentiated.
    weight_decay
        Adds this times θ to the gradient.
    initial
        v before the first step.

    Examples
    --------
    >>> optimizer, theta = tm.optim.Adagrad(0.1, initial=16.0), tm.tensor(1.0)
    >>> optimizer.update(tm.tensor(3.0), optimizer.init(theta), theta)[0]  # 1 − 0.1·3/√(16 + 9)
    tensor(0.94)
    """

    def __init__(
        self,
        lr: LearningRate = 1e-2,
        lr_decay: Setting = 0.0,
        eps: Setting = 1e-10,
        weight_decay: Setting = 0.0,
        initial: Setting = 0.0,
    ) -> None:
        self.lr, self.lr_decay, self.eps, self.weight_decay, self.initial = lr, lr_decay, eps, weight_decay, initial

    def init(self, params: Tree) -> AdagradState:
        return AdagradState(start(), full_like(params, self.initial))

    def update(self, grads: Tree, state: AdagradState, params: X) -> tuple[X, AdagradState]:
        def step(p: Tensor, g: Tensor, v: Tensor, lr: Setting) -> Row:
            eps, weight_decay = setting(self.eps, p), setting(self.weight_decay, p)
            if used(weight_decay):
                g = g + weight_decay * p
            v = v + square(g)
            direction = g / (root(v) + eps)
            if used(self.lr_decay):
                direction = direction / (1 + state.taken * self.lr_decay).astype(direction.dtype)
            return p - lr * direction, v

        params, second = each_leaf(step, params, grads, state.square, rates(self.lr, state.taken, params))
        return params, AdagradState(state.taken + 1, second)
