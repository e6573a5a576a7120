"""`vmap`: a loop over examples in one go, for any tree, with its gradients. (Each primitive's own: PV.)"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tests.engine.programs import Step, programs, run
from tests.engine.test_programs import TINYMETA

X = np.arange(6.0).reshape(2, 3)
W = np.array([1.0, -2.0, 0.5])


def test_in_axes_of_trees_prefixes_and_none() -> None:
    def f(p: dict[str, Any], x: Any, scale: Any) -> Any:
        return (p["w"] * x).sum() * p["b"] * scale

    p = {"w": W, "b": np.array([1.0, 2.0])}
    found = tm.vmap(f, in_axes=({"w": None, "b": 0}, 0, None))(p, X, 3.0)
    assert np.allclose(found.numpy(), (X @ W) * p["b"] * 3, rtol=1e-15)
    stacked = {"w": np.stack([W, 2 * W]), "b": p["b"]}
    assert np.allclose(tm.vmap(f, in_axes=(0, 0, None))(stacked, X, 3.0).numpy(), (X @ W) * [1, 2] * p["b"] * 3)


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_any_axis_in_and_out(axis: int) -> None:
    found = tm.vmap(lambda x: x * 2, in_axes=axis, out_axes=axis)(X)
    assert np.array_equal(found.numpy(), 2 * X)


def test_results_are_trees_and_each_has_its_axis() -> None:
    y = tm.vmap(lambda x: {"a": x, "b": x.sum()}, out_axes={"a": 1, "b": 0})(X)
    assert y["a"].shape == (3, 2) and np.array_equal(y["b"].numpy(), X.sum(1))


def test_a_result_that_does_not_depend_on_the_example_is_repeated_or_left_alone() -> None:
    y = tm.vmap(lambda x: tm.sum(W))(X)
    assert y.shape == (2,) and y.tolist() == [W.sum()] * 2
    assert tm.vmap(lambda x: tm.sum(W), out_axes=None)(X).shape == ()


@pytest.mark.parametrize("inner", [0, 1])
@pytest.mark.parametrize("outer", [0, 1])
def test_nested_maps_take_any_two_axes(outer: int, inner: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    found = tm.vmap(tm.vmap(lambda v: (v * v).sum(), in_axes=inner), in_axes=outer)(x).numpy()
    rest = [a for a in range(3) if a != outer]
    expected = np.moveaxis(x, (outer, rest[inner]), (0, 1))
    assert np.allclose(found, (expected**2).sum(-1), rtol=1e-15)


def test_the_inner_map_may_use_the_example_of_the_outer_one() -> None:
    found = tm.vmap(lambda a: tm.vmap(lambda b: a * b)(W))(np.array([2.0, 3.0]))
    assert np.array_equal(found.numpy(), np.outer([2.0, 3.0], W))


def test_per_example_gradients_of_shared_and_own_parameters() -> None:
    def loss(w: Any, x: Any) -> Any:
        return tm.tanh(w @ x)

    found = tm.vmap(tm.grad(loss), in_axes=(None, 0))(W, X)
    assert np.allclose(found.numpy(), (1 - np.tanh(X @ W) ** 2)[:, None] * X, rtol=1e-14)


def test_the_gradient_of_a_mapped_loss_is_the_sum_over_the_examples() -> None:
    found = tm.grad(lambda w: tm.vmap(lambda x: tm.tanh(w @ x))(X).sum())(W)
    assert np.allclose(found.numpy(), (1 - np.tanh(X @ W) ** 2) @ X, rtol=1e-14)


@given(program=programs(), seed=st.integers(0, 2**32 - 1))
def test_a_map_of_a_gradient_of_a_map_of_a_random_program_is_two_loops(program: list[Step], seed: int) -> None:
    """The outer examples are parameters, the inner ones inputs, as in meta-learning over tasks."""
    rng = np.random.default_rng(seed)
    phis, xs = rng.uniform(-1, 1, size=(2, 2, 3)), rng.uniform(-1, 1, size=(3, 2, 3))

    def over_examples(phi: Any) -> Any:
        return tm.vmap(lambda x: run(program, TINYMETA, x * phi))(xs).sum()

    found = tm.vmap(tm.grad(over_examples))(phis).numpy()
    one = tm.grad(lambda phi, x: run(program, TINYMETA, x * phi))
    expected = [np.sum([one(phi, x).numpy() for x in xs], axis=0) for phi in phis]
    scale = max(1.0, float(np.abs(expected).max()))
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9 * scale)


def test_a_leaf_made_by_grad_inside_a_map_belongs_to_each_example() -> None:
    """The inner loop starts from shared weights; from the first step on, each task has its own."""

    def adapted(w: Any, x: Any) -> Any:
        for _ in range(3):
            w = w - 0.1 * tm.grad(lambda w: (tm.tanh(w @ x) - 1.0) ** 2)(w)
        return w

    found = tm.vmap(adapted, in_axes=(None, 0))(W, X).numpy()
    assert np.allclose(found, [adapted(W, x).numpy() for x in X], rtol=1e-14)
    through = tm.jacobian(lambda w: tm.vmap(adapted, in_axes=(None, 0))(w, X))(W).numpy()
    assert np.allclose(through, [tm.jacobian(lambda w, x=x: adapted(w, x))(W).numpy() for x in X], rtol=1e-12)


def test_maps_over_no_examples_at_all() -> None:
    assert tm.vmap(lambda x: x * 2.0)(np.empty((0, 3))).shape == (0, 3)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: tm.vmap(lambda a, b: a * b)(np.ones(2), np.ones(3)), ValueError, r"sizes \[2, 3\].*check in_axes"),
        (lambda: tm.vmap(lambda a: a, in_axes=(0, 0))(np.ones(2)), ValueError, "in_axes has 2 entries for 1"),
        (lambda: tm.vmap(lambda a: a, in_axes=None)(np.ones(2)), ValueError, "no batch axis"),
        (lambda: tm.vmap(lambda a: a, in_axes=2)(np.ones((2, 2))), ValueError, r"no axis 2.*\(2, 2\)"),
        (lambda: tm.vmap(lambda a: a, in_axes=({"x": 0},))({"y": np.ones(2)}), ValueError, "another structure"),
        (lambda: tm.vmap(lambda a: a if a > 0 else -a)(np.ones(2)), TypeError, "use tm.where for a choice"),
        (lambda: tm.vmap(lambda a: float(a))(np.ones(2)), TypeError, "one value per example"),
        (lambda: tm.vmap(lambda a: a, out_axes=None)(np.ones(2)), ValueError, "out_axes=None"),
    ],
)
def test_mistakes_are_explained(call: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        call()


def test_a_value_per_example_of_a_vmap_that_is_over_is_of_no_use_to_anybody() -> None:
    kept: list[Any] = []
    tm.vmap(lambda x: kept.append(x) or x)(np.ones((3, 2)))
    for use in (lambda x: x + 1.0, tm.exp, lambda x: tm.vmap(lambda y: x * y)(np.ones((3, 2)))):
        with pytest.raises(TypeError, match="of a vmap that is over: return it"):
            use(kept[0])
