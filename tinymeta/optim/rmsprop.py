"""RMSProp (Hinton 2012, lecture 6e): steps divided by the recent size of the gradients."""

from __future__ import annotations

from typing import NamedTuple

from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Tree, X
from tinymeta.ops.elementwise import square
from tinymeta.ops.tree import zeros_like
from tinymeta.optim.optimizer import LearningRate, Row, Setting, each_leaf, rates, root, setting, start, used


class RMSPropState(NamedTuple):
    taken: Tensor  # steps so far
    square: Tree  # v: average of the squared gradients
    mean: Tree  # average of the gradients; None unless centered
    velocity: Tree  # None without momentum


class RMSProp:
    """v ← ρ v + (1 − ρ) g²,   u ← μ u + g/(√v + ε),   θ ← θ − lr u.

    Shapes: parameters a pytree; gradients, v and u are like it.
    Raises: ShapeError (by `update`; of a dtype DtypeError, of a tree ValueError) for gradients unlike the parameters:
    `tm.optim.RMSProp().update(tm.ones(2), tm.optim.RMSProp().init(tm.ones(3)), tm.ones(3))`.
    Source: Hinton 2012, lecture 6e; Graves 2013, eq. 38–45, for `centered`.

    Parameters
    ----------
    lr
        Learning rate: a number, a Tensor, a tree like the parameters, or a schedule.
    decay
        ρ. Like every number here a float or a Tensor, which may be differentiated.
    weight_decay
        Adds this times θ to the gradient.
    momentum
        μ; 0 keeps no velocity.
    centered
        Divide by the standard deviation, √(v − mean²), instead.

    Examples
    --------
    >>> optimizer, theta = tm.optim.RMSProp(0.1, decay=0.75), tm.tensor(1.0)
    >>> optimizer.update(tm.tensor(3.0), optimizer.init(theta), theta)[0]  # 1 − 0.1·3/√(0.25·9)
    tensor(0.8)
    """

    def __init__(
        self,
        lr: LearningRate = 1e-2,
        decay: Setting = 0.99,
        eps: Setting = 1e-8,
        weight_decay: Setting = 0.0,
        momentum: Setting = 0.0,
        centered: bool = False,
    ) -> None:
        self.lr, self.decay, self.eps = lr, decay, eps
        self.weight_decay, self.momentum, self.centered = weight_decay, momentum, centered

    def init(self, params: Tree) -> RMSPropState:
        mean = zeros_like(params) if self.centered else None
        return RMSPropState(start(), zeros_like(params), mean, zeros_like(params) if used(self.momentum) else None)

    def update(self, grads: Tree, state: RMSPropState, params: X) -> tuple[X, RMSPropState]:
        def step(p: Tensor, g: Tensor, v: Tensor, mean: Tensor, u: Tensor, lr: Setting) -> Row:
            settings = (self.decay, self.eps, self.weight_decay, self.momentum)
            decay, eps, weight_decay, momentum = (setting(number, p) for number in settings)
            if used(weight_decay):
                g = g + weight_decay * p
            spread = v = decay * v + (1 - decay) * square(g)
            if self.centered:
                mean = decay * mean + (1 - decay) * g
                spread = v - square(mean)
            direction = g / (root(spread) + eps)
            if used(momentum):
                u = direction = momentum * u + direction
            return p - lr * direction, v, mean, u

        _, *averages = state
        params, *averages = each_leaf(step, params, grads, *averages, rates(self.lr, state.taken, params))
        return params, RMSPropState(state.taken + 1, *averages)
