"""Bad labels and rare classes on purpose: what learning to reweight examples is measured on (Ren et al.
2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinymeta.tasks.episode import Array, Episode, TaskFamily


def flip_uniform(rng: np.random.Generator, labels: Array, rate: float, classes: int) -> Array:
    """Replace each label, with probability `rate`, by one of the `classes - 1` others, all equally likely.

    Shapes: integers (…) → the same.
    Raises: ValueError for a rate outside of [0, 1], or fewer than two classes:
    `tm.tasks.flip_uniform(np.random.default_rng(0), np.zeros(3, int), 0.5, classes=1)`.
    Source: Ren et al. 2018.

    >>> tm.tasks.flip_uniform(np.random.default_rng(0), np.zeros(5, int), rate=1.0, classes=2)
    array([1, 1, 1, 1, 1])
    """
    check_rate(rate)
    if classes < 2:
        raise ValueError(f"flip_uniform needs at least 2 classes to flip between, and got classes={classes}.")
    other = (labels + rng.integers(1, classes, labels.shape)) % classes
    return np.where(rng.random(labels.shape) < rate, other, labels)


def flip_background(rng: np.random.Generator, labels: Array, rate: float, background: int = 0) -> Array:
    """Replace each label, with probability `rate`, by the one label `background`.

    Shapes: integers (…) → the same.
    Raises: ValueError for a rate outside of [0, 1]:
    `tm.tasks.flip_background(np.random.default_rng(0), np.zeros(3), 2)`.
    Source: Ren et al. 2018.

    >>> tm.tasks.flip_background(np.random.default_rng(0), np.array([1, 2, 3]), rate=1.0)
    array([0, 0, 0])
    """
    check_rate(rate)
    return np.where(rng.random(labels.shape) < rate, background, labels)


def imbalanced(rng: np.random.Generator, labels: Array, counts: Sequence[int]) -> Array:
    """Indices of a random subset, in random order, with `counts[c]` examples of class c.

    The paper's experiment has 4,975 nines and 25 fours.

    Shapes: labels (n,) → (sum(counts),).
    Raises: ValueError for a class that has fewer: `tm.tasks.imbalanced(np.random.default_rng(0), np.zeros(3), [5])`.
    Source: Ren et al. 2018.

    >>> labels = np.array([0, 0, 0, 1, 1])
    >>> np.bincount(labels[tm.tasks.imbalanced(np.random.default_rng(0), labels, [3, 1])])
    array([3, 1])
    """
    chosen = []
    for label, count in enumerate(counts):
        members = np.flatnonzero(labels == label)
        if count > len(members):
            raise ValueError(f"imbalanced was asked for {count} of class {label}, which has {len(members)}.")
        chosen.append(rng.permutation(members)[:count])
    return rng.permutation(np.concatenate(chosen))


@dataclass(frozen=True)
class NoisySupport:
    """A family of classification tasks whose support labels are flipped; the query labels stay true.

    Shapes: those of the family.
    Raises: ValueError for a rate outside of [0, 1]: `tm.tasks.NoisySupport(tm.tasks.Sinusoids(), 5, rate=2)`.
    Source: Ren et al. 2018.

    Parameters
    ----------
    family : TaskFamily
        With integer labels 0 ... ways - 1.
    ways : int
        Number of classes in a task.
    rate : float
        Probability of a flip.
    background : int or None
        The class that flipped labels take; None: any other.

    Examples
    --------
    >>> family = tm.tasks.FewShotImages(tm.tasks.glyphs(alphabets=1, characters=5, hands=2), ways=5)
    >>> noisy = tm.tasks.NoisySupport(family, ways=5, rate=1.0)
    >>> noisy.sample(np.random.default_rng(0), tasks=1).support[1] == np.arange(5)
    array([[False, False, False, False, False]])
    """

    family: TaskFamily
    ways: int
    rate: float
    background: int | None = None

    def __post_init__(self) -> None:
        check_rate(self.rate)

    def sample(self, rng: np.random.Generator, tasks: int) -> Episode:
        """Draw tasks of the family and flip support labels."""
        (x, y), query = self.family.sample(rng, tasks)
        if self.background is None:
            return Episode((x, flip_uniform(rng, y, self.rate, self.ways)), query)
        return Episode((x, flip_background(rng, y, self.rate, self.background)), query)


def check_rate(rate: float) -> None:
    """A share of labels lies in [0, 1]."""
    if not 0 <= rate <= 1:
        raise ValueError(f"A flip rate is a probability between 0 and 1, and got {rate}.")
