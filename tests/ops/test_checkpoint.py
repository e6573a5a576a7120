"""`checkpoint`: the same numbers at every order, and a record of nothing but arguments and results."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.engine.meta_problem import objective, start
from tinymeta.ops.checkpoint import unrecorded

RNG = np.random.default_rng(0)
W = RNG.normal(size=(3, 3))
X, V = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3))


def _block(x: Any) -> Any:
    return tm.tanh(x @ W) * tm.sin(x)


def _derivative(f: Any, order: int) -> Any:
    for _ in range(order - 1):
        f = lambda x, f=f: (tm.grad(f)(x) * V).sum()
    return tm.grad(f)(X).numpy()


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivatives_are_those_of_the_plain_function(order: int) -> None:
    plain = _derivative(lambda x: _block(_block(x)).sum(), order)
    wrapped = tm.checkpoint(_block)
    once = _derivative(lambda x: wrapped(wrapped(x)).sum(), order)
    nested = _derivative(tm.checkpoint(lambda x: wrapped(wrapped(x)).sum()), order)
    # The sums are the same; only the order in which cotangents meet may differ.
    assert np.allclose(once, plain, rtol=1e-12, atol=1e-12 * np.abs(plain).max())
    assert np.allclose(nested, plain, rtol=1e-12, atol=1e-12 * np.abs(plain).max())


@pytest.mark.parametrize("order", [1, 2, 3])
def test_tensors_from_outside_get_their_gradient_too(order: int) -> None:
    """`a` and `b` are captured, and `b` is made of `a`: what flows into b must not be counted twice."""

    def f(wrap: Any) -> Any:
        def outer(x: Any) -> Any:
            a = tm.sin(x)
            b = a * x
            return wrap(lambda y: (a * b * y * tm.exp(0.3 * a)).sum())(x)

        return outer

    plain, wrapped = (_derivative(f(wrap), order) for wrap in (lambda g: g, tm.checkpoint))
    assert np.allclose(wrapped, plain, rtol=1e-12, atol=1e-12 * np.abs(plain).max())


def test_a_result_that_is_an_argument_or_comes_from_outside_has_its_gradient() -> None:
    def f(x: Any) -> Any:
        y = x * 3.0
        a, b, c = tm.checkpoint(lambda x: (x, y, x * y))(x)
        return a + 10 * b + 100 * c

    assert float(tm.grad(f)(2.0)) == 1 + 30 + 600 * 2.0


def test_under_vmap_inside_and_outside() -> None:
    f = tm.checkpoint(lambda x: tm.tanh(x * x).sum())
    plain = tm.vmap(tm.grad(lambda x: tm.tanh(x * x).sum()))(X).numpy()
    assert np.array_equal(tm.vmap(tm.grad(f))(X).numpy(), plain)
    assert np.array_equal(tm.grad(lambda x: tm.vmap(f)(x).sum())(X).numpy(), plain)
    assert np.array_equal(tm.grad(tm.checkpoint(lambda x: tm.vmap(f)(x).sum()))(X).numpy(), plain)


@pytest.mark.parametrize("steps", [1, 3])
def test_maml_with_checkpointed_steps_has_the_same_meta_gradient(steps: int) -> None:
    plain = tm.grad(objective)(start(), 1, steps)
    wrapped = tm.grad(lambda p: objective(p, 1, steps, wrap=tm.checkpoint))(start())
    for name, g in plain.items():
        assert np.allclose(wrapped[name].numpy(), g.numpy(), rtol=1e-12)


@pytest.mark.parametrize("steps", [1, 3])
def test_a_compiled_meta_gradient_with_checkpointed_steps_is_the_eager_one(steps: int) -> None:
    plain = tm.grad(objective)(start(), 1, steps)
    compiled = tm.compile(tm.grad(lambda p: objective(p, 1, steps, wrap=tm.checkpoint)))
    for name, g in compiled(start()).items():
        assert np.allclose(g.numpy(), plain[name].numpy(), rtol=1e-12, atol=1e-14)


def test_nothing_inside_is_recorded() -> None:
    x = tm.tensor(X, requires_grad=True)
    y = tm.checkpoint(lambda x: _block(_block(_block(x))))(x)
    bundle = y.inputs[0]
    assert bundle.primitive is unrecorded and [t.id for t in bundle.inputs if t.requires_grad] == [x.id]
    assert sum(tm.orders(y).values()) == 4  # the part, the bundle, its value and x


def _peak(f: Any, x: Any) -> int:
    tm.grad(f)(x)
    tracemalloc.start()
    try:
        tm.grad(f)(x)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_that_of_one_block_and_the_values_between() -> None:
    """20 blocks of 20 operations on 80 kB: recorded plainly 400 values, checkpointed 20 between and 20 inside one."""

    def block(x: Any) -> Any:
        for _ in range(20):
            x = x * 1.01
        return x

    def f(block: Any) -> Any:
        def chain(x: Any) -> Any:
            for _ in range(20):
                x = block(x)
            return x.sum()

        return chain

    x = np.ones(10_000)
    plain, wrapped = _peak(f(block), x), _peak(f(tm.checkpoint(block)), x)
    assert plain > 400 * x.nbytes
    assert wrapped < 60 * x.nbytes


def test_keyword_arguments_trees_and_constants_pass_through() -> None:
    @tm.checkpoint
    def f(params: dict[str, Any], n: int, *, shift: Any, name: str) -> tuple[Any, int, str]:
        return params["w"] * n + shift, n, name

    def g(w: Any, shift: Any) -> Any:
        y, n, name = f({"w": w}, 3, shift=shift, name="f")
        assert (n, name) == (3, "f")
        return y * y

    assert [float(v) for v in tm.grad(g, argnums=(0, 1))(2.0, 1.0)] == [42.0, 14.0]


def test_integers_come_out_as_they_are() -> None:
    def f(x: Any) -> Any:
        y, i = tm.checkpoint(lambda x: (x * x, tm.argmax(x)))(x)
        assert i.dtype.kind == "i"
        return y[i]

    assert tm.grad(f)(np.array([1.0, 3.0])).tolist() == [0, 6]


def test_a_function_that_gives_another_result_the_second_time_is_told_so() -> None:
    rng = np.random.default_rng(0)
    noisy = tm.checkpoint(lambda x: (x * rng.normal(size=3)).sum())
    with pytest.raises(tm.UserError, match=r"test_checkpoint.py:\d+ gave another result.*pass its random numbers"):
        tm.grad(noisy)(np.ones(3))


def test_without_a_differentiation_it_is_the_function() -> None:
    y = tm.checkpoint(_block)(X)
    assert np.array_equal(y.numpy(), _block(X).numpy()) and y.inputs == ()


def test_a_ladder_of_diamonds_inside_is_walked_once() -> None:
    """Each rung reads the one below twice: there are 2⁶⁰ ways down, and 60 nodes."""

    def ladder(x: Any) -> Any:
        for _ in range(60):
            x = x + x
        return x

    outer = tm.checkpoint(lambda x: tm.checkpoint(lambda y: ladder(y) * x)(x))
    assert float(tm.grad(outer)(3.0)) == 2.0**61 * 3
    assert float(tm.grad(tm.grad(outer))(3.0)) == 2.0**61
