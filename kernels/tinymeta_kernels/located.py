"""Where the numbers of arrays begin, for many arrays at once.

NumPy keeps that address as the first thing in the documented struct ``PyArrayObject`` (numpy.org, "Python types and
C-structures"), behind what each Python object begins with. To ask each array for its ``__array_interface__`` makes a
dict for each; that is what is done where the struct is not as expected.
"""

import ctypes
from collections.abc import Sequence

import numpy as np
from numba import types
from numba.extending import intrinsic

from ._jit import jit
from ._layout import Array

__all__ = ["address", "locate"]


def address(x: Array) -> int:
    """Where the numbers of an array begin."""
    return x.__array_interface__["data"][0]


_HEAD = object.__basicsize__  # bytes of a Python object before what its class adds


def _as_documented(x: Array) -> bool:
    return ctypes.c_void_p.from_address(id(x) + _HEAD).value == address(x)


_EXAMPLE = np.zeros((3, 4))
_documented = _as_documented(_EXAMPLE) and _as_documented(_EXAMPLE[1:, ::-1])


def locate(arrays: Sequence[Array], columns: Array, out: Array) -> None:
    """Write the address of each array's numbers into its column of ``out``, an int64 array of shape (rows, slots)."""
    if _documented:
        _locate(np.fromiter(map(id, arrays), np.int64, len(arrays)), columns, _HEAD, out)
    else:
        out[:, columns] = [*map(address, arrays)]


@intrinsic
def _word(typingctx, place):
    """The 64 bits at an address."""
    from llvmlite import ir

    def codegen(context, builder, signature, values):
        return builder.load(builder.inttoptr(values[0], ir.IntType(64).as_pointer()))

    return types.int64(types.int64), codegen


@jit
def _locate(objects, columns, head, out):
    for k in range(objects.size):
        first = _word(objects[k] + head)
        for row in range(out.shape[0]):
            out[row, columns[k]] = first
