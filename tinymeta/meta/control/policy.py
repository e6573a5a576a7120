"""Policies whose parameters are meta-learned, and the numbers their gradients need (Williams 1992).

A policy is a module that maps observations to a distribution over actions: a pytree with `log_prob(actions)` and
`kl(other)`, a number per observation, and `draw(rng)`, an action for each. A task's experience is a batch of
`Steps`; the loss of one gradient step on it is minus the surrogate of the return, because returns are maximised
and everything else here minimises.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import DTypeLike, Tree
from tinymeta.nn import init
from tinymeta.nn.layers import MLP
from tinymeta.nn.module import Module
from tinymeta.ops.elementwise import exp, square
from tinymeta.ops.reduce import sum
from tinymeta.ops.select import relu
from tinymeta.ops.shape import broadcast_to
from tinymeta.ops.softmax import log_softmax
from tinymeta.tasks.environment import Trajectories


class Normal(NamedTuple):
    """N(mean, diag(exp(log_std)²)) over the last axis."""

    mean: Tensor
    log_std: Tensor

    def log_prob(self, actions: ArrayLike) -> Tensor:
        z = (actions - self.mean) * exp(-self.log_std)
        return sum(-0.5 * square(z) - self.log_std - 0.5 * math.log(2 * math.pi), -1)

    def kl(self, other: Normal) -> Tensor:
        """Σ log(σ₂/σ₁) + (σ₁² + (μ₁ − μ₂)²)/(2σ₂²) − ½."""
        spread = exp(2.0 * self.log_std) + square(self.mean - other.mean)
        return sum(other.log_std - self.log_std + 0.5 * spread * exp(-2.0 * other.log_std) - 0.5, -1)

    def draw(self, rng: np.random.Generator) -> Array:
        mean = np.asarray(self.mean)
        noise = rng.standard_normal(mean.shape, dtype=np.float64).astype(mean.dtype)
        action: Array = mean + np.exp(np.asarray(self.log_std)) * noise
        return action


class Categorical(NamedTuple):
    """softmax(logits) over the last axis; an action is an index."""

    logits: Tensor

    def log_prob(self, actions: ArrayLike) -> Tensor:
        taken = as_tensor(actions).expand_dims(-1) == np.arange(as_tensor(self.logits).shape[-1])
        return sum(log_softmax(self.logits) * taken.astype(as_tensor(self.logits).dtype), -1)

    def kl(self, other: Categorical) -> Tensor:
        mine = log_softmax(self.logits)
        return sum(exp(mine) * (mine - log_softmax(other.logits)), -1)

    def draw(self, rng: np.random.Generator) -> Array:
        """By Gumbel's trick: the largest of logits + noise is a draw from their softmax."""
        logits = np.asarray(self.logits)
        action: Array = (logits + rng.gumbel(size=logits.shape)).argmax(-1)
        return action


class GaussianPolicy(Module):
    """The mean is a network of the observation, the standard deviation a parameter of its own.

    Shapes: observations (…, features) → a normal distribution over actions (…, n).

    Parameters
    ----------
    sizes
        `[observations, hidden…, actions]`.
    scale
        The unit of an action: what the network says is multiplied by it, and the first standard deviation is it.

    Examples
    --------
    >>> policy = tm.meta.GaussianPolicy([4, 8, 2], rng=np.random.default_rng(0))
    >>> said = policy(np.zeros((5, 4)))
    >>> said.mean.shape, said.log_prob(np.zeros((5, 2))).shape
    ((5, 2), (5,))
    """

    def __init__(
        self, sizes: Sequence[int], *, rng: np.random.Generator, scale: float = 1.0, dtype: DTypeLike = np.float32
    ) -> None:
        self.network = MLP(sizes, rng=rng, activation=relu, weight_init=init.glorot_uniform, dtype=dtype)
        self.log_std = init.zeros((sizes[-1],), dtype)
        self.scale = scale

    def __call__(self, observations: ArrayLike) -> Normal:
        mean = self.scale * self.network(observations)
        return Normal(mean, broadcast_to(self.log_std + math.log(self.scale), mean.shape))


class CategoricalPolicy(Module):
    """The logits of the actions are a network of the observation; `sizes` is `[observations, hidden…, actions]`.

    Shapes: observations (…, features) → a distribution over the integers 0 … n − 1, with logits (…, n).

    >>> policy = tm.meta.CategoricalPolicy([4, 8, 3], rng=np.random.default_rng(0))
    >>> policy(np.zeros((5, 4))).logits.shape
    (5, 3)
    """

    def __init__(self, sizes: Sequence[int], *, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> None:
        self.network = MLP(sizes, rng=rng, activation=relu, weight_init=init.glorot_uniform, dtype=dtype)

    def __call__(self, observations: ArrayLike) -> Categorical:
        return Categorical(self.network(observations))


class Steps(NamedTuple):
    """The steps of all trajectories of a task (or, with a leading axis, of many tasks), one after the other."""

    observations: Array  # (steps, features)
    actions: Array  # (steps, …)
    advantages: Array  # (steps,), 0 on average, with standard deviation 1
    share: Array  # (steps,): 1/(steps taken) for each, 0 after a trajectory's end; its sum is 1

    def sampled(self, some: Tree) -> Steps:
        """The steps `some` (indices) of each of many tasks."""
        few = Steps(*(a[:, some] for a in self))
        return few._replace(share=few.share / np.maximum(few.share.sum(1, keepdims=True), 1e-12))


def steps(seen: Trajectories, discount: float, watching: bool = True) -> Steps:
    """Trajectories as steps with advantages: returns minus a baseline that is fitted to each task.

    The baseline is linear in the observation, its square, and t, t², t³ (Duan, Chen, Houthooft, Schulman &
    Abbeel 2016, *Benchmarking deep reinforcement learning*, as MAML's authors have it), by ridge
    regression on the task's own returns; without `watching` in t, t², t³ alone.
    """
    tasks, trajectories, horizon = seen.rewards.shape
    flat: Any = lambda a: a.reshape(tasks, trajectories * horizon, *a.shape[3:])
    share = flat(seen.alive) / seen.alive.sum((1, 2))[:, None]
    returns = flat(seen.returns(discount)).astype(np.float64)
    time = np.broadcast_to(np.arange(horizon) / horizon, seen.rewards.shape).reshape(tasks, -1, 1)
    places = [flat(seen.observations).astype(np.float64)] if watching else []
    features = np.concatenate([*places, *(o**2 for o in places), time, time**2, time**3, np.ones_like(time)], -1)
    weighted = np.swapaxes(features * share[..., None], -1, -2)
    ridge = 1e-5 * np.eye(features.shape[-1])
    fitted = features @ np.linalg.solve(weighted @ features + ridge, weighted @ returns[..., None])
    gain = returns - fitted[..., 0]
    gain -= (share * gain).sum(1, keepdims=True)
    gain /= np.sqrt((share * gain**2).sum(1, keepdims=True)) + 1e-8
    dtype = seen.observations.dtype
    return Steps(flat(seen.observations), flat(seen.actions), gain.astype(dtype), share.astype(dtype))


def policy_gradient(policy: Tree, batch: Steps) -> Tensor:
    """−Σ share · log π(a | o) · advantage: its gradient is minus that of the expected return.

    Shapes: steps of one task: observations (steps, features), actions (steps, …), advantages and share (steps,) → ().
    Source: Williams 1992.

    >>> from tinymeta.meta.control.policy import Steps
    >>> policy = tm.meta.CategoricalPolicy([4, 8, 2], rng=np.random.default_rng(0))
    >>> steps = Steps(np.zeros((3, 4)), np.array([0, 1, 1]), np.array([1.0, 0.0, 0.0]), np.full(3, 1 / 3))
    >>> round(float(tm.meta.policy_gradient(policy, steps)), 4)  # ⅓ log 2
    0.231
    """
    return -sum(batch.share * batch.advantages * policy(batch.observations).log_prob(batch.actions))
