"""A loop of NumPy's that is wrong somewhere, on every machine."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from tinymeta_kernels.addresses import Loop

_LOOP = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)


class Wrong:
    """NumPy's addition of float64, but for what `spoil(count, strides, places)` does."""

    def __init__(self, spoil: Callable[[int, list[int], list[int]], int]) -> None:
        self.spoil = spoil
        self.form = _LOOP(self.call)
        self.loop = Loop(ctypes.cast(self.form, ctypes.c_void_p).value or 0, 0)

    def call(self, args: int, count: int, strides: int, _: int) -> None:
        places = list((ctypes.c_ssize_t * 3).from_address(args))
        along = list((ctypes.c_ssize_t * 3).from_address(strides))
        n = ctypes.c_ssize_t.from_address(count).value
        for i in range(n + self.spoil(n, along, places)):
            x, y, out = (ctypes.c_double.from_address(p + i * s) for p, s in zip(places, along))
            out.value = x.value + y.value
