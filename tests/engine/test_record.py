"""P13: the record is as deep as it must be, is freed by reference counting alone, and leaves no state behind."""

from __future__ import annotations

import gc
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.engine.meta_problem import objective, start
from tinymeta.engine.state import state

DEPTH = 20_000


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _chain(x: Any, depth: int) -> Any:
    for _ in range(depth):
        x = x * 1.0001
    return x


def test_a_chain_of_20000_operations_differentiates() -> None:
    assert float(tm.grad(lambda x: _chain(x, DEPTH))(1.0)) == pytest.approx(1.0001**DEPTH, rel=1e-9)


def test_a_chain_of_20000_operations_differentiates_twice() -> None:
    """f = c x² and f' sweep through 20,000 nodes; f'' = 2c sweeps through that sweep."""
    second = tm.grad(tm.grad(lambda x: _chain(x * x, DEPTH)))(3.0)
    assert float(second) == pytest.approx(2 * 1.0001**DEPTH, rel=1e-9)


def test_a_deep_record_is_freed_without_the_collector(no_collector: None) -> None:
    x = tm.tensor(1.0, requires_grad=True)
    middle = _chain(x, DEPTH // 2)
    y = _chain(middle, DEPTH // 2)
    gone = weakref.ref(middle)
    del middle
    assert gone() is not None  # y still remembers it
    del y
    assert gone() is None


@pytest.mark.parametrize(
    "differentiate",
    [
        lambda f, x: tm.grad(f)(x),
        lambda f, x: tm.grad(lambda x: tm.grad(f)(x))(x),
        lambda f, x: tm.hessian(f)(x),
        lambda f, x: tm.vmap(tm.grad(f))(x * np.ones(3)),
        lambda f, x: tm.grad(tm.checkpoint(f))(x),
        lambda f, x: tm.vjp(f, x)[1](1.0),
        lambda f, x: tm.jvp(f, (x,), (1.0,)),
    ],
    ids=["grad", "grad of grad", "hessian", "vmap of grad", "checkpoint", "vjp", "jvp"],
)
def test_what_a_differentiation_recorded_is_gone_when_it_is_over(
    differentiate: Callable[..., Any], no_collector: None
) -> None:
    seen: list[weakref.ref[tm.Tensor]] = []

    def f(x: Any) -> Any:
        y = tm.tanh(x)
        seen.append(weakref.ref(y))
        return y * y

    result = differentiate(f, tm.tensor(0.5))
    assert seen and all(ref() is None for ref in seen)
    del result


def test_a_gradient_that_is_kept_does_not_keep_the_record_alive() -> None:
    g = tm.grad(lambda x: tm.tanh(x))(tm.tensor(0.5))
    assert g.inputs == () and g.primitive is None and not g.requires_grad


def test_memory_is_flat_over_200_meta_steps_without_the_collector(no_collector: None) -> None:
    params = start()

    def meta_step(params: Any, k: int) -> Any:
        grads = tm.grad(objective)(params, k, 2)
        return {name: (p - 0.01 * g.numpy()) for (name, p), g in zip(params.items(), grads.values())}

    def tensors() -> int:
        return sum(type(thing) is tm.Tensor for thing in gc.get_objects())

    for k in range(10):
        params = meta_step(params, k)
    tracemalloc.start()
    try:
        before, alive = tracemalloc.get_traced_memory()[0], tensors()
        params = meta_step(params, 0)
        one_step = tracemalloc.get_traced_memory()[1] - before
        for k in range(200):
            params = meta_step(params, k)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert tensors() == alive
    # Python's and NumPy's free lists still fill up a little: less in 200 steps than one step records.
    assert grown < one_step


POINT = np.array([1.0, 2.0])


class _Stop(Exception):
    pass


def _raising(x: Any) -> Any:
    raise _Stop


@pytest.mark.parametrize(
    "run",
    [
        lambda: tm.grad(_raising)(1.0),
        lambda: tm.grad(tm.grad(_raising))(1.0),
        lambda: tm.vmap(_raising)(np.ones(2)),
        lambda: tm.vmap(tm.grad(_raising))(np.ones(2)),
        lambda: tm.vjp(_raising, 1.0),
        lambda: tm.jvp(_raising, (1.0,), (1.0,)),
        lambda: tm.jacobian(_raising)(np.ones(2)),
        lambda: tm.checkpoint(_raising)(1.0),
        lambda: tm.grad(tm.checkpoint(_raising))(1.0),
        lambda: tm.grad(tm.custom_vjp(lambda x: x * x, lambda g, y, x: _raising(x)))(1.0),
        lambda: tm.grad(lambda x: tm.vmap(_raising)(x * np.ones(2)).sum())(1.0),
        lambda: tm.compile(_raising)(1.0),
        lambda: tm.compile(tm.grad(_raising))(1.0),
    ],
)
def test_an_exception_leaves_no_state_behind(run: Callable[[], Any]) -> None:
    before = (state.order, state.maker, state.level, state.mask, state.watchers)
    with pytest.raises(_Stop):
        run()
    assert (state.order, state.maker, state.level, state.mask, state.watchers) == before
    assert float(tm.grad(tm.grad(lambda x: x * x * x))(2.0)) == 12.0


@pytest.mark.parametrize("mode", [tm.checked, tm.trace])
def test_an_exception_inside_a_mode_leaves_no_watcher_behind(mode: Callable[[], Any]) -> None:
    with pytest.raises(_Stop), mode():
        raise _Stop
    assert state.watchers == ()


def test_threads_that_differentiate_at_once_do_not_meet() -> None:
    """Each thread nests gradients and vmap to a depth of its own, in step with the others at every operation."""
    barrier = threading.Barrier(4, timeout=60)

    def work(k: int) -> Any:
        def f(x: Any) -> Any:
            barrier.wait()
            return tm.sin(x) * (k + 1.0)

        for _ in range(3):
            f = tm.grad(f)
        barrier.wait()
        return tm.vmap(f)(np.linspace(0, 1, 5)).numpy()

    results: dict[int, Any] = {}
    threads = [threading.Thread(target=lambda k=k: results.update({k: work(k)})) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(4):
        assert np.allclose(results[k], -np.cos(np.linspace(0, 1, 5)) * (k + 1), rtol=1e-14)


def in_a_thread(f: Any, *args: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(f, *args).result(timeout=60)


LINEAR = tm.nn.Linear(2, 2, rng=np.random.default_rng(0), dtype=np.float64)
STEP = tm.compile(lambda x: tm.sum(x * x))


@pytest.mark.parametrize(
    "use",
    [lambda x: x * x, lambda x: LINEAR(x, tm.nn.relu), STEP, float, np.asarray, lambda x: tm.grad(STEP)(POINT) * x],
)
def test_what_another_thread_does_with_a_value_under_differentiation_is_refused(use: Any) -> None:
    """A loss whose tasks run in a pool of threads would have the gradient 0."""
    with pytest.raises(TypeError, match="another thread is differentiating|is recorded for a gradient"):
        tm.grad(lambda x: tm.sum(x * x) + tm.sum(in_a_thread(use, x if use is not float else tm.sum(x))))(POINT)


@pytest.mark.parametrize("use", [lambda x: x.detach() * 2.0, repr, lambda x: bool(x.detach()[0] > 0), lambda x: x > 0])
def test_another_thread_may_show_detach_and_compare_it(use: Any) -> None:
    assert tm.grad(lambda x: tm.sum(x * x) if in_a_thread(use, x) is not None else 0.0)(POINT).tolist() == [2.0, 4.0]


def test_pullbacks_of_another_thread_are_used_while_it_differentiates_something_else() -> None:
    y, pull = tm.vjp(tm.sin, POINT)

    def loss(x: Any) -> Any:
        (g,) = in_a_thread(pull, np.ones(2))
        return tm.sum(x * g.numpy())

    assert np.array_equal(tm.grad(loss)(POINT).numpy(), np.cos(POINT)) and y.tolist() == np.sin(POINT).tolist()


def test_gradients_inside_of_threads_are_taken_while_another_differentiates() -> None:
    def loss(x: Any) -> Any:
        inner = in_a_thread(tm.grad(lambda w: tm.sum(w**3)), POINT)
        return tm.sum(x * inner)

    assert np.allclose(tm.grad(loss)(POINT).numpy(), 3 * POINT**2, rtol=1e-15)


def test_a_record_that_other_threads_are_not_asked_about_is_caught(monkeypatch: Any) -> None:
    monkeypatch.setattr("tinymeta.engine.refusals.elsewhere", lambda x: False)
    with pytest.raises(pytest.fail.Exception):
        test_what_another_thread_does_with_a_value_under_differentiation_is_refused(lambda x: x * x)


def test_a_pullback_can_be_used_twice_and_gives_the_same() -> None:
    """A second backward must not add to the first, which is what a `.grad` field invites."""
    _, pullback = tm.vjp(lambda x: x * x * x, np.array(3.0))
    assert float(pullback(1.0)[0]) == float(pullback(1.0)[0]) == 27.0


def test_a_leaf_used_twice_gets_the_sum_and_a_dead_branch_nothing() -> None:
    def f(x: Any) -> Any:
        a = x * 3.0
        _ = tm.exp(a)  # leads nowhere
        b = a + a
        return b * b + a

    assert float(tm.grad(f)(2.0)) == 2 * 36 * 2.0 + 3  # d/dx (36x² + 3x)
