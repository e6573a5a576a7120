"""Tests of the tests: `check_grad` finds what is wrong, says where, and passes what is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.engine.primitive import Primitive
from tinymeta.testing import central_difference, check_grad, complex_step, reals, references
from tinymeta.testing.report import ulps
from tinymeta.testing.strategies import arrays, broadcasting, layouts, shapes, tensors

X = np.array([[0.3, -1.2, 0.7], [1.1, 0.2, -0.4]])


def _with_rule(rule: Any) -> Any:
    return tm.custom_vjp(lambda x: tm.tanh(x), rule)


def test_a_right_function_of_a_tree_passes_at_order_3() -> None:
    def f(p: dict[str, Any], x: Any, n: int) -> Any:
        return {"y": tm.tanh(x @ p["w"]) * n, "z": (p["b"] * p["w"]).sum()}

    check_grad(f, {"w": X.T, "b": 0.5}, X, 3, order=3)


def test_a_right_function_of_float32_passes() -> None:
    check_grad(lambda x: tm.tanh(x).sum(), X.astype("f4"), order=2)


def test_a_wrong_first_derivative_is_reported_with_argument_index_values_and_seed() -> None:
    f = _with_rule(lambda g, y, x: g * (1 - y * y) * tm.where(x == 0.7, 1.001, 1.0))
    with pytest.raises(AssertionError) as failure:
        check_grad(lambda p: f(p["x"]).sum(), {"x": X}, seed=3)
    text = str(failure.value)
    assert "order 1" in text and "1 of 6 elements" in text and "seed 3" in text and "0.x[0, 2]" in text
    assert "0.001" in text  # the relative error


def test_a_value_cut_off_from_the_record_is_found_at_order_2_only() -> None:
    f = _with_rule(lambda g, y, x: g * (1 - (y * y).detach()))
    check_grad(f, X, order=1)
    with pytest.raises(AssertionError, match="order 2"):
        check_grad(f, X, order=2)


def test_a_rule_that_computes_outside_the_record_is_found_at_order_2_only() -> None:
    f = _with_rule(lambda g, y, x: g * (1 - np.tanh(x.array) ** 2))
    check_grad(f, X, order=1)
    with pytest.raises(AssertionError, match="order 2"):
        check_grad(f, X, order=2)


def test_what_a_function_detaches_on_purpose_is_a_constant_to_the_oracle_too() -> None:
    check_grad(lambda x: (x * x.detach()).sum(), X, order=3)


def test_at_a_kink_the_declared_side_passes_at_every_order() -> None:
    check_grad(lambda x: tm.relu(x) ** 2 + tm.abs(x) * x, np.array([0.0, 1.0, -1.0]), order=3)


def test_where_an_operation_takes_no_complex_numbers_the_oracle_is_the_central_difference() -> None:
    @tm.primitive
    class cube_root:
        """y = ∛x,   dy = dx/(3 y²)."""

        kernel = reference = np.cbrt
        domain, kinks = (tm.testing.reals(0.5, 2),), ()
        vjp = lambda g, y, x: g / (3 * y * y)

    def f(x: Any) -> Any:
        return tm.sin(x) * cube_root(2 + x * x)

    check_grad(f, X, order=2)
    with pytest.raises(AssertionError, match="central difference"):
        check_grad(lambda x: f(x) + _with_rule(lambda g, y, x: g * 0.99)(x), X)


def test_only_some_elements_of_a_large_argument_are_checked() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(1)
        return tm.sin(x)

    check_grad(f, np.linspace(0, 1, 500), order=1, elements=10)
    # The outputs' shapes, the gradient (watched for writes, then in float64), whether the values are finite, and one
    # step for each element.
    assert len(calls) == 1 + 2 + 1 + 10


def test_integers_only_is_an_error_that_says_so() -> None:
    with pytest.raises(TypeError, match="no floating-point argument"):
        check_grad(lambda n: n, 3)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"vjp": lambda g, y, x: g * 2 * x}, "P2 fails"),
        ({"vjp": lambda g, y, x: g.detach() * 3 * x * x}, "P3 fails"),
        ({"vjp": lambda g, y, x: g * 3 * (x * x).detach()}, "P5 fails"),
        ({"kernel": staticmethod(lambda x: x * x * x * 1.001)}, "P1 fails"),
        ({"kernel": staticmethod(lambda x: np.multiply(x, x, out=x) * x if x.flags.writeable else x**3)}, "P"),
        ({"vjp": None}, "P2 fails"),
    ],
)
def test_check_primitive_names_the_property_that_a_wrong_declaration_breaks(parts: dict[str, Any], says: str) -> None:
    body = {
        "__doc__": "y = x³.",
        "kernel": staticmethod(lambda x: x * x * x),
        "reference": staticmethod(lambda x: x * x * x),
        "domain": (reals(-2, 2),),
        "kinks": (),
        "vjp": lambda g, y, x: g * 3 * x * x,
    }
    try:
        wrong = type("wrong_cube", (Primitive,), body | parts)
        with pytest.raises(AssertionError, match=says):
            tm.testing.check_primitive(wrong)
    finally:
        del Primitive.registry["wrong_cube"]


def test_the_complex_step_is_exact_where_a_difference_is_not() -> None:
    def f(xs: list[Any]) -> list[Any]:
        return [np.tanh(xs[0])]

    exact = 1 - np.tanh(0.5) ** 2
    (by_step,) = complex_step(f, [np.array(0.5)], [np.array(1.0)])
    (by_difference,) = central_difference(f, [np.array(0.5)], [np.array(1.0)])
    assert abs(by_step - exact) <= 2**-53
    assert abs(by_difference - exact) < 1e-12  # h⁴ f⁽⁵⁾/30 + 3ε/2h


def test_references_are_put_back_after_an_error() -> None:
    kernels = {name: vars(p)["kernel"] for name, p in Primitive.registry.items()}
    with pytest.raises(ZeroDivisionError), references():
        raise ZeroDivisionError
    assert {name: vars(p)["kernel"] for name, p in Primitive.registry.items()} == kernels


def test_ulps_count_the_numbers_between() -> None:
    a = np.array([1.0, 1.0, 0.0, np.inf])
    b = np.array([1.0 + 2**-52, 1.0, 0.0, 1.0])
    assert ulps(a, b).tolist() == [1.0, 0.0, 0.0, np.inf]


@given(x=tensors(reals(0.5, 2), requires_grad=True))
def test_drawn_tensors_lie_in_their_domain(x: tm.Tensor) -> None:
    assert x.requires_grad and x.dtype == np.float64
    assert np.all((x.array >= 0.5) & (x.array <= 2))


@given(found=broadcasting(3))
def test_drawn_shapes_broadcast(found: tuple[tuple[int, ...], ...]) -> None:
    assert len(found) == 3 and len(np.broadcast_shapes(*found)) == max(map(len, found))


@given(data=st.data(), shape=shapes(max_dims=2))
def test_layouts_keep_the_values(data: st.DataObject, shape: tuple[int, ...]) -> None:
    array = np.arange(float(np.prod(shape))).reshape(shape)
    assert np.array_equal(data.draw(layouts(array)), array)


@given(x=arrays(shape=(3, 2)))
def test_drawn_arrays_have_the_shape_asked_for(x: Any) -> None:
    assert x.shape == (3, 2)


WRONG = tm.custom_vjp(lambda x: tm.tanh(x), lambda g, y, x: -g * (1 - y * y))


@pytest.mark.parametrize(
    ("dtype", "size", "read"),
    [("f4", 1e-5, False), ("f8", 1e-10, False), ("f8", 1e-6, True), ("f2", 1e-2, False)],
)
def test_a_small_gradient_of_the_wrong_sign_beside_a_large_one_is_found(dtype: str, size: float, read: bool) -> None:
    foreign = tm.custom_vjp(lambda x: tm.tensor(np.tanh(x.numpy().real)), lambda g, y, x: -g * (1 - y * y))

    def f(a: Any, b: Any) -> Any:
        return tm.exp(a).sum() + size * (foreign if read else WRONG)(b).sum()

    a, b = np.array([0.3, -0.2], dtype), np.array([0.4, 0.1], dtype)
    with pytest.raises(AssertionError, match=r"2 of 4 elements[\s\S]*1\[0\]"):
        check_grad(f, a, b)


@pytest.mark.parametrize("scale", [1, 30, 100, 500, 1000])
@pytest.mark.parametrize(
    "f",
    [
        lambda z: tm.nn.cross_entropy(z, np.arange(4)),
        lambda z: tm.nn.bce_with_logits(z, np.ones((4, 5))),
        tm.softmax,
        tm.logsumexp,
        tm.sigmoid,
        tm.silu,
        tm.tanh,
        lambda z: 0.5 * (1 + tm.tanh(z / 2)),
        lambda z: tm.logaddexp(z, z[::-1]),
    ],
)
def test_large_logits_pass(f: Any, scale: float) -> None:
    check_grad(f, np.random.default_rng(0).normal(size=(4, 5)) * scale, order=3)


@pytest.mark.parametrize("dtype", ["f2", "f4"])
@pytest.mark.parametrize("scale", [1, 30, 500])
@pytest.mark.parametrize("f", [lambda z: tm.nn.cross_entropy(z, np.arange(4)), tm.softmax, lambda z: tm.sin(z).sum()])
def test_narrow_dtypes_pass(f: Any, scale: float, dtype: str) -> None:
    check_grad(f, (np.random.default_rng(0).normal(size=(4, 5)) * scale).astype(dtype), order=2)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: tm.relu(x) * float(x.detach().sum() + 1), [0.0, 1.0, -1.0]),
        (lambda x: tm.max(x), [1.0, 1.0, -1.0]),
        (lambda x: tm.maximum(x, x[::-1]), [1.0, 0.0, -1.0]),
        (lambda x: tm.clip(x, -1, 1), [1.0, -1.0, 0.0]),
        (lambda x: tm.sort(x) * np.arange(3.0), [1.0, 1.0, 0.0]),
        (lambda x: tm.vector_norm(x), [0.0, 0.0, 0.0]),
        (lambda x: tm.std(x), [1.0, 1.0, 1.0]),
        (lambda x: x**2.5, [0.0, 2.0, 1.0]),
        (lambda x: tm.prod(x), [0.0, 2.0, 0.0]),
    ],
)
def test_kinks_and_edges_pass(f: Any, x: list[float]) -> None:
    check_grad(f, np.array(x), order=2)


@pytest.mark.parametrize("taken", [0.3, 0.5, np.nan])
def test_what_is_neither_side_of_a_kink_is_found(taken: float) -> None:
    f = tm.custom_vjp(lambda x: tm.relu(x), lambda g, y, x: g * tm.where(x == 0, taken, tm.where(x > 0, 1.0, 0.0)))
    with pytest.raises(AssertionError, match="1 of 3 elements"):
        check_grad(f, np.array([0.0, 1.0, -1.0]), order=1)


def test_ill_conditioned_matrices_pass() -> None:
    hilbert = 1 / (np.arange(6)[:, None] + np.arange(6) + 1)
    check_grad(lambda a, b: tm.solve(a, b), hilbert, np.ones((6, 1)), order=1)
    check_grad(lambda a: tm.inv(a), hilbert, order=1)


def test_a_kernel_that_writes_into_its_input_is_named_and_the_callers_array_is_kept() -> None:
    class overwrite(Primitive):
        """y = 2x."""

        kernel = staticmethod(lambda x: np.multiply(x, 2.0, out=x))
        reference = staticmethod(lambda x: 2 * x)
        domain, kinks, vjp = (reals(-2, 2),), (), lambda g, y, x: 2 * g

    x = np.array([1.0, 2.0])
    try:
        with pytest.raises(AssertionError, match="overwrite wrote into its input 0"):
            check_grad(lambda x: overwrite(x), x)
    finally:
        del Primitive.registry["overwrite"]
    assert x.tolist() == [1.0, 2.0]


def test_a_function_that_writes_into_its_argument_is_told_so() -> None:
    def f(x: Any) -> Any:
        y = tm.sin(x)
        x.array[...] += 1
        return y

    with pytest.raises(AssertionError, match=r"wrote into argument 0"):
        check_grad(f, X)
