"""Sinusoid regression, the smallest task family worth meta-learning.

One task is one curve y = A sin(w x - p); the learner sees a few points of it and predicts the rest. A network
trained on all curves at once learns their mean, which is nearly zero: only adaptation can do better.

Two published protocols differ in more than their names: MAML's curves (Finn, Abbeel and Levine 2017,
section 5.1) share the frequency 1, those of Meta-SGD (Li et al. 2017, section 4.1) do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tinymeta.tasks.episode import Array, Episode, at_least

Range = tuple[float, float]


class Curves(NamedTuple):
    """The true functions of a batch of tasks, for plots and for measuring the error without noise.

    Each field has shape (tasks,).
    """

    amplitude: Array
    frequency: Array
    phase: Array

    def __call__(self, x: Array) -> Array:
        """Evaluate curve t at `x[t]`: (tasks, n, 1) in, (tasks, n, 1) out."""
        a, w, p = (v[:, None, None] for v in self)
        y: Array = a * np.sin(w * x - p)
        return y


@dataclass(frozen=True)
class Sinusoids:
    """Curves y = A sin(w x - p) with uniformly drawn amplitude A, frequency w and phase p.

    Shapes: x and y (tasks, n, 1), n shots or query.
    Raises: ValueError for no shots or query, or a range whose ends are exchanged: `tm.tasks.Sinusoids(shots=0)`.
    Source: Finn, Abbeel & Levine 2017, § 5.1; Li et al. 2017, § 4.1, for `Sinusoids.meta_sgd()`.

    Parameters
    ----------
    shots, query : int
        Points per task in the support and in the query set.
    amplitude, phase : (low, high)
        Ranges of A and p (radians).
    frequency : (low, high) or None
        Range of w (radians per unit of x); None fixes w = 1.
    x : (low, high)
        Range of the inputs.
    noise : float
        Standard deviation of Gaussian noise on the support targets; the query stays the true curve.
    dtype : NumPy dtype
        Of the arrays in the episodes.

    Examples
    --------
    >>> episode = tm.tasks.Sinusoids(shots=5, query=10).sample(np.random.default_rng(0), tasks=3)
    >>> episode.support[0].shape, episode.query[1].shape
    ((3, 5, 1), (3, 10, 1))
    """

    shots: int = 10
    query: int = 10
    amplitude: Range = (0.1, 5.0)
    phase: Range = (0.0, np.pi)
    frequency: Range | None = None
    x: Range = (-5.0, 5.0)
    noise: float = 0.0
    dtype: npt.DTypeLike = np.float32

    def __post_init__(self) -> None:
        at_least(self, shots=1, query=1)
        for name in ("amplitude", "phase", "frequency", "x"):
            bounds = getattr(self, name)
            if bounds is not None and bounds[0] > bounds[1]:
                raise ValueError(f"Sinusoids needs {name}=(low, high) with low <= high, and got {bounds}.")

    @classmethod
    def meta_sgd(cls, shots: int = 5, query: int = 10) -> Sinusoids:
        """The family of the Meta-SGD paper: y = A sin(w x + b), w in [0.8, 1.2], b in [0, pi].

        Its phase is added where MAML's is subtracted, hence p = -b.
        """
        return cls(shots, query, phase=(-np.pi, 0.0), frequency=(0.8, 1.2))

    def draw(self, rng: np.random.Generator, tasks: int) -> Curves:
        """Draw the functions alone; `sample` on an equal `rng` draws the same ones first."""
        amplitude = rng.uniform(*self.amplitude, tasks)
        phase = rng.uniform(*self.phase, tasks)
        frequency = np.ones(tasks) if self.frequency is None else rng.uniform(*self.frequency, tasks)
        return Curves(amplitude, frequency, phase)

    def observe(self, rng: np.random.Generator, curves: Curves) -> Episode:
        """Draw the points at which given functions are seen."""
        tasks = len(curves.phase)
        xs = rng.uniform(*self.x, (tasks, self.shots, 1))
        xq = rng.uniform(*self.x, (tasks, self.query, 1))
        ys = curves(xs)
        if self.noise:
            ys = ys + self.noise * rng.standard_normal(ys.shape)
        support = xs.astype(self.dtype), ys.astype(self.dtype)
        return Episode(support, (xq.astype(self.dtype), curves(xq).astype(self.dtype)))

    def sample(self, rng: np.random.Generator, tasks: int) -> Episode:
        """Draw functions and points: x and y are (tasks, shots or query, 1)."""
        return self.observe(rng, self.draw(rng, tasks))
