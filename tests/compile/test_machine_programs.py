"""Random programs on the machine and by plain replay: equal numbers, call after call, on one core or two."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from tinymeta_kernels import threads

from tests.compile.machine_programs import KINDS, argument, programs
from tinymeta.compile.place import axes, schedule
from tinymeta.compile.place.layout import Unplaceable
from tinymeta.compile.program.operations import Contract, Copy, Input, Operation
from tinymeta.compile.program.program import Program
from tinymeta.compile.run.machine import Machine
from tinymeta.compile.run.replay import Replay

OTHERS = {"Input", "Constant", "Call", "Part", "Check", "Loop"}  # numbers, Python's, and what test_loops.py draws
WITHIN = {"Windows"}  # stands in a Gather or a Scatter alone
examples = settings(max_examples=4 * settings.default.max_examples)


def kinds() -> set[str]:
    """Every kind of operation that a program can hold."""
    found, waiting = set(), [Operation]
    while waiting:
        cls = waiting.pop()
        narrower = [c for c in cls.__subclasses__() if c.__module__.startswith("tinymeta.compile.program.")]
        waiting += narrower
        if not narrower:
            found.add(cls.__name__)
    return found


def test_every_kind_of_operation_is_drawn() -> None:
    assert {cls.__name__ for cls in KINDS} == kinds() - OTHERS - WITHIN


def arguments(data: Any, program: Program) -> list[Any]:
    inputs = sorted((n for n in program.nodes if isinstance(n.op, Input)), key=lambda n: n.op.position)  # type: ignore[attr-defined]
    return [argument(data.draw, node.shape, node.dtype) for node in inputs]


def assert_equal(found: list[Any], expected: list[Any]) -> None:
    for a, b in zip(found, expected, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_array_equal(a, b)


def agrees(program: Program, data: Any) -> None:
    """Three calls, the last on what the first gave; and what a call gave stays."""
    try:
        run = Machine(program)
    except Unplaceable as error:
        assert "tiles" not in str(error)
        return
    replay = Replay(program)
    kept = []
    given = arguments(data, program)
    for _ in range(3):
        before = [x.copy() for x in given]
        found = run(given)
        assert_equal(given, before)
        expected = replay(given)
        assert_equal(found, expected)
        kept.append((found, expected))
        shared = [y for y in found if any(np.may_share_memory(y, x) for x in given)]
        assert not shared and not any(np.may_share_memory(a, b) for a in found for b in found if a is not b)
        given = arguments(data, program)
        for k, x in enumerate(given):
            same = [y for y in kept[0][0] if (y.shape, y.dtype) == (x.shape, x.dtype)]
            given[k] = data.draw(st.sampled_from([x, *same]))
    for found, expected in kept:
        assert_equal(found, expected)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_machine_computes_what_the_replay_does(kind: type[Operation]) -> None:
    @given(programs(kind=kind), st.data())
    def holds(program: Program, data: Any) -> None:
        agrees(program, data)

    holds()


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_long_arrays_and_several_cores(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "count", cores)
    monkeypatch.setattr(import_module("tinymeta.compile.run.machine"), "WORTH_SHARING", 0)

    @given(programs(long=True), st.data())
    def holds(program: Program, data: Any) -> None:
        agrees(program, data)

    holds()


@pytest.mark.parametrize(
    ("kind", "tasks", "turned"), [(Copy, False, False), (Contract, True, False), (Contract, False, True)]
)
def test_small_programs_with_the_loops_of_large_ones(
    kind: type[Operation], tasks: bool, turned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tiles, and products in rows: else only large programs have them, which the verifier doesn't run on symbols."""
    monkeypatch.setattr(schedule, "LONG", 2)
    if not tasks:
        monkeypatch.setattr(axes, "_most_work", lambda *asked: None)
    if turned:  # what is free to lie in any order of its axes lies in the last
        monkeypatch.setattr(axes.Axes, "in_memory", lambda self, i: tuple(reversed(range(len(self.rank[i])))))

    @examples
    @given(programs(kind=kind), st.data())
    def holds(program: Program, data: Any) -> None:
        agrees(program, data)

    holds()


@given(programs(), st.data())
def test_threads_that_call_one_program_at_once_get_their_own_answers(program: Program, data: Any) -> None:
    try:
        run = Machine(program)
    except Unplaceable:
        reject()
    given_ = [arguments(data, program) for _ in range(4)]
    expected = [Replay(program)(x) for x in given_]
    with ThreadPoolExecutor(4) as pool:
        for found, right in zip(pool.map(run, given_ * 3), expected * 3):
            assert_equal(found, right)
