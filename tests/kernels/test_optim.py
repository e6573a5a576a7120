"""Fused optimizer steps and fused relu, against the formulas of the papers."""

import numpy as np
import pytest
import tinymeta_kernels as tk

RNG = np.random.default_rng(0)
every_dtype = pytest.mark.parametrize("dtype", [np.float64, np.complex128])


@every_dtype
def test_first_step_of_adam_moves_by_the_step_size_against_the_sign(dtype: type) -> None:
    p, g = RNG.standard_normal((2, 9))
    new_p, _, _ = tk.adam_update(p.astype(dtype), g, np.zeros(9), np.zeros(9), step=1, lr=0.1, eps=0.0)
    np.testing.assert_allclose(new_p, p - 0.1 * np.sign(g), rtol=1e-12)


@every_dtype
@pytest.mark.parametrize("decoupled", [False, True])
def test_ten_steps_of_adam_follow_algorithm_1(dtype: type, decoupled: bool) -> None:
    p = RNG.standard_normal(5)
    ours, m, v = p.astype(dtype), np.zeros(5), np.zeros(5)
    first, second = np.zeros(5), np.zeros(5)
    for t in range(1, 11):
        g = RNG.standard_normal(5)
        ours, m, v = tk.adam_update(
            ours, g, m, v, t, lr=0.01, beta1=0.8, beta2=0.9, eps=1e-3, weight_decay=0.5, decoupled=decoupled
        )
        total = g if decoupled else g + 0.5 * p
        first, second = 0.8 * first + 0.2 * total, 0.9 * second + 0.1 * total**2
        step = (first / (1 - 0.8**t)) / (np.sqrt(second / (1 - 0.9**t)) + 1e-3)
        p = p - 0.01 * step - (0.01 * 0.5 * p if decoupled else 0)
    np.testing.assert_allclose(ours, p, rtol=1e-12)


@every_dtype
@pytest.mark.parametrize("nesterov", [False, True])
def test_ten_steps_of_sgd_follow_the_formula(dtype: type, nesterov: bool) -> None:
    p = RNG.standard_normal(5)
    ours, velocity, v = p.astype(dtype), np.zeros(5), np.zeros(5)
    for _ in range(10):
        g = RNG.standard_normal(5)
        ours, velocity = tk.sgd_update(ours, g, velocity, 0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.2)
        g = g + 0.2 * p
        v = 0.9 * v + g
        p = p - 0.1 * (g + 0.9 * v if nesterov else v)
    np.testing.assert_allclose(ours, p, rtol=1e-12)


def test_arrays_of_different_shapes_are_an_error() -> None:
    p, g = np.ones(5), np.ones(4)
    with pytest.raises(ValueError, match=r"one shape, got \(5,\), \(4,\)"):
        tk.sgd_update(p, g, p, 0.1)
    with pytest.raises(ValueError, match="one shape"):
        tk.adam_update(p, p, g, p, 1, 0.1)


def test_parameters_keep_their_memory_order() -> None:
    p = np.moveaxis(RNG.standard_normal((4, 3, 3, 2)), -1, -3)
    new_p, _ = tk.sgd_update(p, p, p, 0.1)
    assert new_p.strides == p.strides
    np.testing.assert_array_equal(new_p, tk.sgd_update(p.copy(), p.copy(), p.copy(), 0.1)[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_relu_has_slope_zero_at_its_kink_and_carries_nan(dtype: type) -> None:
    y = np.array([-1.0, -0.0, 0.0, 2.0, np.nan]).astype(dtype)
    np.testing.assert_array_equal(tk.relu_input(np.ones(5, dtype), y), [0, 0, 0, 1, 0])
    z = tk.linear_relu(y[:, None], np.ones((1, 1), dtype), np.zeros(1, dtype))
    np.testing.assert_array_equal(z.ravel(), [0, 0, 0, 2, np.nan])


def test_relu_gradient_keeps_the_memory_order_of_the_images() -> None:
    y = np.moveaxis(RNG.standard_normal((2, 4, 4, 3)), -1, -3)
    assert tk.relu_input(y, y).strides == y.strides
