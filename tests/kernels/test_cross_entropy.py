"""Cross-entropy: extreme values, derivatives, labels."""

import numpy as np
import pytest
import tinymeta_kernels as tk

RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((3, 4, 7))
LABELS = RNG.integers(0, 7, (3, 4))
inf, nan = np.inf, np.nan
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


# Softmax and its logarithm, seen through loss = logsumexp(x) - x[label] and gradient = softmax(x) - onehot(label).


@every_dtype
def test_logits_beyond_the_range_of_exp_neither_overflow_nor_vanish(dtype: type) -> None:
    x = np.array([[1e4, 1e4 - 1, -1e4], [-1e4, -1e4 - 1, -2e4]], dtype)
    p = 1 / (1 + np.exp(-1))
    labels = np.array([1, 1])
    np.testing.assert_allclose(tk.softmax_cross_entropy(x, labels), -np.log([1 - p] * 2), rtol=1e-6)
    gradient = tk.softmax_cross_entropy_grad(x, labels, np.ones(2, dtype))
    np.testing.assert_allclose(gradient, [[p, -p, 0]] * 2, rtol=1e-6)


@pytest.mark.parametrize("position", range(9))
def test_the_largest_logit_is_found_wherever_it_stands(position: int) -> None:
    x = np.zeros((1, 9))
    x[0, position] = 1e4
    other = np.array([(position + 1) % 9])
    np.testing.assert_array_equal(tk.softmax_cross_entropy(x, other), [1e4])
    gradient = tk.softmax_cross_entropy_grad(x, other, np.ones(1))[0]
    np.testing.assert_array_equal(gradient, (np.arange(9) == position) - 1.0 * (np.arange(9) == other))


@pytest.mark.parametrize(
    ("row", "loss", "gradient"),  # of the last class
    [
        ([-inf, 0.0], 0, [0, 0]),
        ([-inf, -inf], nan, [nan, nan]),
        ([inf, 0.0], inf, [nan, -1]),
        ([0.0, inf], nan, [0, nan]),
        ([nan, 0.0], nan, [nan, nan]),
        ([0.0, 0.0, 0.0, 0.0, nan], nan, [nan] * 5),
        ([nan, 0.0, 0.0, 0.0, 0.0], nan, [nan] * 5),
        ([-0.0, 0.0], np.log(2), [0.5, -0.5]),
    ],
)
@every_dtype
def test_infinities_and_nan_follow_the_table(dtype: type, row: list, loss: float, gradient: list) -> None:
    x, labels = np.array([row], dtype), np.array([len(row) - 1])
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(tk.softmax_cross_entropy(x, labels), [loss], rtol=1e-7)
        found = tk.softmax_cross_entropy_grad(x, labels, np.ones(1, dtype))
        np.testing.assert_allclose(found, [gradient], rtol=1e-7)


def test_float32_rows_are_summed_in_float64() -> None:
    # A float32 sum that has come to 1e5 grows by 0.1016 or 0.0938 where it should grow by 0.1.
    n = 4_000_000
    x = np.full((1, n), np.log(0.1), np.float32)
    x[0, 0] = 0
    e = np.exp(x.astype(np.float64))
    labels = np.zeros(1, np.int64)
    np.testing.assert_allclose(tk.softmax_cross_entropy(x, labels), np.log(e.sum(-1)), rtol=1e-6)
    gradient = tk.softmax_cross_entropy_grad(x, labels, np.ones(1, np.float32))[0]
    np.testing.assert_allclose(gradient[[0, 1]], [1 / e.sum() - 1, 0.1 / e.sum()], rtol=1e-6)


def test_cross_entropy_gradient_is_its_complex_step() -> None:
    g, direction = RNG.standard_normal((3, 4)), RNG.standard_normal(LOGITS.shape)
    by_step = np.vdot(g, tk.softmax_cross_entropy(LOGITS + 1e-30j * direction, LABELS).imag) / 1e-30
    np.testing.assert_allclose(
        np.vdot(tk.softmax_cross_entropy_grad(LOGITS, LABELS, g), direction), by_step, rtol=1e-12
    )


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("label", [-1, 7])
def test_a_label_outside_of_the_classes_is_an_error_that_says_so(dtype: type, label: int) -> None:
    labels = LABELS.copy()
    labels[1, 2] = label
    for function in (
        lambda x: tk.softmax_cross_entropy(x, labels),
        lambda x: tk.softmax_cross_entropy_grad(x, labels, np.ones((3, 4))),
    ):
        with pytest.raises(IndexError, match="labels for 7 classes run from 0 to 6, and not from"):
            function(LOGITS.astype(dtype))
