"""`grad`, `vjp`, `jvp`, `hvp`, `jacobian`, `hessian`, against closed forms and complex steps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tests.engine.programs import Step, programs, run
from tests.engine.taylor import Jets, along
from tests.engine.test_programs import TINYMETA
from tinymeta.engine.state import setting

A = np.array([[2.0, -1.0, 0.5], [0.3, 1.0, -0.7]])
X = np.array([0.4, -0.2, 0.9])
V = np.array([1.0, 0.5, -2.0])


def _f(x: Any) -> Any:
    return tm.sin(A @ x)


def _jacobian_of_f(x: Any) -> Any:
    return np.cos(A @ x)[:, None] * A


def test_value_and_grad_gives_both() -> None:
    value, g = tm.value_and_grad(lambda x: (x * x).sum())(X)
    assert float(value) == (X * X).sum() and np.array_equal(g.numpy(), 2 * X)


def test_argnums_chooses_arguments_and_a_tuple_gives_a_tuple() -> None:
    def f(a: Any, b: Any, c: Any) -> Any:
        return a * b * b * c

    assert float(tm.grad(f, argnums=1)(2.0, 3.0, 5.0)) == 60.0
    assert [float(g) for g in tm.grad(f, argnums=(2, 0))(2.0, 3.0, 5.0)] == [18.0, 45.0]


def test_aux_is_handed_on_without_its_record() -> None:
    def f(x: Any) -> Any:
        y = tm.tanh(x)
        return y.sum(), {"y": y}

    g, aux = tm.grad(f, has_aux=True)(X)
    assert np.allclose(g.numpy(), 1 - np.tanh(X) ** 2, rtol=1e-15)
    assert aux["y"].inputs == () and np.array_equal(aux["y"].numpy(), np.tanh(X))
    (value, aux), g = tm.value_and_grad(f, has_aux=True)(X)
    assert float(value) == np.tanh(X).sum()


def test_the_gradient_of_a_tree_is_a_tree_of_the_same_shape() -> None:
    class Net(NamedTuple):
        w: Any
        layers: list[dict[str, Any]]

    net = Net(np.ones((2, 3)), [{"b": np.zeros(2)}, {"b": 2.0}])
    g = tm.grad(lambda n: (tm.tanh(n.w @ X + n.layers[0]["b"]) * n.layers[1]["b"]).sum())(net)
    assert isinstance(g, Net) and g.w.shape == (2, 3) and g.layers[0]["b"].shape == (2,)
    assert float(g.layers[1]["b"]) == pytest.approx(2 * np.tanh(X.sum()))


def test_what_the_function_does_not_use_has_a_gradient_of_zeros() -> None:
    g = tm.grad(lambda p: p["a"] * 2.0)({"a": 1.0, "b": np.ones(3, "f4")})
    assert g["b"].tolist() == [0, 0, 0] and g["b"].dtype == np.float32


def test_the_tape_level_gives_the_same_as_the_transform() -> None:
    x = tm.tensor(X, requires_grad=True)
    first = tm.gradient((tm.sin(x) ** 2).sum(), x)
    (second,) = tm.gradient((first * V).sum(), [x])
    assert np.allclose(first.detach().numpy(), np.sin(2 * X), rtol=1e-14)
    assert np.allclose(second.detach().numpy(), 2 * np.cos(2 * X) * V, rtol=1e-14)


def test_vjp_is_the_transposed_jacobian() -> None:
    y, pullback = tm.vjp(_f, X)
    u = np.array([0.7, -1.1])
    assert np.allclose(y.numpy(), np.sin(A @ X), rtol=1e-15)
    assert np.allclose(pullback(u)[0].numpy(), u @ _jacobian_of_f(X), rtol=1e-14)


def test_jvp_is_the_jacobian() -> None:
    y, tangent = tm.jvp(_f, (X,), (V,))
    assert np.allclose(y.numpy(), np.sin(A @ X), rtol=1e-15)
    assert np.allclose(tangent.numpy(), _jacobian_of_f(X) @ V, rtol=1e-14)


@given(program=programs(), seed=st.integers(0, 2**32 - 1))
def test_jvp_and_hvp_of_random_programs_agree_with_the_oracle(program: list[Step], seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, v = rng.uniform(-1, 1, size=(2, 2, 3))
    expected = along(lambda z: run(program, Jets, z), x, v)
    value, tangent = tm.jvp(lambda z: run(program, TINYMETA, z), (x,), (v,))
    bent = float((tm.hvp(lambda z: run(program, TINYMETA, z), x, v) * v).sum())
    scale = max(1.0, *(abs(e) for e in expected))
    assert np.allclose([float(value), float(tangent), bent], expected[:3], rtol=1e-9, atol=1e-9 * scale)


@given(program=programs(), seed=st.integers(0, 2**32 - 1))
def test_the_hessian_of_a_random_program_is_that_of_the_oracle_and_symmetric(program: list[Step], seed: int) -> None:
    x = np.random.default_rng(seed).uniform(-1, 1, size=(2, 3))
    h = tm.hessian(lambda z: run(program, TINYMETA, z))(x).numpy()
    assert h.shape == (2, 3, 2, 3)
    units = np.eye(6).reshape(6, 2, 3)
    # By polarisation: 2 eᵢᵀHeⱼ = D²(eᵢ + eⱼ) − D²eᵢ − D²eⱼ, each D² the second coefficient along a line.
    pairs = [(i, j) for i in range(6) for j in range(i + 1)]
    bends = {(i, j): along(lambda z: run(program, Jets, z), x, units[i] + units[j])[2] for i, j in pairs}
    rows = np.empty((6, 6))
    for i, j in pairs:
        rows[i, j] = rows[j, i] = (bends[i, j] - bends[i, i] / 4 - bends[j, j] / 4) / 2 if i != j else bends[i, i] / 4
    rows = rows.reshape(2, 3, 2, 3)
    scale = max(1.0, float(np.abs(rows).max()))
    assert np.allclose(h, rows, rtol=1e-9, atol=1e-9 * scale)
    assert np.allclose(h, h.transpose(2, 3, 0, 1), rtol=1e-9, atol=1e-9 * scale)


def test_jacobian_has_the_shape_of_the_output_then_of_the_input() -> None:
    j = tm.jacobian(lambda x: tm.sin(x)[:, None] * A.T)(X).numpy()
    assert j.shape == (3, 2, 3)
    expected = np.einsum("i,ij,ik->ijk", np.cos(X), A.T, np.eye(3))
    assert np.allclose(j, expected, rtol=1e-15)


def test_jacobian_of_trees_is_a_tree_of_trees() -> None:
    j = tm.jacobian(lambda p: {"y": p["a"] * p["b"], "z": p["a"].sum()})({"a": X, "b": 2.0})
    assert np.array_equal(j["y"]["a"].numpy(), 2 * np.eye(3)) and np.array_equal(j["y"]["b"].numpy(), X)
    assert np.array_equal(j["z"]["a"].numpy(), np.ones(3)) and float(j["z"]["b"]) == 0.0


def test_jacobian_with_respect_to_a_later_argument() -> None:
    assert np.array_equal(tm.jacobian(lambda a, x: a @ x, argnums=1)(A, X).numpy(), A)


def test_hessian_of_a_quadratic_is_its_matrix() -> None:
    q = A.T @ A
    assert np.allclose(tm.hessian(lambda x: 0.5 * (x * (q @ x)).sum())(X).numpy(), q, rtol=1e-14)


def test_hvp_works_on_trees() -> None:
    def f(p: Any) -> Any:
        return (p["a"] ** 3).sum() * p["b"]

    h = tm.hvp(f, {"a": X, "b": 2.0}, {"a": V, "b": 1.0})
    assert np.allclose(h["a"].numpy(), 12 * X * V + 3 * X**2, rtol=1e-14)
    assert float(h["b"]) == pytest.approx((3 * X**2 * V).sum())


def test_a_gradient_of_a_gradient_of_a_gradient() -> None:
    f = tm.grad(tm.grad(tm.grad(lambda x: x**5)))
    assert float(f(2.0)) == pytest.approx(60 * 4.0)


def test_two_differentiations_that_interleave_do_not_mix() -> None:
    """A pullback made inside `grad` is used after another differentiation has begun."""

    def f(x: Any) -> Any:
        y, pullback = tm.vjp(lambda z: z * z * x, x)
        inner = tm.grad(lambda w: w * w * x)(x)
        return pullback(1.0)[0] * inner * y  # 2x² · 2x² · x³ = 4x⁷

    assert float(tm.grad(f)(1.5)) == pytest.approx(28 * 1.5**6, rel=1e-14)


@pytest.mark.parametrize(("argnum", "expected"), [(0, lambda a, b: 6 * a * b), (1, lambda a, b: 12 * a**3 * b**2)])
def test_a_hessian_is_of_the_argument_that_was_named(argnum: int, expected: Any) -> None:
    f = (lambda a, b: a**3 * b) if argnum == 0 else (lambda a, b: a**3 * b**4)
    assert float(tm.hessian(f, argnum)(0.5, 3.0)) == pytest.approx(expected(0.5, 3.0), rel=1e-14)


@pytest.mark.parametrize("argnums", [(0, 0), (0, -2), (1, 0, 1)])
@pytest.mark.parametrize("transform", [tm.grad, tm.value_and_grad])
def test_an_argument_that_is_named_twice_is_refused(transform: Any, argnums: tuple[int, ...]) -> None:
    with pytest.raises(TypeError, match="twice"):
        transform(lambda a, b: a * b, argnums)(1.0, 2.0)


def test_a_complex_value_has_complex_cotangents_where_complex_numbers_are_followed() -> None:
    x, g = np.array([1.0 + 2.0j]), np.array([0.5 - 1.0j])
    with setting(differentiable="fc"):
        y, pull = tm.vjp(lambda x: x * x, x)
        np.testing.assert_allclose(pull(g)[0].numpy(), 2 * x * g, rtol=1e-15)
    with pytest.raises(TypeError, match="cotangent for float64 is real"):
        tm.vjp(lambda x: x * x, x.real)[1](g)
