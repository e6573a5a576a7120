"""Features of pictures that nobody had to learn: what a trained network has to be better than, or to be put beside."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import Tree
from tinymeta.recipes.heads import HEADS, Tasks, beside, embedded, right, scores, spread
from tinymeta.tasks.images import as_unit_interval

ORIENTATIONS, CELLS, SHADES = 8, 4, 8  # of gradients; cells along a side; grades of a channel
MISSING = "left out, for it needs scikit-image: pip install 'tinymeta[fewshot]'"


@cache
def can_see_edges() -> bool:
    """Whether scikit-image is installed."""
    try:
        import skimage.feature  # noqa: F401
    except ImportError:
        return False
    return True


def pixels(pictures: Array) -> Array:
    """Pictures (n, …) as they are: (n, pixels)."""
    flat: Array = as_unit_interval(pictures, np.float32).reshape(len(pictures), -1)
    return flat


def edges(pictures: Array) -> Array:
    """Histograms of oriented gradients (Dalal & Triggs 2005) of (n, [channels,] height, width): (n, features)."""
    from skimage.feature import hog

    values = as_unit_interval(pictures, np.float64)
    cell = (max(values.shape[-2] // CELLS, 1), max(values.shape[-1] // CELLS, 1))
    channel = 0 if values.ndim == 4 else None
    how = {"orientations": ORIENTATIONS, "pixels_per_cell": cell, "cells_per_block": (2, 2), "channel_axis": channel}
    return np.array([hog(one, **how) for one in values])


def colours(pictures: Array) -> Array:
    """The share of each grade of each channel, (n, channels · grades)."""
    values = as_unit_interval(pictures, np.float32)
    grade = np.minimum((values * SHADES).astype(int), SHADES - 1).reshape(len(values), -1, np.prod(values.shape[-2:]))
    return np.concatenate([(grade == shade).mean(-1) for shade in range(SHADES)], 1)


def edges_and_colours(pictures: Array) -> Array:
    """Both, of equal weight; of grey pictures the edges."""
    blocks = [edges(pictures), *([colours(pictures)] if pictures.ndim == 4 else [])]
    return beside(blocks, [spread(x) for x in blocks])


def rivals(untrained: Tree, shown: Array, tasks: Tasks) -> dict[str, Array]:
    """The accuracy by task of every head on features that nobody had to learn."""
    if shown.shape[-2] == 1:
        features = {"features": pixels(shown)}
    else:
        embed: Any = getattr(untrained, "embed", untrained)  # of the network that compares places, its maps
        features = {"pixels": pixels(shown), "untrained network": embedded(embed, shown).reshape(len(shown), -1)}
        if can_see_edges():
            features["HOG + colour" if shown.ndim == 4 else "HOG"] = edges_and_colours(shown)
    return {
        f"{of}, {name}": right(scores(head, x, tasks), tasks)
        for of, x in features.items()
        for name, head in HEADS.items()
    }
