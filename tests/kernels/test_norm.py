"""Normalisation: statistics that are right, adjoints that are exact at the second order too."""

import numpy as np
import pytest
import tinymeta_kernels as tk

RNG = np.random.default_rng(0)
every_axes = pytest.mark.parametrize(
    ("shape", "axes"),
    [((3, 5, 4), (-2,)), ((2, 3, 4, 2, 3), (-4, -2, -1)), ((3, 9), (-1,)), ((2, 5, 1), (-2,)), ((4, 3), (-2, -1))],
)


def statistic_shape(shape: tuple, axes: tuple) -> tuple:
    return tuple(1 if axis in axes else n for axis, n in zip(range(-len(shape), 0), shape))


@every_axes
def test_answer_has_mean_zero_and_variance_one(shape: tuple, axes: tuple) -> None:
    y, s = tk.normalize(3 + 2 * RNG.standard_normal(shape), axes, 0.0)
    assert s.shape == statistic_shape(shape, axes)
    np.testing.assert_allclose(y.mean(axes), 0, atol=1e-14)
    np.testing.assert_allclose((y * y).mean(axes), 1, rtol=1e-14)


@every_axes
def test_a_large_mean_costs_no_digits_of_the_variance(shape: tuple, axes: tuple) -> None:
    # Whole numbers, so that adding the mean is exact.
    x = RNG.integers(-50, 50, shape).astype(np.float64)
    np.testing.assert_allclose(tk.normalize(x + 2.0**40, axes, 0.0)[1], tk.normalize(x, axes, 0.0)[1], rtol=1e-4)


@pytest.mark.parametrize("shape", [(4_000_000, 1), (2_000_000, 2)])
def test_float32_statistics_are_summed_in_float64(shape: tuple) -> None:
    # A float32 sum that has come to 1e5 grows by 0.1016 or 0.0938 where it should grow by 0.1.
    tenths, ones, s = np.full(shape, 0.1, np.float32), np.ones(shape, np.float32), np.ones((1, shape[1]), np.float32)
    around_zero = tenths.copy()
    around_zero[::2] *= -1
    np.testing.assert_allclose(tk.normalize(tenths, (-2,), 1.0)[0], 0, atol=1e-8)
    np.testing.assert_allclose(tk.normalize(around_zero, (-2,), 0.0)[1], 10, rtol=1e-6)
    np.testing.assert_allclose(tk.normalize_input(tenths, ones, s, (-2,)), -tenths, rtol=1e-6)
    gy, gs = tk.normalize_input_grad(tenths, tenths, ones, s, (-2,))
    np.testing.assert_allclose(gy, -0.02, rtol=1e-6)
    np.testing.assert_allclose(gs, -0.01 * shape[0], rtol=1e-6)


@every_axes
@pytest.mark.parametrize("eps", [0.0, 1e-5, 1.0])
def test_normalize_input_is_the_complex_step_of_normalize(shape: tuple, axes: tuple, eps: float) -> None:
    x, g, direction = RNG.standard_normal((3, *shape))
    by_step = np.vdot(g, tk.normalize(x + 1e-30j * direction, axes, eps)[0].imag) / 1e-30
    y, s = tk.normalize(x, axes, eps)
    np.testing.assert_allclose(np.vdot(tk.normalize_input(g, y, s, axes), direction), by_step, rtol=1e-11)


@every_axes
def test_normalize_input_is_its_own_adjoint(shape: tuple, axes: tuple) -> None:
    x, u, v = RNG.standard_normal((3, *shape))
    y, s = tk.normalize(x, axes, 1e-5)
    left, right = np.vdot(tk.normalize_input(u, y, s, axes), v), np.vdot(u, tk.normalize_input(v, y, s, axes))
    np.testing.assert_allclose(left, right, rtol=1e-12)


@every_axes
def test_normalize_input_grad_is_the_complex_step_of_normalize_input(shape: tuple, axes: tuple) -> None:
    g, y, h, dy = RNG.standard_normal((4, *shape))
    s, ds = RNG.standard_normal((2, *statistic_shape(shape, axes)))
    by_step = np.vdot(h, tk.normalize_input(g, y + 1e-30j * dy, s + 1e-30j * ds, axes).imag) / 1e-30
    gy, gs = tk.normalize_input_grad(h, g, y, s, axes)
    assert gy.shape == y.shape and gs.shape == s.shape
    np.testing.assert_allclose(np.vdot(gy, dy) + np.vdot(gs, ds), by_step, rtol=1e-11)


@every_axes
def test_the_cotangent_of_s_reaches_x_as_the_docstring_says(shape: tuple, axes: tuple) -> None:
    x, direction = RNG.standard_normal((2, *shape))
    gs = RNG.standard_normal(statistic_shape(shape, axes))
    by_step = np.vdot(gs, tk.normalize(x + 1e-30j * direction, axes, 1e-5)[1].imag) / 1e-30
    y, s = tk.normalize(x, axes, 1e-5)
    m = x.size // s.size
    np.testing.assert_allclose(np.vdot(-gs * s**2 * y / m, direction), by_step, rtol=1e-11)


def test_channels_last_images_are_not_moved() -> None:
    memory = RNG.standard_normal((2, 3, 4, 4, 5))
    y, _ = tk.normalize(np.moveaxis(memory, -1, -3), (-4, -2, -1), 1e-5)
    assert np.moveaxis(y, -3, -1).flags.c_contiguous
