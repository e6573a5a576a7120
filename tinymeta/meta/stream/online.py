"""Learning online: predict, be told, take a step, all along a stream (Dawid 1984 calls the loss prequential).

    θ_{t+1} = θ_t − α ∘ ∇L_t(θ_t)                what the learner does with what it is told at time t
    min over θ_0 and log α of  E[Σ_t L_t(θ_t)]   what is meta-learned: where to start, and how far to go

L_t is counted before the step that learns from it, so nothing is judged by what it has seen. One step size for each
weight is Meta-SGD's idea (Li et al. 2017); that the step sizes answer for all later losses of a stream, La-MAML's
(Gupta, Yadav & Paull 2020). Their logarithms are learned, as in IDBD (Sutton 1992): a step size stays positive, and
changes by a factor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from tinymeta.compile import compile
from tinymeta.engine import tree
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.transforms import value_and_grad
from tinymeta.engine.typing import Function, Tree
from tinymeta.meta.core.adapt import Loss
from tinymeta.meta.core.settings import Settings
from tinymeta.ops.draws import vmap
from tinymeta.ops.elementwise import exp
from tinymeta.ops.shape import stack


class StartAndPace(NamedTuple):
    """φ: the first weights θ₀, and the logarithm of each one's step size."""

    theta: Tree
    log_alpha: Tree


@dataclass(frozen=True)
class OnlineMetaSGD(Settings):
    """The objective that `fit` minimises, and the learner that it makes.

    Shapes: streams of arrays (streams, times, …) → (); `losses` gives (streams, times).
    Source: Li et al. 2017; Gupta, Yadav & Paull 2020; Sutton 1992.

    Parameters
    ----------
    loss
        `loss(model, batch)`, a scalar.
    largest
        Step sizes stay below it: α = 1/(1/exp(log α) + 1/largest). Without a bound those of weights that no gradient
        reaches drift, and the first gradient that does throws the weights away.

    Examples
    --------
    >>> learner = tm.meta.OnlineMetaSGD(lambda theta, goal: (theta - goal) ** 2)
    >>> learner.follow(tm.tensor(0.0), tm.tensor(np.log(0.25)), np.ones(3))[0]
    tensor([1.    , 0.25  , 0.0625])
    """

    loss: Loss
    largest: float = math.inf

    def __call__(self, phi: StartAndPace, streams: Tree) -> Tensor:
        """The mean loss along a batch of streams: trees whose arrays have the axes (streams, times, …)."""
        follow = vmap(self.follow, in_axes=(None, None, 0))
        mean: Tensor = follow(phi.theta, phi.log_alpha, streams)[0].mean()
        return mean

    def follow(self, theta: Tree, log_alpha: Tree, stream: Tree) -> tuple[Tensor, Tree]:
        """The losses along one stream, each before the step that learns from it, and the last weights."""
        alpha, losses = tree.map(self.pace, log_alpha), []
        for t in range(tree.leaves(stream)[0].shape[0]):
            value, grads = value_and_grad(self.loss)(theta, tree.map(lambda a, t=t: a[t], stream))
            theta = tree.map(lambda p, a, g: p - a * g, theta, alpha, grads)
            losses.append(value)
        return stack(losses), theta

    def pace(self, log_alpha: Tensor) -> Tensor:
        """The step sizes that some of `log_alpha` stands for."""
        alpha = exp(log_alpha)
        return alpha if self.largest == math.inf else alpha / (1 + alpha * (1 / self.largest))

    def losses(self, phi: StartAndPace, streams: Tree, *, at_once: int = 10) -> Array:
        """`follow` along streams of any length, recorded for `at_once` times: shape (streams, times)."""
        count, times = tree.leaves(streams)[0].shape[:2]
        theta = tree.map(lambda p: np.broadcast_to(np.asarray(p), (count, *p.shape)), phi.theta)
        parts = []
        for begin in range(0, times, at_once):
            part = tree.map(lambda a, begin=begin: a[:, begin : begin + at_once], streams)
            found, theta = self._follow_each(theta, phi.log_alpha, part)
            parts.append(found.numpy())
        return np.concatenate(parts, 1)

    @cached_property
    def _follow_each(self) -> Function:
        return compile(vmap(self.follow, in_axes=(0, None, 0)))
