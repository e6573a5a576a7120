"""Sums of so many numbers that their rounding shows.

Terms along leading axes are added one by one, and equal ones are all rounded to the same side: n of them are off by up
to n ε/2 of their sum. Up to `LONG` that is 0.4 % in float32; more are added in float64.
"""

from __future__ import annotations

from math import prod

import numpy as np

from tinymeta.engine.tensor import Tensor

LONG = 1 << 16


def is_long(x: Tensor, axes: tuple[int, ...]) -> bool:
    """Whether a sum over the axes is to be made in float64."""
    return x.array.dtype == np.float32 and -1 not in axes and prod([x.shape[a] for a in axes]) > LONG
