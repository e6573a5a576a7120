"""`custom_vjp`: the rule given is the rule used, at every order, for any arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm


def test_the_rule_replaces_the_gradient_that_the_operations_imply() -> None:
    rounded = tm.custom_vjp(lambda x: tm.round(x), lambda g, y, x: g)
    assert rounded(2.6).item() == 3.0
    assert float(tm.grad(lambda x: rounded(x) * x)(2.6)) == 3.0 + 2.6


def test_second_and_third_derivatives_are_those_of_the_rule() -> None:
    """exp with its derivative written through y: the rule is differentiated, and y in it is the function again."""
    exp = tm.custom_vjp(lambda x: tm.exp(x), lambda g, y, x: g * y)
    f = exp
    for _ in range(3):
        f = tm.grad(f)
        assert float(f(0.5)) == pytest.approx(np.exp(0.5), rel=1e-15)


def test_a_wrong_rule_is_found_by_check_grad() -> None:
    cube = tm.custom_vjp(lambda x: x * x * x, lambda g, y, x: g * 2 * x * x)
    with pytest.raises(AssertionError, match="order 1"):
        tm.testing.check_grad(lambda x: cube(x).sum(), np.array([0.5, 2.0]))


def test_a_right_rule_passes_check_grad_at_order_3() -> None:
    def rule(g: Any, y: Any, a: Any, b: Any) -> Any:
        return g * tm.tanh(b), g * a * (1 - tm.tanh(b) ** 2)

    product = tm.custom_vjp(lambda a, b: a * tm.tanh(b), rule)
    tm.testing.check_grad(lambda a, b: product(a, b).sum(), np.array([0.5, 2.0]), np.array([0.1, -0.3]), order=3)


def test_arguments_and_results_are_trees() -> None:
    def f(params: dict[str, Any], x: Any) -> dict[str, Any]:
        return {"y": params["w"] * x, "z": params["b"] + x}

    def rule(g: dict[str, Any], y: dict[str, Any], params: dict[str, Any], x: Any) -> Any:
        return {"w": g["y"] * x, "b": g["z"]}, g["y"] * params["w"] + g["z"]

    g = tm.custom_vjp(f, rule)
    params, x = {"w": np.array([2.0, 3.0]), "b": np.array([1.0, 1.0])}, np.array([0.5, 0.7])

    def total(h: Any) -> Any:
        return lambda params, x: (h(params, x)["y"] * h(params, x)["z"]).sum()

    for a, b in zip(
        tm.tree.leaves(tm.grad(total(g), argnums=(0, 1))(params, x)),
        tm.tree.leaves(tm.grad(total(f), argnums=(0, 1))(params, x)),
    ):
        assert np.allclose(a.numpy(), b.numpy(), rtol=1e-15)


def test_none_means_no_gradient() -> None:
    f = tm.custom_vjp(lambda a, b: a * b, lambda g, y, a, b: (None, g * a))
    assert [float(v) for v in tm.grad(lambda a, b: f(a, b), argnums=(0, 1))(2.0, 3.0)] == [0.0, 2.0]


def test_it_maps_and_nests_inside_other_transforms() -> None:
    f = tm.custom_vjp(lambda x, w: tm.sin(x) * w, lambda g, y, x, w: (g * tm.cos(x) * w, (g * tm.sin(x))))
    xs = np.linspace(0, 1, 4)
    assert np.allclose(tm.vmap(tm.grad(lambda x: f(x, 2.0)))(xs).numpy(), 2 * np.cos(xs), rtol=1e-15)
    through = tm.grad(lambda w: tm.vmap(lambda x: f(x, w))(xs).sum())(2.0)
    assert float(through) == pytest.approx(np.sin(xs).sum(), rel=1e-14)
    assert float(tm.grad(tm.grad(tm.checkpoint(lambda x: f(x, 2.0))))(0.3)) == pytest.approx(-2 * np.sin(0.3))


def test_a_tensor_from_outside_is_refused_by_name() -> None:
    def f(w: Any) -> Any:
        scaled = tm.custom_vjp(lambda x: x * w, lambda g, y, x: g)
        return scaled(2.0)

    with pytest.raises(tm.UserError, match=r"test_custom_vjp.py:\d+.*float64.*from outside: pass it as an argument"):
        tm.grad(f)(3.0)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (lambda g, y, a, b: g, "tuple of as many"),
        (lambda g, y, a, b: (g, g, g), "tuple of as many"),
        (lambda g, y, a, b: (g, [g]), "argument 1 a gradient of another structure"),
        (lambda g, y, a, b: (g.sum(), g), r"shape \(\) to argument 0, where \(2,\) belongs"),
    ],
)
def test_a_rule_of_the_wrong_form_is_refused(rule: Any, says: str) -> None:
    f = tm.custom_vjp(lambda a, b: a * b, rule)
    with pytest.raises((tm.UserError, ValueError), match=says):
        tm.grad(lambda a, b: f(a, b).sum(), argnums=(0, 1))(np.ones(2), np.ones(2))


@pytest.mark.parametrize("rounded", [lambda x: tm.sign(x).astype(int), lambda x: x > 0])
def test_a_function_without_a_float_to_carry_its_gradient_is_refused(rounded: Any) -> None:
    """A straight-through estimator that returns integers would pass on the gradient 0, not its rule's."""
    step = tm.custom_vjp(rounded, lambda g, y, x: g)
    assert step(np.array([0.5])).tolist() == [1]  # without a gradient it may
    with pytest.raises(tm.UserError, match="return floats"):
        tm.grad(lambda x: tm.sum(step(x) * 1.0))(np.array([0.5, -2.0]))


def test_a_count_beside_a_float_may_be_returned() -> None:
    step = tm.custom_vjp(lambda x: (x * 2.0, x > 0), lambda g, y, x: g[0] * 3.0)
    assert tm.grad(lambda x: step(x)[0])(1.0).item() == 3.0


OF_NUMPY = [
    lambda x: np.sin(x.numpy()),
    lambda x: np.float64(np.sin(x.numpy()).sum()),
    lambda x: float(np.sin(x.numpy()).sum()),
    lambda x: np.sin(x.numpy()).astype(np.float32),
]


@pytest.mark.parametrize("f", OF_NUMPY)
def test_a_function_that_computes_with_numpy_gets_the_gradient_of_its_rule(f: Any) -> None:
    own, x = tm.custom_vjp(f, lambda g, y, x: g * tm.cos(x)), np.array([0.3, 0.4])
    assert np.allclose(tm.grad(lambda x: tm.sum(own(x) * 2.0))(x).numpy(), 2 * np.cos(x), rtol=1e-6)


@pytest.mark.parametrize("f", OF_NUMPY)
def test_a_checkpointed_function_that_computes_with_numpy_is_refused(f: Any) -> None:
    with pytest.raises(TypeError, match="is recorded for a gradient"):
        tm.grad(lambda x: tm.sum(tm.checkpoint(f)(x) * 2.0))(np.array([0.3, 0.4]))


def test_a_float_beside_the_result_keeps_the_dtype_of_the_arguments() -> None:
    x = np.ones(2, np.float32)
    both = tm.checkpoint(lambda x: (tm.sum(x * x), 0.5))
    assert tm.grad(lambda x: both(x)[0] * both(x)[1])(x).dtype == np.float32
    assert tm.value_and_grad(lambda x: both(x)[0] * both(x)[1])(x)[0].dtype == np.float32


def test_results_left_as_arrays_are_caught(monkeypatch: Any) -> None:
    monkeypatch.setattr("tinymeta.ops.custom.as_outputs", lambda values, xs: values)
    with pytest.raises(tm.UserError, match="return floats"):
        test_a_function_that_computes_with_numpy_gets_the_gradient_of_its_rule(OF_NUMPY[0])
