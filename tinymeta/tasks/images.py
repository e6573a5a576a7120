"""Few-shot image classification: a collection of classes, and the N-way K-shot tasks drawn from it.

`ImageClasses` is what every image source is turned into (Omniglot, generated glyphs, a user's folder);
`FewShotImages` is the task family over it. A task picks `ways` classes and, of each, `shots + query`
different images; labels are 0 ... ways - 1 in a fresh random order, so nothing but the support set says
what they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tinymeta.tasks.episode import Array, Episode, at_least
from tinymeta.tasks.found import Found


@dataclass(frozen=True, eq=False)
class ImageClasses:
    """Images sorted into classes, and classes into groups.

    Shapes: images (classes, instances, [channels,] height, width).
    Raises: ValueError for images of other axes, or other than one name and group for each class:
    `tm.tasks.ImageClasses(np.zeros((2, 2)), np.array(["a", "b"]), np.array(["a", "b"]))`.

    Attributes
    ----------
    images : (classes, instances, height, width) or (classes, instances, channels, height, width)
        uint8 in 0 ... 255 or floating point in [0, 1]. For drawings, 0 is paper and the maximum is ink.
        Where classes differ in size, the places from `sizes[c]` on are padding and are never sampled.
    groups : (classes,) of str
        What a class belongs to: its alphabet in Omniglot.
    names : (classes,) of str
        A name for messages and plots, unique in the collection.
    sizes : (classes,) of int, optional
        Images per class, where they differ.
    found : Found, optional
        What `load_folder` found, passed over and wondered at.

    Examples
    --------
    >>> names = np.array(["cat", "dog"])
    >>> tm.tasks.ImageClasses(np.zeros((2, 20, 28, 28), np.uint8), np.array(["pets", "pets"]), names)
    ImageClasses(2 classes in 1 groups, 20 images each, 28x28, uint8)
    """

    images: Array
    groups: Array
    names: Array
    sizes: Array | None = None
    found: Found | None = None

    def __post_init__(self) -> None:
        if self.images.ndim not in (4, 5):
            raise ValueError(
                "ImageClasses needs images of shape (classes, instances, [channels,] height, width), "
                f"and got {self.images.shape}."
            )
        for name in ("groups", "names", "counts"):
            if len(getattr(self, name)) != len(self.images):
                raise ValueError(
                    f"ImageClasses needs one entry of {name} per class: "
                    f"{len(self.images)} classes, {len(getattr(self, name))} {name}."
                )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return (
            f"ImageClasses({len(self)} classes in {len(np.unique(self.groups))} groups, "
            f"{self.images.shape[1]} images each, {'x'.join(map(str, self.images.shape[2:]))}, {self.images.dtype})"
        )

    @cached_property
    def counts(self) -> Array:
        """Images per class: (classes,) int64."""
        classes, instances = self.images.shape[:2]
        return np.full(classes, instances) if self.sizes is None else np.asarray(self.sizes, np.int64)

    @property
    def pictures(self) -> Array:
        """All images, class by class and without padding: (images, [channels,] height, width)."""
        return np.concatenate([rows[:count] for rows, count in zip(self.images, self.counts)])

    @cached_property
    def group_ids(self) -> Array:
        """The groups as integers 0, 1, ... in the order of their sorted names: (classes,)."""
        ids: Array = np.unique(self.groups, return_inverse=True)[1]
        return ids

    def select(self, which: Sequence[int] | Array) -> ImageClasses:
        """The sub-collection of some classes, by index or boolean mask."""
        index = np.asarray(which)
        if index.size == 0:
            index = index.astype(np.int64)
        return ImageClasses(self.images[index], self.groups[index], self.names[index], self.counts[index])

    def turned(self) -> ImageClasses:
        """These classes, and as further ones the same turned by 90, 180 and 270 degrees."""
        turns = [replace(self, images=np.rot90(self.images, k, (-2, -1)), found=None) for k in range(4)]
        names = np.concatenate([[f"{name} turned by {90 * k}" for name in self.names] for k in range(4)])
        return replace(ImageClasses.join(turns), names=names)

    @staticmethod
    def join(collections: Sequence[ImageClasses]) -> ImageClasses:
        """Put collections of equal image shape one after the other."""
        widest = max(c.images.shape[1] for c in collections)

        def padded(images: Array) -> Array:
            missing = [(0, 0), (0, widest - images.shape[1])] + [(0, 0)] * (images.ndim - 2)
            return np.pad(images, missing) if widest > images.shape[1] else images

        return ImageClasses(
            np.concatenate([padded(c.images) for c in collections]),
            np.concatenate([c.groups for c in collections]),
            np.concatenate([c.names for c in collections]),
            np.concatenate([c.counts for c in collections]),
        )


@dataclass(frozen=True)
class FewShotImages:
    """N-way K-shot tasks over a collection of image classes.

    Examples come class by class (y of the support is 0 ... 0, 1 ... 1, ...): a learner that reads its
    examples in order has to shuffle them first.

    Shapes: x (tasks, ways·n, pixels) or (tasks, ways·n, channels, height, width), y (tasks, ways·n), n shots or query.
    Raises: ValueError when the collection cannot fill a task:
    `tm.tasks.FewShotImages(tm.tasks.glyphs(1, 2, 2), ways=5)`.
    Source: Vinyals et al. 2016.

    Parameters
    ----------
    classes : ImageClasses
        What to draw from.
    ways, shots, query : int
        Classes per task, and support and query images per class.
    flatten : bool
        x as (tasks, n, pixels), or as (tasks, n, channels, height, width).
    within_group : bool
        Draw all classes of a task from one group (one alphabet): harder, as they look alike. Groups with
        fewer than `ways` classes are left out.
    rotations : bool
        Count each class turned by 90, 180 and 270 degrees as a further class (Santoro et al. 2016, section
        4.1). With `within_group` a whole group is turned, which makes it a further group.
    one_hand : bool
        Take the same instances of all classes of a task. Where instance i is one person's hand throughout a
        group, as in Omniglot and `glyphs`, different people draw the support and the query set.
    augment : (rng, images) -> images, optional
        Changes the images of each batch, given as (tasks, ways, shots + query, ...) in [0, 1]; see
        `augment.py`.
    dtype : NumPy dtype
        Of x; labels are int64.

    Examples
    --------
    >>> family = tm.tasks.FewShotImages(tm.tasks.glyphs(alphabets=1, characters=5, hands=3), ways=5, shots=2)
    >>> family.sample(np.random.default_rng(0), tasks=4).support[0].shape
    (4, 10, 784)
    """

    classes: ImageClasses
    ways: int = 5
    shots: int = 1
    query: int = 1
    flatten: bool = True
    within_group: bool = False
    rotations: bool = False
    one_hand: bool = False
    augment: Callable[[np.random.Generator, Array], Array] | None = None
    dtype: npt.DTypeLike = np.float32

    def __post_init__(self) -> None:
        at_least(self, ways=2, shots=1, query=1)
        if len(self.classes) * self.turns < self.ways:
            raise ValueError(
                f"FewShotImages cannot make {self.ways}-way tasks from {len(self.classes) * self.turns} "
                f"classes: lower ways{'' if self.rotations else ', pass rotations=True'} or add classes."
            )
        counts, needed = self.classes.counts, self.shots + self.query
        if counts.min() < needed:
            short = int(counts.argmin())
            raise ValueError(
                f"FewShotImages needs {self.shots} + {self.query} = {needed} images of each class (shots + "
                f"query), and {str(self.classes.names[short])!r} has {counts[short]}: lower shots or query, or "
                f"leave small classes out with classes.select(classes.counts >= {needed})."
            )
        if self.within_group and self.eligible_groups.size == 0:
            largest = int(np.bincount(self.classes.group_ids).max())
            raise ValueError(
                f"FewShotImages cannot make {self.ways}-way tasks within one group: the largest group has "
                f"{largest} classes; lower ways or pass within_group=False."
            )
        height, width = self.classes.images.shape[-2:]
        if self.rotations and height != width:
            raise ValueError(f"FewShotImages turns square images only, and these are {height} x {width}.")

    @property
    def turns(self) -> int:
        """How many classes one class stands for."""
        return 4 if self.rotations else 1

    @cached_property
    def eligible_groups(self) -> Array:
        """The groups with enough classes for a task."""
        return np.flatnonzero(np.bincount(self.classes.group_ids) >= self.ways)

    def sample(self, rng: np.random.Generator, tasks: int) -> Episode:
        """Draw tasks: x (tasks, ways * n, ...), y (tasks, ways * n), n the shots or the query."""
        allowed = np.ones((tasks, len(self.classes), self.turns), bool)
        if self.within_group:
            group, turned = rng.choice(self.eligible_groups, tasks), rng.integers(self.turns, size=tasks)
            allowed &= (self.classes.group_ids == group[:, None])[..., None]
            allowed &= np.arange(self.turns) == turned[:, None, None]
        row, turn = np.divmod(choose(rng, allowed.reshape(tasks, -1), self.ways), self.turns)
        available = self.classes.counts[row]
        if self.one_hand:
            available = available.min(axis=1, keepdims=True)
        places = np.arange(self.classes.images.shape[1])
        instance = choose(rng, places < available[..., None], self.shots + self.query)
        pictures = as_unit_interval(self.classes.images[row[..., None], instance], self.dtype)
        for quarter in range(1, self.turns):
            pictures[turn == quarter] = np.rot90(pictures[turn == quarter], quarter, axes=(-2, -1))
        if self.augment is not None:
            pictures = self.augment(rng, pictures)
        return as_episode(pictures, self.shots, self.flatten)


def as_episode(pictures: Array, shots: int, flatten: bool = False) -> Episode:
    """Lay images (tasks, ways, n, ...) out as examples: class w has the label w, its first `shots` are support."""

    def labelled(pictures: Array) -> tuple[Array, Array]:
        tasks, ways, each, *shape = pictures.shape
        form = (-1,) if flatten else tuple(shape) if len(shape) == 3 else (1, *shape)
        y = np.tile(np.repeat(np.arange(ways), each), (tasks, 1))
        return pictures.reshape(tasks, ways * each, *form), y

    return Episode(labelled(pictures[:, :, :shots]), labelled(pictures[:, :, shots:]))


def choose(rng: np.random.Generator, allowed: Array, number: int) -> Array:
    """Draw `number` different allowed places per row, in random order.

    Takes a boolean array (..., places) to indices (..., number). Every place gets a random key, forbidden
    ones an infinite key; the smallest keys win. They come sorted by key, so that the order tells nothing
    about which places they are.
    """
    keys = np.where(allowed, rng.random(allowed.shape, dtype=np.float32), np.float32(np.inf))
    if number < allowed.shape[-1]:
        best = np.argpartition(keys, number - 1, axis=-1)[..., :number]
    else:
        best = np.broadcast_to(np.arange(number), keys.shape)
    order = np.argsort(np.take_along_axis(keys, best, axis=-1), axis=-1)
    chosen: Array = np.take_along_axis(best, order, axis=-1)
    return chosen


def as_unit_interval(images: Array, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Images in [0, 1]: bytes are divided by 255, floating point is taken as it is."""
    values = images.astype(dtype)
    return values / values.dtype.type(255) if images.dtype == np.uint8 else values
