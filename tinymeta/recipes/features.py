"""Features of one's own: what any pretrained network makes of pictures, texts or sounds, in place of pictures.

    np.savez("train.npz", X=features, y=labels)            X (examples, features) of numbers, y (examples,)
    tinymeta run images --features train.npz
    tinymeta classify runs/images-1 --support new.npz --query asked.npz            asked.npz needs X alone

They go through the same divisions, tasks, heads, intervals and calibration. What is trained is a small correction of
them, which begins with none: z = s (x̂ + V U x̂), x̂ = x/‖x‖, V = 0.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Array
from tinymeta.io.save import contents
from tinymeta.meta.learners.matching import unit
from tinymeta.tasks.found import Found, odd_classes, same_pictures

SUFFIX = ".npz"
RANK = 64  # of the correction
SCALE = 3.0  # s in the beginning: squared distances of about ten, as logits


class Projection(tm.nn.Module):
    """Features (n, …, features) to a space of as many, in which classes are round."""

    def __init__(self, rng: np.random.Generator, width: int) -> None:
        self.down = tm.nn.Linear(width, min(width, RANK), rng=rng)
        self.up = tm.nn.Linear(min(width, RANK), width, rng=rng)
        self.up = tm.tree.map(tm.zeros_like, self.up)
        self.log_scale = tm.tensor(np.array(np.log(SCALE), np.float32))

    def __call__(self, x: tm.Tensor) -> tm.Tensor:
        x = unit(x.reshape((len(x), -1)))
        return tm.exp(self.log_scale) * (x + self.up(self.down(x)))


def load(file: Path) -> tm.tasks.ImageClasses:
    """The classes of a file of `X` and `y`. An example is a picture of height 1: images (classes, most, 1, features).

    Raises: UserError where there are no such arrays, or of other shapes, or a number of them is not finite.
    """
    x, y = arrays(file)
    if y is None:
        raise UserError(f"{file} has no y: it needs the label of every example, y of shape ({len(x)},)")
    names, label = np.unique(y, return_inverse=True)
    counts = np.bincount(label)
    images = np.zeros((len(names), int(counts.max()), 1, x.shape[1]), np.float32)
    for k, rows in enumerate(images):
        rows[: counts[k], 0] = x[label == k]
    texts = [str(name) for name in names]
    prints = {name: hashlib.sha256(rows.tobytes()).hexdigest()[:16] for name, rows in zip(texts, images)}
    rows_of = {
        n: {f"{n}[{k}]": row.tobytes().hex() for k, row in enumerate(x[label == i])} for i, n in enumerate(texts)
    }
    sizes = dict(zip(texts, counts.tolist()))
    notes = [note.replace("picture", "example") for note in (*same_pictures(rows_of), *odd_classes(sizes))]
    found = Found(sizes, notes=tuple(notes), prints=prints)
    return tm.tasks.ImageClasses(images, np.full(len(names), file.stem), np.array(texts), counts, found)


def arrays(file: Path) -> tuple[Array, Array | None]:
    """`X` (n, features) as float32, and `y` (n,), if it is there. Raises: UserError as `load` does."""
    if file.suffix != SUFFIX or not file.is_file():
        raise UserError(
            f"{file} is no {SUFFIX} file: features are one that np.savez(FILE, X=features, y=labels) writes"
        )
    found, _ = contents(file)
    x, y = found.get("X"), found.get("y")
    if x is None:
        held = ", ".join(sorted(found)) or "nothing"
        raise UserError(f"{file} holds {held} and no X: it needs X of shape (examples, features), and y (examples,)")
    if x.ndim != 2 or x.dtype.kind not in "fiub" or 0 in x.shape:
        raise UserError(f"X in {file} is {x.dtype} of shape {x.shape}: it needs numbers of shape (examples, features)")
    values = x.astype(np.float32)
    if bad := int((~np.isfinite(values)).any(1).sum()):
        raise UserError(f"X in {file} has NaN or infinities in {bad} of its {len(x)} examples: leave these out")
    if y is not None and y.dtype.kind == "U" and not all(map(str.strip, y.ravel().tolist())):
        raise UserError(f"y in {file} has an empty label: name every class, or leave such examples out")
    if y is not None and (y.shape != (len(x),) or y.dtype.kind not in "iubU"):
        raise UserError(
            f"y in {file} is {y.dtype} of shape {y.shape}, and X has {len(x)} examples: it needs their labels, whole "
            f"numbers or texts of shape ({len(x)},)"
        )
    return values, y
