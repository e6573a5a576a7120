"""The one decorator that turns a Python loop over arrays into machine code.

    @jit
    def _scale(x, factor, out):
        for i in range(x.size):
            out[i] = factor * x[i]

Nothing happens at import: Numba itself is imported, and the loop compiled (or loaded from the cache on
disk), when the kernel is first called. The rules that a kernel keeps, and why:

- It writes only into parameters whose names start with ``out``. Every other array is declared read-only,
  so an array that may be written and one that may not share one compilation.
- Arrays are C-contiguous, in one floating dtype, that of the first argument: one compilation per dtype.
- It calls no other jitted function and reads no global: one file tells all of a loop. The machine is the
  exception (`products.py`, `vectors.py`), so the cache goes by all files of this folder.
- No ``fastmath``: it deletes NaN checks and reorders sums.
"""

import importlib.util
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ._cache import Cache, folder

__all__ = ["KERNELS", "Kernel", "has_kernel", "jit"]

KERNELS: list["Kernel"] = []


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "0") not in ("", "0")


_interpret = _is_set("TINYMETA_DISABLE_JIT") or _is_set("NUMBA_DISABLE_JIT")
_has_numba = importlib.util.find_spec("numba") is not None


def has_kernel(dtype: DTypeLike) -> bool:
    """Whether arrays of this dtype go to the loops; all others take the NumPy form beside them.

    True for float32 and float64 where Numba is installed. With ``TINYMETA_DISABLE_JIT=1`` (or Numba's own
    ``NUMBA_DISABLE_JIT=1``) the loops run as plain Python, for a debugger or for coverage.
    """
    return np.dtype(dtype).char in "fd" and (_has_numba or _interpret)


class Kernel:
    """A loop over arrays, compiled for float32 and float64 separately at its first call."""

    def __init__(self, py_func: Callable[..., None]) -> None:
        self.py_func = py_func
        self.entries: dict[str, Callable[..., None]] = {}
        self.__name__ = py_func.__name__
        self.__doc__ = py_func.__doc__

    def __call__(self, *args: Any) -> None:
        entry = self.entries.get(args[0].dtype.char)
        if entry is None:
            entry = self.entries[args[0].dtype.char] = self._build(args)
        entry(*args)

    def _build(self, args: tuple[object, ...]) -> Callable[..., None]:
        if _interpret or not _has_numba:
            return self.py_func
        numba: Any = import_module("numba")

        def declared(name: str, value: object) -> object:
            if not isinstance(value, np.ndarray):
                return numba.typeof(value)
            dtype = numba.from_dtype(value.dtype)
            return numba.types.Array(dtype, value.ndim, "C", readonly=not name.startswith("out"))

        code = self.py_func.__code__
        names = code.co_varnames[: code.co_argcount]
        signature = tuple(declared(name, value) for name, value in zip(names, args, strict=True))
        dispatcher: Any = numba.njit(error_model="numpy", nogil=True)(self.py_func)
        kept = folder()
        if kept is not None:
            dispatcher._cache = Cache(kept, self.py_func)
        dispatcher.compile(signature)
        dispatcher.disable_compile()
        entry: Callable[..., None] = dispatcher
        return entry


def jit(py_func: Callable[..., None]) -> Kernel:
    """Make a :class:`Kernel` of a loop that follows the rules above; ``.py_func`` is the loop itself."""
    kernel = Kernel(py_func)
    KERNELS.append(kernel)
    return kernel
