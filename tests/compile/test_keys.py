"""Keys of static values: two are equal just if no function could tell the values apart."""

from __future__ import annotations

import datetime
import functools
import operator
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.compile.key import frozen, leaves_like, of_structure, says_all

HOURS = [datetime.timezone(datetime.timedelta(hours=h)) for h in (0, 1)]
ZEROS = st.sampled_from([0.0, -0.0, 1.0])
SCALARS = st.one_of(
    st.sampled_from([0, 1, 2, True, False, None, ..., "a", b"a", np.float32(1), np.int8(1), np.float64(1), np.True_]),
    ZEROS,
    st.builds(complex, ZEROS, ZEROS),
    st.builds(range, st.integers(0, 1), st.integers(0, 4), st.integers(1, 2)),
    st.builds(slice, st.integers(0, 1), st.sampled_from([None, 1, True])),
    st.sampled_from(
        [Decimal("1.0"), Decimal("1.00"), Fraction(1), PurePosixPath("a"), np.dtype("f4"), np.dtype(">f4")]
    ),
    st.builds(lambda h: datetime.datetime(2000, 1, 1, 10 + h, tzinfo=HOURS[h]), st.integers(0, 1)),
)
HASHED = st.one_of(st.integers(0, 24).map(lambda n: 8 * n), ZEROS)
FACTORIES = st.sampled_from([int, float])


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    items = st.lists(inner, max_size=2)
    dicts = st.lists(st.tuples(st.sampled_from("ab"), inner), max_size=2).map(dict)
    return st.one_of(
        items,
        items.map(tuple),
        dicts,
        dicts.map(OrderedDict),
        st.builds(defaultdict, FACTORIES, dicts),
        st.builds(deque, items, st.sampled_from([2, 3, None])),
    )


STATIC = st.one_of(
    st.recursive(SCALARS, _containers, max_leaves=3), st.lists(HASHED).map(set), st.lists(HASHED).map(Counter)
)


def told(x: Any) -> Any:
    """A value as a function can see it: its class, how it is written, and what a loop over it gives."""
    inside = list(x.items()) if isinstance(x, dict) else list(x) if isinstance(x, (list, tuple, set, deque)) else []
    return type(x), repr(x), [told(v) for v in inside]


@given(STATIC, STATIC)
def test_equal_keys_stand_for_values_that_nothing_tells_apart(a: Any, b: Any) -> None:
    assert frozen(a) == frozen(a)
    assert (frozen(a) == frozen(b)) == (told(a) == told(b))


def test_no_two_values_that_compare_equal_share_a_program() -> None:
    alike: list[list[Any]] = [
        [complex(-1, 0.0), complex(-1, -0.0)],
        [range(0, 3, 2), range(0, 4, 2)],
        [Decimal("1.0"), Decimal("1.00")],
        [datetime.datetime(2000, 1, 1, 10 + h, tzinfo=HOURS[h]) for h in (0, 1)],
        [deque([1], 2), deque([1], 3)],
        [defaultdict(int), defaultdict(float)],
        [{0, 8}, {8, 0}],
    ]
    f = tm.compile(lambda x, v: (x, repr(v)), static_argnames="v")
    for values in alike:
        a, b = values
        assert a == b
        assert [f(1.0, v=v)[1] for v in (a, b)] == [repr(a), repr(b)]


def test_objects_that_are_made_of_others_count_by_these() -> None:
    made = [
        lambda n: operator.attrgetter("a" * n),
        lambda n: operator.methodcaller("f", n),
        lambda n: operator.methodcaller("f", by=n),
        lambda n: functools.partial(max, n),
        lambda n: functools.partialmethod(max, by=n),
    ]
    keys = [[frozen(make(n)) for n in (1, 1, 2)] for make in made]
    assert [(a == b, a == c) for a, b, c in keys] == [(True, False)] * len(made)


class Pair(NamedTuple):
    a: Any
    b: Any


class Own(dict[str, Any]):
    """Has a class of its own, so it says more than names."""


def _trees(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    dicts = st.lists(st.tuples(st.sampled_from(["a", "b", 0, False]), inner), max_size=2).map(dict)
    items = st.lists(inner, max_size=2)
    pairs = st.builds(Pair, inner, inner)
    return st.one_of(
        items, items.map(tuple), dicts, dicts.map(OrderedDict), st.builds(Own, inner.map(lambda x: {"a": x})), pairs
    )


TREES = st.recursive(st.sampled_from([None, 1.0, "x", np.ones(1), tm.tensor(1.0)]), _trees, max_leaves=4)


@given(TREES, TREES)
def test_a_tree_is_taken_apart_along_a_known_structure_just_if_its_key_is_the_same(a: Any, b: Any) -> None:
    structure = tm.tree.flatten((a,))[1]
    for x in (a, b):
        leaves, own = tm.tree.flatten((x,))
        found: list[Any] = []
        if says_all(structure) and leaves_like((x,), structure, found):
            assert all(y is z for y, z in zip(found, leaves, strict=True))
            assert of_structure(own) == of_structure(structure)
            assert repr(tm.tree.unflatten(structure, found)) == repr((x,))
        else:
            assert not says_all(structure) or x is not a


def test_a_static_argument_of_a_decorated_function_stands_where_its_wrapper_has_it() -> None:
    def configured(f: Any) -> Any:
        @functools.wraps(f)
        def wrapper(x: Any, n: int) -> Any:
            return f(2.0, x, n)

        return wrapper

    def handed_on(f: Any) -> Any:
        return functools.wraps(f)(lambda *args: f(*args))

    @configured
    def power(factor: float, x: Any, n: int) -> Any:
        for _ in range(n):
            x = x * factor
        return x

    for f in (power, handed_on(lambda x, n: x * len(range(n)))):
        step = tm.compile(f, static_argnames="n")
        for n in (2, 3):
            assert step(np.ones(2), n).tolist() == f(np.ones(2), n).tolist()
