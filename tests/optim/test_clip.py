"""Clipping: no gradient longer than asked for, and none that was short enough changed."""

from __future__ import annotations

import decimal
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm

CLIP = tm.optim.clip_by_global_norm
DTYPES = [np.float16, np.float32, np.float64]


@st.composite
def leaves(draw: st.DrawFn) -> Any:
    """Some entries of any size that their dtype has, subnormal ones and its largest included."""
    dtype, seed = draw(st.sampled_from(DTYPES)), draw(st.integers(0, 2**31))
    info, rng = np.finfo(dtype), np.random.default_rng(seed)
    least = draw(st.integers(info.minexp - info.nmant, info.maxexp - 1))
    exponents = rng.integers(least, info.maxexp, size=draw(st.integers(0, 6)))
    return (rng.choice([-1, 1], len(exponents)) * np.ldexp(rng.uniform(0.5, 1, len(exponents)), exponents)).astype(
        dtype
    )


def of_length(grads: list[Any], limit: float) -> list[list[Decimal]]:
    """The clipped gradients in 60 digits."""
    exact = [[Decimal(float(x)) for x in g] for g in grads]
    length = sum((x * x for g in exact for x in g), Decimal(0)).sqrt()
    factor = Decimal(limit) / length if length > Decimal(limit) else Decimal(1)
    return [[x * factor for x in g] for g in exact]


@given(grads=st.lists(leaves(), max_size=3), mantissa=st.floats(0.5, 1), exponent=st.integers(-1073, 1024))
def test_gradients_of_any_size_are_clipped_to_any_length(grads: list[Any], mantissa: float, exponent: int) -> None:
    limit = float(np.ldexp(mantissa, exponent - (mantissa == 1)))
    found = CLIP(grads, limit)
    with decimal.localcontext(prec=60):
        for g, ours, theirs in zip(grads, found, of_length(grads, limit)):
            assert ours.dtype == g.dtype
            # Eighteen squares and their sum, a root, and a dozen products in float64; one rounding to the dtype.
            info = np.finfo(g.dtype)
            share = Decimal(40 * float(np.finfo(float).eps) + float(info.eps))
            for x, y in zip(ours.tolist(), theirs):
                assert abs(Decimal(x) - y) <= share * abs(y) + 2 * Decimal(float(info.smallest_subnormal))


def test_an_everyday_gradient_in_half_precision_has_a_length_beyond_its_dtype() -> None:
    grads = {"w": np.full(100_000, 300, np.float16)}
    assert float(tm.optim.global_norm(grads)) == pytest.approx(300 * 100_000**0.5, rel=1e-12)
    np.testing.assert_allclose(CLIP(grads, 1.0)["w"].numpy(), 100_000**-0.5, rtol=np.finfo(np.float16).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_derivatives_are_right_where_the_length_does_not_fit_the_dtype(dtype: Any) -> None:
    # y(c·g, c·limit) = c·y(g, limit) for powers of two c: the first derivative is the same, and the second 1/c of it.
    rng, c = np.random.default_rng(0), 2.0 ** (np.finfo(dtype).maxexp - 1)
    g, weights = rng.uniform(1.0, 1.9, 20).astype(dtype), rng.uniform(-0.1, 0.1, 20)
    double = lambda g, limit: tm.sum(CLIP([g], limit)[0].astype(float) * weights)
    first, second = tm.grad(double), tm.grad(lambda g, limit: tm.sum(tm.grad(double)(g, limit).astype(float) * weights))
    small, large = (first(x, limit).numpy() for x, limit in ((g, 0.75), ((g * c).astype(dtype), 0.75 * c)))
    assert np.isfinite(large).all() and (small != 0).all()
    np.testing.assert_allclose(large, small, rtol=0, atol=40 * np.finfo(dtype).eps * np.abs(small).max())
    if dtype is np.float64:  # 1/c is no number that the others hold in full precision
        small, large = second(g, 0.75).numpy(), second(g * c / 2**60, 0.75 * c / 2**60).numpy() * (c / 2**60)
        np.testing.assert_allclose(large, small, rtol=0, atol=400 * np.finfo(dtype).eps * np.abs(small).max())


def test_every_example_of_a_vmap_is_clipped_by_its_own_length() -> None:
    rows = np.random.default_rng(1).normal(size=(4, 3)) * np.array([[1e-300], [1.0], [1e200], [1e308]])
    rows = np.clip(rows, -1e308, 1e308)
    found = tm.vmap(lambda g: CLIP([g], 0.5)[0])(rows).numpy()
    np.testing.assert_array_equal(found, [CLIP([g], 0.5)[0].numpy() for g in rows])
    compiled = tm.compile(lambda g: CLIP([g], 0.5)[0])
    np.testing.assert_allclose(found, [compiled(g).numpy() for g in rows], rtol=20 * np.finfo(float).eps)


@pytest.mark.parametrize("limit", [np.nan, -1.0])
@pytest.mark.parametrize("wrap", [float, tm.tensor])
def test_a_limit_that_is_no_length_gives_nan(limit: float, wrap: Any) -> None:
    assert np.isnan(CLIP([np.array([0.3, 0.4])], wrap(limit))[0].numpy()).all()


def test_a_limit_of_zero_leaves_nothing_and_an_infinite_one_all() -> None:
    g = np.array([1e300, -1e-300])
    assert CLIP([g], 0.0)[0].tolist() == [0.0, 0.0]
    assert float(tm.grad(lambda limit: CLIP([np.array([3.0, 4.0])], limit)[0][0])(0.0)) == pytest.approx(0.6, rel=1e-15)
    np.testing.assert_array_equal(CLIP([g], np.inf)[0].numpy(), g)
    assert CLIP([], 1.0) == [] and CLIP([np.zeros(0)], 1.0)[0].shape == (0,)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_gradients_without_a_direction_become_nan_whatever_the_limit(bad: float) -> None:
    for limit in (0.0, 1.0, np.inf):
        found = CLIP({"a": np.array([1.0, bad]), "b": np.ones(1, np.float32)}, limit)
        assert np.isnan(found["a"].numpy()).all() and np.isnan(found["b"].numpy()).all()


def test_integers_are_clipped_as_the_real_numbers_they_are() -> None:
    np.testing.assert_allclose(CLIP([np.array([3, 4])], 1.0)[0].numpy(), [0.6, 0.8], rtol=1e-15)
    for limit in (2.5, tm.tensor(2.5)):
        for dtype in (np.int64, np.uint8):
            assert tm.optim.clip_by_value([np.array([3, 2], dtype)], limit)[0].tolist() == [2.5, 2.0]


def test_a_long_gradient_is_shortened_to_the_limit_and_keeps_its_direction() -> None:
    grads = {"a": tm.tensor([3.0, 0.0]), "b": tm.tensor([[4.0]])}  # length 5
    clipped = tm.optim.clip_by_global_norm(grads, 1.0)
    np.testing.assert_allclose(clipped["a"].numpy(), [0.6, 0.0])
    np.testing.assert_allclose(clipped["b"].numpy(), [[0.8]])


def test_a_short_gradient_is_unchanged_to_the_bit() -> None:
    grads = [tm.tensor(np.array([0.1, 0.2], np.float32))]
    clipped = tm.optim.clip_by_global_norm(grads, 1.0)
    np.testing.assert_array_equal(clipped[0].numpy(), grads[0].numpy())
    assert clipped[0].dtype == np.float32


def test_the_norm_of_nothing_is_zero_with_gradient_zero() -> None:
    norm, slope = tm.value_and_grad(tm.optim.global_norm)(tm.tensor([0.0, 0.0]))
    assert float(norm) == 0.0
    np.testing.assert_array_equal(slope.numpy(), [0.0, 0.0])


def test_clipping_is_differentiable() -> None:
    tm.testing.check_grad(
        lambda g: tm.sum(tm.sin(tm.optim.clip_by_global_norm([g], 0.5)[0])), np.array([0.7, -0.4, 0.2]), order=2
    )


def test_clip_by_value_limits_every_entry() -> None:
    (clipped,) = tm.optim.clip_by_value([tm.tensor([-3.0, 0.5, 3.0])], 1.0)
    np.testing.assert_array_equal(clipped.numpy(), [-1.0, 0.5, 1.0])


def test_an_optimizer_can_be_made_to_see_clipped_gradients() -> None:
    optimizer = tm.optim.Clipped(tm.optim.SGD(1.0), partial(tm.optim.clip_by_global_norm, limit=1.0))
    p = tm.tensor([0.0, 0.0])
    p, _ = optimizer.update(tm.tensor([30.0, 40.0]), optimizer.init(p), p)
    np.testing.assert_allclose(p.numpy(), [-0.6, -0.8])


def test_a_gradient_of_the_length_that_is_allowed_is_left_alone_and_so_is_its_derivative() -> None:
    for dtype in (np.float32, np.float64):
        found = tm.grad(lambda g: tm.sum(CLIP([g], 5.0)[0]))(np.array([3, 4], dtype))
        assert found.tolist() == [1, 1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("limit", [0.0, 1.0, np.inf])
def test_no_gradient_at_all_is_left_at_that_and_so_is_its_derivative(limit: float, dtype: Any) -> None:
    nothing = np.zeros(3, dtype)
    assert CLIP([nothing], limit)[0].tolist() == [0, 0, 0]
    assert tm.isfinite(tm.grad(lambda g, limit: tm.sum(CLIP([g], limit)[0]), argnums=1)(nothing, limit))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_limit_that_isnt_reached_has_no_say(dtype: Any) -> None:
    g = np.array([0.3, 0.4], dtype)
    assert float(tm.grad(lambda limit: tm.sum(CLIP([g], limit)[0]))(1.0)) == 0
