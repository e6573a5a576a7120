"""The oracle of an adjoint: the transposed matrix of the function that it is the adjoint of."""

from __future__ import annotations

import math

import numpy as np

from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import Function, Shape


def transposed(linear: Function, shape: Shape, g: Array) -> Array:
    """Aᵀ g, where `linear` gives A x for arrays x of `shape` with any axes in front; g may have some, too."""
    n = math.prod(shape)
    rows = linear(np.eye(n).reshape(n, *shape))  # one for each number of x
    y = g.reshape(*g.shape[: g.ndim - rows.ndim + 1], rows[0].size) @ rows.reshape(n, -1).T
    return np.reshape(y, (*y.shape[:-1], *shape))
