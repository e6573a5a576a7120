"""RMSProp (Hinton 2012, lecture 6e) and Adagrad (Duchi et al. 2011): steps divided by the gradients' size so far."""

from __future__ import annotations

from typing import Any, NamedTuple

from tinymeta.engine import tree
from tinymeta.engine.tensor import Tensor
from tinymeta.ops.elementwise import sqrt, square
from tinymeta.optim.optimizer import LearningRate, rates, start, zeros_like


class ScaledState(NamedTuple):
    taken: Tensor  # steps so far
    square: Any  # average, or sum, of the squared gradients


class RMSProp:
    """v ← ρ v + (1 − ρ) g²,   θ ← θ − lr g/(√v + ε)."""

    def __init__(self, lr: LearningRate = 1e-2, decay: float = 0.99, eps: float = 1e-8) -> None:
        self.lr, self.keep, self.add, self.eps = lr, decay, 1 - decay, eps

    def init(self, params: Any) -> ScaledState:
        return ScaledState(start(), zeros_like(params))

    def update(self, grads: Any, state: ScaledState, params: Any) -> tuple[Any, ScaledState]:
        second = tree.map(lambda v, g: self.keep * v + self.add * square(g), state.square, grads)
        leaves, structure = tree.flatten(params)
        parts = zip(leaves, tree.leaves(grads), tree.leaves(second), rates(self.lr, state.taken, params))
        stepped = [p - lr * g / (sqrt(v) + self.eps) for p, g, v, lr in parts]
        return tree.unflatten(structure, stepped), ScaledState(state.taken + 1, second)


class Adagrad(RMSProp):
    """v ← v + g²,   θ ← θ − lr g/(√v + ε)."""

    def __init__(self, lr: LearningRate = 1e-2, eps: float = 1e-10) -> None:
        self.lr, self.keep, self.add, self.eps = lr, 1.0, 1.0, eps
