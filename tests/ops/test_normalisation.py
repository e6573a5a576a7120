"""Batch, layer and group norm against their formula, at every order, with and without scale and shift."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tests.ops.drawn_arrays import arrays, same, vmap_is_a_loop

RNG = np.random.default_rng(7)


def by_formula(x, axes, weight, bias, eps):
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return weight * (x - mean) / np.sqrt(var + eps) + bias


@pytest.mark.parametrize(
    ("shape", "axes", "per_channel"),
    [((5, 3), (0,), (3,)), ((4, 3, 2, 2), (0, 2, 3), (3, 1, 1)), ((4, 3, 5), (0, 2), (3, 1))],
)
@given(data=st.data())
def test_batch_norm_is_its_formula(shape, axes, per_channel, data):
    x = data.draw(arrays(shape))
    weight, bias = (data.draw(arrays((shape[1],), x.dtype)) for _ in range(2))
    found = tm.batch_norm(x, weight, bias, eps=0.1)
    same(found, by_formula(x, axes, weight.reshape(per_channel), bias.reshape(per_channel), x.dtype.type(0.1)), 40)
    same(tm.batch_norm(x, eps=0.1), by_formula(x, axes, x.dtype.type(1), x.dtype.type(0), x.dtype.type(0.1)), 40)


def test_a_vector_is_no_batch_to_normalise():
    with pytest.raises(ValueError, match="batch"):
        tm.batch_norm(np.ones(6))


def test_layer_norm_is_its_formula():
    x = RNG.normal(size=(2, 3, 4))
    one, two = RNG.normal(size=4), RNG.normal(size=(3, 4))
    same(tm.layer_norm(x, one, one), by_formula(x, (2,), one, one, 1e-5), 40)
    same(tm.layer_norm(x, two, two, axes=2), by_formula(x, (1, 2), two, two, 1e-5), 40)


def test_group_norm_is_its_formula_and_normalises_each_example_alone():
    x, w = RNG.normal(size=(2, 4, 3, 3)), RNG.normal(size=4)
    grouped = by_formula(x.reshape(2, 2, 2, 3, 3), (2, 3, 4), 1, 0, 1e-5).reshape(x.shape)
    same(tm.group_norm(x, 2, w, w), w[:, None, None] * grouped + w[:, None, None], 60)
    same(tm.group_norm(x, 4), by_formula(x, (2, 3), 1, 0, 1e-5), 60)


NORMS = {
    "batch norm of vectors": (lambda x, w, b: tm.batch_norm(x, w, b, 0.1), (5, 3), (3,)),
    "batch norm of images": (lambda x, w, b: tm.batch_norm(x, w, b, 0.1), (3, 2, 2, 2), (2,)),
    "layer norm": (lambda x, w, b: tm.layer_norm(x, w, b, 0.1), (2, 4), (4,)),
    "layer norm of two axes": (lambda x, w, b: tm.layer_norm(x, w, b, 0.1, axes=2), (2, 2, 3), (2, 3)),
    "group norm": (lambda x, w, b: tm.group_norm(x, 2, w, b, 0.1), (2, 4, 3), (4,)),
}


@pytest.mark.parametrize(("f", "shape", "affine"), NORMS.values(), ids=NORMS.keys())
def test_normalisation_is_right_at_orders_one_to_three(f, shape, affine):
    x, w, b = RNG.normal(size=shape), RNG.normal(size=affine), RNG.normal(size=affine)
    tm.testing.check_grad(lambda x, w, b: tm.sin(f(x, w, b)), x, w, b, order=3, elements=12, rtol=1e-8)


@pytest.mark.parametrize(("f", "shape", "affine"), NORMS.values(), ids=NORMS.keys())
def test_vmap_of_normalisation_is_a_loop(f, shape, affine):
    x, w, b = RNG.normal(size=(3, *shape)), RNG.normal(size=(3, *affine)), RNG.normal(size=affine)
    vmap_is_a_loop(f, (x, w, b), (0, 0, None))
    vmap_is_a_loop(f, (x[0], w, b), (None, 0, None))
    vmap_is_a_loop(f, (x, w[0], b), (0, None, None))


def test_the_fourth_derivative_of_normalisation_is_that_of_its_formula():
    def composed(x):
        centred = x - tm.mean(x)
        return centred / tm.sqrt(tm.mean(centred * centred) + 0.1)

    def fourth(f):
        weights = np.arange(1.0, 4.0)
        once = lambda g: lambda x: (tm.grad(g)(x) * weights**0.5).sum()
        return tm.grad(once(once(once(lambda x: (tm.sin(f(x)) * weights).sum()))))(x).numpy()

    x = np.array([0.2, -1.0, 0.7])
    found, expected = fourth(lambda x: tm.layer_norm(x, eps=0.1)), fourth(composed)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())


def test_a_constant_batch_is_normalised_to_zero_with_finite_gradients():
    x = np.full((3, 2), 1.5)
    assert not tm.batch_norm(x).numpy().any()
    curvature = tm.hessian(lambda t: (tm.batch_norm(t) ** 3 + tm.batch_norm(t)).sum())(x).numpy()
    assert np.isfinite(curvature).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tm.batch_norm(np.ones((4, 3)), np.ones(4)), r"weight of shape \(4,\)"),
        (lambda: tm.batch_norm(np.ones((4, 3)), np.ones(3), np.ones((1, 3))), "bias"),
        (lambda: tm.layer_norm(np.ones(3), axes=2), "last 2 axes"),
        (lambda: tm.group_norm(np.ones((2, 3)), 2), "2 groups"),
    ],
)
def test_parameters_that_do_not_fit_are_explained(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "test_normalisation.py" in str(caught.value)
