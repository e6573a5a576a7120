"""A model is a pytree: its arrays are leaves, all else is static, and its gradient is a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm


class Gate(tm.nn.Module):
    def __init__(self, rng: np.random.Generator, name: str = "gate") -> None:
        self.name = name
        self.inner = tm.nn.Linear(2, 2, rng=rng, dtype=np.float64)
        self.scales = {"a": tm.tensor([1.0]), "b": tm.tensor([2.0])}

    def __call__(self, x: Any) -> Any:
        return self.inner(x) * self.scales["a"] + self.scales["b"]


def model() -> Gate:
    return Gate(np.random.default_rng(0))


def test_the_leaves_are_named_by_their_place() -> None:
    assert tm.tree.paths(model()) == ["inner.weight", "inner.bias", "scales.a", "scales.b"]


def test_a_weight_beside_what_is_none_is_a_leaf_all_the_same() -> None:
    class Mixed(tm.nn.Module):
        def __init__(self) -> None:
            self.nothing, self.mixed = (), {"w": tm.tensor(2.0), "times": 3}

    assert tm.tree.paths(Mixed()) == ["mixed.times", "mixed.w"]
    assert tm.tree.paths(Mixed())[0:2] == tm.tree.paths(tm.tree.map(lambda p: p, Mixed()))


def test_a_gradient_is_a_model_that_can_be_subtracted() -> None:
    x, before = np.ones((3, 2)), model()
    loss = lambda m: tm.mean(m(x) ** 2)
    after = tm.tree.map(lambda p, g: p - 0.01 * g, before, tm.grad(loss)(before))
    assert type(after) is Gate and after.name == "gate"
    assert float(loss(after)) < float(loss(before))


def test_models_that_differ_in_a_static_attribute_do_not_fit_together() -> None:
    with pytest.raises(ValueError, match="differ"):
        tm.tree.map(lambda a, b: a, model(), Gate(np.random.default_rng(0), "other"))


def test_a_model_prints_its_arrays_and_their_number() -> None:
    text = repr(model())
    assert "Gate(8 numbers)" in text and "inner.weight: (2, 2) float64" in text


def test_a_module_without_a_call_says_so() -> None:
    class Silent(tm.nn.Module):
        pass

    with pytest.raises(TypeError, match="Silent defines no __call__"):
        Silent()(1.0)


def test_every_name_of_the_public_list_is_there() -> None:
    names = (
        "relu sigmoid gelu softmax log_softmax cross_entropy mse_loss bce_with_logits kl_div conv2d max_pool2d "
        "avg_pool2d batch_norm Module Linear Conv2d BatchNorm LayerNorm Embedding Dropout LSTMCell GRUCell "
        "MultiHeadAttention Sequential MLP"
    )
    assert [n for n in names.split() if not hasattr(tm.nn, n)] == []
