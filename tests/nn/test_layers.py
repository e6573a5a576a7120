"""Layers compute what their docstrings say, take any leading axes, and refuse wrong shapes with the fix."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import tinymeta as tm


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_linear_layer_multiplies_the_last_axis() -> None:
    layer = tm.nn.Linear(3, 2, rng=rng(), dtype=np.float64)
    layer.bias = tm.tensor([1.0, -1.0])
    x = rng().normal(size=(4, 5, 3))
    np.testing.assert_allclose(layer(x).numpy(), x @ layer.weight.numpy() + [1.0, -1.0], rtol=1e-14)
    assert layer(x[0, 0]).shape == (2,)
    assert tm.nn.Linear(3, 2, rng=rng(), bias=False).bias is None


def test_a_linear_layer_refuses_images_and_says_how_to_flatten_them() -> None:
    with pytest.raises(ValueError, match=r"Linear\(784, 10\) needs x of shape \(…, 784\).*reshape"):
        tm.nn.Linear(784, 10, rng=rng())(np.zeros((5, 28, 28), np.float32))


def test_an_embedding_looks_rows_up_and_adds_gradients_of_repeated_ones() -> None:
    layer = tm.nn.Embedding(4, 2, rng=rng(), dtype=np.float64)
    ids = np.array([[1, 1], [3, 0]])
    np.testing.assert_array_equal(layer(ids).numpy(), layer.weight.numpy()[ids])
    grads = tm.grad(lambda m: tm.sum(m(ids)))(layer)
    np.testing.assert_array_equal(grads.weight.numpy(), [[1, 1], [2, 2], [0, 0], [1, 1]])


def test_dropout_does_nothing_without_a_generator() -> None:
    x = tm.tensor(rng().normal(size=(3, 4)))
    np.testing.assert_array_equal(tm.nn.Dropout(0.5)(x).numpy(), x.numpy())


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    y = tm.nn.Dropout(0.25)(tm.tensor(np.ones(100_000)), rng()).numpy()
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    assert abs((y == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 100_000)  # five standard deviations


def test_every_example_of_a_vmap_drops_its_own_entries() -> None:
    drop = tm.nn.Dropout(0.5)
    y = tm.vmap(lambda x: drop(x, rng()))(np.ones((2, 50))).numpy()
    assert (y[0] != y[1]).any()


def _masks(y: Any) -> int:
    """How many different rows there are."""
    return len(np.unique(y.numpy().reshape(-1, y.shape[-1]), axis=0))


def test_examples_drop_their_own_entries_also_of_what_they_share() -> None:
    # 50 entries: two of 6 examples agree by chance once in 2⁵⁰/15 times.
    drop, shared, x = tm.nn.Dropout(0.5), tm.tensor(np.ones(50)), np.ones((2, 3))
    outer = lambda f: tm.vmap(tm.vmap(f))(x)
    assert _masks(outer(lambda x: drop(shared, rng()))) == 6
    assert _masks(outer(lambda x: tm.grad(lambda w: tm.sum(drop(w, rng())) * x)(shared))) == 6
    assert _masks(tm.vmap(lambda row: tm.vmap(lambda x: drop(row[0] * shared, rng()))(row))(x)) == 6
    assert _masks(tm.vmap(lambda x, y: drop(shared, rng()), in_axes=(None, 1))(x, x)) == 3


def test_the_gradient_of_what_examples_share_is_their_masks_sum() -> None:
    drop, x = tm.nn.Dropout(0.25), np.arange(1.0, 5.0)
    rows = tm.vmap(lambda x: drop(tm.tensor(np.ones(7)), rng()) * x)(x).numpy()
    total = tm.grad(lambda w: tm.sum(tm.vmap(lambda x: drop(w, rng()) * x)(x)))(np.ones(7)).numpy()
    np.testing.assert_allclose(total, rows.sum(0), rtol=1e-15)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_that_is_no_probability_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        tm.nn.Dropout(rate)


def test_sequential_applies_its_layers_in_order_and_hands_the_generator_on() -> None:
    model = tm.nn.Sequential(tm.nn.Linear(2, 2, rng=rng()), tm.relu, tm.nn.Sequential(tm.nn.Dropout(0.5)))
    x = np.ones((40, 2), np.float32)
    plain = model.layers[0](x).numpy()
    np.testing.assert_array_equal(model(x).numpy(), np.maximum(plain, 0))
    assert (model(x, rng()).numpy() != model(x).numpy()).any()


def test_an_mlp_is_linear_layers_with_an_activation_between_them() -> None:
    model = tm.nn.MLP([3, 5, 4, 2], rng=rng(), activation=tm.tanh, dtype=np.float64)
    x = rng().normal(size=(6, 3))
    y = x
    for layer in model.layers:
        y = np.tanh(y @ layer.weight.numpy() + layer.bias.numpy())
    np.testing.assert_allclose(model.features(x).numpy(), y, rtol=1e-14)
    np.testing.assert_allclose(model(x).numpy(), y @ model.head.weight.numpy() + model.head.bias.numpy(), rtol=1e-14)


def test_an_mlp_normalises_before_its_activation() -> None:
    model = tm.nn.MLP([3, 4, 2], rng=rng(), norm=True, dtype=np.float64)
    z = rng().normal(size=(6, 3)) @ model.layers[0].weight.numpy()
    z = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
    np.testing.assert_allclose(model.features(rng().normal(size=(6, 3))).numpy(), np.maximum(z, 0), atol=1e-12)


def test_an_mlp_of_two_sizes_is_one_linear_layer_and_of_one_none_at_all() -> None:
    model = tm.nn.MLP([3, 2], rng=rng())
    assert model.layers == []
    assert model(np.ones((1, 3), np.float32)).shape == (1, 2)
    with pytest.raises(ValueError, match=r"\[inputs, outputs\]"):
        tm.nn.MLP([3], rng=rng())


def smooth_mlp(norm: bool) -> Any:
    return tm.nn.MLP([3, 4, 2], rng=rng(), norm=norm, activation=tm.nn.gelu, dtype=np.float64)


MODELS: dict[str, Any] = {
    "Linear": (lambda: tm.nn.Linear(3, 2, rng=rng(), dtype=np.float64), (4, 3)),
    "MLP with batch norm": (lambda: smooth_mlp(norm=True), (4, 3)),
    "LayerNorm": (lambda: tm.nn.LayerNorm(3, dtype=np.float64), (4, 3)),
    "GroupNorm": (lambda: tm.nn.GroupNorm(2, 4, dtype=np.float64), (2, 4, 3)),
    "BatchNorm of maps": (lambda: tm.nn.BatchNorm(2, dtype=np.float64), (3, 2, 2, 2)),
    "Conv2d": (lambda: tm.nn.Conv2d(2, 3, 2, rng=rng(), dtype=np.float64), (2, 2, 3, 3)),
    "MultiHeadAttention": (lambda: tm.nn.MultiHeadAttention(4, 2, rng=rng(), dtype=np.float64), (3, 4)),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_layer_has_right_first_and_second_derivatives_in_weights_and_input(name: str) -> None:
    make, shape = MODELS[name]
    x = rng().normal(size=shape)
    tm.testing.check_grad(lambda model, x: tm.sin(model(x)), make(), x, order=2, elements=8)


@pytest.mark.parametrize("name", MODELS)
def test_a_layer_under_vmap_is_the_layer_in_a_loop(name: str) -> None:
    make, shape = MODELS[name]
    model, x = make(), rng().normal(size=(3, *shape))
    together = tm.vmap(model)(x).numpy()
    for i in range(3):
        np.testing.assert_allclose(together[i], model(x[i]).numpy(), rtol=1e-12, atol=1e-13)


MADE: dict[str, Any] = {
    "Linear": (3, 2),
    "Embedding": (3, 2),
    "Conv2d": (2, 3, 2),
    "ResidualBlock": (2, 8, 2),
    "ConvNet4": (3,),
    "BatchNorm": (2,),
    "FrozenBatchNorm": (2,),
    "LayerNorm": (2,),
    "GroupNorm": (1, 2),
    "LSTMCell": (3, 2),
    "GRUCell": (3, 2),
    "LSTM": (3, 2),
    "GRU": (3, 2),
    "MultiHeadAttention": (4, 2),
    "MLP": ([3, 4, 4, 2],),
}


def taking(name: str) -> list[str]:
    """The layers that are made with this."""
    layers = {key: x for key, x in vars(tm.nn).items() if isinstance(x, type) and issubclass(x, tm.nn.Module)}
    return [key for key, layer in layers.items() if name in inspect.signature(layer).parameters]


def made(layer: str, **how: Any) -> Any:
    """One of these layers, with all that it may have."""
    known = inspect.signature(getattr(tm.nn, layer)).parameters
    given = {"rng": rng(), "norm": True if layer == "MLP" else tm.nn.BatchNorm, **how}
    return getattr(tm.nn, layer)(*MADE[layer], **{key: x for key, x in given.items() if key in known})


@pytest.mark.parametrize("layer", taking("dtype"))
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_all_weights_of_a_layer_are_of_the_dtype_that_was_asked_for(layer: str, dtype: Any) -> None:
    assert {leaf.dtype for leaf in tm.tree.leaves(made(layer, dtype=dtype))} == {np.dtype(dtype)}


@pytest.mark.parametrize("layer", taking("weight_init"))
def test_all_weights_of_a_layer_but_a_conv_nets_head_are_drawn_as_was_asked_for(layer: str) -> None:
    sevens = lambda rng, shape, *fans_and_dtype: tm.tensor(np.full(shape, 7.0))
    model = made(layer, weight_init=sevens, dtype=float)
    other = ("norms.", "head.weight" if layer == "ConvNet4" else "no such part")
    leaves = dict(zip(tm.tree.paths(model), tm.tree.leaves(model)))
    drawn = [x for path, x in leaves.items() if path.endswith("weight") and not path.startswith(other)]
    assert drawn and all(bool(tm.all(x == 7)) for x in drawn)


def test_the_weights_of_attention_are_glorots() -> None:
    model = tm.nn.MultiHeadAttention(32, 2, rng=rng())
    largest = [float(tm.max(tm.abs(part.weight))) for part in (model.query, model.key, model.value, model.out)]
    assert all(0.99 * (3 / 32) ** 0.5 < each <= (3 / 32) ** 0.5 for each in largest)  # uniform up to √(6/(32 + 32))


def test_dropout_at_a_rate_of_0_does_nothing_and_draws_nothing() -> None:
    x, used = tm.tensor(np.ones(3)), rng()
    assert tm.nn.Dropout(0.0)(x, used) is x and used.random() == rng().random()
