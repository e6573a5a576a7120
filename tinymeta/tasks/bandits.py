"""Multi-armed bandits: the smallest tasks in which learning is exploring.

The observation is all there is to remember: which arm was pulled last and what it paid. A policy with a
memory can turn it into a strategy, and then its recurrent network is the learning algorithm (Wang et al.
2016; Duan et al. 2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from tinymeta.tasks.episode import Array, at_least


class Pulled(NamedTuple):
    """The state: the last arm, one-hot (tasks, trajectories, arms), and its payment (tasks, trajectories)."""

    arm: Array
    reward: Array


@dataclass(frozen=True)
class Bandits:
    """The environment; its tasks are the arms' mean rewards (tasks, arms).

    Shapes: tasks (tasks, arms), actions (tasks, trajectories) → observations (tasks, trajectories, arms + 1).
    Raises: ValueError for fewer than two arms: `tm.tasks.Bandits(arms=1)`, or another kind.
    Source: Wang et al. 2016; Duan et al. 2016.

    Parameters
    ----------
    arms : int
        Number of arms. An action is the index of one.
    horizon : int
        Pulls per trajectory.
    kind : {"bernoulli", "gaussian"}
        Rewards 0 or 1 with means uniform on [0, 1], or normal with standard deviation `noise` around normal
        means.
    noise : float
        For "gaussian".
    dtype : NumPy dtype
        Of observations and rewards.

    Examples
    --------
    >>> bandits, rng = tm.tasks.Bandits(arms=3, horizon=4), np.random.default_rng(0)
    >>> always_0 = lambda seen: np.zeros(seen.shape[:2], int)
    >>> tm.tasks.rollout(bandits, rng, bandits.draw(rng, 2), always_0, trajectories=5).rewards.shape
    (2, 5, 4)
    """

    arms: int = 5
    horizon: int = 100
    kind: Literal["bernoulli", "gaussian"] = "bernoulli"
    noise: float = 1.0
    dtype: npt.DTypeLike = np.float32

    def __post_init__(self) -> None:
        if self.kind not in ("bernoulli", "gaussian"):
            raise ValueError(f'Bandits are "bernoulli" or "gaussian", and not {self.kind!r}.')
        at_least(self, arms=2)

    def draw(self, rng: np.random.Generator, tasks: int) -> Array:
        """Draw the mean reward of every arm."""
        shape = (tasks, self.arms)
        means = rng.random(shape) if self.kind == "bernoulli" else rng.standard_normal(shape)
        return means.astype(self.dtype)

    def start(self, rng: np.random.Generator, rules: Array, trajectories: int) -> Pulled:
        """Before the first pull: no arm, no payment."""
        shape = (len(rules), trajectories)
        return Pulled(np.zeros((*shape, self.arms), self.dtype), np.zeros(shape, self.dtype))

    def observe(self, state: Pulled) -> Array:
        """The last arm, one-hot, and the last payment: (tasks, trajectories, arms + 1)."""
        return np.concatenate([state.arm, state.reward[..., None]], axis=-1)

    def step(self, rng: np.random.Generator, rules: Array, state: Pulled, action: Array) -> tuple[Pulled, Array, Array]:
        """Pull the arms `action`, integers (tasks, trajectories)."""
        means = np.take_along_axis(rules, action, axis=1)
        if self.kind == "bernoulli":
            reward = (rng.random(action.shape) < means).astype(self.dtype)
        else:
            reward = (means + self.noise * rng.standard_normal(action.shape)).astype(self.dtype)
        arm = (action[..., None] == np.arange(self.arms)).astype(self.dtype)
        return Pulled(arm, reward), reward, np.zeros(action.shape, bool)


def regret(means: Array, actions: Array) -> Array:
    """What was missed by not knowing: the best mean minus the pulled arms' means, summed over pulls.

    Shapes: means (tasks, arms), actions (tasks, trajectories, horizon) → (tasks, trajectories).

    >>> tm.tasks.regret(np.array([[0.25, 0.75]]), np.array([[[0, 0, 1, 1]]]))
    array([[1.]])
    """
    pulled = np.take_along_axis(means[:, None], actions, axis=-1)
    total: Array = (means.max(axis=-1)[:, None, None] - pulled).sum(axis=-1)
    return total
