"""The one shape every task has: an episode, and the families that draw episodes.

A task is shown as an `Episode`: a support set to adapt on and a query set to be judged by. A batch of
tasks is the same `Episode` whose four arrays carry one leading task axis, so `vmap` runs over it as it is.
Everything else in this package is a `TaskFamily`: a distribution over tasks that knows how to draw a batch.

Read this file first; `sinusoid.py` is the smallest family, `images.py` the most used one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Pair = tuple[Array, Array]


class Episode(NamedTuple):
    """A task, or a batch of tasks: `support` and `query`, each a pair `(x, y)` of arrays.

    Being a NamedTuple it is a pytree: `vmap`, `tree.map` and `compile` take it without registration.

    Shapes: x (shots, …) and y for one task, (tasks, shots, …) for a batch; the query with numbers of its own.

    Attributes
    ----------
    support : (x, y)
        What the learner adapts on; `x` is (shots, ...) for one task, (tasks, shots, ...) for a batch.
    query : (x, y)
        What the adapted learner is judged by, with the same axes.

    Examples
    --------
    >>> episode = tm.tasks.Episode((np.zeros((5, 1)), np.zeros((5, 1))), (np.zeros((9, 1)), np.zeros((9, 1))))
    >>> len(tm.tree.leaves(episode))
    4
    """

    support: Pair
    query: Pair


@runtime_checkable
class TaskFamily(Protocol):
    """A distribution over tasks. Whatever satisfies this can be meta-learned."""

    def sample(self, rng: np.random.Generator, tasks: int) -> Episode:
        """Draw `tasks` tasks, stacked on a leading axis. The same `rng` state gives the same tasks."""
        ...


def at_least(family: object, **least: float) -> None:
    """Refuse a family one of whose fields is smaller than the number given under its name."""
    given = {name: getattr(family, name) for name in least}
    if any(given[name] < bound for name, bound in least.items()):
        needs = ", ".join(f"{name} >= {bound}" for name, bound in least.items())
        got = ", ".join(f"{name}={value}" for name, value in given.items())
        raise ValueError(f"{type(family).__name__} needs {needs}, and got {got}.")


def stack(episodes: Sequence[Episode]) -> Episode:
    """Join single tasks of equal shapes into a batch.

    Shapes: so many episodes of x (n, …) → one of (tasks, n, …).
    Raises: ValueError when there is no episode, or when their shapes differ: `tm.tasks.stack([])`.

    >>> family, rng = tm.tasks.Sinusoids(shots=5), np.random.default_rng(0)
    >>> tm.tasks.stack([next(tm.tasks.unstack(family.sample(rng, 1))) for _ in range(3)]).support[0].shape
    (3, 5, 1)
    """
    if not episodes:
        raise ValueError("stack() needs at least one episode, and was given none.")

    def join(set_: int, part: int) -> Array:
        arrays = [episode[set_][part] for episode in episodes]
        shapes = {a.shape for a in arrays}
        if len(shapes) > 1:
            where = f"{Episode._fields[set_]} {'xy'[part]}"
            raise ValueError(f"stack() needs episodes of one shape; their {where} have {sorted(shapes)}.")
        return np.stack(arrays)

    return Episode((join(0, 0), join(0, 1)), (join(1, 0), join(1, 1)))


def unstack(episodes: Episode) -> Iterator[Episode]:
    """Go through a batch one task at a time: the inverse of `stack`.

    Shapes: x (tasks, n, …) → so many of (n, …).

    >>> batch = tm.tasks.Sinusoids(shots=5).sample(np.random.default_rng(0), tasks=3)
    >>> [episode.support[0].shape for episode in tm.tasks.unstack(batch)]
    [(5, 1), (5, 1), (5, 1)]
    """
    for xs, ys, xq, yq in zip(*episodes.support, *episodes.query):
        yield Episode((xs, ys), (xq, yq))
