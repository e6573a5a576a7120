"""CAVIA (Zintgraf, Shiarlis, Kurin, Hofmann & Whiteson 2019): adapt a context, not the weights.

    cᵢ = c₀ − α ∇_c L_support,ᵢ(θ, c₀),      c₀ = 0           inner, several steps      (§ 3.1)
    θ ← θ − β ∇_θ Σᵢ L_query,ᵢ(θ, cᵢ)                          outer

The context c is a handful of extra inputs to the network. Because the first layer's weights on c are
learned, the inner step size hardly matters, and c is a small vector that describes the task. (The authors'
code also limits every task's meta-gradient to [−10, 10]; `tm.optim.Clipped` limits their mean.)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Options, Tree
from tinymeta.meta.core.adapt import Differentiate, adapt
from tinymeta.meta.core.learner import GradientLearner, Model
from tinymeta.nn.module import Module
from tinymeta.ops.shape import broadcast_to, concat
from tinymeta.optim.optimizer import Optimizer
from tinymeta.optim.sgd import SGD


class InContextOf(Module):
    """The network with a context: f([x, c]), for x of shape (…, features)."""

    def __init__(self, network: Model, context: Tensor) -> None:
        self.network, self.context = network, context

    def __call__(self, x: Tensor) -> Tree:
        return self.network(concat([x, broadcast_to(self.context, (*x.shape[:-1], *self.context.shape))], -1))


@dataclass(frozen=True)
class CAVIA(GradientLearner):
    """Learn a network that is told by `context` adapted numbers what task it is in.

    Shapes: the network takes (…, features + context); called with phi and a batch of episodes → ().
    Raises: ValueError (by `learn`) for another `differentiate` than `adapt` knows.
    Source: Zintgraf et al. 2019.

    Parameters
    ----------
    context
        How many context parameters; the network takes as many inputs more than x has features.
    rule
        The inner update rule (the paper: SGD with step size 1).
    differentiate
        As in `adapt`.

    Examples
    --------
    >>> start = lambda rng: tm.nn.MLP([1 + 5, 8, 1], rng=rng)
    >>> learner, rng = tm.meta.CAVIA(tm.meta.regression, network=start), np.random.default_rng(0)
    >>> learner(learner.init(rng), tm.tasks.Sinusoids().sample(rng, tasks=3)).shape
    ()
    """

    context: int = field(default=5, kw_only=True)
    rule: Optimizer = field(default=SGD(1.0), kw_only=True)
    differentiate: Differentiate = field(default="exact", kw_only=True)

    def path(self, phi: Tree, support: Tree, steps: int) -> list[Model]:
        def loss(context: Tensor, batch: Tree) -> Tensor:
            return self.loss(InContextOf(phi, context), batch)

        start = Tensor(np.zeros(self.context, tree.leaves(phi)[0].dtype))
        how: Options = {"rule": self.rule, "differentiate": self.differentiate}
        return [InContextOf(phi, c) for c in adapt(loss, start, support, steps=steps, path=True, **how)]
