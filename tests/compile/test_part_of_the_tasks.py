"""The program of a few tasks gives what the whole one gives on these repeated; what can't be cut has none."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import tinymeta as tm
from tests.compile.machine_programs import argument
from tests.compile.task_programs import task_programs
from tests.compile.test_random_programs import recorded
from tests.fuzz import networks
from tests.fuzz.agreement import Refused, results
from tinymeta.compile import first
from tinymeta.compile.program import well_formed
from tinymeta.compile.program.operations import Contract, Input
from tinymeta.compile.program.program import Program
from tinymeta.compile.run import part, selfcheck
from tinymeta.compile.run.replay import Replay
from tinymeta.compile.run.selfcheck import Case, compared

drawn = settings(max_examples=250, phases=[Phase.generate], derandomize=True, database=None, deadline=None)


def has_a_right_part(program: Program, data: Any) -> bool:
    """Whether the program has a part; it is right, then."""
    inputs = sorted((n.op.position, n.shape, n.dtype) for n in program.nodes if isinstance(n.op, Input))
    few = part.part_of(program, given := [argument(data.draw, shape, dtype) for _, shape, dtype in inputs])
    if few is None:
        return False
    assert len(given) == len(few.arguments) == len(few.repeated)
    for found, right in zip(few.seen(Replay(few.program)(few.arguments)), Replay(program)(few.repeated), strict=True):
        assert (found.shape, found.dtype) == (right.shape, right.dtype)
        np.testing.assert_array_equal(found, right)
    return True


def parts_of_random_programs() -> int:
    """How many of them have a part."""
    have: list[bool] = []

    @drawn
    @given(task_programs(), st.data())
    def agree(program: Program, data: Any) -> None:
        have.append(has_a_right_part(program, data))

    agree()
    return sum(have)


def test_the_few_tasks_of_random_programs_give_what_all_give() -> None:
    assert parts_of_random_programs() > 25


FAULTS = {
    "anything is cut": ("_by_tasks", lambda *given: True),
    "sums count once": ("_adds", lambda op: False),
    "only products add up": ("_adds", lambda op: isinstance(op, Contract)),
    "no operation is told its new shape": ("_to", lambda op, shape: op),
    "tasks have no numbers of their own": ("_again", lambda x, axis, tasks, kept: np.resize(x, tasks)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_part_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, *FAULTS[name])
    monkeypatch.setattr(well_formed, "holds", lambda program: True)
    with pytest.raises((AssertionError, ValueError, TypeError, IndexError)):
        parts_of_random_programs()


@pytest.fixture
def lean(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Recordings let go of every result, so that their check takes a part of the tasks; the parts taken."""
    recording = import_module("tinymeta.compile.record.recording")
    monkeypatch.setattr(recording, "LARGE", 0)
    monkeypatch.setattr(recording, "KEPT", 0)
    taken: list[Any] = []
    monkeypatch.setattr(selfcheck, "part_of", lambda *given: taken.append(part.part_of(*given)) or taken[-1])
    return taken


def test_the_check_of_a_few_tasks_finds_nothing_wrong_with_random_networks(lean: list[Any]) -> None:
    for seed in range(24):
        case = networks.draw(seed)._replace(tasks=4, shots=2)
        try:
            program = case.build(case.dtype)
            with np.errstate(all="ignore"):
                results(program.f, program.arguments(0))
        except Refused:
            continue
        whole, leaves = recorded(program.f, *program.arguments(0))
        verdict = compared(Case(whole, whole, Replay, list(map(np.asarray, leaves)), None), Replay(whole), [])
        assert verdict.stage is None, f"seed {seed}: {verdict.said}"
    assert sum(few is not None for few in lean) > 10


def test_a_network_whose_kernels_know_nothing_of_the_examples_has_no_part(lean: list[Any]) -> None:
    """Its first layer is a kernel of all images at once, and what it gives has their axis again."""
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(16, 1, 3, 3)), rng.normal(size=(16, 1, 9, 9))

    def f(w: Any, x: Any) -> Any:
        y = tm.reshape(tm.cumulative_sum(tm.nn.conv2d(x, w), axis=-1), (16, 4, -1))
        return (y - tm.mean(y, axis=-1, keepdims=True)) * 2.0

    compiled = tm.compile(f)
    np.testing.assert_allclose(compiled(w, x).numpy(), f(w, x).numpy(), rtol=1e-12, atol=1e-12)
    assert "agrees with the plain replay" in compiled.report()


def test_values_that_only_the_few_refuse_are_no_fault(lean: list[Any]) -> None:
    """The moments of 32 examples in 6 dimensions have an inverse, those of 2 have none."""
    rng = np.random.default_rng(0)
    x, y = np.tile(np.eye(6), (6, 1))[:32], rng.normal(size=(32, 1))
    program, given = recorded(lambda x, y: tm.solve(x.mT @ x, x.mT @ y), x, y)
    run = Replay(program)
    verdict = compared(Case(program, program, Replay, given, None), run, run(given))
    assert lean[-1] is not None and lean[-1].kept == 2
    assert verdict == (None, "agrees with the plain replay")


def test_a_check_that_fails_by_itself_accuses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*given: Any) -> Any:
        raise KeyError("no such axis")

    monkeypatch.setattr(first, "compared", crash)
    compiled = tm.compile(lambda x: tm.tanh(x) * 2.0)
    x = np.linspace(-1, 1, 5)
    with pytest.warns(tm.CompileWarning, match="could not check itself.*KeyError") as said:
        y = compiled(x)
    assert len(said) == 1 and "wrong" not in str(said[0].message)
    np.testing.assert_array_equal(y.numpy(), np.tanh(x) * 2)
    assert "plain replay" in compiled.report() and "could not be checked" in compiled.report()
