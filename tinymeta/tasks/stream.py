"""A stream of tasks that drift: today's curve is nearly yesterday's, until it suddenly is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinymeta.tasks.episode import Array, Episode
from tinymeta.tasks.sinusoid import Curves, Range, Sinusoids


@dataclass(frozen=True)
class DriftingSinusoids:
    """Sinusoids whose amplitude, frequency and phase walk at random through the ranges of a family.

    Shapes: at each step x and y (tasks, n, 1), n shots or query.
    Raises: ValueError for a negative drift, or a jump that is no probability:
    `tm.tasks.DriftingSinusoids(tm.tasks.Sinusoids(), drift=-1.0)`.

    Parameters
    ----------
    family : Sinusoids
        Where the walk starts, how far it may go, and how curves are observed.
    drift : float
        Standard deviation of a step, as a share of each range; at a border the walk is reflected.
    jump : float
        Probability, at each step, that a curve is replaced by an unrelated one.

    Examples
    --------
    >>> stream = tm.tasks.DriftingSinusoids(tm.tasks.Sinusoids(shots=5), drift=0.01)
    >>> curves, episode = next(stream.episodes(np.random.default_rng(0), tasks=3))
    >>> episode.support[0].shape
    (3, 5, 1)
    """

    family: Sinusoids = Sinusoids()
    drift: float = 0.03
    jump: float = 0.0

    def __post_init__(self) -> None:
        if self.drift < 0 or not 0 <= self.jump <= 1:
            raise ValueError(
                f"DriftingSinusoids needs drift >= 0 and 0 <= jump <= 1, and got drift={self.drift}, jump={self.jump}."
            )

    def walk(self, rng: np.random.Generator, tasks: int) -> Iterator[Curves]:
        """The true functions of `tasks` parallel streams, step by step, without end."""
        bounds = (self.family.amplitude, self.family.frequency or (1.0, 1.0), self.family.phase)
        curves = self.family.draw(rng, tasks)
        while True:
            yield curves
            moved = [
                reflect(value + self.drift * (high - low) * rng.standard_normal(tasks), (low, high))
                for value, (low, high) in zip(curves, bounds)
            ]
            jumps = rng.random(tasks) < self.jump
            fresh = self.family.draw(rng, tasks)
            curves = Curves(*(np.where(jumps, new, old) for new, old in zip(fresh, moved)))

    def episodes(self, rng: np.random.Generator, tasks: int) -> Iterator[tuple[Curves, Episode]]:
        """The streams as a learner meets them: at each step the functions and a batch of episodes on them."""
        for curves in self.walk(rng, tasks):
            yield curves, self.family.observe(rng, curves)


def reflect(value: Array, bounds: Range) -> Array:
    """Fold values back into the range at its borders."""
    low, high = bounds
    if high == low:
        return np.full_like(value, low)
    folded = np.mod(value - low, 2 * (high - low))
    inside: Array = low + np.minimum(folded, 2 * (high - low) - folded)
    return inside
