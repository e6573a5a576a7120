"""Fused layers and losses compute what their plain forms do, and are the same nodes whoever looks on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.nn import layers, losses
from tinymeta.ops.fused import cross_entropy_input, cross_entropy_rows, linear_relu

SIZES = st.sampled_from((0, 1, 2, 5))


def both(compute):
    """What `compute` gives with fused operations, and with their plain forms."""
    fused = compute()
    with pytest.MonkeyPatch.context() as patch:
        for module in (layers, losses):
            patch.setattr(module, "bind", lambda primitive, *xs, **static: primitive.plain(*xs, **static))
        with tm.trace() as t:
            plain = compute()
    assert not {s.op for s in t.steps} & {"linear_relu", "cross_entropy_rows", "cross_entropy_input"}
    return fused, plain


def agree(compute, dtype):
    fused, plain = both(compute)
    eps = np.finfo(dtype).eps
    for a, b in zip(tm.tree.leaves(fused), tm.tree.leaves(plain), strict=True):
        assert a.dtype == b.dtype == dtype and a.shape == b.shape
        # Sums of at most 5 terms, three layers and two derivatives deep.
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=200 * eps, atol=200 * eps)


def loss(weights, x, labels):
    z = x
    for w, b in weights[:-1]:
        layer = tm.nn.Linear(1, 1, rng=np.random.default_rng(0))
        layer.weight, layer.bias = w, b
        z = layer(z, tm.relu)
    w, b = weights[-1]
    return tm.nn.cross_entropy(z @ w + b, labels)


@st.composite
def networks(draw):
    dtype = draw(st.sampled_from((np.float32, np.float64)))
    rows, inputs, hidden = draw(SIZES), draw(SIZES), draw(SIZES)
    classes = draw(st.sampled_from((1, 3)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    sizes = [inputs, hidden, hidden, classes]
    lead = (rows,) if draw(st.booleans()) else (2, rows)

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    weights = [(normal(i, o), normal(o)) for i, o in zip(sizes, sizes[1:])]
    return dtype, weights, normal(*lead, inputs), rng.integers(0, classes, lead)


@given(case=networks())
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
def test_values_and_two_derivatives_agree(case):
    dtype, weights, x, labels = case
    agree(lambda: tm.grad(lambda w: tm.sum(loss_each(w, x, labels)))(weights), dtype)

    def meta(weights):
        inner = tm.grad(loss)(weights, x, labels)
        moved = tm.tree.map(lambda w, g: w - 0.1 * g, weights, inner)
        return loss(moved, x, labels)

    if labels.size:  # over no examples there is no mean
        agree(lambda: tm.value_and_grad(meta)(weights), dtype)


def loss_each(weights, x, labels):
    (w, b), *_, (head, bias) = weights
    return tm.nn.losses.cross_entropy_each(tm.relu(x @ w + b) @ head + bias, labels)


@given(tasks=SIZES.filter(bool), shared=st.booleans(), seed=st.integers(0, 99))
def test_tasks_with_their_own_or_shared_weights_agree(tasks, shared, seed):
    rng = np.random.default_rng(seed)
    lead = () if shared else (tasks,)
    weights = [(rng.standard_normal((*lead, i, o)), rng.standard_normal((*lead, o))) for i, o in ((3, 4), (4, 2))]
    x, labels = rng.standard_normal((tasks, 5, 3)), rng.integers(0, 2, (tasks, 5))
    axes = (None if shared else 0, 0, 0)
    agree(lambda: tm.vmap(tm.value_and_grad(loss), in_axes=axes)(weights, x, labels), np.float64)


def test_an_mlp_and_the_cross_entropy_use_them():
    rng = np.random.default_rng(0)
    network = tm.nn.MLP([3, 4, 2], rng=rng)
    x = tm.tensor(rng.standard_normal((5, 3)).astype(np.float32), requires_grad=True)
    assert network.features(x).primitive is linear_relu
    labels = np.array([0, 1, 2, 0, 1])
    assert tm.nn.losses.cross_entropy_each(x, labels).primitive is cross_entropy_rows
    gradient = tm.grad(lambda x: tm.sum(tm.nn.losses.cross_entropy_each(x, labels)))(x)
    assert gradient.primitive is cross_entropy_input


def test_a_step_has_the_same_nodes_whether_it_is_watched_or_not():
    rng = np.random.default_rng(0)
    network = tm.nn.MLP([8, 16, 5], rng=rng, dtype=np.float64)
    x, y = rng.standard_normal((20, 8)), rng.integers(0, 5, 20)

    def meta(network):
        def loss(m):
            return tm.nn.cross_entropy(m(x), y)

        return loss(tm.tree.map(lambda p, g: p - 0.1 * g, network, tm.grad(loss)(network)))

    def gradients():
        marked = tm.tree.map(lambda p: tm.tensor(p, requires_grad=True), network)
        return tm.gradient(meta(marked), tm.tree.leaves(marked))

    alone = gradients()
    with tm.trace() as t:
        watched = gradients()
    with tm.checked():
        checked = gradients()
    assert tm.orders(*alone) == tm.orders(*watched) == tm.orders(*checked)
    assert {"linear_relu", "relu_input", "cross_entropy_rows", "cross_entropy_input"} <= {s.op for s in t.steps}
    for other in (watched, checked):
        for a, b in zip(alone, other):
            np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_other_activations_no_bias_and_mixed_dtypes_take_the_plain_road():
    rng = np.random.default_rng(0)
    x = tm.tensor(rng.standard_normal((5, 3)), requires_grad=True)
    layer = tm.nn.Linear(3, 4, rng=rng)  # float32
    assert layer(x, tm.relu).primitive is not linear_relu
    assert layer(x, tm.relu).dtype == np.float64
    assert tm.nn.Linear(3, 4, rng=rng, bias=False, dtype=float)(x, tm.relu).primitive is not linear_relu
    np.testing.assert_array_equal(layer(x, tm.tanh).detach().numpy(), tm.tanh(layer(x)).detach().numpy())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_not_finite_stays_so(dtype):
    x = np.array([[np.nan, 1], [np.inf, 1], [-np.inf, 1]], dtype)
    layer = tm.nn.Linear(2, 2, rng=np.random.default_rng(0), dtype=dtype)
    layer.weight = np.eye(2, dtype=dtype)
    with np.errstate(invalid="ignore"):
        fused, plain = both(lambda: layer(x, tm.relu))
    np.testing.assert_array_equal(fused.numpy(), plain.numpy())
    logits = np.array([[-np.inf, 0, 1], [1000, -1000, 0]], dtype)
    fused, plain = both(lambda: tm.value_and_grad(tm.nn.cross_entropy)(logits, [2, 0]))
    for a, b in zip(fused, plain):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)


def test_a_lone_example_keeps_its_rank():
    layer = tm.nn.Linear(2, 3, rng=np.random.default_rng(0))
    x = np.ones(2, np.float32)
    assert layer(x, tm.relu).shape == (3,)
    np.testing.assert_allclose(layer(x, tm.relu), tm.relu(layer(x)), rtol=4 * np.finfo(np.float32).eps)


def test_a_lone_number_is_no_example():
    with pytest.raises(ValueError, match="needs x of shape"):
        tm.nn.Linear(2, 3, rng=np.random.default_rng(0))(1.0)
