"""What is put together from a container's leaves is that container: its order, its class, and what the class added."""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.engine import tree


class Tagged(list[Any]):
    def __init__(self, tag: str, *items: Any) -> None:
        super().__init__(items)
        self.tag = tag


class Named(dict[str, Any]):
    def __init__(self, tag: str, **items: Any) -> None:
        super().__init__(items)
        self.tag = tag


class Sorted(tuple[Any, ...]):
    def __new__(cls, *items: float) -> Sorted:
        return super().__new__(cls, sorted(items))


class Pair(NamedTuple):
    b: Any
    a: Any = None


@dataclasses.dataclass
class Doubled:
    value: Any
    more: Any = dataclasses.field(init=False, default=1.0)

    def __post_init__(self) -> None:
        self.value, self.more = 2.0 * self.value, self.value


@dataclasses.dataclass
class Scaled:
    value: Any
    scale: dataclasses.InitVar[float] = 2.0

    def __post_init__(self, scale: float) -> None:
        self.kept = scale


def undeclared(value: float, attribute: float) -> Scaled:
    made = Scaled(value, attribute)
    made.added = attribute  # type: ignore[attr-defined]
    return made


class Colour(enum.Enum):
    RED, GREEN, BLUE = 1, 2, 3


def with_tag(kind: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda items: kind("tag", *items) if kind is Tagged else kind("tag", **items)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Dicts in any order of keys, their like, and sequences, with `inner` in their places."""
    items = st.lists(inner, max_size=3)
    dicts = st.lists(st.tuples(st.sampled_from("edcba"), inner), max_size=4).map(dict)
    return st.one_of(
        items,
        items.map(tuple),
        items.map(with_tag(Tagged)),
        dicts,
        dicts.map(OrderedDict),
        dicts.map(with_tag(Named)),
        dicts.map(lambda d: defaultdict(float, d)),
        st.tuples(inner, inner).map(lambda ab: Pair(*ab)),
        st.lists(st.floats(-9, 9), max_size=3).map(lambda x: Sorted(*x)),
        st.dictionaries(st.sampled_from("cba"), st.integers(1, 9)).map(Counter),
        st.floats(-9, 9).map(Doubled),
        st.builds(undeclared, st.floats(-9, 9), st.floats(-9, 9)),
        st.lists(st.tuples(st.sampled_from(Colour), inner), max_size=3).map(dict),
    )


TREES = st.recursive(st.floats(-9, 9), containers, max_leaves=8).filter(lambda t: not isinstance(t, float))


def described(x: Any) -> Any:
    """A container as a loop over it and its attributes show it."""
    added = sorted((name, described(value)) for name, value in getattr(x, "__dict__", {}).items())
    if isinstance(x, dict):
        return type(x), [(k, described(v)) for k, v in x.items()], getattr(x, "default_factory", None), added
    if isinstance(x, (list, tuple)):
        return type(x), [described(v) for v in x], added
    return (type(x), added) if dataclasses.is_dataclass(x) else x


def numbers(x: Any) -> list[Any]:
    """The numbers of a container, in the order in which a loop comes upon them."""
    if isinstance(x, dict):
        return [n for v in x.values() for n in numbers(v)]
    if isinstance(x, (list, tuple)):
        return [n for v in x for n in numbers(v)]
    if isinstance(x, Scaled):
        return [x.value]
    return [x.value, x.more] if isinstance(x, Doubled) else [x]


@given(TREES)
def test_a_container_put_together_is_what_it_was(t: Any) -> None:
    leaves, structure = tree.flatten(t)
    assert described(tree.unflatten(structure, leaves)) == described(t)


@given(TREES)
def test_a_compiled_function_walks_through_a_container_as_an_eager_one(t: Any) -> None:
    def f(t: Any) -> Any:
        return [2.0 * x for x in numbers(t)], t

    doubled, same = tm.compile(f, check=False)(t)
    assert [x.item() for x in doubled] == [2.0 * x for x in numbers(t)]
    assert described(tm.tree.map(lambda x: x.item(), same)) == described(tm.tree.map(lambda x: 1 * x, t))


def test_keyword_arguments_in_another_order_are_another_program() -> None:
    f = tm.compile(lambda **given: tm.stack(list(given.values())))
    one, two = np.float64(1), np.float64(2)
    assert f(b=one, a=two).tolist() == [1, 2]
    assert f(a=two, b=one).tolist() == [2, 1]
    assert f(b=one, a=two).tolist() == [1, 2]


def test_what_a_container_has_besides_its_leaves_is_part_of_the_program() -> None:
    f = tm.compile(lambda d: d["a"] * (1.0 if type(d) is dict else d.tag))
    for tag in (2.0, 3.0, 2.0):
        d = Named("tag", a=np.ones(1))
        d.tag = tag  # type: ignore[assignment]
        assert f(d).tolist() == [tag]
        assert f(dict(d)).tolist() == [1.0]


def test_dicts_in_different_orders_fit_together() -> None:
    both = tree.map(lambda x, y: x + y, {"b": 1, "a": 2}, {"a": 10, "b": 20})
    assert list(both.items()) == [("b", 21), ("a", 12)]


def test_what_a_constructor_changes_and_derives_from_is_refused() -> None:
    @dataclasses.dataclass
    class Scaled:
        x: Any

        def __post_init__(self) -> None:
            self.x = 2.0 * self.x
            self.norm = abs(self.x)

    with pytest.raises(TypeError, match="changes its field x when it is made, and derives norm"):
        tree.map(lambda x: x, Scaled(1.0))


def test_an_array_that_is_no_field_and_is_not_derived_is_refused() -> None:
    made = Scaled(1.0)
    made.weight = np.ones(2)  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="Declare weight as a field"):
        tree.leaves(made)
