"""`tm.scan` beside the loop that it stands for: values, derivatives, `vmap`, compiled, with every k-th carry kept."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tinymeta as tm

TURNS = st.sampled_from([0, 1, 2, 3, 5, 10])
KEEP = st.sampled_from([False, True, 1, 2, 7])
DTYPE = st.sampled_from([np.float32, np.float64])


def loop(f: Any, carry: Any, xs: Any, reverse: bool) -> tuple[Any, list[Any]]:
    """What scan is: a loop over the first axis."""
    n = len(tm.tree.leaves(xs)[0])
    said: list[Any] = [None] * n
    for t in reversed(range(n)) if reverse else range(n):
        carry, said[t] = f(carry, tm.tree.map(lambda a, t=t: a[t], xs))
    return carry, said


def cell(weight: Any, carry: Any, x: Any) -> tuple[Any, Any]:
    """A turn that uses both parts of its carry and both of its input, one of which is a mask."""
    h, total = carry
    h = tm.tanh(h @ weight + x["signal"])
    h = tm.where(x["open"], h, 0.5 * h)
    return (h, total + tm.sum(h * h)), {"h": h, "first": h[:1] * total}


def case(turns: int, width: int, dtype: Any, seed: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    weight = (rng.normal(size=(width, width)) / max(width, 1) ** 0.5).astype(dtype)
    xs = {"signal": rng.normal(size=(turns, width)).astype(dtype), "open": rng.random(turns) < 0.5}
    return weight, xs, rng.normal(size=width).astype(dtype)


def through(run: Any, weight: Any, xs: Any, start: Any) -> Any:
    """A scalar of everything that comes out."""
    (h, total), said = run(lambda c, x: cell(weight, c, x), (start, tm.sum(start)), xs)
    said = said if isinstance(said, list) else [tm.tree.map(lambda y, t=t: y[t], said) for t in range(len(xs["open"]))]
    each = [(t + 1) * tm.sum(leaf**3) for t, y in enumerate(said) for leaf in tm.tree.leaves(y)]
    return tm.sum(h) * total + sum(each, 0 * total)  # each turn counts by its number, so that their order is seen


def close(a: Any, b: Any, dtype: Any, turns: int, width: int, order: int) -> bool:
    """Both sides are the same operations in another order of additions: a chain of turns × width terms an order."""
    rounding = 16 * np.finfo(dtype).eps * (1 + turns * max(width, 1)) * (1 + order)
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and np.allclose(a, b, rtol=0, atol=rounding * max(1.0, float(np.abs(b).max(initial=0))))


@example(5, 1, np.float64, False, 2, 0)  # a turn is left over
@example(5, 1, np.float64, True, 3, 0)
@given(TURNS, st.sampled_from([1, 3]), DTYPE, st.booleans(), KEEP, st.integers(0, 99))
def test_values_and_gradients_are_the_loops(
    turns: int, width: int, dtype: Any, reverse: bool, keep: Any, seed: int
) -> None:
    weight, xs, start = case(turns, width, dtype, seed)
    scanned = lambda f, c, xs: tm.scan(f, c, xs, reverse=reverse, checkpoint=keep)
    looped = lambda f, c, xs: loop(f, c, xs, reverse)
    for argnum in (0, 2):
        ours, theirs = (
            tm.value_and_grad(lambda *a, run=run: through(run, *a), argnum)(weight, xs, start)
            for run in (scanned, looped)
        )
        assert close(ours[0], theirs[0], dtype, turns, width, 0)
        assert close(ours[1], theirs[1], dtype, turns, width, 1)


@given(st.sampled_from([1, 2, 4]), st.booleans(), KEEP, st.integers(0, 99))
def test_hessians_are_the_loops(turns: int, reverse: bool, keep: Any, seed: int) -> None:
    weight, xs, start = case(turns, 2, np.float64, seed)
    runs = (
        lambda f, c, xs: tm.scan(f, c, xs, reverse=reverse, checkpoint=keep),
        lambda f, c, xs: loop(f, c, xs, reverse),
    )
    for argnum in (0, 2):
        ours, theirs = (tm.hessian(lambda *a, run=run: through(run, *a), argnum)(weight, xs, start) for run in runs)
        assert close(ours, theirs, np.float64, turns, 2, 2)


@pytest.mark.parametrize("keep", [False, True])
def test_the_third_derivative_is_right(keep: bool) -> None:
    def f(x: Any) -> Any:
        last, said = tm.scan(lambda c, t: (tm.sin(c * t + x), c * x), x, np.array([0.5, 0.8, 1.1]), checkpoint=keep)
        return last + tm.sum(said)

    tm.testing.check_grad(f, 0.3, order=3)


@given(st.sampled_from([0, 1, 4]), st.sampled_from([1, 3]), st.booleans(), KEEP, st.integers(0, 99))
def test_under_vmap_every_example_is_scanned_by_itself(
    turns: int, examples: int, reverse: bool, keep: Any, seed: int
) -> None:
    weight, _, start = case(turns, 2, np.float64, seed)
    rng = np.random.default_rng(seed)
    signals = rng.normal(size=(examples, turns, 2))
    opened = rng.random((examples, turns)) < 0.5

    def f(weight: Any, signal: Any, gate: Any) -> Any:
        run = lambda f, c, xs: tm.scan(f, c, xs, reverse=reverse, checkpoint=keep)
        return tm.grad(lambda w: through(run, w, {"signal": signal, "open": gate}, start))(weight)

    ours = tm.vmap(f, in_axes=(None, 0, 0))(weight, signals, opened)
    theirs = np.stack([f(weight, s, o).numpy() for s, o in zip(signals, opened)])
    assert close(ours, theirs, np.float64, turns, 2, 1)
    meta = lambda w: tm.sum(tm.vmap(f, in_axes=(None, 0, 0))(w, signals, opened) ** 2)
    single = lambda w: sum(tm.sum(f(w, s, o) ** 2) for s, o in zip(signals, opened))
    assert close(tm.grad(meta)(weight), tm.grad(single)(weight), np.float64, turns, 2 * examples, 2)


@given(st.sampled_from([1, 2, 6]), st.sampled_from([1, 3, 9]), DTYPE, st.booleans(), KEEP, st.integers(0, 99))
def test_compiled_it_is_the_same(turns: int, width: int, dtype: Any, reverse: bool, keep: Any, seed: int) -> None:
    weight, xs, start = case(turns, width, dtype, seed)
    run = lambda f, c, xs: tm.scan(f, c, xs, reverse=reverse, checkpoint=keep)
    step = lambda weight, xs, start: tm.grad(lambda w: through(run, w, xs, start))(weight)
    compiled = tm.compile(step)
    compiled(weight, xs, start)
    other = case(turns, width, dtype, seed + 1)
    assert close(compiled(*other), step(*other), dtype, turns, width, 1)


@given(st.sampled_from([0, 1, 2, 5]), st.booleans(), KEEP, st.integers(0, 99))
def test_compiled_and_mapped_second_derivatives_are_the_same(turns: int, reverse: bool, keep: Any, seed: int) -> None:
    weight, xs, start = case(turns, 2, np.float64, seed)
    run = lambda f, c, xs: tm.scan(f, c, xs, reverse=reverse, checkpoint=keep)
    slope = lambda w, xs, start: tm.grad(lambda w: through(run, w, xs, start))(w)
    both = tm.vmap(slope, in_axes=(None, 0, None))
    step = tm.grad(lambda w, xs, start: tm.sum(both(w, xs, start) ** 2))
    compiled = tm.compile(step)
    several = {name: np.stack([x, x[::-1], x]) for name, x in xs.items()}
    compiled(weight, several, start)
    weight, _, start = case(turns, 2, np.float64, seed + 1)
    assert close(compiled(weight, several, start), step(weight, several, start), np.float64, turns, 6, 2)


def test_the_gradient_of_long_sequences_is_linear_in_work() -> None:
    """One stack puts the slices' cotangents together: no zeros of the whole length for each turn."""
    xs = tm.tensor(np.linspace(0, 1, 40))
    with tm.trace() as t:
        tm.grad(lambda xs: tm.scan(lambda c, x: (c * x, None), 1.0, xs)[0])(xs)
    assert 0 < sum(step.shape == (40,) for step in t.steps) < 10


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: tm.scan(lambda c, x: (c, x), 0.0), tm.engine.errors.ShapeError, "pass xs or length"),
        (lambda: tm.scan(lambda c, x: (c, x), 0.0, (np.ones(2), np.ones(3))), ValueError, r"found \[2, 3\]"),
        (lambda: tm.scan(lambda c, x: (c, x), 0.0, np.ones(2), 3), ValueError, r"found \[2, 3\]"),
        (lambda: tm.scan(lambda c, x: (c, x), 0.0, np.float32(1)), ValueError, "a float32 number has none"),
        (lambda: tm.scan(lambda c, x: (c, x), 0.0, length=-1), ValueError, "-1 turns"),
        (lambda: tm.scan(lambda c, x: (c, x), 0.0, length=2.5), TypeError, "length"),
        (lambda: tm.scan(lambda c, x: c, 0.0, length=2), TypeError, r"returns \(carry, y\), and this one a Tensor"),
        (lambda: tm.scan(lambda c, x: ((c, c), x), 0.0, length=2), TypeError, "another structure"),
        (lambda: tm.scan(lambda c, x: (c + x, x), np.float32(0), np.ones(2)), TypeError, "goes in as float32"),
        (
            lambda: tm.scan(lambda c, x: ({"h": c["h"][:1]}, x), {"h": np.ones(2)}, length=2),
            TypeError,
            "carry h goes in",
        ),
        (lambda: tm.scan(lambda c, x: (c, x), 0.0, np.ones(2), checkpoint=-2), ValueError, "k is at least 1"),
    ],
)
def test_what_no_turn_can_take_is_refused_in_a_sentence(call: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_a_carry_that_comes_out_as_a_python_number_keeps_its_dtype() -> None:
    last, said = tm.scan(lambda c, x: (0.5, c), np.float32(2), length=2)
    assert (last.dtype, last.tolist()) == (np.float32, 0.5)
    assert (said.dtype, said.tolist()) == (np.float32, [2, 0.5])


@pytest.mark.parametrize(("keep", "kept"), [(True, 4), (1, 16), (5, 4), (16, 1), (99, 1)])
def test_every_kth_carry_is_kept_of_16(keep: Any, kept: int) -> None:
    """By default each √16th: one node stands for the turns from one to the next."""
    x = tm.tensor(0.5, requires_grad=True)
    last, _ = tm.scan(lambda c, _: (tm.sin(c), None), x, length=16, checkpoint=keep)
    nodes, stack = set(), [last]
    while stack:
        node = stack.pop()
        nodes |= {node.id} if node.primitive and node.primitive.__name__ == "unrecorded" else set()
        stack += node.inputs
    assert len(nodes) == kept


def test_a_turn_that_says_nothing_is_fine() -> None:
    last, said = tm.scan(lambda c, x: (c + 1, None), np.zeros(2), length=3)
    assert said is None
    assert last.tolist() == [3, 3]


def test_without_turns_the_results_have_the_shapes_of_one() -> None:
    last, said = tm.scan(lambda c, x: (c, {"a": c[None] * x, "n": 3}), np.ones(2, np.float32), np.zeros((0, 4, 2)))
    assert last.tolist() == [1, 1]
    assert (said["a"].shape, said["n"].shape) == ((0, 4, 2), (0,))


@pytest.mark.parametrize("reverse", [False, True])
def test_turns_that_carry_nothing_are_looped_as_well(reverse: bool) -> None:
    xs = np.arange(6.0).reshape(3, 2)
    run = lambda xs: tm.scan(lambda c, x: (c, tm.sin(x) * 2), None, xs, reverse=reverse)
    for f in (run, tm.compile(run)):
        carry, said = f(xs)
        assert carry is None
        np.testing.assert_allclose(said.numpy(), np.sin(xs) * 2, rtol=1e-15)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("keep", [2, 3])
def test_turns_that_are_left_over_are_looped_after_the_blocks(keep: int, reverse: bool) -> None:
    """Of 5 turns and of 7, blocks of 2 and 3 leave one or two."""
    for turns in (5, 7):
        xs = np.random.default_rng(0).normal(size=(turns, 2))
        runs = [
            partial(tm.scan, lambda c, x: (tm.sin(c + x), c * x), reverse=reverse, checkpoint=k) for k in (keep, False)
        ]
        for a, b in zip(tm.compile(runs[0])(xs[0], xs), runs[1](xs[0], xs)):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-14, atol=1e-15)
