"""Functions of one number that NumPy lacks.

    erf(x)         =  2/√π · ∫ from 0 to x of exp(-t²) dt
    erfc(x)        =  1 - erf(x), small and exact for large x
    normal_cdf(x)  =  erfc(-x/√2)/2, the standard normal's distribution function
    bell(x, rate)  =  exp(-rate x²)

The C library's own, number by number: right to the last bit or two.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from ._jit import Kernel, has_kernel, jit
from ._layout import Array, DType, common, in_memory_order

__all__ = ["erf", "erfc"]

_FAR = 40.0  # e^(−40²/2) is less than the least positive float64


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


def normal_cdf(x: Array) -> Array:
    """Φ of each real number, found in float64."""
    y: Array = 0.5 * erfc(x.astype(np.float64) * -math.sqrt(0.5))
    return y.astype(_real(x))


def bell(x: Array, rate: float) -> Array:
    """e^(−rate x²) of each real number, found in float64; x² in two parts, for an error of it counts |x|² times."""
    z = np.clip(x.astype(np.float64), -_FAR, _FAR)
    head = z.astype(np.float32).astype(np.float64)  # its square is exact
    y: Array = np.exp(-rate * head * head) * np.exp(-rate * (z - head) * (z + head))
    return y.astype(_real(x))


def _real(x: Array) -> DType:
    return x.dtype if x.dtype.kind == "f" else np.dtype(float)


def _each(kernel: Kernel, of_python: Callable[[float], float], x: Array) -> Array:
    (x,) = common(x)
    if not has_kernel(x.dtype):
        y = np.asarray(np.vectorize(of_python, otypes=[float])(x))
        return y.astype(x.dtype) if x.dtype.kind == "f" else y
    (entries,), restore = in_memory_order(x)
    y = np.empty_like(entries)
    kernel(entries, y)
    return restore(y)


# Those that a compiled program calls by the loops of `loops.py`, by their names there.
LOOPS: dict[str, Callable[[Array], Array]] = {
    "erf": erf,
    "normal_cdf": normal_cdf,
    "normal_bell": partial(bell, rate=0.5),
    "erf_bell": partial(bell, rate=1.0),
}


@jit
def _erf(x: Array, out: Array) -> None:
    for i in range(x.size):
        out[i] = math.erf(x[i])


@jit
def _erfc(x: Array, out: Array) -> None:
    for i in range(x.size):
        out[i] = math.erfc(x[i])
