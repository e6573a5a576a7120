"""Functions of one number that NumPy lacks.

    erf(x)  =  2/√π · ∫ from 0 to x of exp(-t²) dt

The C library's own, number by number: right to the last bit or two.
"""

import math

import numpy as np

from ._jit import has_kernel, jit
from ._layout import Array, common, deliver, in_memory_order

__all__ = ["erf"]


def erf(x: Array, out: Array | None = None) -> Array:
    """The error function of each entry, in floating point."""
    (x,) = common(x)
    if not has_kernel(x.dtype):
        return deliver(np.asarray(np.vectorize(math.erf, otypes=[float])(x)), out)
    (entries,), restore = in_memory_order(x)
    y = np.empty_like(entries)
    _erf(entries, y)
    return deliver(restore(y), out)


@jit
def _erf(x: Array, out: Array) -> None:
    for i in range(x.size):
        out[i] = math.erf(x[i])
