"""Meta-SGD's learned step sizes (Li et al. 2017) for Adam (Kingma & Ba 2015), one set for each inner step.

    θₖ₊₁ = θₖ − exp(s aₖ) ∘ m̂ₖ/(√v̂ₖ + ε)          Adam's direction, a step size per weight and step
    min over θ and a of  E[L_query(θ_K)]

As in MAML++ (Antoniou et al. 2019, § 4), early steps may be longer than late ones; steps beyond the K of training are
as the last of these, times K/k, so that they come to rest. Inner gradients count as
constants (first order), so the cost is that of the inner steps alone; the gradient in a is exact for the last step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Options, Tree, X
from tinymeta.meta.core.adapt import adapt
from tinymeta.meta.core.learner import GradientLearner, Model
from tinymeta.meta.learners.metasgd import WeightsAndSteps
from tinymeta.ops.elementwise import exp
from tinymeta.optim.adam import Adam

SCALE = 10.0  # s: the logarithms learn this much faster than the weights, which an outer Adam moves equally far
HABITS = {"b2": 0.99, "eps": 1e-5}  # a hundred steps of memory are plenty for ten


@dataclass(frozen=True)
class MetaAdam(GradientLearner):
    """Learn the initial weights, and how far Adam goes with each of them in each step; φ is (θ, a).

    Shapes: called with phi and episodes of a leading task axis → ().
    Source: Li et al. 2017, for Adam (Kingma & Ba 2015).

    Parameters
    ----------
    rate
        All step sizes at first.

    Examples
    --------
    >>> start = lambda rng: tm.nn.MLP([1, 8, 1], rng=rng)
    >>> learner, rng = tm.meta.MetaAdam(tm.meta.regression, network=start, steps=2), np.random.default_rng(0)
    >>> learner(learner.init(rng), tm.tasks.Sinusoids().sample(rng, tasks=3)).shape
    ()
    """

    rate: float = field(default=0.01, kw_only=True)

    def init(self, rng: np.random.Generator) -> WeightsAndSteps:
        theta, first = self.weights(rng), np.log(self.rate) / SCALE
        return WeightsAndSteps(
            theta, tree.map(lambda p: Tensor(np.full((self.steps, *p.shape), first, p.dtype)), theta)
        )

    def path(self, phi: WeightsAndSteps, support: Tree, steps: int) -> list[Model]:
        how: Options = {"rule": StepwiseAdam(phi.alpha), "differentiate": "first_order"}
        return [*adapt(self.loss, phi.theta, support, steps=steps, path=True, **how)]


class StepwiseAdam:
    """Adam whose step sizes are exp(s a), a with a leading axis of K steps; step k > K is as the last, times K/k."""

    def __init__(self, log_rates: Tree) -> None:
        self.log_rates = log_rates

    def init(self, params: Tree) -> tuple[int, Tree]:
        return 0, Adam().init(params)

    def update(self, grads: Tree, state: tuple[int, Tree], params: X) -> tuple[X, tuple[int, Tree]]:
        taken, moments = state
        rates = tree.map(
            lambda a: exp(SCALE * a[min(taken, len(a) - 1)]) * min(1, len(a) / (taken + 1)), self.log_rates
        )
        params, moments = Adam(rates, **HABITS).update(grads, moments, params)
        return params, (taken + 1, moments)
