"""Autoencoding: any family as an unsupervised one, the input its own target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinymeta.tasks.episode import Episode, TaskFamily


@dataclass(frozen=True)
class Autoencoding:
    """The tasks of a family with y replaced by x, for learners that reconstruct what they see.

    Shapes: x (tasks, n, …) of the family → (x, x), support and query.

    >>> episode = tm.tasks.Autoencoding(tm.tasks.Sinusoids(shots=5)).sample(np.random.default_rng(0), tasks=3)
    >>> episode.support[1] is episode.support[0], episode.support[1].shape
    (True, (3, 5, 1))
    """

    family: TaskFamily

    def sample(self, rng: np.random.Generator, tasks: int) -> Episode:
        """Draw the family's tasks; support and query are (x, x)."""
        (xs, _), (xq, _) = self.family.sample(rng, tasks)
        return Episode((xs, xs), (xq, xq))
