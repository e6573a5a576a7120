"""A validation curve, and early stopping: what training keeps is φ as it was when it did best on tasks held out.

A step of the outer loop is wrapped in one that looks at the score now and then. What it remembers is part of the state,
and so of the checkpoint: a run that was stopped and goes on stops where it would have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinymeta.engine.options import counted
from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import Tree
from tinymeta.io.save import load
from tinymeta.meta.core.loop import Step, Stepped


class Watched(NamedTuple):
    """The state of the rule, φ at its best, [the best score, the latest], and [after how many steps, looks since]."""

    rule: Tree
    best: Tree
    scores: Array
    marks: Array


@dataclass(frozen=True)
class Validation:
    """When to look at tasks held out, and when to stop.

    Shapes: φ is any tree.
    Raises: ValueError for no steps or looks: `tm.meta.Validation(lambda phi: 0.0, every=0)`.

    Parameters
    ----------
    score
        Of φ: the higher, the better.
    every
        Steps between two looks; another is taken after the last step.
    patience
        Looks without a gain after which training stops.

    Examples
    --------
    >>> goal = lambda phi, _: (phi - 1.0) ** 2
    >>> how = {"optimizer": tm.optim.SGD(0.1), "iterations": 50, "meta_batch": 1}
    >>> nearest = tm.meta.Validation(lambda phi: -abs(float(phi) - 0.5), every=1, patience=2)
    >>> phi = tm.meta.fit(goal, tm.tensor(0.0), tm.tasks.Sinusoids(), validation=nearest, **how)
    >>> print(round(float(phi), 3))  # 1 − 0.8³, the step that came closest to 0.5
    0.488
    """

    score: Callable[[Tree], float]
    every: int = 100
    patience: int = 4

    def __post_init__(self) -> None:
        counted(self.every, "every", 1)
        counted(self.patience, "patience", 1)

    def begun(self, phi: Tree, rule: Tree) -> Watched:
        """The state before the first step: so far φ is at its best."""
        return Watched(rule, phi, np.full(2, float(self.score(phi))), np.zeros(2, np.int64))

    def over(self, state: Watched) -> bool:
        """Whether patience has come to its end."""
        return bool(state.marks[1] >= self.patience)

    def watched(self, step: Step, iterations: int) -> Step:
        """The same step, and a look where one is due; the last one leaves φ as it was at its best."""

        def looking(i: int, rng: np.random.Generator, phi: Tree, state: Watched) -> Stepped:
            after = step(i, rng, phi, state.rule)
            now, done = state._replace(rule=after.state), i + 1
            if done % self.every == 0 or done == iterations:
                score = float(self.score(after.phi))
                if score > state.scores[0]:
                    now = Watched(after.state, after.phi, np.full(2, score), np.array([done, 0]))
                else:
                    scores, marks = np.array([state.scores[0], score]), state.marks + [0, 1]
                    now = Watched(after.state, state.best, scores, marks)
            kept = now.best if done == iterations or self.over(now) else after.phi
            return after._replace(phi=kept, state=now, metrics={**after.metrics, "validation": float(now.scores[1])})

        return looking


def best_at(checkpoint: Path) -> int:
    """After how many steps a training with validation was at its best. Raises: UserError if it had none."""
    return int(load(checkpoint, np.zeros(2, np.int64), within="state.marks")[0])
