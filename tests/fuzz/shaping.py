"""Strategies for the functions that make arrays, move numbers, and index; `functions.py` has the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tests.fuzz.values import Misfit, Values

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]
Strategy: TypeAlias = Callable[[Values], Arguments]
DTYPES = ("float32", "float64", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")


def shape(v: Values) -> tuple[int, ...]:
    return tuple(v.integer(0 if v.maybe(0.1) else 1, 4) for _ in range(v.integer(0, 3)))


def created(v: Values) -> Arguments:
    return (shape(v),), {"dtype": v.one(*DTYPES)}


def full(v: Values) -> Arguments:
    return (shape(v), v.number()), {"dtype": v.one("float32", "float64", "int32")}


def like(v: Values) -> Arguments:
    return (v.pick(),), {}


def full_like(v: Values) -> Arguments:
    return (v.pick(lambda a: a.dtype.kind in "fi"), v.integer(-3, 3)), {}


def arange(v: Values) -> Arguments:
    return (v.integer(-3, 3), v.integer(3, 6), v.one(1, 2, 0.5)), {"dtype": v.one("float32", "float64", "int64")}


def linspace(v: Values) -> Arguments:
    return (-1.0, 2.0, v.integer(1, 5)), {"dtype": v.one("float32", "float64"), "endpoint": v.maybe()}


def eye(v: Values) -> Arguments:
    return (v.integer(1, 4),), {"k": v.integer(-1, 1), "dtype": v.one("float32", "float64")}


def triangle(v: Values) -> Arguments:
    return (v.floating(2), v.integer(-2, 2)), {}


def broadcast_to(v: Values) -> Arguments:
    x = v.pick()
    shape = tuple(v.integer(1, 4) if n == 1 else n for n in v[x].shape)
    return (x, (*(v.integer(1, 3) for _ in range(v.integer(0, 2))), *shape)), {}


def reshape(v: Values) -> Arguments:
    x = v.pick()
    size = v[x].size
    divisors = [d for d in range(1, 13) if size % d == 0]
    d = int(v.one(*divisors))
    return (x, v.one((-1,), (d, -1), (-1, d), (1, size), (size // d, 1, d)) if size else (0, 2)), {}


def permute(v: Values) -> Arguments:
    x = v.pick(lambda a: a.ndim > 1)
    order = [int(a) for a in v.r.permutation(v[x].ndim)]
    return (x, order), {}


def moveaxis(v: Values) -> Arguments:
    x = v.pick(lambda a: a.ndim > 1)
    return (x, v.axis(x), v.axis(x)), {}


def expand(v: Values) -> Arguments:
    x = v.pick(lambda a: a.ndim < 4)
    return (x,), {"axis": v.integer(-v[x].ndim - 1, v[x].ndim)}


def squeeze(v: Values) -> Arguments:
    x = v.pick(lambda a: 1 in a.shape)
    return (x, v.one(None, v[x].shape.index(1))), {}


def joined(v: Values) -> Arguments:
    x = v.ranked()
    alike = [v.pick(lambda a: a.shape == v[x].shape) for _ in range(v.integer(1, 3))]
    return ([x, *alike], v.axis(x)), {}


def split(v: Values) -> Arguments:
    x = v.ranked()
    axis = v.axis(x)
    n = v[x].shape[axis]
    sections = v.one(*[d for d in range(1, n + 1) if n % d == 0], [v.integer(0, n)])
    return (x, sections), {"axis": axis}


def roll(v: Values) -> Arguments:
    x = v.ranked()
    return (x, v.integer(-3, 3)), {"axis": v.one(None, v.axis(x))}


def flip(v: Values) -> Arguments:
    x = v.ranked()
    return (x, v.axes(x)), {}


def tile(v: Values) -> Arguments:
    x = v.pick()
    return (x, v.one(2, (2, 1), (1, 3), (1,))), {}


def repeat(v: Values) -> Arguments:
    x = v.ranked()
    axis = v.axis(x)
    each = [v.integer(0, 2) for _ in range(v[x].shape[axis])]
    return (x, v.one(2, 3, each if v.maybe() and sum(each) else 2)), {"axis": axis}


def pad(v: Values) -> Arguments:
    x = v.ranked()
    widths = [[v.integer(0, 2), v.integer(0, 2)] for _ in range(v[x].ndim)]
    return (x, v.one(1, widths), v.one(0, 0.5, -1)), {}


def indices(v: Values, n: int, *shape: int) -> Any:
    return (v.r.integers(-n, n, shape)).tolist()


def take(v: Values) -> Arguments:
    x = v.ranked()
    axis = v.axis(x)
    n = v[x].shape[axis]
    return (x, indices(v, n, *v.one((), (1,), (4,), (2, 3)))), {"axis": axis}


def take_along(v: Values) -> Arguments:
    x = v.ranked()
    axis = v.axis(x) % v[x].ndim
    shape = list(v[x].shape)
    n, shape[axis] = shape[axis], v.integer(1, 4)
    return (x, np.abs(indices(v, n, *shape)).clip(0, n - 1).tolist()), {"axis": axis}


def index_update(v: Values) -> Arguments:
    x = v.pick(lambda a: a.ndim > 0 and a.size > 0 and a.dtype.kind == "f")
    key = v.key(v[x].shape)
    return (x, key, v.one(1.5, v.pick(lambda a: a.ndim == 0 and a.dtype == v[x].dtype) if v.maybe() else 0)), {}


def index_set(v: Values) -> Arguments:
    """Of several values for one place any may win: so keys without arrays of integers."""
    (x, key, value), options = index_update(v)
    if any(isinstance(k, list) and not isinstance(k[0], bool) for k in key):
        raise Misfit
    return (x, key, value), options
