"""Inner loops for functions that NumPy lacks, in the form of NumPy's own, so that the machine calls both alike:

    loop(args, count, strides, data)         `args` and `strides` have an entry for each operand, the result last

Each is one pass that the compiler turns into vector code for float32, where operands are neighbours in memory; for
float64 it asks the C library number by number. What they compute in float32, to a few units in the last place:

    e^(−r x²)    x = h + l with h of 12 bits, so that r h² is exact (r a power of 2); with n = round(r h²/ln 2) the
                 rest, n ln 2 − r h² − r l (x + h), lies within ±0.36, where a polynomial of degree 6 is e^rest to 2e-9
    Φ(−t)        e^(−t²/2) P(u)/(t + k) for t ≥ 0, u = (t − k)/(t + k): of degree 8, P is right to 2e-8 up to t = 15,
                 beyond which e^(−t²/2) is 0; and Φ(t) = 1 − Φ(−t), so that either tail keeps its digits
                 (the substitution is that of Shepherd and Laframboise, Math. Comp. 36, 1981)

The results are written over memory of the loop's own first: the result may lie where an operand does, and a loop that
might read what it has just written would not use vectors.
"""

import math
from functools import cache

import numpy as np
from numba import carray, from_dtype, njit, types

from ._cache import Cache, folder

__all__ = ["address"]

ROOM = 256  # numbers between reading and writing
F = np.float32
MAGIC = F(1.5 * 2**23)  # adding it rounds to a whole number, which stands in the last bits
MAGIC_BITS = MAGIC.view(np.int32)
SPLIT, FAR = F(2**12 + 1), F(20)
LN2_INVERSE, LN2_HEAD, LN2_TAIL = F(1 / math.log(2)), F(0.693359375), F(math.log(2) - 0.693359375)
E2, E3, E4, E5, E6 = map(F, (0.4999999, 0.166664, 0.04166836, 0.008376482, 0.0013834743))
K = F(3.75)
P0, P1, P2, P3, P4 = map(F, (0.7502941, -0.5881883, 0.3529396, -0.15152083, 0.037492506))
P5, P6, P7, P8 = map(F, (0.0012000721, -0.004169018, 0.0005096306, 0.00044345093))
ONE, ZERO, LOWEST, HALF = F(1), F(0), F(-110), F(0.5)


@njit(error_model="numpy")
def _bell(x, rate):
    """e^(−rate·x²) in float32, by the formula above; a power of 2 in two factors reaches the subnormal numbers."""
    x = abs(x)
    x = FAR if x > FAR else x
    split = x * SPLIT
    head = split - (split - x)
    power = -(rate * head * head)
    power = LOWEST if power < LOWEST else power
    rounded = power * LN2_INVERSE + MAGIC
    n = rounded - MAGIC
    rest = ((power - n * LN2_HEAD) - n * LN2_TAIL) - rate * (x - head) * (x + head)
    value = ONE + rest * (ONE + rest * (E2 + rest * (E3 + rest * (E4 + rest * (E5 + rest * E6)))))
    bits = np.int32(np.float32(rounded).view(np.int32) - MAGIC_BITS)
    half = np.int32(bits >> 1)
    one = np.int32((half + 127) << 23).view(np.float32)
    other = np.int32((bits - half + 127) << 23).view(np.float32)
    return value * one * other


@njit(error_model="numpy")
def _phi(x):
    """Φ(x) in float32."""
    t = abs(x)
    t = FAR if t > FAR else t
    inverse = ONE / (t + K)
    u = (t - K) * inverse
    p = P0 + u * (P1 + u * (P2 + u * (P3 + u * (P4 + u * (P5 + u * (P6 + u * (P7 + u * P8)))))))
    tail = _bell(t, HALF) * p * inverse
    return ONE - tail if x > ZERO else tail


@njit(error_model="numpy")
def _normal_bell(x):
    return _bell(x, HALF)


@njit(error_model="numpy")
def _erf_bell(x):
    return _bell(x, ONE)


@njit(error_model="numpy")
def _wide_bell(x, rate):
    x = abs(x)
    x = 40.0 if x > 40.0 else x
    head = np.float64(np.float32(x))
    return math.exp(-rate * head * head) * math.exp(-rate * (x - head) * (x + head))


@njit(error_model="numpy")
def _wide_phi(x):
    return 0.5 * math.erfc(x * -math.sqrt(0.5))


@njit(error_model="numpy")
def _wide_normal_bell(x):
    return _wide_bell(x, 0.5)


@njit(error_model="numpy")
def _wide_erf_bell(x):
    return _wide_bell(x, 1.0)


@njit(error_model="numpy")
def _erf(x):
    return math.erf(x)


_NUMBERS = {
    "erf": {"f": _erf, "d": _erf},
    "normal_cdf": {"f": _phi, "d": _wide_phi},
    "normal_bell": {"f": _normal_bell, "d": _wide_normal_bell},
    "erf_bell": {"f": _erf_bell, "d": _wide_erf_bell},
}


def _loop(number, item, zero):
    """The loop of a function of one number."""

    def loop(args, count, strides, data):
        n, step, out_step = count[0], strides[0] // item, strides[1] // item
        if step == 1 and out_step == 1:
            room = np.empty(ROOM, zero)
            for first in range(0, n, ROOM):
                some = min(ROOM, n - first)
                x, out = carray(args[0], (n,))[first : first + some], carray(args[1], (n,))[first : first + some]
                for i in range(some):
                    room[i] = number(x[i])
                for i in range(some):
                    out[i] = room[i]
        else:
            for i in range(n):
                args[1][i * out_step] = number(args[0][i * step])

    return loop


@cache
def address(name: str, char: str) -> int:
    """Where the compiled loop of a function lies, for numbers of the dtype that `char` names ("f" or "d")."""
    number, dtype = _NUMBERS[name][char], np.dtype(char)
    real, whole = types.CPointer(from_dtype(dtype)), types.CPointer(types.int64)
    dispatcher = njit(error_model="numpy", nogil=True)(_loop(number, dtype.itemsize, dtype.type))
    kept = folder()
    if kept is not None:
        dispatcher._cache = Cache(kept, number.py_func)
    dispatcher.compile((types.CPointer(real), whole, whole, types.voidptr))
    (compiled,) = dispatcher.overloads.values()
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name))
