"""What decided the steps that a training has taken, so that it can't go on as if something else had.

A schedule or a learner may depend on how many iterations there are in all. A run that is to go on to more of them than
it was begun with then would have taken other steps all along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

import numpy as np

from tinymeta.engine.tensor import Tensor
from tinymeta.meta.core.objective import Objective
from tinymeta.optim.optimizer import Optimizer
from tinymeta.optim.schedules import Schedule


def told_before(
    objective: Objective, optimizer: Optimizer | None, asked: Mapping[str, float], done: int
) -> dict[str, float]:
    """By name, what was asked of `fit`, the learning rate at some of the `done` first steps, and the numbers that the
    optimizer and the learner are made with."""
    within = getattr(optimizer, "optimizer", optimizer)  # a clipped one has another within
    told = {**asked, **_numbers(getattr(within, "__dict__", {}))}
    lr: Schedule | float | None = getattr(within, "lr", None)
    if callable(lr) and not isinstance(lr, Tensor):
        for taken in sorted({done * part // 4 for part in range(5)}):
            rate = lr(Tensor(np.array(float(taken))))
            if np.ndim(rate) == 0:
                told[f"a learning rate at step {taken} of"] = float(rate)
    if is_dataclass(objective):
        told |= _numbers({entry.name: getattr(objective, entry.name) for entry in fields(objective)})
    return told


def _numbers(named: Mapping[str, object]) -> dict[str, float]:
    return {name: float(value) for name, value in named.items() if isinstance(value, int | float)}
