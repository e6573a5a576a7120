"""MAML++ (Antoniou, Edwards & Storkey 2019, "How to train your MAML"): what makes many inner steps train well.

    θₖ₊₁ = θₖ − α_{l,k} ∇L_support(θₖ)         a learned step size per layer l and step k          (LSLR)
    min over θ and α of  E[Σₖ vₖ L_query(θₖ)]  every step counts, the last one more and more       (MSL, eq. 2)
    first_order until iteration s              then the second derivatives                         (DA)
    β on half a cosine                         the outer step size: `tm.optim.schedules.cosine`    (CA)

All of them are in § 4 of the paper. Its batch norm with statistics and scales per step is not here: layers
of this framework normalise with the batch at hand and keep no statistics.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.structure import stop_gradient
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Tree, X
from tinymeta.meta.core.adapt import adapt
from tinymeta.meta.core.learner import GradientLearner, Model
from tinymeta.meta.core.objective import over_tasks
from tinymeta.meta.learners.metasgd import WeightsAndSteps
from tinymeta.ops.select import maximum, where
from tinymeta.ops.shape import stack
from tinymeta.optim.optimizer import Optimizer
from tinymeta.optim.sgd import SGD
from tinymeta.tasks.episode import Episode

FIRST = 0.1  # where the authors' step sizes start
LEAST = 0.03  # of an even share: what the loss after a step before the last always counts (the authors' code)


@dataclass(frozen=True)
class MAMLPlusPlus(GradientLearner):
    """MAML with a loss after every step and step sizes of its own for every layer and step.

    `fit` hands it the number of the iteration, for it changes while it trains.

    Shapes: called with phi, episodes of a leading task axis and the iteration → ().
    Source: Antoniou, Edwards & Storkey 2019, § 4.

    Parameters
    ----------
    alpha
        The first step size of every layer and step. φ holds step sizes in units in which they all start at 0.1, as
        the authors' do: so an outer step of Adam changes each by the same share of it, however small `alpha` is.
    multi_step
        In how many iterations the weights of the losses go over from equal to all on the last step; 0: at once.
    second_order_from
        The iteration from which second derivatives count. Before it the gradient is that of first-order MAML
        (at the cost of the exact one, as the program is the same).

    Examples
    --------
    >>> start = lambda rng: tm.nn.MLP([1, 8, 1], rng=rng)
    >>> learner, rng = tm.meta.MAMLPlusPlus(tm.meta.regression, network=start, steps=2), np.random.default_rng(0)
    >>> learner(learner.init(rng), tm.tasks.Sinusoids().sample(rng, tasks=3), tm.tensor(0.0)).shape
    ()
    """

    steps: int = field(default=5, kw_only=True)
    alpha: float = field(default=0.1, kw_only=True)
    multi_step: int = field(default=0, kw_only=True)
    second_order_from: int = field(default=0, kw_only=True)

    def init(self, rng: np.random.Generator) -> WeightsAndSteps:
        theta = self.weights(rng)
        each = max(self.steps, self.test_steps or 0)
        return WeightsAndSteps(theta, tree.map(lambda p: Tensor(np.full(each, FIRST, p.dtype)), theta))

    def path(self, phi: WeightsAndSteps, support: Tree, steps: int, gate: Tensor | None = None) -> list[Model]:
        trail = [phi.theta]
        for k in range(steps):
            rule: Optimizer = SGD(tree.map(lambda a, k=k: self.alpha / FIRST * a[k], phi.alpha))
            if gate is not None:
                rule = Gated(rule, gate)
            trail.append(adapt(self.loss, trail[-1], support, rule=rule, steps=1))
        return trail

    def weighted_loss(
        self, weights: Tensor | None, gate: Tensor | None, phi: WeightsAndSteps, episode: Episode
    ) -> Tensor:
        """Σₖ vₖ L_query(θₖ) for one task (eq. 2)."""
        trail = self.path(phi, episode.support, self.steps, gate)
        if weights is None:
            return self.loss(trail[-1], episode.query)
        losses = stack([self.loss(theta, episode.query) for theta in trail[1:]])
        return (weights.astype(losses.dtype) * losses).sum()

    def __call__(self, phi: WeightsAndSteps, episodes: Episode, iteration: Tensor) -> Tensor:  # type: ignore[override]
        """The objective in one iteration."""
        weights = step_weights(self.steps, iteration, self.multi_step) if self.multi_step else None
        gate = (iteration >= self.second_order_from) if self.second_order_from else None
        return over_tasks(partial(self.weighted_loss, weights, gate))(phi, episodes)


def step_weights(steps: int, iteration: Tensor, over: int) -> Tensor:
    """v₁, …, v_steps, with sum 1: equal at first, fading to LEAST of that; from iteration `over` on, the last alone."""
    share = 1 / steps
    early = where(iteration < over, maximum(share * (1 - iteration / over), LEAST * share), 0)
    last = 1 - (steps - 1) * early
    return stack([*[early] * (steps - 1), last])


class Gated:
    """`rule`, following gradients that count as constants while `gate` is 0, and not while it is 1."""

    def __init__(self, rule: Optimizer, gate: Tensor) -> None:
        self.rule, self.gate = rule, gate

    def init(self, params: Tree) -> Tree:
        return self.rule.init(params)

    def update(self, grads: Tree, state: Tree, params: X) -> tuple[X, Tree]:
        def gated(g: Tensor) -> Tensor:
            constant = stop_gradient(g)
            return constant + self.gate.astype(g.dtype) * (g - constant)

        return self.rule.update(tree.map(gated, grads), state, params)
