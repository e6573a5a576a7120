"""Learning the data: a handful of synthetic examples, made by back-propagating through training.

Dataset distillation (Wang, Zhu, Torralba & Efros 2018):

    θₖ₊₁ = θₖ − ηₖ ∇ ℓ(x̃, θₖ),   k = 0 … K − 1           training on the synthetic examples x̃        (eq. 2)
    min over x̃, η of  E over θ₀ of  ℓ(x, θ_K)             judged by real ones x                        (eq. 4)

φ is the pair (x̃, η). θ₀ is drawn anew in every iteration, so what is learned is good for networks that start
anywhere; the gradient runs back through all K steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import Tree
from tinymeta.meta.core.adapt import Loss, adapt
from tinymeta.meta.core.learner import Network
from tinymeta.meta.core.objective import over_tasks
from tinymeta.ops.elementwise import exp
from tinymeta.optim.sgd import SGD


class Synthetic(NamedTuple):
    """φ: the examples, and the logarithm of the step size of every training step.

    Shapes: examples (count, …), log_rates (steps,).

    >>> phi = tm.meta.Synthetic(examples=np.ones((10, 784)), log_rates=np.log(np.full(3, 0.1)))
    >>> len(tm.tree.leaves(phi))
    2
    """

    examples: Tensor | Array  # (count, …)
    log_rates: Tensor | Array  # (steps,)


def distilled(loss: Loss, phi: Synthetic, labels: ArrayLike, theta: Tree) -> Tree:
    """θ_K: the network `theta` trained on the synthetic examples with their `labels`.

    Shapes: theta any tree → the same.
    Source: Wang, Zhu, Torralba & Efros 2018, eq. 2.

    >>> loss = lambda theta, batch: ((theta * batch[0] - batch[1]) ** 2).mean()
    >>> phi = tm.meta.Synthetic(np.ones((2, 1)), np.log([0.25]))
    >>> tm.meta.distilled(loss, phi, np.full((2, 1), 2.0), tm.tensor(0.0))  # half-way to 2
    tensor(1.)
    """
    for k in range(len(phi.log_rates)):
        theta = adapt(loss, theta, (phi.examples, labels), rule=SGD(exp(phi.log_rates[k])), steps=1)
    return theta


def distillation(loss: Loss, labels: ArrayLike) -> Callable[[Tree, Tree], Tensor]:
    """The objective (φ, trials): the mean real loss of networks trained on the synthetic examples.

    Shapes: trials with a leading axis → ().
    Source: Wang, Zhu, Torralba & Efros 2018, eq. 4.

    >>> loss = lambda theta, batch: ((theta * batch[0] - batch[1]) ** 2).mean()
    >>> trials = tm.meta.Trial(theta=np.zeros(3), real=(np.ones((3, 4, 1)), np.full((3, 4, 1), 2.0)))
    >>> phi = tm.meta.Synthetic(np.ones((2, 1)), np.log([0.25]))
    >>> tm.meta.distillation(loss, np.full((2, 1), 2.0))(phi, trials)  # (1 − 2)²
    tensor(1.)
    """

    return over_tasks(partial(_judged, loss, labels))


def _judged(loss: Loss, labels: ArrayLike, phi: Synthetic, trial: Trial) -> Tensor:
    return loss(distilled(loss, phi, labels, trial.theta), trial.real)


class Trial(NamedTuple):
    """A network to train and real examples to judge it by; with a leading axis, many of them.

    Shapes: theta any tree, real (x, y) of (batch, …); both with an axis in front for many.

    >>> tm.meta.Trial(theta=np.zeros(3), real=(np.ones((4, 3)), np.ones(4))).real[0].shape
    (4, 3)
    """

    theta: Tree
    real: Tree


@dataclass(frozen=True)
class Trials:
    """Random networks, each with a random batch of real examples: what distillation samples from.

    Shapes: x (n, …), labels (n,) → theta (tasks, …), real (tasks, batch, …).

    Parameters
    ----------
    network
        Draws θ₀: a function of a random generator.
    x, labels
        The real training examples.
    batch
        Real examples per trial.

    Examples
    --------
    >>> start = lambda rng: tm.nn.Linear(4, 2, rng=rng)
    >>> trials = tm.meta.Trials(start, np.zeros((100, 4)), np.zeros(100, int), batch=5)
    >>> trials.sample(np.random.default_rng(0), tasks=3).real[0].shape
    (3, 5, 4)
    """

    network: Network
    x: Array
    labels: Array
    batch: int

    def sample(self, rng: np.random.Generator, tasks: int) -> Trial:
        """`tasks` networks and as many batches."""
        chosen = rng.integers(len(self.x), size=(tasks, self.batch))
        return Trial(self.networks(rng, tasks), (self.x[chosen], self.labels[chosen]))

    def networks(self, rng: np.random.Generator, tasks: int) -> Tree:
        """`tasks` networks as one tree whose leaves have a leading axis."""
        drawn = [self.network(rng) for _ in range(tasks)]
        return tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *drawn)
