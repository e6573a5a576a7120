"""`check_grad` beside an infinite derivative: the others are right or wrong as if it weren't there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.testing import check_grad

# Functions, where they or a derivative of theirs are infinite, and where they are not.
EDGES: dict[str, tuple[Any, float, tuple[float, float]]] = {
    "sqrt": (tm.sqrt, 0.0, (0.5, 3.0)),
    "x**0.5": (lambda x: x**0.5, 0.0, (0.5, 3.0)),
    "x**1.5": (lambda x: x**1.5, 0.0, (0.5, 3.0)),
    "1/x": (lambda x: 1 / x, 0.0, (0.5, 3.0)),
    "log": (tm.log, 0.0, (0.5, 3.0)),
    "log1p": (tm.log1p, -1.0, (-0.5, 3.0)),
    "asin": (tm.asin, 1.0, (-0.8, 0.8)),
    "acos": (tm.acos, -1.0, (-0.8, 0.8)),
    "atanh": (tm.atanh, 1.0, (-0.8, 0.8)),
    "acosh": (tm.acosh, 1.0, (1.5, 3.0)),
}


@st.composite
def _points(draw: st.DrawFn) -> tuple[Any, Any]:
    """A function, and a vector with its edge in one or two places."""
    f, edge, (low, high) = EDGES[draw(st.sampled_from(sorted(EDGES)))]
    x = np.array(draw(st.lists(st.floats(low, high), min_size=2, max_size=5)))
    return f, np.insert(x, draw(st.lists(st.integers(0, len(x)), min_size=1, max_size=2)), edge)


def _scaled(f: Any, wrong: Any, order: int) -> Any:
    """`f` plus a term whose derivative of one order is off by a part in ten thousand where `wrong`, a mask, is true."""
    factor = tm.where(wrong, 1.0001, 1.0)
    if order == 1:
        off = tm.custom_vjp(lambda x: tm.sin(x), lambda g, y, x: g * tm.cos(x) * factor)
        return lambda x: f(x) + off(x)
    slope = _scaled(lambda x: x * 0, wrong, 1)
    off = tm.custom_vjp(lambda x: -tm.cos(x), lambda g, y, x: g * slope(x))
    return lambda x: f(x) + off(x)


@given(_points())
def test_right_derivatives_pass(point: Any) -> None:
    f, x = point
    with np.errstate(all="ignore"):
        check_grad(f, x)


@given(_points(), st.integers(1, 2), st.data())
def test_a_wrong_one_is_found_at_its_order(point: Any, order: int, data: Any) -> None:
    f, x = point
    edges = [edge for g, edge, _ in EDGES.values() if g is f]
    at = data.draw(st.sampled_from([i for i, value in enumerate(x) if value not in edges]))
    with np.errstate(all="ignore"), pytest.raises(AssertionError, match=rf"order {order}[^$]*1 of {x.size} elements"):
        check_grad(_scaled(f, np.arange(x.size) == at, order), x)


def test_a_nan_in_place_of_an_infinite_derivative_is_found() -> None:
    f = tm.custom_vjp(lambda x: tm.sqrt(x), lambda g, y, x: g / y * tm.where(x == 0, x / x, 0.5))
    with np.errstate(all="ignore"), pytest.raises(AssertionError, match="1 of 2 elements"):
        check_grad(f, np.array([0.0, 1.0]))
