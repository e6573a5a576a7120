"""Acting in many tasks at once: environments, and the one loop that runs them.

An environment's tasks are arrays with a leading task axis, its states arrays over (tasks, trajectories). A policy is
any function from observations to actions; what it needs besides (parameters, randomness, memory) it brings along.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from tinymeta.engine.options import counted
from tinymeta.engine.typing import Tree
from tinymeta.tasks.episode import Array

Rules = TypeVar("Rules", contravariant=True)
Policy = Callable[[Array], Array]


class Environment(Protocol[Rules]):
    """What `rollout` needs. `rules` are whatever `draw` of the environment returns: the tasks."""

    @property
    def horizon(self) -> int:
        """Steps after which a trajectory ends at the latest."""
        ...

    def start(self, rng: np.random.Generator, rules: Rules, trajectories: int) -> Any:
        """The first states of `trajectories` trajectories in each task."""
        ...

    def observe(self, state: Tree) -> Array:
        """What the policy sees: (tasks, trajectories, features)."""
        ...

    def step(self, rng: np.random.Generator, rules: Rules, state: Tree, action: Array) -> tuple[Any, Array, Array]:
        """The next state, the rewards and whether the trajectory is over, each (tasks, trajectories)."""
        ...


class Trajectories(NamedTuple):
    """What happened. Steps after the end of a trajectory have `alive` False and reward 0.

    Shapes: observations (tasks, trajectories, horizon, features); the others (tasks, trajectories, horizon).

    >>> one = np.ones((1, 1, 3))
    >>> tm.tasks.Trajectories(one[..., None], one, one, one > 0).returns(discount=0.5)
    array([[[1.75, 1.5 , 1.  ]]])
    """

    observations: Array  # (tasks, trajectories, horizon, features)
    actions: Array  # (tasks, trajectories, horizon, ...)
    rewards: Array  # (tasks, trajectories, horizon)
    alive: Array  # (tasks, trajectories, horizon) of bool: the action was taken

    def returns(self, discount: float = 1.0) -> Array:
        """The discounted sum of rewards from each step on: (tasks, trajectories, horizon)."""
        result = np.zeros_like(self.rewards)
        following = np.zeros_like(self.rewards[..., 0])
        for t in reversed(range(self.rewards.shape[-1])):
            following = self.rewards[..., t] + discount * following
            result[..., t] = following
        return result


def rollout(
    environment: Environment[Rules], rng: np.random.Generator, rules: Rules, policy: Policy, trajectories: int
) -> Trajectories:
    """Let a policy act in every task, `trajectories` times.

    Shapes: observations (tasks, trajectories, features), actions (tasks, trajectories, …) → `Trajectories`.
    Raises: UserError for a horizon or trajectories that are no whole number of 1 or more.

    Parameters
    ----------
    environment : Environment
        Where to act.
    rng : numpy.random.Generator
        For the environment's starts and rewards; a random policy brings its own.
    rules
        The tasks, as `environment.draw(rng, tasks)` returned them.
    policy : observations (tasks, trajectories, features) -> actions (tasks, trajectories, ...)
        Asked once per step for all trajectories, those that are over included.
    trajectories : int
        Per task.

    Examples
    --------
    >>> walk, rng = tm.tasks.Navigation(horizon=10), np.random.default_rng(0)
    >>> tm.tasks.rollout(walk, rng, walk.draw(rng, tasks=2), lambda seen: 0.01 - seen, trajectories=5).rewards.shape
    (2, 5, 10)
    """
    horizon = counted(environment.horizon, "horizon", 1)
    state = environment.start(rng, rules, counted(trajectories, "trajectories", 1))
    observations, actions, rewards, alive = [], [], [], []
    running = np.ones(environment.observe(state).shape[:2], bool)
    for _ in range(horizon):
        seen = environment.observe(state)
        action = np.asarray(policy(seen))
        state, reward, done = environment.step(rng, rules, state, action)
        observations.append(seen)
        actions.append(action)
        rewards.append(np.where(running, reward, 0).astype(seen.dtype))
        alive.append(running)
        running = running & ~done
    return Trajectories(*(np.stack(each, axis=2) for each in (observations, actions, rewards, alive)))
