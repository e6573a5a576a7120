"""`where` never passes a NaN of the branch not taken, and composed functions take one side at their kinks."""

import numpy as np
import pytest

import tinymeta as tm

POISONOUS = {
    "sqrt": (tm.sqrt, [-1.0, 0.0, 4.0]),
    "log": (tm.log, [-1.0, 0.0, 4.0]),
    "reciprocal": (tm.reciprocal, [0.0, 0.0, 4.0]),
    "divide": (lambda x: 1 / x, [0.0, 0.0, 4.0]),
    "pow": (lambda x: x**0.5, [-1.0, 0.0, 4.0]),
    "a negative power": (lambda x: x**-1.5, [-1.0, 0.0, 4.0]),
    "asin": (tm.asin, [2.0, 1.0, 0.5]),
    "acosh": (tm.acosh, [0.5, 1.0, 2.0]),
    "atanh": (tm.atanh, [2.0, 1.0, 0.5]),
    "log1p": (tm.log1p, [-2.0, -1.0, 0.5]),
    "exp": (lambda x: tm.exp(x), [1e4, 800.0, 0.5]),
    "chained": (lambda x: tm.log(tm.sqrt(x)) / x, [-1.0, 0.0, 4.0]),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("f", "x"), POISONOUS.values(), ids=POISONOUS.keys())
def test_the_branch_not_taken_passes_no_nan_at_any_order(f, x):
    x, safe = np.array(x), np.array([False, False, True])
    chosen = lambda t: tm.where(safe, f(t), 0.0).sum()
    alone = lambda t: f(t).sum()
    for k in range(1, 4):
        found, expected = _derivative(chosen, k)(x).numpy(), _derivative(alone, k)(x[2:]).numpy()
        assert not found[:2].any()
        np.testing.assert_allclose(found[2:], expected, rtol=1e-14)


def _derivative(f, order):
    """∂ᵏ/∂xᵢᵏ for each i, of a function that adds up over its elements."""
    for _ in range(order):
        f = (lambda g: lambda t: tm.grad(lambda u: g(u).sum())(t))(f)
    return f


@pytest.mark.parametrize(
    ("f", "x", "slopes"),
    [
        (lambda x: tm.clip(x, -1, 1), [-2, -1, 0, 1, 2], [0, 1, 1, 1, 0]),
        (lambda x: tm.clip(x, None, 1), [-2, 1, 2], [1, 1, 0]),
        (lambda x: tm.clip(x, 0), [-1, 0, 1], [0, 1, 1]),
        (tm.relu, [-1, 0, 1], [0, 0, 1]),
        (tm.abs, [-1, 0, 1], [-1, 1, 1]),
        (lambda x: tm.maximum(x, 0.5), [0, 0.5, 1], [0, 1, 1]),
        (lambda x: tm.minimum(x, 0.5), [0, 0.5, 1], [1, 1, 0]),
        (lambda x: tm.maximum(0.5, x), [0, 0.5, 1], [0, 0, 1]),
    ],
)
def test_a_kink_takes_one_side_at_orders_one_to_three(f, x, slopes):
    x, slopes = np.array(x, float), np.array(slopes, float)
    value = f(x).numpy()
    cube = lambda t: (f(t) ** 3).sum()
    for k, expected in enumerate((3 * value**2 * slopes, 6 * value * slopes**2, 6 * slopes**3), 1):
        np.testing.assert_array_equal(_derivative(cube, k)(x).numpy(), expected)


def test_a_nan_in_the_argument_is_not_hidden():
    assert np.isnan(tm.grad(lambda x: tm.where(True, x * x, 0.0))(np.nan).item())
    assert np.isnan(tm.maximum(np.nan, 1.0).item())
    assert np.isnan(tm.relu(np.nan).item())
