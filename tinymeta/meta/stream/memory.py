"""A bounded memory of gradients, and what a learner can do with it.

For each task the memory keeps the latest gradients in a ring buffer, so a stream may be as long as it likes: the
bytes are those of the first step. From them come

    mean            m_k, where task k last wanted to go
    similarity      cos(m_j, m_k): which tasks help each other, and which conflict
    A-GEM           g − min(0, g·m) m/‖m‖², m the mean of all other tasks' gradients  (Chaudhry et al. 2019, eq. 11)
    PCGrad          the same with every m_k in turn, in random order                  (Yu et al. 2020, algorithm 1)
    preconditioning g / (√Var + ε): short steps where the gradients of a task disagree

Both papers compute the gradients of other tasks anew, at the weights of now, from stored or present examples. Here
no example is kept: a stored gradient stands for its task at the weights of then.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import Tree


class GradientMemory:
    """The latest `capacity` gradients of each of `tasks` tasks.

    Shapes: gradients (size,), as one vector; what is stored for a task (at most capacity, size).
    Source: Chaudhry et al. 2019, eq. 11 (`agem`); Yu et al. 2020, algorithm 1 (`pcgrad`).

    Parameters
    ----------
    like
        The parameters, any pytree: their gradients are stored as flat vectors.
    tasks, capacity
        How many ring buffers, and how many gradients in each.

    Examples
    --------
    >>> memory = tm.meta.GradientMemory(np.zeros(2), tasks=2, capacity=3)
    >>> memory.write(0, np.array([1.0, 0.0]))
    >>> memory.agem(np.array([-1.0, 1.0]), task=1)  # without what it has against task 0
    array([0., 1.])
    """

    def __init__(self, like: Tree, tasks: int, capacity: int) -> None:
        first = flat(like)
        self.rings = np.zeros((tasks, capacity, first.size), first.dtype)
        self.written = np.zeros(tasks, int)

    @property
    def nbytes(self) -> int:
        return self.rings.nbytes

    def write(self, task: int, g: Array) -> None:
        """Store a flat gradient, over the task's oldest once its ring is full."""
        self.rings[task, self.written[task] % self.rings.shape[1]] = g
        self.written[task] += 1

    def read(self, task: int) -> Array:
        """The gradients that are stored for a task: (at most capacity, size)."""
        return self.rings[task, : self.written[task]]

    def known(self, besides: int | None = None) -> list[int]:
        """The tasks that something is stored for."""
        return [k for k, count in enumerate(self.written) if count and k != besides]

    def mean(self, task: int) -> Array:
        """m_k, of shape (size,)."""
        mean: Array = self.read(task).mean(0)
        return mean

    def similarity(self) -> Array:
        """cos(m_j, m_k) for all pairs of tasks, NaN where nothing is stored: (tasks, tasks)."""
        means = np.stack(
            [self.mean(k) if self.written[k] else np.full_like(g[0], np.nan) for k, g in enumerate(self.rings)]
        )
        with np.errstate(invalid="ignore"):
            unit = means / np.linalg.norm(means, axis=1, keepdims=True)
        cosines: Array = unit @ unit.T
        return cosines

    def agem(self, g: Array, task: int) -> Array:
        """`g` of `task` without what it has against the mean of the other tasks' gradients."""
        others = [self.read(k) for k in self.known(besides=task)]
        return without_conflict(g, [np.concatenate(others).mean(0)]) if others else g

    def pcgrad(self, g: Array, task: int, rng: np.random.Generator, *, each: bool = False) -> Array:
        """`g` of `task` without what it has against the mean gradient of each other task, one after the other.

        With `each`, against every stored gradient of theirs.
        """
        others = self.known(besides=task)
        directions = [row for k in others for row in self.read(k)] if each else [self.mean(k) for k in others]
        return without_conflict(g, [directions[i] for i in rng.permutation(len(directions))])

    def among_means(self, g: Array, task: int) -> Array:
        """The mean of `g` of `task` and the mean gradients of all others: a step for all tasks at once."""
        total: Array = np.mean([g, *(self.mean(k) for k in self.known(besides=task))], axis=0)
        return total

    def preconditioned(self, g: Array, task: int, epsilon: float = 1e-8) -> Array:
        """`g` with each entry divided by the standard deviation of the stored ones, and its old length."""
        if self.written[task] < 2:
            return g
        scaled = g / (self.read(task).std(0) + epsilon)
        turned: Array = scaled * (float(np.linalg.norm(g)) / max(float(np.linalg.norm(scaled)), 1e-30))
        return turned


def without_conflict(g: Array, directions: Iterable[Array]) -> Array:
    """`g` with its part against each direction taken off, one after the other: g·m ≥ 0 for the last of them."""
    for m in directions:
        against = min(float(g @ m), 0.0)
        if against:
            g = g - (against / float(m @ m)) * m
    return g


def flat(params: Tree) -> Array:
    """All leaves as one vector."""
    return np.concatenate([np.asarray(leaf).ravel() for leaf in tree.leaves(params)])


def unflat(vector: Array, like: Tree) -> Tree:
    """A tree like `like` of the entries of a vector."""
    leaves, structure = tree.flatten(like)
    ends = np.cumsum([leaf.size for leaf in leaves])[:-1]
    parts = [Tensor(part.reshape(leaf.shape)) for part, leaf in zip(np.split(vector, ends), leaves)]
    return tree.unflatten(structure, parts)
