"""2-D navigation: go to a place that only the reward tells (Finn, Abbeel and Levine 2017, section 5.3).

The rules are those of the authors' code: a point starts at the origin and moves by at most 0.1 along each
axis per step, the reward is minus its distance to the goal after the move, and it has arrived when both
coordinates are within 0.01. A policy that was adapted to a task walks there; one that was not wanders.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinymeta.tasks.episode import Array

REACH = 0.01


@dataclass(frozen=True)
class Navigation:
    """The environment; its tasks are goals (tasks, 2), its states positions (tasks, trajectories, 2).

    Shapes: tasks (tasks, 2); observations and actions (tasks, trajectories, 2).
    Source: Finn, Abbeel & Levine 2017, § 5.3.

    Parameters
    ----------
    horizon : int
        Most steps in a trajectory.
    extent : float
        Goals are uniform on [-extent, extent]^2.
    step_size : float
        Actions are clipped to [-step_size, step_size] along each axis.
    start_extent : float
        Starts are uniform on [-start_extent, start_extent]^2; 0 is the fixed start at the origin.
    dtype : NumPy dtype
        Of positions and rewards.

    Examples
    --------
    >>> walk, rng = tm.tasks.Navigation(horizon=10), np.random.default_rng(0)
    >>> tm.tasks.rollout(walk, rng, walk.draw(rng, tasks=2), lambda seen: 0.01 - seen, trajectories=5).rewards.shape
    (2, 5, 10)
    """

    horizon: int = 100
    extent: float = 0.5
    step_size: float = 0.1
    start_extent: float = 0.0
    dtype: npt.DTypeLike = np.float32

    def draw(self, rng: np.random.Generator, tasks: int) -> Array:
        """Draw goals."""
        return rng.uniform(-self.extent, self.extent, (tasks, 2)).astype(self.dtype)

    def start(self, rng: np.random.Generator, rules: Array, trajectories: int) -> Array:
        """Put a point at the start of every trajectory."""
        shape = (len(rules), trajectories, 2)
        return (self.start_extent * rng.uniform(-1, 1, shape)).astype(self.dtype)

    def observe(self, state: Array) -> Array:
        """The policy sees where it is, and not where the goal is."""
        return state

    def step(self, rng: np.random.Generator, rules: Array, state: Array, action: Array) -> tuple[Array, Array, Array]:
        """Move by the clipped action."""
        position = state + np.clip(action, -self.step_size, self.step_size).astype(self.dtype)
        away = position - rules[:, None]
        return position, -np.linalg.norm(away, axis=-1), np.all(np.abs(away) < REACH, axis=-1)
