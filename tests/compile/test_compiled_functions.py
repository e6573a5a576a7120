"""What `tm.compile` promises: the results of the function, for any arguments, without side effects."""

from __future__ import annotations

import threading
import tracemalloc
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinymeta as tm
from tests.compile.workloads import sine
from tinymeta.compile.program.operations import Scale
from tinymeta.compile.program.program import Builder
from tinymeta.compile.run.replay import Replay


class Counted:
    """A function that counts how often its Python code runs."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, x: Any, y: Any = 2.0) -> Any:
        self.runs += 1
        return tm.sum(tm.tanh(x) * y, axis=-1)


def test_a_function_is_recorded_once_and_replayed() -> None:
    f = Counted()
    compiled = tm.compile(f)
    for seed in range(4):
        x = np.random.default_rng(seed).normal(size=(3, 2))
        np.testing.assert_array_equal(compiled(x), tm.sum(tm.tanh(x) * 2.0, axis=-1))
    assert f.runs == 1


@pytest.mark.parametrize(
    "other",
    [np.ones((4, 2)), np.ones((3, 2), np.float32), [np.ones((3, 2))], np.ones(2)],
    ids=["shape", "dtype", "structure", "rank"],
)
def test_another_form_of_argument_is_recorded_anew(other: Any) -> None:
    seen = []

    def f(x: Any) -> Any:
        seen.append(1)
        leaf = tm.tree.leaves(x)[0]
        return leaf + leaf

    compiled = tm.compile(f)
    compiled(np.ones((3, 2)))
    y = compiled(other)
    assert len(seen) == 2
    assert y.shape == np.shape(tm.tree.leaves(other)[0]) and y.dtype == tm.tree.leaves(other)[0].dtype
    compiled(np.ones((3, 2)))
    assert len(seen) == 2


def test_a_python_number_may_change_without_recording_again_and_stays_weak() -> None:
    f = Counted()
    compiled = tm.compile(f)
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)
    for y in (0.5, -3.0, 0.1):
        got = compiled(x, y)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, tm.sum(tm.tanh(x) * y, axis=-1))
    assert f.runs == 1


@pytest.mark.parametrize("number", [3, 2.5, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_a_number_combines_like_in_eager_code(number: float, dtype: Any) -> None:
    f = lambda x, n: (x * n, n * x, n - x, x / (n + 1), (n * 2 + 1) * x, tm.maximum(x, n), -n * x, n**2 + x)
    x = np.arange(1, 4).astype(dtype)
    for eager, compiled in zip(f(x, number), tm.compile(f)(x, number)):
        assert eager.dtype == compiled.dtype
        np.testing.assert_allclose(eager, compiled, rtol=4 * np.finfo(np.float32).eps)


def test_static_arguments_are_part_of_the_program() -> None:
    runs = []

    def power(x: Any, n: int, *, double: bool = False) -> Any:
        runs.append(n)
        y = x
        for _ in range(n - 1):
            y = y * x
        return 2 * y if double else y

    compiled = tm.compile(power, static_argnames=("n", "double"))
    x = np.array([1.0, 2.0])
    for _ in range(2):
        assert compiled(x, 3).tolist() == [1, 8]
        assert compiled(x, n=2).tolist() == [1, 4]
        assert compiled(x, 2, double=True).tolist() == [2, 8]
    assert runs == [3, 2, 2]


def test_an_unknown_static_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="'steps', which is no parameter"):
        tm.compile(lambda x: x, static_argnames="steps")


class State(NamedTuple):
    weights: Any
    note: str
    missing: Any


def test_arguments_and_results_are_pytrees_with_static_leaves() -> None:
    step = tm.compile(lambda s, scale: (s._replace(weights=s.weights * scale), {"note": s.note, "n": 7}))
    state, found = step(State(np.ones(2), "warm", None), 3.0)
    assert state.weights.tolist() == [3, 3] and state.note == "warm" and state.missing is None
    assert found == {"note": "warm", "n": 7}
    assert step(State(np.ones(2), "cold", None), 3.0)[1]["note"] == "cold"


def test_compile_decorates_with_options_and_methods() -> None:
    class Doubler:
        @tm.compile
        def double(self, x: Any) -> Any:
            return x + x

    @tm.compile(static_argnames="n")
    def times(x: Any, n: int) -> Any:
        """Repeat."""
        return x * len(range(n))

    assert Doubler().double(np.ones(2)).tolist() == [2, 2]
    assert times(np.ones(1), 4).tolist() == [4] and times.__doc__ == "Repeat."


def test_a_module_is_an_argument_like_any_other() -> None:
    model = tm.nn.MLP((3, 4, 2), rng=np.random.default_rng(0), dtype=np.float64)
    x = np.random.default_rng(1).normal(size=(5, 3))
    loss = lambda model, x: tm.mean(tm.square(model(x)))
    expected, got = tm.grad(loss)(model, x), tm.compile(tm.grad(loss))(model, x)
    assert type(got) is type(model)
    for a, b in zip(tm.tree.leaves(expected), tm.tree.leaves(got)):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


# Purity


def test_inputs_are_never_written_into_and_results_are_nobody_elses() -> None:
    f = tm.compile(lambda x: (x, x + 1, x.T, tm.tanh(x), x + 1))
    x = np.random.default_rng(0).normal(size=(300, 40))
    before = x.copy()
    first = [np.asarray(y) for y in f(x)]
    kept = [y.copy() for y in first]
    second = [np.asarray(y) for y in f(2 * x)]
    np.testing.assert_array_equal(x, before)
    for y, z in zip(first, kept):
        np.testing.assert_array_equal(y, z)
    arrays = [x, *first, *second]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[i + 1 :])


def test_a_view_of_a_result_keeps_its_numbers_when_the_result_is_gone() -> None:
    f = tm.compile(lambda x: x * 2.0)
    part = f(np.ones(100_000)).numpy()[10:20]
    tensor_part = np.asarray(f(np.full(100_000, 5.0))[3:4])
    for i in range(20):
        f(np.full(100_000, float(i)))
    assert part.tolist() == [2.0] * 10 and tensor_part.tolist() == [10.0]


def test_strided_and_read_only_arguments_give_the_same_bits() -> None:
    f = tm.compile(lambda x, y: tm.sum(x * tm.exp(y), axis=0))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 6, 8))
    frozen = np.broadcast_to(y[0], (6, 8))
    expected = f(x, np.array(frozen)).numpy()
    np.testing.assert_array_equal(f(np.asfortranarray(x), frozen), expected)
    np.testing.assert_array_equal(f(np.repeat(x, 2, axis=1)[:, ::2], frozen), expected)


def test_memory_is_flat_over_two_hundred_steps() -> None:
    step, (params, state, support, query) = sine()
    step = tm.compile(step)
    tracemalloc.start()
    sizes = []
    for k in range(220):
        params, state, _ = step(params, state, support, query)
        if k in (20, 219):
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert sizes[1] - sizes[0] < 20_000  # one step holds 21 kB of parameters and state


def test_threads_may_call_at_once() -> None:
    step, arguments = sine(dtype=np.float64)
    expected = [np.asarray(x) for x in tm.tree.leaves(step(*arguments))]
    compiled = tm.compile(step)
    failures: list[Any] = []

    def work() -> None:
        for _ in range(5):
            for a, b in zip(expected, tm.tree.leaves(compiled(*arguments))):
                if not np.allclose(a, b, rtol=1e-9, atol=1e-12):
                    failures.append((a, b))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def test_an_exception_while_recording_leaves_no_state() -> None:
    broken = [True]

    @tm.compile
    def f(x: Any) -> Any:
        y = tm.vmap(tm.grad(lambda x: x * x))(x)
        if broken:
            raise KeyError("half way")
        return y

    with pytest.raises(KeyError):
        f(np.ones(3))
    state = tm.engine.state.state
    assert (state.watchers, state.level, state.mask, state.order) == ((), 0, tm.engine.state.USER, 0)
    broken.clear()
    assert f(np.ones(3)).tolist() == [2, 2, 2]


# Inside transforms


def test_inside_grad_and_vmap_a_compiled_function_differentiates_and_batches() -> None:
    f = lambda x: tm.sum(tm.sin(x) * x)
    compiled = tm.compile(f)
    x = np.linspace(0, 1, 4)
    compiled(x)
    np.testing.assert_array_equal(tm.grad(compiled)(x), tm.grad(f)(x))
    np.testing.assert_array_equal(tm.hessian(compiled)(x), tm.hessian(f)(x))
    batch = np.stack([x, 2 * x])
    np.testing.assert_array_equal(tm.vmap(compiled)(batch), tm.vmap(f)(batch))
    np.testing.assert_array_equal(tm.compile(tm.vmap(tm.grad(compiled)))(batch), tm.vmap(tm.grad(f))(batch))


def test_leaves_that_require_gradients_get_them() -> None:
    outside = tm.tensor([2.0, 3.0], requires_grad=True)
    inside = tm.compile(lambda x: tm.sum(x * x))
    x = tm.tensor([1.0, 2.0], requires_grad=True)
    assert tm.gradient(inside(x), x).detach().tolist() == [2, 4]
    closed = tm.compile(lambda x: tm.sum(x * outside))
    with pytest.warns(tm.CompileWarning, match="is not compiled: it reads a Tensor from outside"):
        assert tm.gradient(closed(np.ones(2)), outside).tolist() == [1, 1]
    assert tm.gradient(closed(np.ones(2)), outside).tolist() == [1, 1]


# Errors that teach


def test_a_kernel_of_numpys_that_takes_whole_matrices_is_called_as_it_is() -> None:
    @tm.primitive
    class product_of_two:
        """y = a b."""

        kernel = reference = np.matmul
        domain, kinks, vjp, broadcasts = (), (), None, False

    for shapes in (((2, 3), (3, 4)), ((3, 3), (3, 3))):
        a, b = (np.random.default_rng(k).normal(size=shape) for k, shape in enumerate(shapes))
        found = tm.compile(lambda a, b: product_of_two(a, b))(a, b)
        np.testing.assert_array_equal(found.numpy(), a @ b)


def test_zero_times_infinity_is_zero_in_a_plain_replay_of_lone_numbers() -> None:
    b = Builder()
    zero, infinite = b.input(0, (), np.dtype(float)), b.input(1, (), np.dtype(float))
    replay = Replay(b.finished([b.add(Scale(), zero, infinite)]))
    assert replay([np.zeros(()), np.array(np.inf)])[0] == 0
