"""Which shapes a primitive is tried with: what has gone wrong before, first; random ones after."""

from __future__ import annotations

import numpy as np

from tinymeta.engine.domain import Sample
from tinymeta.engine.primitive import Primitive
from tinymeta.engine.typing import Shape


def usual_shapes(count: int) -> list[tuple[Shape, ...]]:
    """Shapes for `count` inputs: all alike (of rank 2 and 0, long enough for vectors, empty), then each in its turn
    without the first axis, with length 1 on either, and of rank 0; last each stretched by another."""
    whole = (2, 3)
    found: list[tuple[Shape, ...]] = [(shape,) * count for shape in (whole, (), (3, 17), (2, 0), (1,))]
    if count > 1:
        lesser: list[Shape] = [(3,), (1, 3), (2, 1), ()]
        found += [tuple(less if i == j else whole for j in range(count)) for less in lesser for i in range(count)[::-1]]
        found += [tuple(((2, 1), (3,))[(i + j) % 2] for j in range(count)) for i in range(2)]
    return found


def broadcasting(rng: np.random.Generator, count: int) -> list[Shape]:
    """Random shapes that broadcast, of up to three axes."""
    whole = [int(n) for n in rng.choice(4, size=rng.integers(4), p=(0.05, 0.15, 0.4, 0.4))]
    shapes = []
    for _ in range(count):
        mine = [1 if rng.random() < 0.25 else n for n in whole]
        shapes.append(tuple(mine[rng.integers(len(mine) + 1) if rng.random() < 0.25 else 0 :]))
    return shapes


def narrower(primitive: type[Primitive], sample: Sample) -> list[Sample]:
    """What a sample of real numbers leaves open: one input at a time has length 1 on an axis, or lacks it."""
    if len(sample.shapes) < 2 or not primitive.broadcasts or any(d.kind != "real" for d in primitive.domain):
        return []
    found = []
    for i, shape in enumerate(sample.shapes):
        visible = range(sample.batch, len(shape))
        less = [(*shape[:k], 1, *shape[k + 1 :]) for k in visible if shape[k] > 1]
        less += [shape[: sample.batch] + shape[k + 1 :] for k in visible if max(shape[sample.batch : k + 1]) > 1]
        found += [sample._replace(shapes=(*sample.shapes[:i], other, *sample.shapes[i + 1 :])) for other in less]
    return found
