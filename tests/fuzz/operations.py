"""What a random array program does besides calling functions: operators, indexing, and transforms inside."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

import tinymeta as tm
from tests.fuzz import turns
from tests.fuzz.functions import FUNCTIONS, Arguments, Strategy
from tests.fuzz.values import Values

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}
_SMOOTH = ("sin", "tanh", "sigmoid", "softplus", "square", "erf", "silu", "gelu", "atan")


def _between(sign: str) -> Strategy:
    def strategy(v: Values) -> Arguments:
        if sign in "&|^":
            a = v.whole()
            return (a, v.like(a, lambda x: x.dtype.kind in "iub")), {}
        if sign == "**":
            x = v.pick(guard="positive")
            return (x, v.one(2, 3, 0.5, -1, 1.5)), {}
        x = v.pick()
        if sign in ("/", "//", "%"):
            return (x, v.one(2, 0.5, 3, v.like(x, guard="positive"))), {}
        return (x, v.one(v.number(), v.like(x))) if v.maybe(0.7) else (v.number(), x), {}

    return strategy


def _indexed(v: Values) -> Arguments:
    x = v.pick()
    return (x, v.key(v[x].shape)), {}


def _index_of_values(v: Values) -> Arguments:
    """An array of integers that the program computes, as an index."""
    x = v.ranked()
    n = v[x].shape[0]
    return (x, v.pick(lambda a: a.dtype.kind in "iu" and a.size > 0 and a.min() >= -n and a.max() < n)), {}


def _mapped(v: Values) -> Arguments:
    x = v.pick(lambda a: a.ndim > 0 and a.size > 0 and a.dtype.kind == "f")
    return (x, v.one(*_SMOOTH, "sum", "max", "logsumexp"), v.axis(x)), {}


def _slope(v: Values) -> Arguments:
    x = v.floating()
    return (x, v.one(*_SMOOTH), v.like(x, lambda a: a.dtype.kind == "f")), {}


def _smooth(v: Values) -> Arguments:
    return (v.floating(), v.one(*_SMOOTH), v.one(*_SMOOTH)), {}


def _of(name: str) -> Callable[[Any], Any]:
    return getattr(tm, name)  # type: ignore[no-any-return]


def _gradient(x: Any, name: str, y: Any) -> Any:
    return tm.grad(lambda x: tm.sum(_of(name)(x) * y))(x)


def _product(x: Any, name: str, other: str) -> Any:
    return tm.hvp(lambda x: tm.sum(_of(name)(x) * _of(other)(x)), x, x)


def _tangent(x: Any, name: str, other: str) -> Any:
    return tm.jvp(lambda x: _of(name)(_of(other)(x)), (x,), (x,))[1]


def _again(x: Any, name: str, other: str) -> Any:
    return tm.checkpoint(lambda x: _of(name)(_of(other)(x)))(x)


OPERATIONS: dict[str, tuple[Strategy, Callable[..., Any]]] = {
    **{name: (strategy, _of(name)) for name, strategy in FUNCTIONS.items()},
    **{f"x {sign} y": (_between(sign), f) for sign, f in _OPERATORS.items()},
    "x[key]": (_indexed, lambda x, key: x[key]),
    "x[values]": (_index_of_values, lambda x, i: x[i]),
    "-x": (lambda v: ((v.pick(lambda a: a.dtype.kind in "fi"),), {}), operator.neg),
    "a NumPy array * x": (
        lambda v: ((v.floating(1),), {}),
        lambda x: np.cos(np.arange(x.shape[-1])).astype(x.dtype) * x,
    ),
    "a NumPy number * x": (
        lambda v: ((v.floating(), v.one("float32", "float64")), {}),
        lambda x, d: np.dtype(d).type(1.5) * x,
    ),
    "vmap": (_mapped, lambda x, name, axis: tm.vmap(_of(name), in_axes=axis)(x)),
    "grad": (_slope, _gradient),
    "hvp": (_smooth, _product),
    "jvp": (_smooth, _tangent),
    "checkpoint": (_smooth, _again),
    "scan": (turns.drawn, turns.scanned),
}
