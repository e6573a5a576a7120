"""Functions of one number that NumPy lacks.

    erf(x)   =  2/√π · ∫ from 0 to x of exp(-t²) dt
    erfc(x)  =  1 - erf(x), small and exact for large x

The C library's own, number by number: right to the last bit or two.
"""

import math
from collections.abc import Callable

import numpy as np

from ._jit import Kernel, has_kernel, jit
from ._layout import Array, common, in_memory_order

__all__ = ["erf", "erfc"]


def erf(x: Array) -> Array:
    """The error function of each entry, in floating point.

    Shapes: (…) → (…).

    >>> kernels.erf(np.array([0.0, 1.0]))
    array([0.    , 0.8427])
    """
    return _each(_erf, math.erf, x)


def erfc(x: Array) -> Array:
    """The complementary error function of each entry, in floating point.

    Shapes: (…) → (…).

    >>> kernels.erfc(np.array([0.0, 1.0]))
    array([1.    , 0.1573])
    """
    return _each(_erfc, math.erfc, x)


def _each(kernel: Kernel, of_python: Callable[[float], float], x: Array) -> Array:
    (x,) = common(x)
    if not has_kernel(x.dtype):
        y = np.asarray(np.vectorize(of_python, otypes=[float])(x))
        return y.astype(x.dtype) if x.dtype.kind == "f" else y
    (entries,), restore = in_memory_order(x)
    y = np.empty_like(entries)
    kernel(entries, y)
    return restore(y)


@jit
def _erf(x: Array, out: Array) -> None:
    for i in range(x.size):
        out[i] = math.erf(x[i])


@jit
def _erfc(x: Array, out: Array) -> None:
    for i in range(x.size):
        out[i] = math.erfc(x[i])
