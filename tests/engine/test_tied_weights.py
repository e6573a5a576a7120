"""A Tensor in two places of a model is one leaf, and stays one through whatever is done to the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.engine import tree

X = np.array([[0.5, -1.0], [2.0, 0.3], [0.1, 0.7]])


class Layers(tm.nn.Module):
    """Square layers one after the other, some of them the same as an earlier one (`same[k]`, up to k)."""

    def __init__(self, same: list[int], whole: bool = True) -> None:
        rng = np.random.default_rng(0)
        self.layers: list[Any] = []
        for k, earlier in enumerate(same):
            if earlier == k or not whole:
                self.layers.append(tm.nn.Linear(2, 2, rng=rng, dtype=float))
            if earlier != k and whole:
                self.layers.append(self.layers[earlier])
            elif earlier != k:  # the layers are two, their weight is one
                self.layers[k].weight = self.layers[earlier].weight

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = tm.tanh(layer(x))
        return x


class Once(tm.nn.Module):
    """The same function with every shared layer held once."""

    def __init__(self, same: list[int]) -> None:
        whole = Layers(same)
        self.layers = {str(k): whole.layers[k] for k in set(same)}
        self.same = same

    def __call__(self, x: Any) -> Any:
        for k in self.same:
            x = tm.tanh(self.layers[str(k)](x))
        return x


def loss(model: Any, x: Any = X) -> Any:
    return tm.mean(tm.square(model(x)))


ties = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(
    lambda xs: (
        lambda roots: [roots[k] if roots[k] < k and roots[roots[k]] == roots[k] else k for k in range(len(xs))]
    )(xs)
)


@given(same=ties, steps=st.integers(1, 3))
def test_training_a_tied_model_is_training_the_model_that_holds_each_layer_once(same: list[int], steps: int) -> None:
    model, once = Layers(same), Once(same)
    assert len(tm.tree.leaves(model)) == len(tm.tree.leaves(once)) == 2 * len(set(same))
    rule = tm.optim.Adam(0.1)
    state, its = rule.init(model), rule.init(once)
    for _ in range(steps):
        model, state = rule.update(tm.grad(loss)(model), state, model)
        once, its = rule.update(tm.grad(loss)(once), its, once)
    for k, earlier in enumerate(same):
        assert model.layers[k].weight is model.layers[earlier].weight
        right = once.layers[str(earlier)].weight.numpy()
        np.testing.assert_allclose(model.layers[k].weight.numpy(), right, rtol=1e-12)


def test_two_layers_with_one_weight_keep_it_and_their_own_biases() -> None:
    model = Layers([0, 0], whole=False)
    assert tm.tree.paths(model) == ["layers.0.weight", "layers.0.bias", "layers.1.bias"]
    for _ in range(2):
        model = tm.tree.map(lambda p, g: p - 0.1 * g, model, tm.grad(loss)(model))
    assert model.layers[0].weight is model.layers[1].weight and model.layers[0].bias is not model.layers[1].bias


def test_an_inner_model_that_is_taken_out_keeps_its_ties() -> None:
    class Outer(tm.nn.Module):
        def __init__(self) -> None:
            self.first, self.body = tm.nn.Linear(2, 2, rng=np.random.default_rng(1), dtype=float), Layers([0, 0])

    model = tm.tree.map(lambda p: p + 0, Outer())
    body = tm.tree.map(lambda p: p + 1, model.body)
    assert len(tm.tree.leaves(body)) == 2 and body.layers[0].weight is body.layers[1].weight


def test_a_tree_of_equal_values_made_from_a_model_is_not_tied() -> None:
    model, rate = Layers([0, 1]), tm.tensor(0.1)
    rates = tm.tree.map(lambda p: rate, model)
    assert len(tm.tree.leaves(rates)) == 4
    tm.tree.map(lambda p, r: p - r, model, rates)


def test_numbers_in_place_of_tied_weights_stay_one_leaf() -> None:
    model = Layers([0, 0])
    rates = tm.tree.map(lambda p: 0.1, model)
    assert tm.tree.leaves(rates) == [0.1, 0.1]
    tm.tree.map(lambda p, r: p - r, model, rates)


def test_in_other_containers_each_place_is_a_leaf_of_its_own() -> None:
    x = tm.tensor([1.0, 2.0])
    for pair in ([x, x], (x, x), {"a": x, "b": x}):
        first, second = tm.tree.leaves(
            tm.grad(lambda p: tm.sum(tm.tree.leaves(p)[0] ** 2 * tm.tree.leaves(p)[1]))(pair)
        )
        assert np.array_equal(first.numpy(), [2.0, 8.0]) and np.array_equal(second.numpy(), [1.0, 4.0])


def test_ties_survive_adaptation_compilation_batching_and_a_file(tmp_path: Path) -> None:
    model = Layers([0, 0])
    adapted = tm.meta.adapt(lambda m, x: loss(m, x), model, X, rule=tm.optim.SGD(0.1), steps=2)
    assert adapted.layers[0].weight is adapted.layers[1].weight
    meta = tm.grad(lambda m: loss(tm.meta.adapt(loss, m, X, rule=tm.optim.SGD(0.1), steps=2)))
    right = tm.tree.leaves(meta(model))
    for a, b in zip(tm.tree.leaves(tm.compile(meta)(model)), right):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10)
    each = tm.vmap(tm.grad(loss), in_axes=(None, 0))(model, X[:, None])
    assert each.layers[0].weight is each.layers[1].weight and each.layers[0].weight.shape == (3, 2, 2)
    tm.save(tmp_path / "model.npz", adapted)
    loaded = tm.load(tmp_path / "model.npz", model)
    assert loaded.layers[0].weight is loaded.layers[1].weight
    with pytest.raises(ValueError, match="tied weights"):
        tm.vmap(loss, in_axes=(tm.tree.map(lambda p: 0, model), None))(each, X)


class Held(tm.nn.Module):
    """Some attributes; the value of the model is their product, each to a power of its own."""

    def __call__(self) -> Any:
        places = sorted(item for item in vars(self).items() if len(item[0]) == 1)
        return sum((tm.sum(x ** (2 + NAMES.index(name))) for name, x in places), tm.tensor(0.0))


NAMES = "abcd"
changes = st.lists(
    st.one_of(
        st.tuples(st.just("new"), st.sampled_from(NAMES), st.just("")),
        st.tuples(st.just("tie"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
        st.tuples(st.just("delete"), st.sampled_from(NAMES), st.just("")),
        st.tuples(st.just("train"), st.just(""), st.just("")),
    ),
    max_size=8,
)


@given(changes=changes)
def test_weights_are_tied_by_what_stands_in_their_places_now(changes: list[tuple[str, str, str]]) -> None:
    """A trained model has the gradients of a fresh one to which the same was done, added, deleted and tied."""
    fresh, other, value = Held(), Held(), 1.0
    for model in (fresh, other):
        model.a = model.b = tm.tensor(1.0)
    for what, name, another in changes:
        value += 0.125
        for model in (fresh, other):
            if what == "new":
                setattr(model, name, tm.tensor(value))
            elif what == "tie" and hasattr(model, another):
                setattr(model, name, getattr(model, another))
            elif what == "delete" and hasattr(model, name):
                delattr(model, name)
        if what == "train":
            other = tm.tree.map(lambda p: p * 1.0, other)
    gradient = tm.grad(lambda m: m())
    right = {n: g for n, g in vars(gradient(fresh)).items() if n in NAMES}
    for found in (gradient(other), tm.compile(gradient)(other)):
        assert {n: g.item() for n, g in vars(found).items() if n in NAMES} == {n: g.item() for n, g in right.items()}


@pytest.mark.parametrize("same", [[0, 1], [0, 0], [0, 1, 0]])
def test_one_tensor_put_into_places_that_are_not_tied_ties_them_in_no_model_around(same: list[int]) -> None:
    model, rate = Layers(same), tm.tensor([0.1, 0.2])
    rates = tm.tree.map(lambda p: rate, model)
    assert tm.tree.flatten(rates)[1] == tm.tree.flatten(model)[1]
    around = Held()
    around.a, around.b = rates, rate  # a place of its own, but for what stands there
    assert len(tm.tree.leaves(around)) == len(tm.tree.leaves(model))
    rates.layers[1].bias = tm.tensor([0.3, 0.4])
    rates.layers[0].bias = rates.layers[1].bias
    assert tm.tree.paths(rates).count("layers.1.bias") == 0


def test_the_number_of_parameters_counts_a_tied_weight_once() -> None:
    assert "(6 numbers)" in repr(Layers([0, 0])).splitlines()[0]


def test_flattening_that_visits_both_places_is_caught(monkeypatch: Any) -> None:
    monkeypatch.setattr(tree, "_tied", lambda model, structure, *rest: structure)
    with pytest.raises(AssertionError):
        test_two_layers_with_one_weight_keep_it_and_their_own_biases()


class Part(tm.nn.Module):
    """Holds one weight twice."""

    def __init__(self, weight: Any) -> None:
        self.a, self.b = weight, weight


class Whole(tm.nn.Module):
    """A weight of its own before parts that have ties of theirs, in containers."""

    def __init__(self) -> None:
        self.first, self.parts = tm.tensor(1.0), [{"one": Part(tm.tensor(2.0))}, Part(tm.tensor(3.0))]
        self.last = self.parts[0]["one"].a


def test_ties_within_parts_of_a_model_are_those_of_the_whole() -> None:
    assert tree.paths(Whole()) == ["first", "parts.0.one.a", "parts.1.a"]
    doubled = tree.map(lambda p: p * 2, Whole())
    one, two = doubled.parts[0]["one"], doubled.parts[1]
    assert [float(p) for p in (doubled.first, one.a, one.b, two.a, two.b, doubled.last)] == [2, 4, 4, 6, 6, 4]
    assert one.a is one.b is doubled.last and two.a is two.b
