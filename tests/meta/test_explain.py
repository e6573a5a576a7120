"""`tm.explain`: the meta-gradient's first-order and Hessian parts, against closed forms and other programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.engine.errors import ShapeError

RATE = 0.1
rng = np.random.default_rng(7)
A, B = rng.normal(size=(6, 3)), rng.normal(size=(5, 3))  # inputs of the support and the query set
a, b = rng.normal(size=6), rng.normal(size=5)  # their targets


def squares(w: Any, task: Any) -> Any:
    x, y = task
    error = x @ w - y
    return 0.5 * tm.sum(error * error)


def regression(w: Any, tasks: Any) -> Any:
    support, query = tasks
    return squares(w - RATE * tm.grad(squares)(w, support), query)


def net(p: Any, x: Any) -> Any:
    return tm.tanh(x @ p["hidden"]["w"] + p["hidden"]["b"]) @ p["out"]


def error(p: Any, task: Any) -> Any:
    x, y = task
    return tm.mean((net(p, x) - y) ** 2)


def unrolled(keep: Callable[[Any], Any], steps: int) -> Callable[[Any, Any], Any]:
    """MAML on a batch of tasks, with `keep` applied to each inner gradient."""

    def one(p: Any, support: Any, query: Any) -> Any:
        for _ in range(steps):
            p = tm.tree.map(lambda w, g: w - RATE * keep(g), p, tm.grad(error)(p, support))
        return error(p, query)

    return lambda p, tasks: tm.mean(tm.vmap(one, in_axes=(None, 0, 0))(p, *tasks))


PHI = {"hidden": {"w": rng.normal(size=(2, 4)), "b": rng.normal(size=4)}, "out": rng.normal(size=(4, 1))}
TASKS = tuple((rng.normal(size=(3, 5, 2)), rng.normal(size=(3, 5, 1))) for _ in range(2))


def assert_same(left: Any, right: Any, scale: float = 1e-12) -> None:
    for x, y in zip(tm.tree.leaves(left), tm.tree.leaves(right), strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert np.abs(x - y).max() <= scale * max(1.0, np.abs(y).max())


def test_linear_regression_has_its_closed_form() -> None:
    w = rng.normal(size=3)
    hessian = A.T @ A
    adapted = w - RATE * A.T @ (A @ w - a)
    direct = B.T @ (B @ adapted - b)
    split = tm.explain(regression, w, ((A, a), (B, b)))
    assert_same(split.first_order, direct)
    assert_same(split.hessian, -RATE * hessian @ direct)
    assert_same(split.total, (np.eye(3) - RATE * hessian) @ direct)


def test_the_parts_add_up_to_the_gradient() -> None:
    meta_loss = unrolled(lambda g: g, steps=3)
    split = tm.explain(meta_loss, PHI, TASKS)
    whole = tm.grad(meta_loss)(PHI, TASKS)
    assert_same(tm.tree.map(lambda x, y: x + y, split.first_order, split.hessian), whole)
    assert_same(split.total, whole)


@pytest.mark.parametrize("steps", [1, 4])
def test_the_first_order_part_is_the_gradient_of_first_order_maml(steps: int) -> None:
    split = tm.explain(unrolled(lambda g: g, steps), PHI, TASKS)
    assert_same(split.first_order, tm.grad(unrolled(tm.stop_gradient, steps))(PHI, TASKS))


def test_first_order_maml_has_no_hessian_part() -> None:
    split = tm.explain(unrolled(tm.stop_gradient, 2), PHI, TASKS)
    assert_same(split.hessian, tm.tree.map(np.zeros_like, PHI), scale=0.0)
    assert split.parts[-1].cosine == pytest.approx(1.0, abs=1e-15)


def test_meta_parameters_of_the_inner_loss_have_a_hessian_part_only() -> None:
    def meta_loss(c: Any, target: Any) -> Any:  # x′ = 0 − r·∂/∂x ½(x − c)² = r·c, reached through the gradient
        x = -RATE * tm.grad(lambda x: 0.5 * (x - c) ** 2)(tm.tensor(0.0))
        return 0.5 * (x - target) ** 2

    split = tm.explain(meta_loss, 2.0, 1.0)
    assert float(split.first_order) == 0.0
    assert float(split.hessian) == pytest.approx(RATE * (RATE * 2.0 - 1.0), rel=1e-12)


def down(w: Any) -> Any:
    return w - RATE * tm.grad(squares)(w, (A, a))


def flatten(w: Any) -> Any:
    """A step towards a small gradient: the inner loop holds a second derivative itself."""
    return w - RATE * tm.grad(lambda w: tm.sum(tm.grad(squares)(w, (A, a)) ** 2))(w)


@pytest.mark.parametrize("step", [down, flatten])
def test_a_checkpointed_inner_step_is_split_like_a_plain_one(step: Callable[[Any], Any]) -> None:
    def with_steps(step: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda w, query: squares(step(step(w)), query)

    w = rng.normal(size=3)
    plain = tm.explain(with_steps(step), w, (B, b))
    checked = tm.explain(with_steps(tm.checkpoint(step)), w, (B, b))
    assert_same(checked.first_order, plain.first_order)
    assert_same(checked.hessian, plain.hessian)


def test_norms_and_cosines_are_those_of_the_trees() -> None:
    split = tm.explain(unrolled(lambda g: g, 2), PHI, TASKS)
    assert [p.name for p in split.parts] == ["hidden.b", "hidden.w", "out", "all"]
    for part, total, first in zip(split.parts, tm.tree.leaves(split.total), tm.tree.leaves(split.first_order)):
        t, f = np.asarray(total).ravel(), np.asarray(first).ravel()
        assert (part.total, part.first_order) == pytest.approx((np.linalg.norm(t), np.linalg.norm(f)), rel=1e-14)
        assert part.cosine == pytest.approx(t @ f / np.linalg.norm(t) / np.linalg.norm(f), rel=1e-14)
    *leaves, whole = split.parts
    assert whole.hessian == pytest.approx(np.sqrt(sum(p.hessian**2 for p in leaves)), rel=1e-14)


def test_the_table_has_a_line_per_leaf_and_one_for_all() -> None:
    split = tm.explain(regression, {"w": np.ones(3)}["w"], ((A, a), (B, b)))
    head, leaf, whole = repr(split).splitlines()
    assert head.split() == ["total", "first", "order", "Hessian", "cosine"]
    assert leaf.split()[0] == "phi" and leaf.split()[1:] == whole.split()[1:]


def test_explaining_leaves_later_gradients_alone() -> None:
    w = rng.normal(size=3)
    before = np.asarray(tm.grad(regression)(w, ((A, a), (B, b))))
    tm.explain(regression, w, ((A, a), (B, b)))
    assert before.tobytes() == np.asarray(tm.grad(regression)(w, ((A, a), (B, b)))).tobytes()


def test_a_result_that_is_no_scalar_is_told() -> None:
    with pytest.raises(ShapeError, match=r"as in loss\.mean\(\)"):
        tm.explain(lambda w, task: w * 2.0, np.ones(3), None)
