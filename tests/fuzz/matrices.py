"""Strategies for linear algebra, normalisation, convolution and pooling; `functions.py` has the table."""

from __future__ import annotations

from typing import Any

from tests.fuzz.shaping import Arguments, Strategy
from tests.fuzz.values import Values


def matmul(v: Values) -> Arguments:
    a = v.ranked()
    n = v[a].shape[-1]
    return (a, v.pick(lambda b: b.ndim > 0 and b.shape[-2 if b.ndim > 1 else 0] == n)), {}


def outer(v: Values) -> Arguments:
    vector = lambda a: a.ndim == 1 and a.size < 500
    return (v.pick(vector), v.pick(vector)), {}


def vecdot(v: Values) -> Arguments:
    a = v.ranked()
    return (a, v.like(a, lambda b: b.ndim > 0 and b.shape[-1] == v[a].shape[-1])), {}


def tensordot(v: Values) -> Arguments:
    a = v.ranked()
    b = v.pick(lambda b: b.ndim > 0 and b.shape[0] == v[a].shape[-1])
    return (a, b, v.one(1, [[-1], [0]])), {}


def einsum(v: Values) -> Arguments:
    a = v.floating(2)
    if v[a].ndim == 2 and v.maybe():
        b = v.pick(lambda b: b.ndim == 2 and b.shape[0] == v[a].shape[1])
        return (v.one("ij,jk->ik", "ij,jk->ki", "ij,jk->i", "ij,jk->", "ij,jk->ijk"), a, b), {}
    return (v.one("...ij->...ji", "...ij->...i", "...ij->..."), a), {}


def of_square(guard: str) -> Strategy:
    def strategy(v: Values) -> Arguments:
        return (v.pick(lambda a: a.ndim > 1 and a.shape[-1] == a.shape[-2] and a.dtype.kind == "f", guard),), {}

    return strategy


def solve(v: Values) -> Arguments:
    (a,), _ = of_square("regular")(v)
    n = v[a].shape[-1]
    return (a, v.pick(lambda b: b.dtype.kind == "f" and 0 < b.ndim < 3 and b.shape[-2 if b.ndim > 1 else 0] == n)), {}


def cholesky(v: Values) -> Arguments:
    return of_square("definite")(v)[0], {"upper": v.maybe()}


def diagonal(v: Values) -> Arguments:
    return (v.floating(2), v.integer(-1, 1)), {}


def norm(v: Values) -> Arguments:
    x = v.floating()
    return (x, v.axes(x)), {"keepdims": v.maybe(0.3), "ord": v.one(2, 2, 1, 3, float("inf"))}


def normalised(name: str) -> Strategy:
    def strategy(v: Values) -> Arguments:
        x = v.floating(1 if name == "layer_norm" else 2)
        shape = v[x].shape
        channels = shape[-1] if name == "layer_norm" or len(shape) == 2 else shape[1]
        fits = lambda a: a.shape == (channels,) and a.dtype == v[x].dtype
        weight, bias = (v.pick(fits) if v.maybe(0.7) and any(map(fits, v.arrays)) else None for _ in range(2))
        groups = (v.one(*[g for g in range(1, channels + 1) if channels % g == 0]),) if name == "group_norm" else ()
        return (x, *groups, weight, bias), {"eps": v.one(1e-5, 1e-2)}

    return strategy


def windowed(name: str) -> Strategy:
    """Pooling of the last axes."""
    sides = 1 if name.endswith("1d") else 2

    def strategy(v: Values) -> Arguments:
        x = v.floating(sides + 1 if name.startswith("global") else sides)
        if name.startswith("global"):
            return (x,), {}
        least = min(v[x].shape[-sides:])
        if name.startswith("adaptive"):
            return (x, v.integer(1, least)), {}
        window = v.integer(1, min(3, least))
        return (x,), {"window": window, "stride": v.one(None, 1, 2), "padding": v.one(0, 0, 1)}

    return strategy


def convolved(name: str) -> Strategy:
    sides, transposed = int(name[-2]), "transpose" in name

    def strategy(v: Values) -> Arguments:
        x = v.floating(sides + 1)
        channels = v[x].shape[-sides - 1]
        w = v.pick(
            lambda a: a.ndim == sides + 2 and a.shape[0 if transposed else 1] == channels and a.dtype.kind == "f"
        )
        how: dict[str, Any] = {"stride": v.one(1, 2), "padding": v.one(0, 1)}
        if transposed and how["stride"] == 2:
            how["output_padding"] = v.one(0, 1)
        return (x, w), how

    return strategy


def one_hot(v: Values) -> Arguments:
    labels = v.pick(lambda a: a.dtype.kind in "iu" and (a.size == 0 or (a.min() >= 0 and a.max() < 20)))
    return (labels, 20), {"dtype": v.one("float32", "float64")}


def embedding(v: Values) -> Arguments:
    table = v.floating(2)
    rows = v[table].shape[0]
    fits = lambda a: a.dtype.kind in "iu" and (a.size == 0 or (a.min() >= 0 and a.max() < rows))
    if any(map(fits, v.arrays)) and v.maybe(0.7):
        return (table, v.pick(fits)), {}
    return (table, v.r.integers(0, rows, 3).tolist()), {}
