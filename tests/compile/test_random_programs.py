"""Compiled and eager runs agree for random programs, with and without the machine and the factoring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tinymeta_kernels import threads

import tinymeta as tm
from tests.compile.workloads import omniglot, sine
from tests.engine.programs import COLUMNS, ROWS, UNARY, Step, programs, run
from tests.engine.test_programs import TINYMETA
from tinymeta.compile.program.program import Program
from tinymeta.compile.record.recording import record
from tinymeta.compile.rewrite import rewritten
from tinymeta.compile.run.machine import Machine
from tinymeta.compile.run.replay import Replay

ROUNDING = 1e-9  # a hundred operations on numbers of size 1 to 100, in another order, in float64


def recorded(f: Callable[..., Any], *arguments: Any) -> tuple[Program, list[Any]]:
    leaves, structure = tm.tree.flatten(arguments)
    return record(lambda given: f(*tm.tree.unflatten(structure, given)), leaves, ()).program, leaves


def assert_close(expected: Any, found: Sequence[Any], tolerance: float = ROUNDING) -> None:
    for a, b in zip(tm.tree.leaves(expected), found, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance * max(1, abs(a).max(initial=0)))


def start(seed: int) -> Any:
    return np.random.default_rng(seed).uniform(-1, 1, size=(ROWS, COLUMNS))


@given(programs(), st.integers(0, 2**32 - 1), st.integers(0, 2))
def test_random_programs_and_their_gradients_agree(program: list[Step], seed: int, order: int) -> None:
    def f(x: Any, order: int = order) -> Any:
        return tm.sum(tm.square(tm.grad(lambda x: f(x, order - 1))(x))) if order else run(program, TINYMETA, x)

    x = start(seed)
    p, leaves = recorded(f, x)
    expected = f(x)
    for each in (p, rewritten(p)):
        assert_close(expected, Replay(each)(leaves))
        assert_close(expected, Machine(each)(leaves))


@given(programs(), st.integers(0, 2**32 - 1))
def test_random_programs_agree_mapped_over_rows(program: list[Step], seed: int) -> None:
    f = tm.vmap(tm.grad(lambda x: run(program, TINYMETA, x)))
    x = np.stack([start(seed + k) for k in range(4)])
    p, leaves = recorded(f, x)
    assert_close(f(x), Machine(rewritten(p))(leaves))


steps = st.lists(st.sampled_from(sorted(UNARY.keys() - {"sigmoid"})), min_size=1, max_size=6)  # σ has another formula


@given(steps, st.sampled_from([np.float32, np.float64]), st.integers(0, 2**32 - 1))
def test_where_the_kernels_are_the_same_so_are_the_bits(kinds: list[str], dtype: Any, seed: int) -> None:
    def f(x: Any) -> Any:
        y = x
        for kind in kinds:
            y = UNARY[kind](TINYMETA, y) - x
        return y, tm.grad(lambda x: tm.sum(UNARY[kinds[0]](TINYMETA, x)))(x)

    x = start(seed).astype(dtype)
    p, leaves = recorded(f, x)
    for runs in (Replay(p), Machine(p)):
        for found, expected in zip(runs(leaves), f(x), strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("cores", [1, 2, 3])
@pytest.mark.parametrize(
    "workload",
    [
        lambda: sine(dtype=np.float64),
        lambda: sine(3, tasks=7, dtype=np.float64),
        lambda: omniglot(tasks=5, dtype=np.float64),
    ],
    ids=["one step", "three", "norm"],
)
def test_meta_steps_agree_on_any_number_of_cores(workload: Any, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "count", cores)
    monkeypatch.setattr(import_module("tinymeta.compile.run.machine"), "WORTH_SHARING", 0)
    f, arguments = workload()
    p, leaves = recorded(f, *arguments)
    assert_close(f(*arguments), Machine(rewritten(p))([np.asarray(x) for x in leaves]), 1e-7)  # Adam divides by √v


def test_a_training_run_stays_with_the_eager_one() -> None:
    model = tm.nn.MLP((2, 16, 1), rng=np.random.default_rng(0), dtype=np.float64)
    optimizer = tm.optim.Adam(1e-2)
    rng = np.random.default_rng(1)

    def step(model: Any, state: Any, batch: Any) -> Any:
        loss = lambda model: tm.nn.mse_loss(model(batch[0]), batch[1])
        value, grads = tm.value_and_grad(loss)(model)
        return *optimizer.update(grads, state, model), value

    compiled = tm.compile(step)
    eager, fast = (model, optimizer.init(model)), (model, optimizer.init(model))
    for _ in range(30):
        x = rng.normal(size=(20, 2))
        batch = x, x[:, :1] * x[:, 1:]
        *eager, a = step(*eager, batch)
        *fast, b = compiled(*fast, batch)
        np.testing.assert_allclose(float(a), float(b), rtol=1e-9)
