"""Learned losses: φ is inside the loss (ML³; Bechtle et al. 2021, "Meta learning via learned loss").

    θ' = θ − α ∇_θ M_φ(x, y, f_θ(x))                    a step down the learned loss     (eq. 1)
    φ ← φ − η ∇_φ L(y, f_θ'(x))                         judged by the task's own loss    (eq. 2 and 3)

M_φ reaches L through the step alone, by the mixed derivative ∂²M/∂φ∂θ; at test time L is no longer needed. What the
learned loss knows is which errors to attend to, where, and how strongly, if few steps are to lead far.

Here M_φ is the task's own loss with a learned weight, plus a network on each example,

    M_φ = mean of  e^w (ŷ − y)² + m_φ(x, y, ŷ, ŷ − y)

so that it begins as that loss, and the descent with it as one that is known to work.
"""

from __future__ import annotations

import numpy as np

from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import DTypeLike, Tree
from tinymeta.meta.core.adapt import Loss, adapt
from tinymeta.nn import init
from tinymeta.nn.layers import MLP, Linear
from tinymeta.nn.module import Module
from tinymeta.ops.elementwise import exp, square
from tinymeta.ops.logistic import softplus
from tinymeta.ops.reduce import mean
from tinymeta.ops.shape import concat
from tinymeta.optim.optimizer import Optimizer


class LossNetwork(Module):
    """M_φ for regression, called as `loss(model, (x, y))`.

    Its activation is softplus, not ReLU: a step is the loss's derivative in ŷ, and the meta-gradient a second one.

    Shapes: x (n, inputs), y and the outputs (n, outputs) → ().
    Source: Bechtle et al. 2021, in a form of its own (see the module).

    >>> learned = tm.meta.LossNetwork(1, 1, rng=np.random.default_rng(0), width=4)
    >>> learned(lambda x: tm.tensor(x), (np.ones((5, 1)), np.ones((5, 1)))).shape
    ()
    """

    def __init__(
        self, inputs: int, outputs: int, *, rng: np.random.Generator, width: int = 40, dtype: DTypeLike = np.float32
    ) -> None:
        self.network = MLP([inputs + 3 * outputs, width, width, 1], rng=rng, activation=softplus, dtype=dtype)
        self.network.head = Linear(width, 1, rng=rng, weight_init=init.normal(0.001), dtype=dtype)
        self.weight = init.zeros((), dtype)

    def __call__(self, model: Tree, batch: Tree) -> Tensor:
        x, y = batch
        predicted = model(x)
        error = predicted - y
        seen = concat([x, y, predicted, error], -1)
        return mean(exp(self.weight) * square(error)) + mean(self.network(seen))


def shaped_loss(loss: Loss, phi: LossNetwork, problem: Tree, *, rule: Optimizer, steps: int) -> Tensor:
    """The mean of the task's own `loss` on the query set after 1, …, `steps` steps down the learned one.

    Shapes: a `Problem` → ().
    Raises: ValueError as `adapt` does.
    Source: Bechtle et al. 2021, eq. 1–3.

    >>> loss = lambda theta, goal: (theta - goal) ** 2
    >>> tm.meta.shaped_loss(loss, loss, tm.meta.Problem(0.0, 1.0, 1.0), rule=tm.optim.SGD(0.25), steps=1)
    tensor(0.25)
    """
    path = adapt(phi, problem.start, problem.support, rule=rule, steps=steps, path=True)
    losses = [loss(model, problem.query) for model in path[1:]]
    total: Tensor = losses[0]
    for value in losses[1:]:
        total = total + value
    return total / steps
