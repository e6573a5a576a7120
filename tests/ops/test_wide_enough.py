"""Functions of real numbers have the same values for integers, booleans and float16 as for these numbers in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.ops import widen

WHOLE = [np.bool_, np.int8, np.int16, np.int32, np.uint8, np.uint16, np.uint32]  # each in float64 exactly

OF_WHOLE: dict[str, Callable[[Any], Any]] = {
    "softmax": tm.softmax,
    "log_softmax": tm.log_softmax,
    "logsumexp": tm.logsumexp,
    "sigmoid": tm.sigmoid,
    "log_sigmoid": tm.log_sigmoid,
    "softplus": tm.nn.softplus,
    "silu": tm.nn.silu,
    "gelu": tm.nn.gelu,
    "mean": tm.mean,
    "var": tm.var,
    "std": tm.std,
    "norm": tm.vector_norm,
    "sum of sizes": lambda x: tm.vector_norm(x, ord=1),
    "norm of order 3": lambda x: tm.vector_norm(x, ord=3),
    "largest size": lambda x: tm.vector_norm(x, ord=np.inf),
    "attention": lambda x: tm.nn.attention(x, x, x),
    "mse_loss": lambda x: tm.nn.mse_loss(x, x[::-1]),
    "bce_with_logits": lambda x: tm.nn.bce_with_logits(x, np.ones(x.shape)),
    "cross_entropy": lambda x: tm.nn.cross_entropy(x, np.zeros(len(x), int)),
}


def of_every_size(draw: Any, dtype: Any) -> Any:
    """Numbers of any size that the dtype has, its least and its greatest among them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    if dtype is np.bool_:
        return rng.random((3, 4)) < 0.5
    x = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, (3, 4), dtype, endpoint=True)
    x[0, :2] = np.iinfo(dtype).min, np.iinfo(dtype).max
    return x


@pytest.mark.parametrize("name", OF_WHOLE)
@given(data=st.data())
def test_whole_numbers_never_wrap_around_in_a_function_of_real_numbers(name: str, data: Any) -> None:
    x = of_every_size(data.draw, data.draw(st.sampled_from(WHOLE)))
    f = OF_WHOLE[name]
    np.testing.assert_allclose(f(x).numpy(), f(x.astype(np.float64)).numpy(), rtol=64 * np.finfo(float).eps)


def test_a_function_that_keeps_a_narrow_dtype_is_caught(monkeypatch: Any) -> None:
    monkeypatch.setattr("tinymeta.nn.losses.floating", lambda x: tm.tensor(x))
    with pytest.raises(ExceptionGroup, match="distinct failures"):  # a wrong number for integers, an error for masks
        test_whole_numbers_never_wrap_around_in_a_function_of_real_numbers("mse_loss")


OF_FLOAT16: dict[str, Callable[[Any], Any]] = {
    "mean": tm.mean,
    "var": tm.var,
    "std": tm.std,
    "norm": tm.vector_norm,
    "layer_norm": tm.nn.layer_norm,
    "batch_norm": tm.nn.batch_norm,
    "group_norm": lambda x: tm.nn.group_norm(x, 2),
    "mse_loss": lambda x: tm.nn.mse_loss(x, x[::-1]),
}


@pytest.mark.parametrize("name", OF_FLOAT16)
@pytest.mark.parametrize("size", [1.0, 100.0])
def test_squares_of_float16_overflow_only_if_their_mean_does(name: str, size: float) -> None:
    x = (np.random.default_rng(0).normal(size=(3, 4)) * size).astype(np.float16)  # squares up to 50,000 and more
    x[0, 0] = 3 * size
    found, exact = OF_FLOAT16[name](x), OF_FLOAT16[name](x.astype(np.float64)).numpy()
    assert found.dtype == np.float16
    eps = float(np.finfo(np.float16).eps)  # x − mean is rounded, its square so twice, and the result once more
    np.testing.assert_allclose(found.numpy().astype(float), exact, rtol=4 * eps, atol=4 * eps * np.abs(exact).max())


@pytest.mark.filterwarnings("ignore:overflow")
def test_squares_of_float16_that_stay_in_it_are_caught(monkeypatch: Any) -> None:
    monkeypatch.setattr("tinymeta.ops.reduce.squarable", lambda x: x)
    with pytest.raises(AssertionError):
        test_squares_of_float16_overflow_only_if_their_mean_does("var", 100.0)


def test_what_is_wide_enough_stays_as_it_is() -> None:
    for dtype in (np.float32, np.float64, complex):
        x = tm.tensor(np.ones(2, dtype))
        assert widen.floating(x) is x and widen.squarable(x) is x
