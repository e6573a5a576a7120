"""What is assigned to a model counts, whether the model is fresh or was put together from leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.nn import module

X = np.array([1.0, 2.0])


class Net(tm.nn.Module):
    def __init__(self) -> None:
        self.w, self.rate, self.parts = tm.ones(2), 2.0, []

    def __call__(self, x: Any) -> Any:
        y = x * self.w * self.rate * getattr(self, "head", 1.0)
        for part in self.parts:
            y = y * part
        return tm.sum(y)


class Slotted(tm.nn.Module):
    __slots__ = ("__own", "k")

    def __init__(self) -> None:
        self.w, self.k, self.__own = tm.ones(2), 3.0, tm.tensor(2.0)

    def __call__(self, x: Any) -> Any:
        return tm.sum(x * self.w * self.k * self.__own)


class Layers(list[Any]):
    __slots__ = ("k",)
    k: float


class Named(dict[str, Any]):
    __slots__ = ("k",)
    k: float


def trained(model: Any) -> Any:
    return tm.tree.map(lambda a: a * 1.0, model)


def gradients(model: Any) -> dict[str, Any]:
    grads = tm.grad(lambda m: m(X))(model)
    return {path: np.asarray(g).tolist() for path, g in zip(tm.tree.paths(grads), tm.tree.leaves(grads))}


ASSIGNED = {
    "a new head": lambda m: setattr(m, "head", tm.tensor([3.0, 4.0])),
    "an array as a head": lambda m: setattr(m, "head", np.array([3.0, 4.0])),
    "a step size that becomes learned": lambda m: setattr(m, "rate", tm.tensor(5.0)),
    "one more in a list": lambda m: m.parts.append(tm.tensor([3.0, 4.0])),
    "a list": lambda m: setattr(m, "parts", [tm.tensor([3.0, 4.0]), tm.tensor(0.5)]),
    "another weight": lambda m: setattr(m, "w", tm.tensor([7.0, 8.0])),
    "a number": lambda m: setattr(m, "rate", 7.0),
}


@given(steps=st.lists(st.sampled_from(sorted(ASSIGNED)), min_size=1, max_size=4), again=st.booleans())
def test_a_trained_model_takes_what_is_assigned_as_a_fresh_one_does(steps: list[str], again: bool) -> None:
    fresh, other = Net(), trained(Net())
    for name in steps:
        other = trained(other) if again else other
        ASSIGNED[name](fresh)
        ASSIGNED[name](other)
    # A number in a parameter's place is a leaf of the trained model, and static in the fresh one.
    assume(not {"a number", "a step size that becomes learned"} <= set(steps))
    assert gradients(other) == gradients(fresh)


def test_a_parameter_that_was_deleted_is_gone() -> None:
    model = Net()
    model.head = tm.tensor(1.5)
    model = trained(model)
    del model.head
    assert tm.tree.paths(trained(model)) == ["w"]


def test_an_optimizer_moves_the_new_parameter_and_vmap_maps_it() -> None:
    model, rule = trained(Net()), tm.optim.SGD(0.1)
    model.head = tm.tensor([3.0, 4.0])
    moved, _ = rule.update(tm.grad(lambda m: m(X))(model), rule.init(model), model)
    np.testing.assert_allclose(moved.head.numpy(), [3.0 - 0.2, 4.0 - 0.4])
    several = tm.tree.map(lambda a: np.stack([a, a]), Net())
    several.rate = np.array([1.0, 2.0])
    assert tm.vmap(lambda m: m(X))(several).tolist() == [3.0, 6.0]


def test_ties_stay_when_a_model_with_tied_weights_gets_a_parameter() -> None:
    model = Net()
    model.head = model.w
    model = trained(model)
    model.parts = [tm.tensor([3.0, 4.0])]
    fresh = Net()
    fresh.head, fresh.parts = fresh.w, [tm.tensor([3.0, 4.0])]
    assert gradients(model) == gradients(fresh) == {"w": [12.0, 32.0], "parts.0": [2.0, 4.0]}
    assert trained(model).head is not Net().w and len(tm.tree.leaves(trained(trained(model)))) == 2


@pytest.mark.parametrize("make", [lambda: Slotted(), lambda: trained(Slotted())])
def test_slots_of_a_model_are_attributes_like_others(make: Any) -> None:
    assert gradients(make()) == {"w": [6.0, 12.0], "_Slotted__own": 9.0}
    assert tm.compile(lambda m: m(X))(make()).item() == 18.0


def test_slots_of_containers_are_kept() -> None:
    layers, named = Layers([X]), Named(a=X)
    layers.k = named.k = 3.0
    assert tm.grad(lambda t: tm.sum(t[0] * t.k))(layers)[0].tolist() == [3.0, 3.0]
    found = tm.vmap(lambda t: tm.sum(t["a"] * t.k))(tm.tree.map(lambda a: a[None], named))
    assert found.tolist() == [9.0]
    assert tm.tree.map(lambda a: a, layers).k == tm.tree.map(lambda a: a, named).k == 3.0


def test_a_model_that_is_closed_to_new_parameters_is_caught(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_holds_arrays", lambda value: isinstance(value, tm.Tensor) and value.shape == (2,))
    with pytest.raises(AssertionError):
        test_an_optimizer_moves_the_new_parameter_and_vmap_maps_it()
