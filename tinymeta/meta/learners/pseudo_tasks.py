"""Few-shot tasks out of unlabelled images: families whose labels are made up, for any learner to be trained on.

UMTRA (Khodadadeh, Bölöni & Shah 2019): a class is one image and its distortions. Among many classes, images drawn at
random are seldom of the same one (§ 3.1), so telling them apart is nearly the real task.

CACTUs (Hsu, Levine & Finn 2019): a class is a cluster of an embedding found without labels (Algorithm 1). Several
partitions, each of the embedding stretched at random along its axes, give many different tasks from one embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinymeta.engine.tensor import Array
from tinymeta.tasks.episode import Episode
from tinymeta.tasks.images import as_episode, choose

Augmentation = Callable[[np.random.Generator, Array], Array]


@dataclass(frozen=True)
class Umtra:
    """Tasks whose classes are single images; the support set and the query set are different distortions of them.

    Shapes: x (tasks, ways·n, 1, height, width), y (tasks, ways·n), n 1 or query.
    Source: Khodadadeh, Bölöni & Shah 2019, § 3.1.

    Parameters
    ----------
    images
        Unlabelled, (n, height, width).
    ways, query
        Images per task, and distortions of each in the query set. There is one of each in the support set.
    augment
        Changes images (…, height, width), each in its own way: see `tm.tasks.Augment`.

    Examples
    --------
    >>> family = tm.meta.Umtra(np.zeros((20, 8, 8)), ways=5, query=2, augment=lambda rng, images: images)
    >>> family.sample(np.random.default_rng(0), tasks=3).query[0].shape
    (3, 10, 1, 8, 8)
    """

    images: Array
    ways: int
    query: int
    augment: Augmentation

    def sample(self, rng: np.random.Generator, tasks: int) -> Episode:
        """Draw tasks: x (tasks, ways · n, 1, height, width), y (tasks, ways · n)."""
        chosen = self.images[choose(rng, np.ones((tasks, len(self.images)), bool), self.ways)]
        seen = self.augment(rng, np.repeat(chosen[:, :, None], 1 + self.query, axis=2))
        return as_episode(seen, shots=1)


@dataclass(frozen=True)
class Cactus:
    """Tasks whose classes are clusters, one of several partitions for each task.

    Shapes: x (tasks, ways·n, 1, height, width), y (tasks, ways·n), n 1 or query.
    Raises: ValueError where some partition has too few clusters of enough images:
    `tm.meta.Cactus(np.zeros((4, 8, 8)), np.array([[0, 0, 1, 1]]), ways=3, query=1)`.
    Source: Hsu, Levine & Finn 2019, algorithm 1.

    Parameters
    ----------
    images
        Unlabelled, (n, height, width).
    partitions
        The cluster of every image in every partition, (partitions, n), from `partitions_of`.
    ways, query
        Clusters per task, and images of each in the query set. There is one of each in the support set.
    augment
        Changes images (…, height, width), each in its own way; None leaves them as they are.

    Examples
    --------
    >>> family = tm.meta.Cactus(np.zeros((4, 8, 8)), np.array([[0, 0, 1, 1]]), ways=2, query=1)
    >>> family.sample(np.random.default_rng(0), tasks=3).query[0].shape
    (3, 2, 1, 8, 8)
    """

    images: Array
    partitions: Array
    ways: int
    query: int
    augment: Augmentation | None = None

    def __post_init__(self) -> None:
        fewest = min(len(self.large(cluster_of)) for cluster_of in self.partitions)
        if fewest < self.ways:
            raise ValueError(
                f"Cactus cannot make {self.ways}-way tasks: only {fewest} clusters of a partition have "
                f"{1 + self.query} images; make fewer clusters, or lower query."
            )

    def large(self, cluster_of: Array) -> Array:
        """The clusters of a partition that have enough images for a task."""
        return np.flatnonzero(np.bincount(cluster_of) > self.query)

    def sample(self, rng: np.random.Generator, tasks: int) -> Episode:
        """Draw tasks: x (tasks, ways · n, 1, height, width), y (tasks, ways · n)."""
        chosen = np.empty((tasks, self.ways, 1 + self.query), np.int64)
        for task in range(tasks):
            cluster_of = self.partitions[rng.integers(len(self.partitions))]
            for way, cluster in enumerate(rng.permutation(self.large(cluster_of))[: self.ways]):
                members = np.flatnonzero(cluster_of == cluster)
                chosen[task, way] = rng.permutation(members)[: 1 + self.query]
        seen = self.images[chosen]
        seen = seen if self.augment is None else self.augment(rng, seen)
        return as_episode(seen, shots=1)


def partitions_of(rng: np.random.Generator, embedding: Array, clusters: int, partitions: int) -> Array:
    """Cluster an embedding several times, each axis stretched at random.

    Shapes: (n, features) → (partitions, n).
    Source: Hsu, Levine & Finn 2019, algorithm 1.

    >>> embedding = np.array([[0.0, 0.0], [0.1, 0.1], [9.0, 9.0]])
    >>> tm.meta.partitions_of(np.random.default_rng(0), embedding, clusters=2, partitions=3).shape
    (3, 3)
    """
    scales = rng.uniform(0.1, 1.0, (partitions, embedding.shape[1])).astype(embedding.dtype)
    return np.stack([k_means(rng, embedding * scale, clusters) for scale in scales])


def k_means(rng: np.random.Generator, x: Array, clusters: int, iterations: int = 10) -> Array:
    """Lloyd's algorithm from random members as centres: the cluster of every row of `x`.

    Shapes: (n, features) → (n,) of integers.
    Source: Lloyd 1982.

    >>> found = tm.meta.k_means(np.random.default_rng(0), np.array([[0.0], [0.1], [9.0]]), clusters=2)
    >>> bool(found[0] == found[1] != found[2])
    True
    """
    centres = x[rng.permutation(len(x))[:clusters]]
    for _ in range(iterations):
        nearest = ((centres**2).sum(1) - 2 * x @ centres.T).argmin(1)
        count = np.bincount(nearest, minlength=clusters)
        order = np.argsort(nearest, kind="stable")
        filled = np.flatnonzero(count)
        sums = np.add.reduceat(x[order], (np.cumsum(count) - count)[filled])
        centres = centres.copy()
        centres[filled] = sums / count[filled, None]
    found: Array = nearest
    return found
