"""Adam (Kingma & Ba 2015, algorithm 1) and AdamW (Loshchilov & Hutter 2019, algorithm 2)."""

from __future__ import annotations

from typing import NamedTuple

from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Tree, X
from tinymeta.ops.tree import zeros_like
from tinymeta.optim.fused import adam_step, in_one
from tinymeta.optim.optimizer import LearningRate, Row, Setting, each_leaf, rates, start


class AdamState(NamedTuple):
    taken: Tensor  # steps so far
    mean: Tree  # m: average of the gradients
    square: Tree  # v: average of their squares


class Adam:
    """m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,   θ ← θ − lr m̂/(√v̂ + ε).

    m̂ and v̂ are m/(1 − β₁ᵗ) and v/(1 − β₂ᵗ). It may be differentiated through, also where a gradient is 0.

    Shapes: parameters a pytree; gradients, m and v are like it.
    Raises: ShapeError (by `update`; of a dtype DtypeError, of a tree ValueError) for gradients unlike the parameters:
    `tm.optim.Adam().update(tm.ones(2), tm.optim.Adam().init(tm.ones(3)), tm.ones(3))`.
    Source: Kingma & Ba 2015, algorithm 1.

    Parameters
    ----------
    lr
        Learning rate: a number, a Tensor, a tree like the parameters, or a schedule.
    b1, b2
        β₁ and β₂. Like every number here floats or Tensors, which may be differentiated.
    weight_decay
        Adds this times θ to the gradient (`AdamW` takes it from θ itself).

    Examples
    --------
    >>> optimizer, theta = tm.optim.Adam(0.1), tm.tensor([1.0, 1.0])
    >>> optimizer.update(tm.tensor([5.0, -0.2]), optimizer.init(theta), theta)[0]  # the first step is lr·sign(g)
    tensor([0.9, 1.1])
    """

    decoupled = False

    def __init__(
        self,
        lr: LearningRate = 1e-3,
        b1: Setting = 0.9,
        b2: Setting = 0.999,
        eps: Setting = 1e-8,
        weight_decay: Setting = 0.0,
    ) -> None:
        self.lr, self.b1, self.b2, self.eps, self.weight_decay = lr, b1, b2, eps, weight_decay

    def init(self, params: Tree) -> AdamState:
        return AdamState(start(), zeros_like(params), zeros_like(params))

    def update(self, grads: Tree, state: AdamState, params: X) -> tuple[X, AdamState]:
        lrs = rates(self.lr, state.taken, params)
        count = state.taken + 1

        how = {"b1": self.b1, "b2": self.b2, "eps": self.eps, "decay": self.weight_decay, "decoupled": self.decoupled}

        def step(p: Tensor, g: Tensor, m: Tensor, v: Tensor, lr: Setting) -> Row:
            return in_one(adam_step, p, g, m, v, count, lr, **how)

        params, mean, second = each_leaf(step, params, grads, state.mean, state.square, lrs)
        return params, AdamState(count, mean, second)


class AdamW(Adam):
    """Adam whose weight decay acts on θ itself: θ ← θ − lr (m̂/(√v̂ + ε) + λ θ).

    Shapes: parameters a pytree; gradients, m and v are like it.
    Source: Loshchilov & Hutter 2019, algorithm 2.

    >>> optimizer, theta = tm.optim.AdamW(0.1, weight_decay=0.5), tm.tensor(1.0)
    >>> optimizer.update(tm.tensor(0.0), optimizer.init(theta), theta)[0]
    tensor(0.95)
    """

    decoupled = True

    def __init__(
        self,
        lr: LearningRate = 1e-3,
        b1: Setting = 0.9,
        b2: Setting = 0.999,
        eps: Setting = 1e-8,
        weight_decay: Setting = 0.01,
    ) -> None:
        super().__init__(lr, b1, b2, eps, weight_decay)
