"""`tm.tree`'s algebra is that of the vectors that the trees are, leaf by leaf; gradients and `vmap` go through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinymeta as tm
from tinymeta.ops import tree as algebra

dtypes = st.sampled_from([np.float32, np.float64])
whole = st.integers(-4, 4)  # so that sums are exact, in any order


@st.composite
def pairs(draw: Any) -> tuple[Any, Any]:
    """Two trees of one structure: rank 0 to 3, sizes 0 and 1 among them, both dtypes, either sign of step."""
    count = draw(st.integers(1, 4))
    leaves: list[list[Any]] = [[], []]
    for _ in range(count):
        shape, dtype = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)), draw(dtypes)
        for side in leaves:
            x = draw(hnp.arrays(np.int64, shape, elements=whole)).astype(dtype)
            side.append(x[::-1] if x.ndim and draw(st.booleans()) else x)
    names = "abcd"[:count]
    first, second = (dict(zip(names, side)) for side in leaves)
    return {"inner": [first]}, {"inner": [second]}


def vector(tree: Any) -> Any:
    return np.concatenate([np.asarray(x, np.float64).ravel() for x in tm.tree.leaves(tree)])


@given(pairs())
def test_trees_are_added_scaled_and_multiplied_as_vectors_are(trees: tuple[Any, Any]) -> None:
    a, b = trees
    x, y = vector(a), vector(b)
    assert float(tm.tree.dot(a, b)) == x @ y
    coarse = max(np.finfo(leaf.dtype).eps for leaf in tm.tree.leaves(a))  # of each leaf's own length
    np.testing.assert_allclose(float(tm.tree.norm(a)), np.sqrt(x @ x), rtol=2 * float(coarse))
    for found, expected in (
        (tm.tree.add(a, b), x + y),
        (tm.tree.scale(a, 0.5), 0.5 * x),
        (tm.tree.add_scaled(a, b, -2.0), x - 2 * y),
        (tm.tree.zeros_like(a), 0 * x),
        (tm.tree.full_like(a, 3.0), 0 * x + 3),
        (tm.tree.ravel(a)[0], x),
        (tm.tree.ravel(a)[1](tm.tree.ravel(b)[0]), y),
        (tm.tree.map(lambda leaf: leaf[1], tm.tree.stack([a, b])), y),
    ):
        np.testing.assert_array_equal(vector(found), expected)
    for leaf, same in zip(tm.tree.leaves(a), tm.tree.leaves(tm.tree.add_scaled(b, a, tm.tensor(0.5)))):
        assert leaf.dtype == same.dtype  # a float64 number is no reason for float64


def test_a_planted_wrong_sign_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(algebra, "_of", lambda s, x: -s)
    tree = {"inner": [{"a": np.ones(2)}]}
    with pytest.raises(AssertionError):
        test_trees_are_added_scaled_and_multiplied_as_vectors_are.hypothesis.inner_test((tree, tree))  # type: ignore[attr-defined]


def test_the_algebra_is_differentiable_and_each_examples_own_under_vmap() -> None:
    rng = np.random.default_rng(0)
    a, b = ({"w": rng.normal(size=(4, 2)), "c": rng.normal(size=4)} for _ in range(2))

    def f(a: Any, b: Any, s: Any) -> Any:
        moved = tm.tree.add_scaled(a, tm.tree.scale(b, s), tm.tree.dot(a, b))
        flat, back = tm.tree.ravel(moved)
        return tm.tree.norm(tm.tree.add(back(flat * flat), tm.tree.full_like(a, s)))

    each = tm.vmap(f)(a, b, np.arange(1.0, 5.0))
    alone = [f(tm.tree.map(lambda x, k=k: x[k], a), tm.tree.map(lambda x, k=k: x[k], b), 1.0 + k) for k in range(4)]
    np.testing.assert_allclose(each.numpy(), [float(y) for y in alone], rtol=1e-13)
    tm.testing.check_grad(lambda w, c, s: f({"w": w, "c": c}, b, s), a["w"], a["c"], np.array(0.7), order=2)


def test_mistakes_are_told() -> None:
    with pytest.raises(ValueError, match="differ"):
        tm.tree.dot({"a": np.ones(1)}, {"b": np.ones(1)})
    with pytest.raises(ValueError, match="at least one tree"):
        tm.tree.stack([])
    with pytest.raises(ValueError, match="has 1 numbers, and the vector shape"):
        tm.tree.ravel({"a": np.ones(1)})[1](np.ones(2))


def test_nothing_is_a_vector_of_no_numbers_and_comes_back() -> None:
    vector, back = tm.tree.ravel({"none": None, "empty": []})
    assert vector.shape == (0,) and back(vector) == {"none": None, "empty": []}
