"""One strategy for every function of the array API: the arguments that it is called with in a random program.

A strategy is given the values so far and returns positional arguments and options, where a `Ref` stands for a value.
Arguments may be refused by the function (shapes that a rule forbids): such a step is drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.fuzz import matrices, shaping
from tests.fuzz.images import POOLS
from tests.fuzz.shaping import DTYPES, Arguments, Strategy
from tests.fuzz.values import Ref, Values


def unary(guard: str = "") -> Strategy:
    def strategy(v: Values) -> Arguments:
        return (v.pick(guard=guard if v.maybe(0.95) else ""),), {}

    return strategy


def binary(first: str = "", second: str = "") -> Strategy:
    """Two values that broadcast, or one and a Python number on either side."""

    def strategy(v: Values) -> Arguments:
        a = v.pick(guard=first)
        if v.maybe(0.3):
            pair = (a, abs(v.number()) + 0.5) if second else (a, v.number())
            return (pair if second or first or v.maybe() else pair[::-1]), {}
        b = v.like(a, guard=second)
        return ((a, b) if first or second or v.maybe() else (b, a)), {}

    return strategy


def whole(v: Values) -> Arguments:
    a = v.whole()
    return (a, v.like(a, lambda x: x.dtype.kind in "iub")), {}


def reduction(guard: str = "") -> Strategy:
    def strategy(v: Values) -> Arguments:
        x = v.pick(lambda a: a.size > 0, guard)
        return (x, v.axes(x)), {"keepdims": v.maybe(0.3)}

    return strategy


def spread(v: Values) -> Arguments:
    x = v.floating()
    return (x, v.axes(x)), {"correction": v.one(0.0, 0.0, 1.0), "keepdims": v.maybe(0.3)}


def along(guard: str = "", **options: Callable[[Values, Ref], Any]) -> Strategy:
    def strategy(v: Values) -> Arguments:
        x = v.ranked(guard=guard)
        return (x,), {"axis": v.axis(x), **{name: option(v, x) for name, option in options.items()}}

    return strategy


def _flag(v: Values, x: Ref) -> bool:
    return v.maybe()


def _topk(v: Values) -> Arguments:
    x = v.ranked()
    axis = v.axis(x)
    return (x, v.integer(1, v[x].shape[axis])), {"axis": axis}


def _argument(v: Values) -> Arguments:
    x = v.ranked()
    return (x, v.one(None, v.axis(x))), {"keepdims": v.maybe(0.3)}


def _cumulative(guard: str = "") -> Strategy:
    return along(guard, include_initial=_flag)


def _where(v: Values) -> Arguments:
    c = v.pick(lambda a: a.dtype.kind == "b")
    a = v.like(c)
    if v.maybe(0.3):
        return (c, a, v.number()) if v.maybe() else (c, v.number(), a), {}
    b = v.like(a, lambda x: _broadcast(v, c, a, x))
    return (c, a, b), {}


def _broadcast(v: Values, *xs: Any) -> bool:
    try:
        np.broadcast_shapes(*(x.shape if isinstance(x, np.ndarray) else v[x].shape for x in xs))
    except ValueError:
        return False
    return True


def _clip(v: Values) -> Arguments:
    x = v.pick()
    return (x,), v.one({"low": -0.5, "high": 1}, {"low": 0}, {"high": 0.25}, {"low": v.like(x), "high": None})


def _astype(v: Values) -> Arguments:
    """A cast to integers of what is beyond them is not defined."""
    dtype = v.one(*DTYPES)
    fits = lambda a: (
        dtype.startswith("f") or a.size == 0 or (np.abs(a).max() < 100 and (dtype != "uint8" or a.min() >= 0))
    )
    return (v.pick(fits), dtype), {}


_UNARY = {
    **dict.fromkeys(
        (
            "abs",
            "erfc",
            "log_sigmoid",
            "normal_cdf",
            "atan",
            "ceil",
            "cos",
            "erf",
            "floor",
            "gelu",
            "negative",
            "relu",
            "round",
            "sigmoid",
        ),
        "",
    ),
    **dict.fromkeys(("sign", "silu", "sin", "softplus", "square", "stop_gradient", "tanh", "trunc", "asinh"), ""),
    **dict.fromkeys(("isfinite", "isinf", "isnan", "logical_not"), ""),
    **dict.fromkeys(("exp", "expm1", "sinh", "cosh", "tan"), "small"),
    **dict.fromkeys(("acos", "asin", "atanh"), "unit"),
    **dict.fromkeys(("log", "log10", "log1p", "log2", "reciprocal", "sqrt"), "positive"),
    "acosh": "above one",
}
_BINARY = (
    *("add", "subtract", "multiply", "maximum", "minimum", "scale", "atan2", "logaddexp", "hypot"),
    *("equal", "greater", "greater_equal", "less", "less_equal", "not_equal"),
    *("logical_and", "logical_or", "logical_xor"),
)

OTHERS = {"scan": "takes a function: `turns.py` draws it"}
FUNCTIONS: dict[str, Strategy] = {
    **{name: unary(guard) for name, guard in _UNARY.items()},
    **{name: binary() for name in _BINARY},
    **{name: binary("", "positive") for name in ("divide", "floor_divide", "remainder")},
    "pow": binary("positive", "unit"),
    **dict.fromkeys(("bitwise_and", "bitwise_or", "bitwise_xor"), whole),
    "bitwise_invert": lambda v: ((v.whole(),), {}),
    **{name: reduction() for name in ("all", "any", "count_nonzero", "max", "min", "mean", "sum", "logsumexp")},
    "prod": reduction("small"),
    "std": spread,
    "var": spread,
    "vector_norm": matrices.norm,
    **dict.fromkeys(("argmax", "argmin"), _argument),
    **{name: along(descending=_flag) for name in ("argsort", "sort")},
    "topk": _topk,
    **{name: along() for name in ("softmax", "log_softmax", "unstack")},
    "cumulative_sum": _cumulative(),
    "cumulative_prod": _cumulative("small"),
    "zeros": shaping.created,
    "ones": shaping.created,
    "full": shaping.full,
    **dict.fromkeys(("zeros_like", "ones_like"), shaping.like),
    "full_like": shaping.full_like,
    "arange": shaping.arange,
    "linspace": shaping.linspace,
    "eye": shaping.eye,
    "tril": shaping.triangle,
    "triu": shaping.triangle,
    "astype": _astype,
    "broadcast_to": shaping.broadcast_to,
    "reshape": shaping.reshape,
    "permute_dims": shaping.permute,
    "matrix_transpose": lambda v: ((v.ranked(2),), {}),
    "moveaxis": shaping.moveaxis,
    "expand_dims": shaping.expand,
    "squeeze": shaping.squeeze,
    "concat": shaping.joined,
    "stack": shaping.joined,
    "split": shaping.split,
    "flip": shaping.flip,
    "roll": shaping.roll,
    "tile": shaping.tile,
    "repeat": shaping.repeat,
    "pad": shaping.pad,
    "take": shaping.take,
    "take_along_axis": shaping.take_along,
    "index_add": shaping.index_update,
    "index_set": shaping.index_set,
    "where": _where,
    "clip": _clip,
    "matmul": matrices.matmul,
    "outer": matrices.outer,
    "vecdot": matrices.vecdot,
    "tensordot": matrices.tensordot,
    "einsum": matrices.einsum,
    **{name: matrices.of_square("regular") for name in ("det", "inv", "slogdet")},
    "solve": matrices.solve,
    "cholesky": matrices.cholesky,
    "diagonal": matrices.diagonal,
    "matrix_trace": matrices.diagonal,
    **{name: matrices.normalised(name) for name in ("batch_norm", "group_norm", "layer_norm")},
    **{name: matrices.windowed(name) for name in POOLS},
    **{f"conv{t}{d}d": matrices.convolved(f"conv{t}{d}d") for t in ("", "_transpose") for d in (1, 2)},
    "one_hot": matrices.one_hot,
    "embedding": matrices.embedding,
}
