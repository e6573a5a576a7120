"""Environments with the API of Gymnasium as tasks: whatever has `reset(seed=…)` and `step(action)`.

Gymnasium itself isn't needed. One environment is made for each trajectory of each task, so what an environment
remembers stays in its trajectory.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from tinymeta.engine.errors import UserError
from tinymeta.engine.options import counted
from tinymeta.engine.typing import Tree
from tinymeta.tasks.episode import Array


class Game(Protocol):
    """What is asked of an environment (Gymnasium's `Env` has more)."""

    def reset(self, *, seed: int) -> tuple[object, object]: ...

    def step(self, action: Array) -> tuple[object, float, bool, bool, object]: ...


class Playing(NamedTuple):
    """The games of all trajectories of all tasks, what they showed last, and which are over."""

    games: list[list[Game]]
    seen: Array  # (tasks, trajectories, features) of float32
    over: Array  # (tasks, trajectories) of bool


@dataclass(frozen=True)
class Gymnasium:
    """Tasks whose environments have Gymnasium's API, for `rollout` and `tm.meta.PolicySearch`.

    A trajectory is over where `step` says terminated or truncated, or after `horizon` steps. An action is handed over
    as the policy drew it: an integer, or an array; what is out of bounds is the environment's to clip or to refuse.

    Shapes: tasks (tasks, …) as `draw_rules` gives them; observations (tasks, trajectories, features), flat rows.
    Raises: UserError where an environment answers in another way, or shows anything but numbers:
    `tm.tasks.Gymnasium(dict, lambda rng, n: [{}] * n, 1).start(np.random.default_rng(0), [{}], 1)`.

    Parameters
    ----------
    make
        From one task's rules, an entry of what `draw_rules` gives, to a new environment.
    draw_rules
        `(rng, tasks) -> rules`, one entry per task: what differs from task to task.
    horizon
        Most steps in a trajectory.

    Examples
    --------
    >>> class Line:  # walk to 3 or to -3, whichever this task pays for
    ...     def __init__(self, end):
    ...         self.end, self.at = end, 0.0
    ...     def reset(self, *, seed=None, options=None):
    ...         return np.array([self.at]), {}
    ...     def step(self, action):
    ...         self.at += float(action[0])
    ...         return np.array([self.at]), 0 - abs(self.end - self.at), self.at == self.end, False, {}
    >>> line = tm.tasks.Gymnasium(Line, lambda rng, tasks: rng.choice([-3.0, 3.0], tasks), horizon=5)
    >>> walked = tm.tasks.rollout(line, np.random.default_rng(0), [3.0], np.ones_like, trajectories=1)
    >>> walked.rewards.tolist(), int(walked.alive.sum())
    ([[[-2.0, -1.0, 0.0, 0.0, 0.0]]], 3)
    """

    make: Callable[..., Game]
    draw_rules: Callable[[np.random.Generator, int], Array]
    horizon: int

    def draw(self, rng: np.random.Generator, tasks: int) -> Array:
        """Draw what differs from task to task."""
        return self.draw_rules(rng, counted(tasks, "tasks", 1))

    def start(self, rng: np.random.Generator, rules: Array, trajectories: int) -> Playing:
        """Make and reset an environment per trajectory."""
        games = [[self.make(rule) for _ in range(trajectories)] for rule in rules]
        shown = [
            self._asked(game, "reset", 2, seed=int(rng.integers(1 << 31)))[0] for several in games for game in several
        ]
        shape = _row(shown[0], *OBSERVATION).shape
        seen = np.array([_row(each, *OBSERVATION, shape) for each in shown]).reshape(len(games), trajectories, *shape)
        return Playing(games, seen, np.zeros((len(games), trajectories), bool))

    def observe(self, state: Playing) -> Array:
        """What each trajectory was shown last."""
        return state.seen

    def step(
        self, rng: np.random.Generator, rules: Array, state: Playing, action: Array
    ) -> tuple[Playing, Array, Array]:
        """Step every environment that isn't over."""
        seen, over, rewards = state.seen.copy(), state.over.copy(), np.zeros(state.over.shape)
        for at in zip(*np.nonzero(~state.over)):
            shown, reward, *ended, _ = self._asked(state.games[at[0]][at[1]], "step", 5, action[at])
            seen[at] = _row(shown, *OBSERVATION, seen[at].shape)
            rewards[at] = _row(reward, "a reward", "one finite number is wanted", (1,))[0]
            over[at] = _row(ended, "(terminated, truncated)", "two booleans are wanted", (2,)).any()
        return Playing(state.games, seen, over), rewards, over

    def _asked(self, game: Game, method: str, count: int, *args: Array, **kwargs: int) -> tuple[Tree, ...]:
        """What a method gives, if it is as much as the API says."""
        found = getattr(game, method, lambda *args, **kwargs: None)(*args, **kwargs)
        if not isinstance(found, tuple) or len(found) != count:
            raise UserError(
                f"{method}() of {type(game).__name__} gave {found!r:.60}, and Gymnasium's API asks for "
                f"{'(observation, info)' if count == 2 else '(observation, reward, terminated, truncated, info)'}"
            )
        return found


OBSERVATION = (
    "an observation",
    "policies see as many numbers each time, all finite: gymnasium.wrappers.FlattenObservation makes them",
)


def _row(shown: object, what: str, wanted: str, shape: tuple[int, ...] | None = None) -> Array:
    """Finite numbers as a row, of a shape if it is known already."""
    with np.errstate(over="ignore"), suppress(ValueError):  # of lists that are no array
        given = np.asarray(shown)
        row = given.astype(np.float32).ravel() if given.dtype.kind in "fiub" else np.array([np.nan])
        if row.shape == (shape or row.shape) and np.isfinite(row).all():
            return row
    raise UserError(f"{what} is {shown!r:.60}, and {wanted}")
