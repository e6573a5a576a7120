"""Numbers at the edge: 0⁰, NaN and ∞ among gradients, lengths whose squares leave the dtype, statistics of one."""

from __future__ import annotations

import numpy as np
import pytest

import tinymeta as tm


def test_zero_to_the_zero_is_one_with_no_slope():
    assert float(tm.pow(0.0, 0.0)) == 1.0
    assert [float(g) for g in tm.grad(tm.pow, (0, 1))(0.0, 0.0)] == [0.0, 0.0]
    assert float(tm.grad(tm.grad(lambda b: 0**b))(0.0)) == 0.0


@pytest.mark.parametrize("b", [0.0, 0.5, 1.0, 2.0, 3.0])
def test_a_power_of_zero_does_not_depend_on_its_exponent(b):
    with np.errstate(divide="ignore"):
        for order in range(1, 4):
            f = lambda b: 0.0**b
            for _ in range(order):
                f = tm.grad(f)
            assert float(f(b)) == 0.0


@pytest.mark.parametrize("b", [0.0, 1.0, 2.0, 3.0])
def test_a_whole_power_at_zero_and_below_has_the_polynomials_derivatives(b):
    for a in (0.0, -2.0):
        power, falling = tm.grad(lambda a: a ** np.array(b)), [b, b * (b - 1), b * (b - 1) * (b - 2)]
        for n, factor in enumerate(falling, 1):
            with np.errstate(divide="ignore"):
                assert float(power(a)) == (factor * a ** (b - n) if factor else 0.0)
            power = tm.grad(power)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_gradient_without_a_direction_is_clipped_to_nan_everywhere(bad):
    grads = [tm.tensor([1.0, bad]), tm.tensor(np.array([2.0], np.float32))]
    assert not np.isfinite(tm.optim.global_norm(grads).item())
    for f in (tm.optim.clip_by_global_norm, tm.compile(tm.optim.clip_by_global_norm)):
        assert all(np.isnan(g.numpy()).all() for g in f(grads, 1.0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_length_is_right_where_its_squares_leave_the_dtype(dtype):
    info = np.finfo(dtype)
    for size in (info.tiny * 16, info.tiny**0.5 / 64, 1.0, info.max**0.5 * 64, info.max / 16):
        x = np.array([3, -4], dtype) * dtype(size)
        v, g = tm.value_and_grad(tm.vector_norm)(x)
        np.testing.assert_allclose([v.item() / size, *g.tolist()], [5.0, 0.6, -0.8], rtol=8 * info.eps)
        np.testing.assert_allclose(tm.optim.global_norm([x, x]).item() / size, 5 * 2**0.5, rtol=8 * info.eps)
        np.testing.assert_allclose(tm.hypot(x[0], x[1]).item() / size, 5.0, rtol=8 * info.eps)
        (clipped,) = tm.optim.clip_by_global_norm([x], size)
        np.testing.assert_allclose(clipped.numpy() / size, [0.6, -0.8], rtol=16 * info.eps)


def test_the_length_of_complex_numbers_counts_their_moduli():
    assert tm.vector_norm(np.array([3j, 4.0])).item() == pytest.approx(5.0, rel=1e-15)


@pytest.mark.parametrize(
    "f",
    [
        lambda: tm.nn.batch_norm(np.ones((1, 4))),
        lambda: tm.nn.batch_norm(np.ones((1, 4, 1, 1))),
        lambda: tm.nn.group_norm(np.ones((2, 4)), 4),
        lambda: tm.nn.layer_norm(np.ones((2, 1))),
        lambda: tm.vmap(tm.nn.BatchNorm(4, dtype=float))(np.ones((3, 1, 4))),
    ],
)
def test_a_normalisation_over_one_number_is_refused(f):
    with pytest.raises(ValueError, match="would not depend"):
        f()


@pytest.mark.parametrize("transform", [tm.grad, tm.value_and_grad, tm.jacobian, tm.hessian])
def test_a_negative_argument_number_counts_from_the_last(transform):
    f = lambda a, b: a * b**3
    found, expected = (transform(f, argnums=k)(2.0, 3.0) for k in (-1, 1))
    assert tm.tree.map(float, found) == tm.tree.map(float, expected)
    for k in (2, -3):
        with pytest.raises(TypeError, match=f"positional argument {k}"):
            transform(f, argnums=k)(2.0, 3.0)


def test_an_argument_is_not_differentiated_twice():
    with pytest.raises(TypeError, match="twice"):
        tm.grad(lambda a, b: a * b, argnums=(1, -1))(2.0, 3.0)


def test_an_empty_array_has_numpys_reductions():
    x = np.zeros((2, 0))
    with np.errstate(invalid="ignore"):
        assert np.isnan(tm.mean(x, 1).numpy()).all() and np.isnan(tm.std(x, 1).numpy()).all()
    assert tm.prod(x, 1).tolist() == [1.0, 1.0]
    assert tm.grad(lambda x: tm.sum(tm.sum(x, 1)))(x).shape == (2, 0)
    for f in (tm.max, tm.min, tm.argmax):
        with pytest.raises(ValueError, match="zero-size|empty"):
            f(x, 1)
    assert (
        tm.nn.max_pool2d(np.zeros((0, 1, 4, 4))).shape == tm.nn.avg_pool2d(np.zeros((0, 1, 4, 4))).shape == (0, 1, 2, 2)
    )
    for f in (tm.nn.max_pool2d, tm.nn.avg_pool2d):
        assert tm.grad(lambda x, f=f: f(x).sum())(np.zeros((0, 1, 4, 4))).shape == (0, 1, 4, 4)


@pytest.mark.parametrize("learner", [tm.meta.ProtoNet, tm.meta.MatchingNet])
def test_a_class_without_a_support_example_is_named_eager_and_compiled(learner):
    x, labels = np.random.default_rng(0).normal(size=(1, 3, 2)), np.array([[0, 1, 2]])
    episode = tm.tasks.Episode((x, labels), (x, labels))
    phi = tm.nn.Linear(2, 4, rng=np.random.default_rng(0), dtype=float)
    right, wrong = learner(ways=3), learner(ways=5)
    assert np.isfinite(float(right(phi, episode)))
    with pytest.raises(ValueError, match=r"no example of \[3, 4\]"):
        wrong(phi, episode)
    compiled = tm.compile(right.__call__)
    missing = tm.tasks.Episode((x, np.array([[0, 1, 1]])), (x, labels))
    compiled(phi, episode)
    with pytest.raises(ValueError, match=r"no example of \[2\]"):
        compiled(phi, missing)
