"""A compiled function is given copies of its arguments: one that changes them is refused, or nobody would see it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm


class Model(tm.nn.Module):
    def __init__(self, content: Any) -> None:
        self.content, self.count = content, 0


ARRAY = st.builds(lambda n: np.arange(1.0, n + 1.0), st.integers(1, 3))
TREES = st.recursive(
    ARRAY,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=2),
        st.lists(inner, min_size=1, max_size=2),
        st.builds(Model, inner),
    ),
    max_leaves=4,
)


def containers(x: Any) -> list[Any]:
    """Everything in `x` that something can be put into."""
    inside = vars(x).values() if isinstance(x, Model) else x.values() if isinstance(x, dict) else x
    below = [c for y in inside for c in containers(y)] if isinstance(x, (dict, list, Model)) else []
    return [x, *below] if isinstance(x, (dict, list, Model)) else below


def change(x: Any, how: int) -> None:
    """Put something else into a container, or take something out."""
    if isinstance(x, dict):
        [lambda: x.update(z=1.0), lambda: x.popitem(), lambda: x.update({next(iter(x)): 2.0})][how]()
    elif isinstance(x, list):
        [lambda: x.append(1.0), lambda: x.pop(), lambda: x.__setitem__(0, 2.0)][how]()
    else:
        name, value = [("count", x.count + 1), ("more", 1.0), ("content", 2.0)][how]
        setattr(x, name, value)


@given(TREES, st.integers(0, 9), st.integers(0, 2))
def test_a_function_that_changes_its_argument_is_refused_wherever_that_is(tree: Any, where: int, how: int) -> None:
    if not containers(tree):
        tree = [tree]

    def f(t: Any) -> Any:
        total = sum(tm.sum(leaf) for leaf in tm.tree.leaves(t))
        places = containers(t)
        change(places[where % len(places)], how)
        return total

    before = [np.array(leaf) for leaf in tm.tree.leaves(tree)]
    with pytest.raises(tm.UserError, match="changes an argument"):
        tm.compile(f)(tree)
    for x, y in zip(before, tm.tree.leaves(tree), strict=True):
        np.testing.assert_array_equal(x, np.asarray(y))


@given(TREES, st.integers(0, 9), st.integers(0, 2))
def test_a_copy_may_be_changed(tree: Any, where: int, how: int) -> None:
    tree = tree if containers(tree) else [tree]

    def f(t: Any) -> Any:
        mine = tm.tree.map(lambda x: x, t)
        places = containers(mine)
        change(places[where % len(places)], how)
        return sum(tm.sum(leaf) for leaf in tm.tree.leaves(mine)) + 0.0 * tm.sum(tm.tree.leaves(t)[0])

    compiled = tm.compile(f)
    for _ in range(2):
        assert float(compiled(tree)) == pytest.approx(float(f(tree)), rel=1e-12)
