"""Mixtures of task families: what a learner has to tell apart before it can choose how to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinymeta.tasks.episode import Array, Episode, TaskFamily


@dataclass(frozen=True)
class Mixture:
    """Each task comes from one of several families whose episodes have the same shapes.

    Shapes: those of the families.
    Raises: ValueError for no family, or other than one weight for each: `tm.tasks.Mixture([])`.

    Parameters
    ----------
    families : sequence of TaskFamily
        What to mix.
    weights : sequence of float, optional
        How likely each family is; equally by default.

    Examples
    --------
    >>> mixture = tm.tasks.Mixture([tm.tasks.Sinusoids(), tm.tasks.LinearRegressions()])
    >>> mixture.sample_kinds(np.random.default_rng(0), tasks=6)[1].shape
    (6,)
    """

    families: Sequence[TaskFamily]
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if not self.families:
            raise ValueError("Mixture needs at least one family.")
        if self.weights is not None and len(self.weights) != len(self.families):
            raise ValueError(
                f"Mixture needs one weight per family: {len(self.families)} families, {len(self.weights)} weights."
            )

    def sample(self, rng: np.random.Generator, tasks: int) -> Episode:
        """Draw tasks from families drawn at random."""
        return self.sample_kinds(rng, tasks)[0]

    def sample_kinds(self, rng: np.random.Generator, tasks: int) -> tuple[Episode, Array]:
        """The same tasks as `sample` draws, and which family each is from: int64 (tasks,)."""
        chance = None if self.weights is None else np.asarray(self.weights) / np.sum(self.weights)
        kinds = rng.choice(len(self.families), tasks, p=chance)
        order = np.argsort(kinds, kind="stable")
        counts = np.bincount(kinds, minlength=len(self.families))
        drawn = [family.sample(rng, int(n)) for family, n in zip(self.families, counts) if n]
        back = np.argsort(order)

        def mixed(set_: int, part: int) -> Array:
            arrays = [episode[set_][part] for episode in drawn]
            if len({(a.shape[1:], a.dtype) for a in arrays}) > 1:
                shapes = ", ".join(f"{a.shape[1:]} {a.dtype}" for a in arrays)
                raise ValueError(f"Mixture needs families of one shape and dtype, and got {shapes}.")
            joined: Array = np.concatenate(arrays)[back]
            return joined

        return Episode((mixed(0, 0), mixed(0, 1)), (mixed(1, 0), mixed(1, 1))), kinds
