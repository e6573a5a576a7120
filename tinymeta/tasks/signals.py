"""Bandits with a signal: before every pull a lamp lights up, and the arm that pays depends on it.

The task's rule is one number, hidden: at lamp s the arm (s + shift) mod arms pays nearly always, the others nearly
never. Whoever knows that there is such a shift has it after one success; whoever does not must learn the right arm
for every lamp by itself. (Bandits with side observations: Wang, Kulkarni and Poor 2005.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinymeta.tasks.episode import Array, at_least


@dataclass(frozen=True)
class SignalBandits:
    """The environment; its tasks are shifts (tasks,), its states the lamp that is lit (tasks, trajectories).

    Shapes: tasks (tasks,), actions (tasks, trajectories) → observations (tasks, trajectories, lamps).
    Raises: ValueError for fewer than two arms, or no lamp: `tm.tasks.SignalBandits(arms=1)`.
    Source: Wang, Kulkarni & Poor 2005.

    Parameters
    ----------
    arms : int
        Number of arms. An action is the index of one.
    lamps : int
        Number of lamps; more of them than arms, and several lamps share an arm.
    horizon : int
        Pulls per trajectory.
    sure : float
        Probability that the right arm pays 1; each other one pays with probability 1 - sure.
    dtype : NumPy dtype
        Of observations and rewards.

    Examples
    --------
    >>> lamps, rng = tm.tasks.SignalBandits(arms=3, lamps=4, horizon=2), np.random.default_rng(0)
    >>> by_lamp = lambda seen: seen.argmax(-1) % 3
    >>> tm.tasks.rollout(lamps, rng, lamps.draw(rng, 2), by_lamp, trajectories=5).observations.shape
    (2, 5, 2, 4)
    """

    arms: int = 5
    lamps: int = 15
    horizon: int = 10
    sure: float = 0.9
    dtype: npt.DTypeLike = np.float32

    def __post_init__(self) -> None:
        at_least(self, arms=2, lamps=1)

    def draw(self, rng: np.random.Generator, tasks: int) -> Array:
        """Draw shifts."""
        return rng.integers(self.arms, size=tasks)

    def start(self, rng: np.random.Generator, rules: Array, trajectories: int) -> Array:
        """Light the first lamps."""
        return rng.integers(self.lamps, size=(len(rules), trajectories))

    def observe(self, state: Array) -> Array:
        """The lamp, one-hot: (tasks, trajectories, lamps)."""
        lit: Array = (state[..., None] == np.arange(self.lamps)).astype(self.dtype)
        return lit

    def step(self, rng: np.random.Generator, rules: Array, state: Array, action: Array) -> tuple[Array, Array, Array]:
        """Pull the arms `action`, integers (tasks, trajectories); other lamps light up."""
        right = action == (state + rules[:, None]) % self.arms
        paid = rng.random(action.shape) < np.where(right, self.sure, 1 - self.sure)
        lamps = rng.integers(self.lamps, size=action.shape)
        return lamps, paid.astype(self.dtype), np.zeros(action.shape, bool)
