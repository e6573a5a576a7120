"""Stochastic gradient descent, with momentum (Polyak 1964) and Nesterov's variant (Sutskever et al. 2013)."""

from __future__ import annotations

from typing import Any, NamedTuple

from tinymeta.engine import tree
from tinymeta.engine.tensor import Tensor
from tinymeta.optim.optimizer import LearningRate, rates, start, zeros_like


class SGDState(NamedTuple):
    taken: Tensor  # steps so far
    velocity: Any  # None without momentum


class SGD:
    """v ← μ v + g,   θ ← θ − lr v   (θ ← θ − lr (g + μ v) for Nesterov).

    Parameters
    ----------
    lr
        Learning rate: a number, a Tensor, a tree like the parameters, or a schedule.
    momentum
        μ; 0 keeps no velocity.
    weight_decay
        Adds this times θ to the gradient.
    """

    def __init__(
        self, lr: LearningRate, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0
    ) -> None:
        if nesterov and not momentum:
            raise ValueError("nesterov=True needs momentum > 0")
        self.lr, self.momentum, self.nesterov, self.weight_decay = lr, momentum, nesterov, weight_decay

    def init(self, params: Any) -> SGDState:
        return SGDState(start(), zeros_like(params) if self.momentum else None)

    def update(self, grads: Any, state: SGDState, params: Any) -> tuple[Any, SGDState]:
        if self.weight_decay:
            grads = tree.map(lambda g, p: g + self.weight_decay * p, grads, params)
        velocity, direction = state.velocity, grads
        if self.momentum:
            velocity = tree.map(lambda v, g: self.momentum * v + g, state.velocity, grads)
            direction = velocity
            if self.nesterov:
                direction = tree.map(lambda v, g: g + self.momentum * v, velocity, grads)
        leaves, structure = tree.flatten(params)
        steps = zip(leaves, tree.leaves(direction), rates(self.lr, state.taken, params))
        return tree.unflatten(structure, [p - r * d for p, d, r in steps]), SGDState(state.taken + 1, velocity)
