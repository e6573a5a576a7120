"""NaN mode: the first number that is not finite is named, with the line of the forward operation behind it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.engine.state import state

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def _line(of: Callable[..., Any]) -> str:
    """The place of the last line of a function's source, as messages name it."""
    source, start = inspect.getsourcelines(of)
    return f"test_checked.py:{start + len(source) - 1}"


def _fails(run: Callable[[], Any], *says: str) -> None:
    with pytest.raises(FloatingPointError) as failure, tm.checked():
        run()
    for text in says:
        assert text in str(failure.value), str(failure.value)


def test_the_operation_its_order_shape_index_value_and_line_are_named() -> None:
    def run() -> Any:
        return tm.log(tm.tensor([1.0, 0.0, 2.0]))

    _fails(run, "log (order 0) gave -inf at index (1,) of shape (3,)", "float64[3] is 0.0", _line(run))


def test_a_gradient_that_is_not_finite_names_the_forward_line() -> None:
    def forward(x: Any) -> Any:
        return tm.sqrt(x)

    def run() -> Any:
        return tm.grad(lambda x: forward(x).sum())(tm.tensor([1.0, 0.0]))

    _fails(run, "(order 1) gave inf at index (1,)", "while differentiating sqrt", _line(forward))


def test_a_second_derivative_that_is_not_finite_names_the_forward_line_still() -> None:
    """The first derivative of x^1.5 at 0 is 0; the second, made from nodes of the first, is infinite."""

    def forward(x: Any) -> Any:
        return tm.pow(x, 1.5)

    def run() -> Any:
        return tm.grad(lambda x: tm.grad(lambda y: forward(y).sum())(x).sum())(tm.tensor([1.0, 0.0]))

    _fails(run, "(order 2) gave inf", "while differentiating pow", _line(forward))


def test_a_checkpointed_operation_is_named_by_its_own_line() -> None:
    @tm.checkpoint
    def forward(x: Any) -> Any:
        return tm.sqrt(x).sum()

    _fails(lambda: tm.grad(forward)(tm.tensor([0.0])), "while differentiating sqrt", _line(forward))


def test_a_nan_in_the_data_is_reported_by_the_first_operation_that_meets_it() -> None:
    def run() -> Any:
        return tm.matmul(np.array([[1.0, np.nan]]), np.ones((2, 3)))

    _fails(run, "gave nan at index (0, 0) of shape (1, 3)", "holds 1 that are not finite", _line(run))


def test_a_cotangent_that_is_not_finite_is_an_error() -> None:
    _, pullback = tm.vjp(lambda x: x * 2.0, np.ones(3))
    _fails(lambda: pullback(np.array([0.0, np.nan, 0.0])), "nan at index (1,)", "order")


def test_an_infinity_that_was_handed_in_may_pass_through() -> None:
    with tm.checked():
        weights = tm.softmax(tm.where(np.array([True, False]), np.ones(2), -np.inf))
    assert weights.tolist() == [1.0, 0.0]


def test_inside_vmap_the_example_is_part_of_the_index() -> None:
    _fails(lambda: tm.vmap(lambda x: 1 / x)(np.array([1.0, 0.0])), "divide (order 0) gave inf at index (1,)")


def test_finite_programs_pass_and_nothing_stays_behind() -> None:
    with tm.checked():
        assert float(tm.grad(tm.grad(lambda x: tm.log(x)))(2.0)) == -0.25
    assert state.watchers == ()
    assert np.isinf(tm.log(tm.tensor(0.0)).item())  # outside the block nothing is looked at


def test_what_the_mode_notes_goes_with_the_tensors() -> None:
    with tm.checked():
        for _ in range(50):
            tm.grad(lambda x: tm.tanh(x).sum())(np.ones(3))
        (checker,) = state.watchers
        assert len(checker.origins) < 10
