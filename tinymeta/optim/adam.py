"""Adam (Kingma & Ba 2015, algorithm 1) and AdamW (Loshchilov & Hutter 2019, algorithm 2)."""

from __future__ import annotations

from typing import Any, NamedTuple

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.tensor import Tensor
from tinymeta.ops.elementwise import sqrt, square
from tinymeta.optim.optimizer import LearningRate, powers, rates, start, zeros_like


class AdamState(NamedTuple):
    taken: Tensor  # steps so far
    mean: Any  # m: average of the gradients
    square: Any  # v: average of their squares


class Adam:
    """m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,   θ ← θ − lr m̂/(√v̂ + ε).

    It may be differentiated through. Where v = 0 the square root has an infinite derivative, but m is 0
    there too and so is its cotangent: the product is 0, and the meta-gradient stays finite.
    """

    decay = 0.0

    def __init__(self, lr: LearningRate = 1e-3, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> None:
        self.lr, self.b1, self.b2, self.eps = lr, b1, b2, eps

    def init(self, params: Any) -> AdamState:
        return AdamState(start(), zeros_like(params), zeros_like(params))

    def update(self, grads: Any, state: AdamState, params: Any) -> tuple[Any, AdamState]:
        count = state.taken + 1
        mean = tree.map(lambda m, g: self.b1 * m + (1 - self.b1) * g, state.mean, grads)
        second = tree.map(lambda v, g: self.b2 * v + (1 - self.b2) * square(g), state.square, grads)
        leaves, structure = tree.flatten(params)
        stepped = []
        for p, m, v, lr in zip(leaves, tree.leaves(mean), tree.leaves(second), rates(self.lr, state.taken, params)):
            dtype = as_tensor(p).dtype
            direction = (m / powers(self.b1, count, dtype)) / (sqrt(v / powers(self.b2, count, dtype)) + self.eps)
            stepped.append(p - lr * (direction + self.decay * p if self.decay else direction))
        return tree.unflatten(structure, stepped), AdamState(count, mean, second)


class AdamW(Adam):
    """Adam whose weight decay acts on θ itself: θ ← θ − lr (m̂/(√v̂ + ε) + λ θ)."""

    def __init__(
        self,
        lr: LearningRate = 1e-3,
        b1: float = 0.9,
        b2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(lr, b1, b2, eps)
        self.decay = weight_decay
