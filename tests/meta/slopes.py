"""Slopes from values alone, which a gradient is held against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinymeta as tm


def central_differences(f: Callable[[Any], Any], phi: Any, h: float = 1e-5) -> Any:
    """df/dφ as arrays in a tree like φ: each entry from the values at its two neighbours, all of them at once.

    For an f of order 1 there are h² of truncation in it, 1e-10, and 1e-16/h of rounding, 1e-11.
    """
    leaves, structure = tm.tree.flatten(phi)
    sizes = [np.size(leaf) for leaf in leaves]
    here = np.concatenate([np.ravel(leaf) for leaf in leaves])
    ends = np.cumsum(sizes)[:-1]

    def values(step: float) -> Any:
        rows = here + step * np.eye(len(here))
        parts = zip(leaves, np.split(rows, ends, axis=1))
        moved = [part.reshape((len(here), *np.shape(leaf))) for leaf, part in parts]
        return tm.vmap(f)(tm.tree.unflatten(structure, moved)).numpy()

    slopes = np.split((values(h) - values(-h)) / (2 * h), ends)
    return tm.tree.unflatten(structure, [part.reshape(np.shape(leaf)) for part, leaf in zip(slopes, leaves)])
