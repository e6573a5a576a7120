"""A small grid game whose rules change: which colour wins, and which button moves which way.

Coloured cells lie at random places of the board, anew in every trajectory. Stepping on the task's winning
colour pays 1, on another colour -1, and both end the game; every other step costs 0.02. The four buttons
move up, right, down and left in an order that belongs to the task. A player that has not learned the rules
can only try.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinymeta.tasks.episode import Array
from tinymeta.tasks.images import choose

MOVES = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])  # (row, column): up, right, down, left
STEP_COST = 0.02


class Game(NamedTuple):
    """The rules of a batch of tasks: the winning colour, and that button b moves by MOVES[buttons[:, b]]."""

    colour: Array  # (tasks,)
    buttons: Array  # (tasks, 4)


class Board(NamedTuple):
    """The state: the player's (row, column) and the cell of each colour, row * side + column."""

    player: Array  # (tasks, trajectories, 2)
    cells: Array  # (tasks, trajectories, colours)


@dataclass(frozen=True)
class GridGame:
    """The environment; an action is a button, 0 ... 3.

    Shapes: actions (tasks, trajectories) → observations (tasks, trajectories, (1 + colours)·side²).
    Raises: ValueError for a board without a free cell: `tm.tasks.GridGame(side=1, colours=1)`.

    Parameters
    ----------
    side : int
        Cells along each side of the board.
    colours : int
        Coloured cells, one of each colour.
    horizon : int
        Most steps in a trajectory.
    shuffle_buttons : bool
        Whether buttons change between tasks, or the colour alone does.
    dtype : NumPy dtype
        Of observations and rewards.

    Examples
    --------
    >>> game, rng = tm.tasks.GridGame(side=3, horizon=4), np.random.default_rng(0)
    >>> up = lambda seen: np.zeros(seen.shape[:2], int)
    >>> tm.tasks.rollout(game, rng, game.draw(rng, 2), up, trajectories=5).observations.shape
    (2, 5, 4, 36)
    """

    side: int = 5
    colours: int = 3
    horizon: int = 20
    shuffle_buttons: bool = True
    dtype: npt.DTypeLike = np.float32

    def __post_init__(self) -> None:
        if self.colours < 1 or self.side**2 <= self.colours:
            raise ValueError(
                "GridGame needs a colour and a free cell at least, and got "
                f"colours={self.colours} on a board of {self.side} x {self.side}."
            )

    def draw(self, rng: np.random.Generator, tasks: int) -> Game:
        """Draw the rules."""
        plain = np.tile(np.arange(4), (tasks, 1))
        buttons = rng.permuted(plain, axis=1) if self.shuffle_buttons else plain
        return Game(rng.integers(self.colours, size=tasks), buttons)

    def start(self, rng: np.random.Generator, rules: Game, trajectories: int) -> Board:
        """Lay out the boards: player and colours on different cells."""
        free = np.ones((len(rules.colour), trajectories, self.side**2), bool)
        cells = choose(rng, free, self.colours + 1)
        return Board(np.stack(np.divmod(cells[..., 0], self.side), axis=-1), cells[..., 1:])

    def observe(self, state: Board) -> Array:
        """The player's plane and one plane per colour, each one-hot.

        Their shape is (tasks, trajectories, (1 + colours) * side^2).
        """
        player = state.player @ np.array([self.side, 1])
        shown = np.concatenate([player[..., None], state.cells], axis=-1)
        planes: Array = (shown[..., None] == np.arange(self.side**2)).astype(self.dtype)
        return planes.reshape(*player.shape, -1)

    def step(self, rng: np.random.Generator, rules: Game, state: Board, action: Array) -> tuple[Board, Array, Array]:
        """Press buttons (tasks, trajectories); walls stop the player."""
        move = MOVES[np.take_along_axis(rules.buttons, action, axis=1)]
        player = np.clip(state.player + move, 0, self.side - 1)
        hit = state.cells == (player @ np.array([self.side, 1]))[..., None]
        won = np.take_along_axis(hit, rules.colour[:, None, None], axis=-1)[..., 0]
        done = hit.any(axis=-1)
        reward = np.where(won, 1.0, np.where(done, -1.0, -STEP_COST))
        return Board(player, state.cells), reward.astype(self.dtype), done
