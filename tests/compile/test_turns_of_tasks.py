"""Tasks that go through the turns of a loop on their own: only where none reads what another has written."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from tinymeta_kernels import threads

import tinymeta as tm
from tests.compile.in_turn import InTurn
from tinymeta.compile.place import assemble, in_bounds, schedule
from tinymeta.compile.program.operations import Contract, Ufunc
from tinymeta.compile.program.program import Builder
from tinymeta.compile.run import machine as run_machine
from tinymeta.compile.run.machine import Machine
from tinymeta.compile.verify import Broken


def test_loops_over_rows_of_a_sum_and_over_tasks_are_not_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """They were, and the tasks of one ran on beyond their arrays: the machine wrote into memory of others."""
    monkeypatch.setattr(schedule, "LONG", 2)
    body, dtype = Builder(), np.dtype(float)
    w, x = body.input(0, (5, 7), dtype), body.input(1, (3, 5), dtype)
    wide = body.add(Contract("ab", "bc", "ac"), body.add(Ufunc(np.tanh), x), w)
    said = body.add(Contract("ab", "ac", "bc"), x, wide)
    machine = Machine(body.finished([said, wide]))
    assert [(loop.kind, loop.count) for loop in machine.loops] == [("tasks", 3), ("rows", 7)]
    assert machine.joined(1 << 30, 1) is None
    assembly = assemble.assembled(machine.program)
    code = [n for loop in assembly.loops for n in (*loop.before, *loop.body, *loop.first)]
    with pytest.raises(Broken, match="of slot"):
        in_bounds.check_joined(assembly, code, max(loop.loop.count for loop in assembly.loops))


TURNED = {
    "another way round": lambda h, x: tm.tanh(h.T + x),
    "from the last": lambda h, x: tm.tanh(h[::-1] + x),
    "moved on": lambda h, x: tm.tanh(tm.roll(h, 1, 0) + x),
    "multiplied": lambda h, x: h.T @ x,
    "its first": lambda h, x: tm.tanh(h[:1] + x),
}


@pytest.mark.parametrize("turn", TURNED)
@pytest.mark.parametrize("last_first", [False, True])
def test_tasks_that_read_what_others_wrote_in_the_turn_before_wait_for_them(
    turn: str, last_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They did not: on two cores, or in blocks, large scans over a matrix that is turned were wrong."""
    rng = np.random.default_rng(0)
    h, xs = rng.normal(size=(6, 6)), rng.normal(size=(3, 6, 6))
    right, found = scanned(turn)(h, xs).numpy(), []
    monkeypatch.setattr(run_machine, "WORTH_SHARING", 0)
    monkeypatch.setattr(run_machine, "crew", InTurn(last_first))
    for cores, cache in ((2, assemble.CACHE), (1, 1)):
        monkeypatch.setattr(threads, "count", cores)
        monkeypatch.setattr(assemble, "CACHE", cache)
        compiled = tm.compile(scanned(turn), check=False)
        found += [compiled(h, xs).numpy() for _ in range(2)]
    for y in found:
        np.testing.assert_allclose(y, right, rtol=1e-13)


def scanned(turn: str) -> Any:
    return lambda h, xs: tm.scan(lambda h, x: (TURNED[turn](h, x), None), h, xs)[0]


@pytest.mark.parametrize("large", [False, True])
def test_a_turn_whose_results_are_constants_or_the_same_twice_has_a_place_for_each(large: bool) -> None:
    """To place one took for ever: a copy of a constant is a constant."""
    n = 100 if large else 3
    f = lambda h, xs: tm.scan(lambda h, x: ((tm.ones(n), h[1], h[1]), (x, x, tm.zeros(n))), (h, h, h), xs)
    h, xs = np.arange(float(n)), np.ones((4, n))
    for a, b in zip(tm.tree.leaves(tm.compile(f)(h, xs)), tm.tree.leaves(f(h, xs)), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_where_each_task_reads_all_of_a_carry_nobody_lists_what_it_reads() -> None:
    """1,000 tasks that read a matrix of a million numbers each took 16 GB to place."""
    body, dtype, n = Builder(), np.dtype(float), 1_000
    h, x = (body.input(k, (n, n), dtype) for k in (0, 1))
    machine = Machine(body.finished([body.add(Contract("ab", "bc", "ac"), x, h)]))
    tracemalloc.start()
    joined = machine.joined(1, 1)
    assert joined is None and tracemalloc.get_traced_memory()[1] < 40 * n * n
    tracemalloc.stop()
