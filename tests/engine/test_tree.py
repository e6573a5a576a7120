"""Trees: apart and together again, whatever they are made of."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.engine import tree
from tinymeta.testing import reals
from tinymeta.testing.strategies import tensors, trees

numbers = st.integers(-5, 5)


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclasses.dataclass
class Layer:
    weight: Any
    bias: Any = None


def _same(a: Any, b: Any) -> bool:
    """Equal as trees, types of containers included."""
    return tree.flatten(a) == tree.flatten(b)


@given(t=trees(numbers))
def test_apart_and_together_is_the_same_tree(t: Any) -> None:
    leaves, structure = tree.flatten(t)
    again = tree.unflatten(structure, leaves)
    assert again == t and _same(again, t)


@given(t=trees(tensors(reals(-1, 1), shape=(2,))))
def test_tensors_are_leaves_and_come_back_themselves(t: Any) -> None:
    leaves, structure = tree.flatten(t)
    assert all(a is b for a, b in zip(leaves, tree.leaves(tree.unflatten(structure, leaves)), strict=True))


@given(t=trees(numbers))
def test_map_keeps_the_structure_and_composes(t: Any) -> None:
    doubled = tree.map(lambda x: 2 * x, t)
    assert tree.flatten(doubled)[1] == tree.flatten(t)[1]
    assert _same(tree.map(lambda x: x + 1, doubled), tree.map(lambda x: 2 * x + 1, t))
    assert _same(tree.map(lambda x, y: x + y, t, t), doubled)


@given(t=trees(numbers))
def test_every_leaf_has_a_path_of_its_own_that_leads_to_it(t: Any) -> None:
    names, leaves = tree.paths(t), tree.leaves(t)
    assert len(names) == len(set(names)) == len(leaves)
    for name, leaf in zip(names, leaves):
        place = t
        for key in name.split(".") if name else []:
            place = place[key] if isinstance(place, dict) else place[int(key)]
        assert place == leaf


@given(a=trees(numbers), b=trees(numbers))
def test_structures_are_equal_exactly_when_the_leaves_of_one_fit_the_other(a: Any, b: Any) -> None:
    (_, left), (_, right) = tree.flatten(a), tree.flatten(b)
    as_ones = [tree.unflatten(s, [1] * len(tree.leaves(t))) for s, t in ((left, a), (right, b))]
    assert (left == right) == (repr(as_ones[0]) == repr(as_ones[1]) or _same(*as_ones))


@given(t=trees(numbers))
def test_leaves_agree_with_optree(t: Any) -> None:
    optree = pytest.importorskip("optree", reason="optree is not installed: nothing to compare with")
    assert tree.leaves(t) == optree.tree_leaves(t, none_is_leaf=False)


def test_dicts_are_taken_in_the_order_of_their_keys_and_come_back_sorted() -> None:
    assert tree.leaves({"b": 2, "a": 1}) == [1, 2]
    assert tree.flatten({"b": 2, "a": 1})[1] == tree.flatten({"a": 1, "b": 2})[1]
    assert tree.leaves({1: "one", "a": "letter"}) == ["one", "letter"]  # keys that don't compare stay in order


def test_named_tuples_and_dataclasses_keep_their_class() -> None:
    t = [Pair(1, Layer(2)), Layer(Pair(3, 4), 5)]
    doubled = tree.map(lambda x: 2 * x, t)
    assert doubled == [Pair(2, Layer(4)), Layer(Pair(6, 8), 10)]
    assert tree.paths(t) == ["0.left", "0.right.weight", "1.weight.left", "1.weight.right", "1.bias"]


def test_a_class_can_say_how_it_is_taken_apart() -> None:
    class Scaled:
        def __init__(self, scale: float, value: Any) -> None:
            self.scale, self.value = scale, value

        def tree_flatten(self) -> tuple[Any, Any]:
            return self.scale, [self.value]

        @classmethod
        def tree_unflatten(cls, scale: float, children: Any) -> Scaled:
            return cls(scale, *children)

    (leaf,), structure = tree.flatten(Scaled(2.0, 7))
    again = tree.unflatten(structure, [leaf + 1])
    assert (again.scale, again.value) == (2.0, 8)
    assert tree.flatten(Scaled(3.0, 7))[1] != structure  # what is static belongs to the structure


def test_none_holds_no_leaf_and_an_array_is_one() -> None:
    assert tree.leaves([None, {"a": None}, ()]) == []
    (leaf,) = tree.leaves(np.ones((2, 2)))
    assert leaf.shape == (2, 2)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"a": [1, 2]}, r"'a': list of 3 against list of 2"),
        ({"a": [1, 2, {"b": 1}]}, r"'a\.2': a leaf against dict of 1"),
        ({"a": (1, 2, 3)}, r"'a': list of 3 against tuple of 3"),
    ],
)
def test_trees_that_do_not_fit_are_told_apart_by_place(other: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        tm.tree.map(lambda x, y: x, {"a": [1, 2, 3]}, other)


@pytest.mark.parametrize(("leaves", "says"), [([1], "too few"), ([1, 2, 3], "too many leaves: .* 2 and got 3")])
def test_a_wrong_number_of_leaves_is_an_error(leaves: list[int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        tree.unflatten(tree.flatten([1, 2])[1], leaves)
