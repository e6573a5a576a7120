"""How a classifier sees rows of X, and what answers from there: as a run has learned to, or as they are."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import Tree
from tinymeta.ops import tree
from tinymeta.recipes import answering, calibrate, classify, divisions, heads, images
from tinymeta.recipes.answering import Answering
from tinymeta.recipes.heads import Tasks
from tinymeta.tasks.data import pillow
from tinymeta.tasks.picture import picture

HEADS: dict[str, heads.Head] = {"logistic": partial(heads.logistic, intercept=1.0), "prototypes": heads.means}
DARK = 128  # bytes that stay below are none
FOLDS = 5  # that a temperature is found on where there is no run


class Sight(Protocol):
    """What rows are to a classifier."""

    def used_to(self, x: Array) -> Sight:
        """What sees rows like those of `x`, (n, …), from which it gets its scale. Raises: UserError for none of its."""
        ...

    def features(self, x: Array) -> Tree:
        """Of rows (n, …): a tree of arrays (n, …)."""
        ...

    def logits(self, support: Tree, labels: Array, query: Tree) -> Array:
        """Of queries (m, …), with a support set: (m, classes)."""
        ...

    def temperature(self, support: Tree, labels: Array) -> float:
        """By which logits are divided."""
        ...


@dataclass(frozen=True)
class AsTheyAre:
    """Features as they are."""

    head: str
    exponent: int = 0  # numbers are below 2 to it
    origin: Array | float = 0.0  # the least of each feature, of what is left
    scale: float = 1.0  # the widest range, likewise

    def used_to(self, x: Array) -> Self:
        if x.ndim != 2:
            raise UserError(
                f"X has shape {x.shape}, and features are (examples, features). Reshape your data, or for pictures "
                "load a run that has learned to see: tm.fewshot.load(RUN)"
            )
        exponent = int(np.frexp(np.abs(x).max())[1])
        small = np.ldexp(x, -exponent)
        origin = small.min(0)
        return replace(self, exponent=exponent, origin=origin, scale=float((small - origin).max()) or 1.0)

    def features(self, x: Array) -> Array:
        """From 0 to 1: whatever their unit and wherever their zero, squares neither overflow nor cancel."""
        found: Array = (np.ldexp(x, -self.exponent) - self.origin) / self.scale
        return found

    def logits(self, support: Array, labels: Array, query: Array) -> Array:
        found: Array = HEADS[self.head](support[None], labels[None], query[None], int(labels.max()) + 1)[0]
        return found

    def temperature(self, support: Array, labels: Array) -> float:
        """The one of the least loss of examples left out, in folds that leave one of each class.

        Their labels are a little soft, as Platt's are, (n + 1)/(n + classes) of the truth: n right answers are no proof
        that there is never a wrong one.
        Source: Platt 1999, § 2.2.
        """
        rank = np.zeros(len(labels), int)
        for k in range(labels.max() + 1):
            rank[labels == k] = np.arange((labels == k).sum())
        fold = np.where(np.bincount(labels)[labels] > 1, rank % FOLDS, -1)
        left = [fold == f for f in range(FOLDS) if (fold == f).any()]
        if not left:
            return 1.0
        logits = np.concatenate([self.logits(support[~out], labels[~out], support[out]) for out in left])
        truth = np.eye(logits.shape[1])[np.concatenate([labels[out] for out in left])]
        soft = (truth * len(logits) + 1) / (len(logits) + logits.shape[1])
        return calibrate.least(lambda t: calibrate.log_loss(logits / t, soft))


@dataclass(frozen=True)
class OfRun:
    """Pictures, or features, as a run of `images` sees them."""

    folder: Path
    config: images.Config
    shape: tuple[int, ...]
    levels: Any
    answering: Answering
    white: float = 1.0

    @classmethod
    def of(cls, folder: str | os.PathLike[str], head: str | None) -> Self:
        """The run in a folder, with another head if that is asked for. Raises: UserError where it holds none."""
        config, run = classify.trained_run(Path(folder).expanduser())
        found = classify.answering_of(config, run)
        if head is not None and found.head == answering.PLACES:
            raise UserError(f"{folder} compares pictures place by place: leave head={head!r} out")
        found = found if head is None else replace(found, head=head)
        return cls(run.folder, config, images.shape(config, run), divisions.levels(run), found)

    def used_to(self, x: Array) -> Self:
        if self.shape[-2] != 1 and 1 < x.max() < DARK:
            raise UserError(
                f"X has greys up to {x.max():g}, which are neither fractions up to 1 nor bytes up to 255: divide X by "
                "what is white"
            )
        return replace(self, white=1.0 if x.max() <= 1 else 255.0)

    def features(self, x: Array) -> Tree:
        if self.shape[-2] != 1:
            return self.answering.features(self._pictures(x))
        if x.shape[1:] != self.shape[-1:]:
            raise UserError(
                f"X has rows of shape {x.shape[1:]}, and {self.folder} learned from {self.shape[-1]} features"
            )
        return self.answering.features(x[:, None].astype(np.float32))

    def _pictures(self, x: Array) -> Array:
        """Pictures of any size as the run's: bytes (n, [3,] size, size)."""
        side = int(np.sqrt(x.shape[1]))
        x = x.reshape(-1, side, side) if x.ndim == 2 and side**2 == x.shape[1] else x
        if x.ndim == 4 and x.shape[-1] not in (1, 3):
            x = np.moveaxis(x, 1, -1)
        x = x[..., 0] if x.ndim == 4 and x.shape[-1] == 1 else x
        if x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[-1] != 3):
            raise UserError(
                f"X has rows of shape {x.shape[1:]}, and {self.folder} learned from pictures: (height, width), "
                "(height, width, 3) or (3, height, width), or so many numbers as a square has"
            )
        if x.min() < 0 or x.max() > self.white:
            raise UserError(f"X has greys from {x.min():g} to {x.max():g}, and they go from 0 to {self.white:g} here")
        return np.stack([self._seen(row, k) for k, row in enumerate(np.rint(255 / self.white * x).astype(np.uint8))])

    def _seen(self, values: Array, number: int) -> Array:
        """A picture as if it had been read from a file."""
        file = io.BytesIO()
        pillow().fromarray(values).save(file, "PPM")
        file.seek(0)
        colour = "rgb" if len(self.shape) == 3 else "grey"
        return picture(file, self.shape[-1], colour, self.config.invert, f"X[{number}]", self.levels)

    def logits(self, support: Tree, labels: Array, query: Tree) -> Array:
        n, m = len(labels), len(tree.leaves(query)[0])
        both = tree.map(lambda a, b: np.concatenate([a, b]), support, query)
        rows = np.arange(n, n + m)[None]
        found: Array = self.answering.scores(both, Tasks(np.arange(n)[None], labels[None], rows, rows))[0]
        return found

    def temperature(self, support: Tree, labels: Array) -> float:
        counts = np.bincount(labels)
        return calibrate.calibration(self.folder, self.answering, len(counts), int(np.median(counts))).temperature
