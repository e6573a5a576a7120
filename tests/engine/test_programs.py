"""P12: random programs agree at orders 0 to 3 with an oracle that shares nothing with the engine."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import tinymeta as tm
from tests.engine.programs import COLUMNS, ROWS, Step, programs, run
from tests.engine.taylor import Jet, Jets, along
from tinymeta.engine.primitive import Primitive
from tinymeta.testing.faults import planted

TINYMETA = SimpleNamespace(
    exp=tm.exp, sin=tm.sin, tanh=tm.tanh, sigmoid=tm.sigmoid, sqrt=tm.sqrt, where=tm.where, sum=tm.sum,
    reshape=tm.reshape, transpose=lambda x: x.T, concat=tm.concat, detach=tm.stop_gradient, grad=tm.grad, vmap=tm.vmap,
    convolve=lambda x, w: tm.conv2d(x[None, None], w[None, None], padding=1)[0, 0],
    flip=lambda x, axis: x[::-1] if axis == 0 else x[:, ::-1], constant=lambda array: array,
)  # fmt: skip
seeds = st.integers(0, 2**32 - 1)


def _line(seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, size=(ROWS, COLUMNS)), rng.uniform(-1, 1, size=(ROWS, COLUMNS))


def _by_nested_gradients(lib: Any, f: Callable[[Any], Any], x: Any, v: Any, zero: Any) -> list[float]:
    """The derivatives of t ↦ f(x + tv) at 0, of orders 0 to 3."""

    def phi(t: Any) -> Any:
        return f(x + t * v)

    found = [float(phi(zero))]
    for _ in range(3):
        phi = lib.grad(phi)
        found.append(float(phi(zero)))
    return found


def _agree(found: list[float], expected: list[float]) -> None:
    """To 1e-9 of the largest derivative: an order-3 number is a sum of many terms of that size."""
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9 * max(1.0, *(abs(e) for e in expected)))


@settings(max_examples=settings.default.max_examples * 4)
@given(program=programs(), seed=seeds)
def test_random_programs_agree_with_taylor_polynomials_at_orders_0_to_3(program: list[Step], seed: int) -> None:
    x, v = _line(seed)
    expected = along(lambda z: run(program, Jets, z), x, v)
    _agree(_by_nested_gradients(TINYMETA, lambda z: run(program, TINYMETA, z), x, v, 0.0), expected)


@given(program=programs(), seed=seeds)
def test_the_whole_gradient_of_a_random_program_agrees(program: list[Step], seed: int) -> None:
    x, _ = _line(seed)
    expected = Jets.grad(lambda z: run(program, Jets, z))(Jet({(): x})).value
    found = tm.grad(lambda z: run(program, TINYMETA, z))(x).numpy()
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(expected).max()))


@given(program=programs(), seed=seeds)
def test_checkpointing_a_random_program_changes_no_derivative(program: list[Step], seed: int) -> None:
    x, v = _line(seed)
    plain = _by_nested_gradients(TINYMETA, lambda z: run(program, TINYMETA, z), x, v, 0.0)
    once = tm.checkpoint(lambda z: run(program, TINYMETA, z))
    _agree(_by_nested_gradients(TINYMETA, once, x, v, 0.0), plain)


@given(program=programs(), seed=seeds)
def test_mapping_a_random_program_and_its_gradient_is_a_loop(program: list[Step], seed: int) -> None:
    xs = np.stack([_line(seed + k)[0] for k in range(3)])
    f = tm.grad(lambda z: run(program, TINYMETA, z))
    found = tm.vmap(f)(xs).numpy()
    expected = np.stack([f(x).numpy() for x in xs])
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize("fault", ["× 1.001", "entry missing", "values detached"])
@pytest.mark.parametrize("name", ["multiply", "tanh", "divide", "matmul_matrices", "conv2d_images"])
def test_the_programs_notice_a_wrong_rule(name: str, fault: str) -> None:
    @settings(phases=[Phase.generate], max_examples=200)
    @given(program=programs(), seed=seeds)
    def agrees(program: list[Step], seed: int) -> None:
        test_random_programs_agree_with_taylor_polynomials_at_orders_0_to_3.hypothesis.inner_test(program, seed)

    with planted(Primitive.registry[name], fault), pytest.raises(AssertionError):
        agrees()


def test_the_oracle_knows_derivatives_that_are_known_by_heart() -> None:
    """tanh and its first three derivatives at 0.5, exp(sin t), and the gradient of a gradient."""
    y = np.tanh(0.5)
    known = [y, 1 - y**2, -2 * y * (1 - y**2), (6 * y**2 - 2) * (1 - y**2)]
    assert np.allclose(along(Jets.tanh, np.array(0.5), np.array(1.0)), known, rtol=1e-14)
    assert np.allclose(along(lambda z: Jets.exp(Jets.sin(z)), np.array(0.0), np.array(1.0)), [1, 1, 1, 0], atol=1e-14)
    cubed = Jets.grad(Jets.grad(lambda z: z * z * z))(Jet({(): np.array(2.0)}))
    assert cubed.value == 12.0


@settings(max_examples=10)
@given(program=programs(), seed=seeds)
def test_random_programs_agree_with_jax(program: list[Step], seed: int) -> None:
    jax = pytest.importorskip("jax", reason="JAX is not installed: nothing to compare with")
    jnp = pytest.importorskip("jax.numpy")
    jax.config.update("jax_enable_x64", True)
    lib = SimpleNamespace(
        exp=jnp.exp, sin=jnp.sin, tanh=jnp.tanh, sigmoid=jax.nn.sigmoid, sqrt=jnp.sqrt, where=jnp.where,
        sum=lambda x, axis, keepdims: jnp.sum(x, axis=axis, keepdims=keepdims), reshape=jnp.reshape,
        transpose=jnp.transpose, concat=jnp.concatenate, detach=jax.lax.stop_gradient, grad=jax.grad, vmap=jax.vmap,
        convolve=lambda x, w: jax.lax.conv(jnp.pad(x, 1)[None, None], w[None, None], (1, 1), "VALID")[0, 0],
        flip=jnp.flip, constant=jnp.asarray,
    )  # fmt: skip
    x, v = _line(seed)
    expected = _by_nested_gradients(lib, lambda z: run(program, lib, z), jnp.asarray(x), jnp.asarray(v), 0.0)
    _agree(_by_nested_gradients(TINYMETA, lambda z: run(program, TINYMETA, z), x, v, 0.0), expected)


@settings(max_examples=10)
@given(program=programs(), seed=seeds)
def test_random_programs_agree_with_pytorch(program: list[Step], seed: int) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
    lib = SimpleNamespace(
        exp=torch.exp, sin=torch.sin, tanh=torch.tanh, sigmoid=torch.sigmoid, sqrt=torch.sqrt, where=torch.where,
        sum=lambda x, axis, keepdims: torch.sum(x, dim=axis, keepdim=keepdims), reshape=torch.reshape,
        transpose=lambda x: x.mT, concat=torch.cat, detach=lambda x: x.detach(), grad=torch.func.grad,
        vmap=torch.func.vmap,
        convolve=lambda x, w: torch.nn.functional.conv2d(x[None, None], w[None, None], padding=1)[0, 0],
        flip=lambda x, axis: torch.flip(x, (axis,)), constant=torch.from_numpy,
    )  # fmt: skip
    x, v = _line(seed)

    def f(z: Any) -> Any:
        return run(program, lib, z)

    zero = torch.zeros((), dtype=torch.float64)
    expected = _by_nested_gradients(lib, f, torch.from_numpy(x), torch.from_numpy(v), zero)
    _agree(_by_nested_gradients(TINYMETA, lambda z: run(program, TINYMETA, z), x, v, 0.0), expected)
