"""Relative accuracy far out and near 0: values and derivatives of orders 1 to 3 against 60 digits of mpmath."""

from __future__ import annotations

from functools import cache

import mpmath as mp
import numpy as np
import pytest

import tinymeta as tm

DIGITS = 60
# All of them are float32 numbers, so that both dtypes are asked about the same.
POINTS = (-700, -100, -40, -20, -9.25, -1.75, -0.5, -(2.0**-10), 2.0**-30, 2.0**-10, 0.5, 1.875, 9.125, 20, 37.25, 700)

# Each exact function comes with derivatives of it that are no difference of nearly equal numbers: f, f′, ….
SIGMOID = (lambda x: 1 / (1 + mp.exp(-x)), lambda x: 1 / (2 + 2 * mp.cosh(x)))
SOFTPLUS = (lambda x: mp.log1p(mp.exp(x)), *SIGMOID)
TURNED = (lambda x: mp.log1p(mp.exp(-x)), lambda x: -1 / (1 + mp.exp(x)), SIGMOID[1])
TANH = (mp.tanh, lambda x: mp.sech(x) ** 2)
SILU = (
    lambda x: x * SIGMOID[0](x),
    lambda x: SIGMOID[0](x) + x * SIGMOID[1](x),
    lambda x: SIGMOID[1](x) * (2 - x * mp.tanh(x / 2)),
)
ERF = (mp.erf, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x))
ERFC = (mp.erfc, lambda x: -2 / mp.sqrt(mp.pi) * mp.exp(-x * x))
PHI = (lambda x: mp.erfc(-x / mp.sqrt(2)) / 2, lambda x: mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi))
GELU = (lambda x: x * PHI[0](x), lambda x: PHI[0](x) + x * PHI[1](x), lambda x: PHI[1](x) * (2 - x * x))


def _negated(ladder):
    return tuple(lambda x, f=f: -f(x) for f in ladder)


def _beside_zero(f):
    """A function of the pair (x, 0)."""
    return lambda x: f(tm.stack([x, 0 * x]))


FUNCTIONS = {
    "sigmoid": (tm.sigmoid, SIGMOID),
    "log_sigmoid": (tm.nn.log_sigmoid, _negated(TURNED)),
    "silu": (tm.nn.silu, SILU),
    "softplus": (tm.softplus, SOFTPLUS),
    "logaddexp": (lambda x: tm.logaddexp(x, 0.0), SOFTPLUS),
    "tanh": (tm.tanh, TANH),
    "erf": (tm.erf, ERF),
    "erfc": (tm.erfc, ERFC),
    "normal_cdf": (tm.normal_cdf, PHI),
    "gelu": (tm.nn.gelu, GELU),
    "expm1": (tm.expm1, (mp.expm1, mp.exp)),
    "asinh": (tm.asinh, (mp.asinh,)),
    "bce of 0": (lambda x: tm.nn.bce_with_logits(x, np.zeros(())), SOFTPLUS),
    "bce of 1": (lambda x: tm.nn.bce_with_logits(x, np.ones(())), TURNED),
    "cross_entropy": (_beside_zero(lambda z: tm.nn.cross_entropy(z, np.array(0))), TURNED),
    "log_softmax": (_beside_zero(lambda z: tm.log_softmax(z)[0]), _negated(TURNED)),
    "softmax": (_beside_zero(lambda z: tm.softmax(z)[0]), SIGMOID),
    "logsumexp": (_beside_zero(tm.logsumexp), SOFTPLUS),
}
OF_ROWS = ("cross_entropy", "log_softmax", "softmax", "logsumexp")
NEAR_A_POLE = {
    "atanh": (tm.atanh, (mp.atanh,), 1),
    "asin": (tm.asin, (mp.asin,), 1),
    "acos": (tm.acos, (mp.acos,), 1),
    "acosh": (tm.acosh, (mp.acosh,), -1),
    "log1p": (tm.log1p, (mp.log1p,), -1),
}


def _derivative(f, order):
    return f if order == 0 else tm.grad(_derivative(f, order - 1))


@cache
def _exact(ladder, order, x):
    """The derivative of this order and the next, from the last rung of the ladder that is no higher."""
    with mp.workdps(DIGITS):
        at = mp.mpf(x)
        rungs = [(ladder[min(n, len(ladder) - 1)], n - min(n, len(ladder) - 1)) for n in (order, order + 1)]
        return [mp.diff(f, at, n) if n else f(at) for f, n in rungs]


def _agrees(f, ladder, order, x):
    """|found − f⁽ⁿ⁾(x)| ≤ ε (16 + 4κ)|f⁽ⁿ⁾(x)|: 16 roundings, and κ = |x f⁽ⁿ⁺¹⁾/f⁽ⁿ⁾| times an argument’s."""
    true, slope = _exact(ladder, order, float(x))
    tiny = float(np.finfo(x.dtype).tiny)
    if abs(true) > np.finfo(x.dtype).max:
        return  # beyond the dtype
    found = _derivative(f, order)(np.array(x)).item()
    condition = abs(x.item() * slope / true) if true else 0
    bound = np.finfo(x.dtype).eps * ((16 + 4 * condition) * abs(true) + 64 * tiny)
    assert abs(found - true) <= bound, f"order {order} at {x!r}: {found} where {mp.nstr(true, 17)} is right"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_tail_keeps_its_relative_accuracy_at_orders_0_to_3(name, order, dtype):
    for x in POINTS:
        if name in OF_ROWS and abs(x) < 0.5:
            continue  # where two probabilities are nearly equal, a higher derivative that crosses 0 is their difference
        with np.errstate(over="ignore"):  # e⁷⁰⁰ in float32 is ∞, and so it should be
            _agrees(*FUNCTIONS[name], order, dtype(x))


@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize("name", NEAR_A_POLE)
def test_next_to_a_pole_nothing_cancels(name, order):
    f, exact, side = NEAR_A_POLE[name]
    for gap in (1e-3, 1e-6, 1e-10):
        at = np.float64(1 - gap if side > 0 else 1 + gap if name == "acosh" else -1 + gap)
        _agrees(f, exact, order, at)


def test_the_check_sees_a_tail_that_cancels():
    with pytest.raises(AssertionError, match="is right"):
        _agrees(lambda x: 0.5 * tm.tanh(0.5 * x) + 0.5, SIGMOID, 0, np.float64(-30))
    with pytest.raises(AssertionError, match="is right"):
        _agrees(lambda x: tm.log(1 + tm.exp(x)), SOFTPLUS, 0, np.float64(-30))


@pytest.mark.parametrize("order", range(3))
@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled_tails_are_those_of_eager_code(name, order):
    for dtype in (np.float32, np.float64):
        x = np.array([p for p in POINTS if p <= 37.25], dtype)
        rows = tm.vmap(_derivative(FUNCTIONS[name][0], order))
        info = np.finfo(dtype)
        found, expected = tm.compile(rows)(x).numpy(), rows(x).numpy()
        np.testing.assert_allclose(found, expected, rtol=64 * info.eps, atol=64 * info.tiny)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize("name", ["atanh", "asin", "acos"])
def test_the_slopes_of_two_factors_do_not_cancel_at_zero(name, order, dtype):
    f, exact, _ = NEAR_A_POLE[name]
    for x in (-(2.0**-30), -(2.0**-10), -0.375, 2.0**-30, 2.0**-10, 0.25, 0.625):
        _agrees(f, exact, order, dtype(x))


def test_slopes_that_cancel_at_zero_are_caught(monkeypatch):
    monkeypatch.setattr("tinymeta.ops.trigonometry._one_less_square", lambda x: (1 - x) * (1 + x))
    with pytest.raises(AssertionError):
        test_the_slopes_of_two_factors_do_not_cancel_at_zero("asin", 2, np.float64)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", ["atanh", "asin", "acos"])
def test_next_to_a_pole_a_slope_is_that_of_the_very_number_and_not_of_one_beside_it(name, order):
    """1 − 2⁻ᵏ is a number of float64, and nothing need be rounded before the two factors of 1 − x² are there."""
    f, (exact, *_), _ = NEAR_A_POLE[name]
    for x in [side * (1 - 2.0**-k) for side in (-1, 1) for k in (10, 20, 30, 40)]:
        true, _ = _exact((exact,), order, x)
        assert abs(_derivative(f, order)(np.array(x)).item() - true) <= 32 * np.finfo(float).eps * abs(true)
