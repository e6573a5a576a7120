"""The ways in which an argument may lie in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinymeta as tm


def laid_out(arguments: Any, seed: int) -> Any:
    """The same arguments, lying in memory in some other way: column-major, strided, backwards, read-only."""
    if not seed:
        return arguments
    rng = np.random.default_rng(seed)

    def one(x: Any) -> Any:
        if not isinstance(x, (np.ndarray, tm.Tensor)):
            return x
        a = LAYOUTS[rng.integers(len(LAYOUTS))](np.array(np.asarray(x)))
        return tm.Tensor(a) if isinstance(x, tm.Tensor) else a

    return tm.tree.map(one, arguments)


def _strided(a: Any) -> Any:
    wide = np.empty((*a.shape[:-1], 2 * a.shape[-1]) if a.ndim else (2,), a.dtype)
    wide[...] = 77
    view = wide[..., 1::2] if a.ndim else wide[1:].reshape(())
    view[...] = a
    return view


def _backwards(a: Any) -> Any:
    return a if not a.ndim else np.ascontiguousarray(a[::-1])[::-1]


def _read_only(a: Any) -> Any:
    a.flags.writeable = False
    return a


def _column_major(a: Any) -> Any:
    return np.array(a, order="F")


LAYOUTS: tuple[Callable[[Any], Any], ...] = (lambda a: a, _column_major, _strided, _backwards, _read_only)
