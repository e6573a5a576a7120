"""Where NumPy's own machine code lies: the inner loops of its ufuncs, and the BLAS that it brings along.

A ufunc is a table of C loops, one for each combination of dtypes, all called alike:

    loop(char **args, npy_intp *count, npy_intp *strides, void *data)

The table is in the documented struct ``PyUFuncObject`` (numpy.org, "Python types and C-structures"). A
kernel that calls these loops computes what NumPy computes, with NumPy's SIMD, and without Python. Where anything is
not as expected (another Python, another BLAS) the functions below return None; whether what they find computes the
right thing, and with which strides, is found out in ``contract.py``.
"""

import ctypes
from functools import cache
from importlib import import_module
from typing import NamedTuple

import numpy as np

from . import _jit
from ._layout import DType

__all__ = ["Loop", "callable_from_loops", "gemm", "loop"]


def callable_from_loops() -> bool:
    """Whether compiled loops exist here that could call an address: there is Numba, and it is not switched off."""
    return _jit._has_numba and not _jit._interpret


class Loop(NamedTuple):
    """A loop's address, and its fourth argument."""

    address: int
    data: int


class _Ufunc(ctypes.Structure):
    """The head of ``PyUFuncObject``."""

    _fields_ = [
        ("refcount", ctypes.c_ssize_t),
        ("type", ctypes.c_void_p),
        ("nin", ctypes.c_int),
        ("nout", ctypes.c_int),
        ("nargs", ctypes.c_int),
        ("identity", ctypes.c_int),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("ntypes", ctypes.c_int),
        ("reserved1", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("types", ctypes.POINTER(ctypes.c_byte)),
    ]


@cache
def loop(name: str, dtypes: tuple[DType, ...]) -> Loop | None:
    """The loop of the NumPy ufunc ``name`` for these dtypes (inputs, then output) in native byte order, or None."""
    ufunc: np.ufunc = getattr(np, name)
    head = _Ufunc.from_address(id(ufunc))
    same = (head.nin, head.nout, head.nargs, head.ntypes) == (ufunc.nin, ufunc.nout, ufunc.nargs, ufunc.ntypes)
    if not same or head.name != name.encode() or not all(np.dtype(d).isnative for d in dtypes):
        return None
    wanted = [np.dtype(d).num for d in dtypes]
    for i in range(head.ntypes):
        if [head.types[i * head.nargs + k] for k in range(head.nargs)] == wanted and head.functions[i]:
            return Loop(head.functions[i], head.data[i] or 0)
    return None


@cache
def gemm(dtype: DType) -> int | None:
    """The address of ``cblas_sgemm`` or ``cblas_dgemm`` with 64-bit sizes in NumPy's OpenBLAS, or None."""
    letter = {"f": "s", "d": "d"}[np.dtype(dtype).char]
    library = ctypes.CDLL(import_module("numpy._core._multiarray_umath").__file__)
    function = getattr(library, f"scipy_cblas_{letter}gemm64_", None)
    return None if function is None else ctypes.cast(function, ctypes.c_void_p).value
