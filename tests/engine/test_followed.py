"""`tm.gradient` is asked only for what was followed: of anything else the record doesn't say what was made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.engine import sweep

W = np.array([3.0, 4.0])


def of_squares(x: Any) -> Any:
    return tm.gradient(tm.sum(x * x), x)


# Ways to ask for the gradient of Σ w², each at a w that nothing follows.
UNFOLLOWED: dict[str, Callable[[], Any]] = {
    "a plain Tensor": lambda: of_squares(tm.tensor(W)),
    "a detached one": lambda: of_squares(tm.tensor(W, requires_grad=True).detach()),
    "a float32 one": lambda: of_squares(tm.tensor(W, dtype=np.float32)),
    "integers": lambda: (lambda n: tm.gradient(tm.sum(n * 1.0), n))(tm.tensor([3, 4])),
    "a weight of a layer": lambda: of_squares(tm.nn.Linear(2, 1, rng=np.random.default_rng(0)).weight),
    "inside vmap": lambda: tm.vmap(of_squares)(W[None]),
    "inside compile": lambda: tm.compile(of_squares)(W),
    "beside a leaf that is followed": lambda: beside_a_leaf(),
    "a leaf of a grad that is over": lambda: of_squares(leaked()),
    "an array": lambda: tm.gradient(tm.sum(tm.tensor(W, requires_grad=True)), W),
}


def beside_a_leaf() -> Any:
    """Of w·v the record knows, of w² it doesn't: half of the gradient would be missing."""
    w, v = tm.tensor(W), tm.tensor(W, requires_grad=True)
    return tm.gradient(tm.sum(w * v) + tm.sum(w * w), [v, w])


def leaked() -> Any:
    kept = []
    tm.grad(lambda x: (kept.append(x), tm.sum(x * x))[1])(W)
    return kept[0]


@pytest.mark.parametrize("name", UNFOLLOWED)
def test_the_gradient_of_what_nothing_follows_is_an_error_that_names_requires_grad(name: str) -> None:
    with pytest.raises(TypeError, match="requires_grad=True"):
        UNFOLLOWED[name]()


def test_what_is_followed_and_plays_no_part_has_a_gradient_of_zeros() -> None:
    w, v = tm.tensor(W, requires_grad=True), tm.tensor(W, requires_grad=True)
    assert tm.gradient(tm.sum(w * w), v).detach().tolist() == [0.0, 0.0]


def test_an_argument_of_grad_and_what_is_made_of_a_leaf_are_followed() -> None:
    assert tm.grad(lambda x: tm.sum(of_squares(x)))(W).tolist() == [2.0, 2.0]
    h = tm.tensor(W, requires_grad=True) * 2.0
    assert of_squares(h).detach().tolist() == [12.0, 16.0]


@given(followed=st.lists(st.booleans(), min_size=1, max_size=4), uses=st.data())
def test_a_gradient_in_any_of_the_factors_is_right_or_an_error(followed: list[bool], uses: Any) -> None:
    """y = Σ over some pairs of aᵢ·aⱼ, of which some are followed."""
    leaves = [tm.tensor(float(k + 1), requires_grad=yes) for k, yes in enumerate(followed)]
    one = st.integers(0, len(leaves) - 1)
    pairs = uses.draw(st.lists(st.tuples(one, one), min_size=1, max_size=5))
    y: Any = 0.0
    for i, j in pairs:
        y = y + leaves[i] * leaves[j]
    for k, leaf in enumerate(leaves):
        right = sum((j + 1) * (i == k) + (i + 1) * (j == k) for i, j in pairs)
        if followed[k]:
            assert float(tm.gradient(y, leaf).detach()) == right
        else:
            with pytest.raises(TypeError, match="requires_grad=True"):
                tm.gradient(y, leaf)


def test_a_gradient_without_the_question_is_caught(monkeypatch: Any) -> None:
    monkeypatch.setattr(sweep, "check_followed", lambda x: None)
    with pytest.raises(pytest.fail.Exception):
        test_the_gradient_of_what_nothing_follows_is_an_error_that_names_requires_grad("a plain Tensor")
    with pytest.raises(pytest.fail.Exception):
        test_the_gradient_of_what_nothing_follows_is_an_error_that_names_requires_grad("beside a leaf that is followed")
