"""What an operation refuses by value it refuses in every call: eagerly, while recording, and when replayed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.compile.first import executor
from tinymeta.compile.record.recording import record
from tinymeta.compile.run.replay import Replay
from tinymeta.engine.errors import ShapeError

x = np.random.default_rng(0).normal(size=(4, 3))
INSIDE = np.array([0, 1, 2, 0])
OUTSIDE = [np.array([0, 1, 2, 3]), np.array([0, 1, 2, -7])]
REGULAR, SINGULAR = np.eye(3), -np.ones((3, 3))

CASES: dict[str, tuple[Callable[[Any], Any], Any, list[Any]]] = {
    "cross_entropy": (lambda y: tm.nn.cross_entropy(x, y), INSIDE, OUTSIDE),
    "its gradient": (lambda y: tm.grad(tm.nn.cross_entropy)(x, y), INSIDE, OUTSIDE),
    "under vmap": (lambda y: tm.vmap(lambda r, n: tm.nn.cross_entropy(r[None], n[None]))(x, y), INSIDE, OUTSIDE),
    "take": (lambda i: tm.take(x, i), INSIDE, [OUTSIDE[1], OUTSIDE[0] + 1]),
    "two indices": (lambda i: tm.tensor(x)[i, i], INSIDE, OUTSIDE),
    "take_along_axis": (lambda i: tm.take_along_axis(x, i[:, None]), INSIDE, OUTSIDE),
    "index_set": (lambda i: tm.index_set(x, i, 1.0), np.array([0, 1]), [np.array([0, 9])]),
    "embedding": (lambda i: tm.nn.Embedding(3, 2, rng=np.random.default_rng(0))(i), INSIDE, OUTSIDE),
    "one_hot": (lambda y: tm.one_hot(y, 3), INSIDE, OUTSIDE),
    "solve": (lambda a: tm.solve(a, np.ones(3)), REGULAR, [SINGULAR]),
    "inv": (tm.inv, REGULAR, [SINGULAR]),
    "cholesky": (tm.cholesky, REGULAR, [SINGULAR]),
    "inverses of several": (tm.vmap(tm.inv), np.stack([REGULAR] * 2), [np.stack([REGULAR, SINGULAR])]),
    "gradient of det": (tm.grad(tm.det), REGULAR, [SINGULAR]),
    "whole powers": (lambda n: tm.pow(n, n), np.array([1, 2]), [np.array([1, -2])]),
}


@pytest.mark.parametrize(("f", "good", "bad"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("needed", [True, False], ids=["result", "unread"])
def test_a_replayed_program_refuses_what_eager_code_refuses(
    f: Callable[[Any], Any], good: Any, bad: list[Any], needed: bool
) -> None:
    g = f if needed else lambda a: (f(a), a * 2)[1]
    compiled = tm.compile(g)
    first = np.asarray(compiled(good))
    for _ in range(2):
        for arguments in bad:
            with pytest.raises(Exception) as expected:
                g(arguments)
            with pytest.raises(expected.type) as found:
                compiled(arguments)
            line = f"{__name__.split('.')[-1]}.py:"  # the same sentence, but for the line that it was called from
            assert _without(str(found.value), line) == _without(str(expected.value), line)
        np.testing.assert_array_equal(np.asarray(compiled(good)), first)  # an error leaves nothing behind
    assert len(compiled.programs()) == 1


def _without(text: str, line: str) -> str:
    before, found, after = text.partition(line)
    return before + after.lstrip("0123456789") if found else text


@pytest.mark.parametrize("run", [Replay, executor], ids=["replay", "machine"])
def test_a_check_survives_where_only_it_reads_its_argument(run: Any) -> None:
    recording = record(lambda given: (tm.nn.cross_entropy(x, given[0]), given[1] + 1.0)[1], [INSIDE, x], [])
    program = run(recording.program)
    np.testing.assert_array_equal(program([INSIDE, x])[0], x + 1)
    with pytest.raises(ShapeError, match="labels from 0 to 2"):
        program([OUTSIDE[0], x])


def test_a_first_call_with_bad_values_fails_and_records_nothing() -> None:
    compiled = tm.compile(lambda y: tm.nn.cross_entropy(x, y))
    with pytest.raises(ShapeError):
        compiled(OUTSIDE[0])
    assert not compiled.programs()
    assert compiled(INSIDE).shape == ()


def caught(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def instead(a: Any) -> Any:
        try:
            return f(a)
        except Exception:
            return tm.zeros(())

    return instead


@pytest.mark.parametrize(("f", "good", "bad"), CASES.values(), ids=CASES)
def test_a_function_that_catches_a_refusal_of_its_first_values_is_refused(
    f: Callable[[Any], Any], good: Any, bad: list[Any]
) -> None:
    compiled = tm.compile(caught(f))
    with pytest.raises(tm.UserError, match="catches an error that depends on the values"):
        compiled(bad[0])
    np.testing.assert_allclose(np.asarray(compiled(good)), np.asarray(f(good)), rtol=1e-13)


def test_so_is_one_that_catches_it_in_or_around_a_turn_of_a_loop() -> None:
    turn = lambda i: lambda c, k: (c + tm.take(x, i[k], axis=0)[0], None)
    looped = lambda turn: lambda i: tm.scan(turn(i), 0.0, np.arange(3))[0]
    for f in (caught(looped(turn)), looped(lambda i: lambda c, k: (c + caught(lambda i: turn(i)(0.0, k)[0])(i), None))):
        for bad in ([9, 1, 1], [1, 9, 1]):
            with pytest.raises((tm.UserError, IndexError)):
                tm.compile(f)(np.array(bad))
        right = f(np.array([1, 2, 0]))
        np.testing.assert_allclose(tm.compile(f)(np.array([1, 2, 0])), right, rtol=1e-13)


def test_an_error_of_shapes_or_of_constants_may_be_caught() -> None:
    labels = OUTSIDE[0]
    shapes = caught(lambda a: tm.reshape(a, (5, 5)))
    constants = lambda a: caught(lambda labels: tm.nn.cross_entropy(x, labels))(labels) + tm.sum(a)
    for f in (shapes, constants):
        compiled = tm.compile(f)
        for a in (x, 2 * x):
            np.testing.assert_allclose(compiled(a), f(a))


def test_values_that_a_recording_did_not_see_are_refused_by_its_first_run() -> None:
    def f(a: Any) -> Any:  # of a large result a recording keeps the first number, and 0 + 0 is a label
        labels = (a + 0)[:4]
        return tm.nn.cross_entropy(x, labels)

    compiled = tm.compile(f)
    bad = np.zeros(1 << 15, np.int64)
    bad[3] = 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is not the compiler that is wrong
        for _ in range(2):
            with pytest.raises(ShapeError, match="labels from 0 to 2"):
                compiled(bad)
        assert compiled(np.zeros(1 << 15, np.int64)).shape == ()


@pytest.mark.parametrize("f", [lambda n, x: x * (n * n), lambda n, x: x + n**3, lambda n, x: x - (n - -n)])
def test_python_integers_never_wrap_around(f: Callable[..., Any]) -> None:
    """Eager code has integers of any size; a program has 64 bits of each."""
    compiled, x = tm.compile(f), np.ones(2)
    for n in (3, -5, 2**20):
        np.testing.assert_array_equal(np.asarray(compiled(n, x)), f(n, x))
    for _ in range(2):
        with pytest.raises(OverflowError, match="static argument"):
            compiled(2**62, x)
