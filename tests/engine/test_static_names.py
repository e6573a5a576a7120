"""A primitive may call its static arguments what it likes: the engine's own names are not in the way."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm

NAMES = ["rise", "at", "primitive", "inputs", "static", "cls", "self", "batch", "order", "data", "g", "axis", "kernel"]


def scaled(name: str) -> Any:
    """y = factor·x, where the factor is a static argument of the given name."""

    def rule(g: Any, y: Any, /, *x: Any, **static: Any) -> Any:
        return g * static[name]

    body = {
        "__doc__": "y = factor·x",
        "kernel": staticmethod(lambda *x, **static: x[0] * static[name]),
        "reference": staticmethod(lambda *x, **static: x[0] * static[name]),
        "domain": (tm.testing.reals(-2, 2),),
        "kinks": (),
        "vjp": rule,
    }
    return tm.primitive(type(f"scaled_{name}", (), body))


@pytest.mark.parametrize("name", NAMES)
@given(factor=st.sampled_from([2, -3]))
def test_a_static_argument_of_any_name_is_passed_on(name: str, factor: int) -> None:
    operation, x = scaled(name), np.arange(6.0).reshape(2, 3)
    call = lambda x: operation(x, **{name: factor})
    assert np.array_equal(call(x).numpy(), factor * x)
    assert np.array_equal(tm.vmap(call)(x).numpy(), factor * x)
    assert np.array_equal(tm.grad(lambda x: tm.sum(call(x)))(x).numpy(), np.full((2, 3), factor))
    assert np.array_equal(tm.vmap(tm.grad(lambda x: tm.sum(call(x))))(x).numpy(), np.full((2, 3), factor))
    assert np.array_equal(tm.compile(call)(x).numpy(), factor * x)
    with tm.trace() as trace:
        call(x)
    assert trace.steps
