"""Stochastic gradient descent, with momentum (Polyak 1964) and Nesterov's variant (Sutskever et al. 2013)."""

from __future__ import annotations

from typing import NamedTuple

from tinymeta.engine.errors import user_site
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Tree, X
from tinymeta.ops.tree import zeros_like
from tinymeta.optim.fused import in_one, sgd_step
from tinymeta.optim.optimizer import LearningRate, Row, Setting, each_leaf, rates, setting, start, used


class SGDState(NamedTuple):
    taken: Tensor  # steps so far
    velocity: Tree  # None without momentum


class SGD:
    """v ← μ v + g,   θ ← θ − lr v   (θ ← θ − lr (g + μ v) for Nesterov).

    Shapes: parameters a pytree; gradients and velocity are like it.
    Raises: ValueError for `nesterov` without momentum: `tm.optim.SGD(0.1, nesterov=True)`; ShapeError (by
    `update`; of a dtype DtypeError, of a tree ValueError) for gradients unlike the parameters.
    Source: Polyak 1964 for momentum; Sutskever et al. 2013 for Nesterov's; in PyTorch's form.

    Parameters
    ----------
    lr
        Learning rate: a number, a Tensor, a tree like the parameters, or a schedule.
    momentum
        μ; 0 keeps no velocity. Like every number here a float or a Tensor, which may be differentiated.
    weight_decay
        Adds this times θ to the gradient.

    Examples
    --------
    >>> optimizer, theta = tm.optim.SGD(0.1, momentum=0.5), tm.tensor(1.0)
    >>> state = optimizer.init(theta)
    >>> for _ in range(2):
    ...     theta, state = optimizer.update(tm.tensor(1.0), state, theta)
    >>> theta  # 1 − 0.1·1 − 0.1·(0.5 + 1)
    tensor(0.75)
    """

    def __init__(
        self, lr: LearningRate, momentum: Setting = 0.0, nesterov: bool = False, weight_decay: Setting = 0.0
    ) -> None:
        if nesterov and not used(momentum):
            raise ValueError(f"nesterov=True needs momentum > 0 ({user_site()})")
        self.lr, self.momentum, self.nesterov, self.weight_decay = lr, momentum, nesterov, weight_decay

    def init(self, params: Tree) -> SGDState:
        return SGDState(start(), zeros_like(params) if used(self.momentum) else None)

    def update(self, grads: Tree, state: SGDState, params: X) -> tuple[X, SGDState]:
        lrs = rates(self.lr, state.taken, params)

        how = {"momentum": self.momentum, "nesterov": self.nesterov, "decay": self.weight_decay}

        def step(p: Tensor, g: Tensor, v: Tensor, lr: Setting) -> Row:
            if used(self.momentum):
                return in_one(sgd_step, p, g, v, lr, **how)
            return p - lr * (g + setting(self.weight_decay, p) * p if used(self.weight_decay) else g), v

        params, velocity = each_leaf(step, params, grads, state.velocity, lrs)
        return params, SGDState(state.taken + 1, velocity)
