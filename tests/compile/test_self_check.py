"""A compiled function checks its first call: a fault in any stage costs time, never a number."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tempfile
import threading
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.compile import first
from tinymeta.compile.compiled import Compiled
from tinymeta.compile.program import well_formed, writing
from tinymeta.compile.program.operations import Ufunc
from tinymeta.compile.program.program import Program
from tinymeta.compile.record import translate
from tinymeta.compile.run import selfcheck
from tinymeta.compile.run.machine import Machine
from tinymeta.compile.verify import Broken


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def loss(w: Any, x: Any) -> Any:
    return tm.mean(tm.square(tm.tanh(x @ w[0]) @ w[1]))


def arguments(dtype: Any = np.float64, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s).astype(dtype) for s in ((3, 8), (8, 2))], rng.normal(size=(6, 3)).astype(dtype)


def with_sine(program: Program) -> Program:
    """The program with a sine in place of each tanh."""
    nodes = [n._replace(op=Ufunc(np.sin)) if n.op == Ufunc(np.tanh) else n for n in program.nodes]
    return Program(nodes, program.results)


def wrong_machine(monkeypatch: pytest.MonkeyPatch, only: Any = None) -> None:
    """A machine with a wrong instruction, in programs of all dtypes or of one."""

    class Wrong(Machine):
        def __init__(self, program: Program) -> None:
            hit = only is None or any(node.dtype == only for node in program.nodes)
            super().__init__(with_sine(program) if hit else program)

    monkeypatch.setattr(import_module("tinymeta.compile.run.machine"), "Machine", Wrong)


def wrong_rewrite(monkeypatch: pytest.MonkeyPatch) -> None:
    right = first.rewritten
    monkeypatch.setattr(first, "rewritten", lambda p: with_sine(right(p)))


def wrong_translation(monkeypatch: pytest.MonkeyPatch) -> None:
    right = translate._rule
    sine = lambda b, x: b.add(Ufunc(np.sin), x)
    monkeypatch.setattr(translate, "_rule", lambda b, p, xs: sine if p.__name__ == "tanh" else right(b, p, xs))


FAULTS = {"machine": wrong_machine, "rewrite": wrong_rewrite, "translate": wrong_translation}


def told(compiled: Compiled, *given: Any) -> tuple[Any, list[str]]:
    """The results of a call, and its warnings."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        found = compiled(*given)
    return found, [str(w.message) for w in seen if w.category is tm.CompileWarning]


def equal(found: Any, expected: Any) -> None:
    for a, b in zip(tm.tree.leaves(found), tm.tree.leaves(expected), strict=True):
        eps = 1e3 * np.finfo(b.dtype).eps  # 50 roundings in a row, on numbers of size 1, twenty times over
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=eps, atol=eps)


@pytest.mark.parametrize("stage", FAULTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bytes_", [selfcheck.COSTLY, -1], ids=["small", "as if it were large"])
def test_a_fault_is_told_once_by_its_stage_and_the_numbers_are_right(
    stage: str, dtype: Any, bytes_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selfcheck, "COSTLY", bytes_)
    FAULTS[stage](monkeypatch)
    compiled = tm.compile(tm.grad(loss))
    for seed in range(3):
        given = arguments(dtype, seed)
        found, said = told(compiled, *given)
        equal(found, tm.grad(loss)(*given))
        assert len(said) == (seed == 0)
        if said:
            assert f"at stage '{stage}'" in said[0] and "shows it" in said[0]
    assert f"stage '{stage}' was at fault" in compiled.report()


def script(said: str) -> Path:
    return Path(said.split("`python ")[1].split("`")[0])


def run_alone(file: Path) -> subprocess.CompletedProcess[str]:
    """The script in a process of its own, which imports what this one does."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, str(file)], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("stage", FAULTS)
def test_the_reproducer_runs_and_fails_as_long_as_the_fault_is_there(
    stage: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as fault:
        FAULTS[stage](fault)
        file = script(told(tm.compile(tm.grad(loss)), *arguments())[1][0])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(file))
        assert ended.value.code == 1 and f"at fault: {stage}" in capsys.readouterr().out
    alone = run_alone(file)
    mended = stage != "translate"  # what was recorded wrongly stands in the file
    assert alone.returncode == (0 if mended else 1), alone.stderr
    assert not list(file.parent.glob("*.pkl")) and {f.suffix for f in file.parent.iterdir()} == {".py", ".npz"}


def test_the_reproducer_can_write_kernels_and_checks_of_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations that are no names of the compiler's own: a cross-entropy's labels are checked, sorting is a kernel."""
    rng = np.random.default_rng(0)
    f = lambda x, i: tm.nn.cross_entropy(tm.sort(tm.tanh(x), axis=-1)[:, ::2], i)
    with monkeypatch.context() as fault:
        wrong_machine(fault)
        file = script(told(tm.compile(f), rng.normal(size=(5, 6)), np.array([0, 1, 2, 0, 1]))[1][0])
    assert "Call(named(" in file.read_text(encoding="utf-8") and "Check(named(" in file.read_text(encoding="utf-8")
    alone = run_alone(file)
    assert alone.returncode == 0 and "no fault" in alone.stdout, alone.stderr


@pytest.mark.parametrize("bytes_", [selfcheck.COSTLY, -1], ids=["small", "as if it were large"])
def test_a_fault_of_float32_alone_is_seen(bytes_: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfcheck, "COSTLY", bytes_)
    wrong_machine(monkeypatch, np.dtype(np.float32))
    given = arguments(np.float32)
    found, said = told(tm.compile(tm.grad(loss)), *given)
    assert len(said) == 1 and "'machine'" in said[0]
    equal(found, tm.grad(loss)(*given))


def test_a_stage_that_crashes_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(program: Program) -> Program:
        raise KeyError("no such label")

    monkeypatch.setattr(first, "rewritten", crash)
    given = arguments()
    found, said = told(compiled := tm.compile(loss), *given)
    assert len(said) == 1 and "KeyError: 'no such label'" in said[0]
    equal(found, loss(*given))
    equal(told(compiled, *arguments(seed=1))[0], loss(*arguments(seed=1)))


@pytest.mark.parametrize("rule", [(well_formed, "check"), (writing, "folded")])
def test_a_recording_that_breaks_a_rule_is_told_and_the_function_runs(
    rule: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: Any) -> None:
        raise Broken("recorded program", "node 0", "of (2,) it makes (3,)")

    monkeypatch.setattr(*rule, broken)
    f = lambda w, x: loss(w, x) * tm.exp(tm.zeros(()))  # exp 0 is a constant, folded
    compiled = tm.compile(f)
    for seed in range(2):
        found, said = told(compiled, *arguments(seed=seed))
        equal(found, f(*arguments(seed=seed)))
        assert len(said) == (seed == 0)
        assert not said or "it makes (3,)" in said[0]
    assert "runs on the function itself" in compiled.report()


def test_a_check_that_was_switched_off_does_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_machine(monkeypatch)
    given = arguments()
    found, said = told(compiled := tm.compile(loss, check=False), *given)
    assert not said and abs(float(found) - float(loss(*given))) > 1e-3
    assert "was not asked for" in compiled.report()


def test_what_recording_let_go_of_is_checked_for_some_of_the_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("tinymeta.compile.record.recording"), "KEPT", 0)
    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(3, 4)), rng.normal(size=(12, 2000, 3))
    f = lambda w, x: tm.grad(lambda w: tm.mean(tm.vmap(lambda x: tm.mean(tm.square(tm.tanh(x @ w))))(x)))(w)
    found, said = told(compiled := tm.compile(f), w, x)
    assert not said and " of 12 tasks" in compiled.report()
    equal(found, f(w, x))
    wrong_machine(monkeypatch)
    found, said = told(compiled := tm.compile(f), w, x)
    assert len(said) == 1 and "'machine'" in said[0]
    equal(found, f(w, x))


def test_two_threads_that_call_first_at_once_are_told_once_and_right(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_machine(monkeypatch)
    compiled, given, found = tm.compile(loss), arguments(), []
    start = threading.Barrier(2)

    def call() -> None:
        start.wait()
        found.append(compiled(*given))

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        threads = [threading.Thread(target=call) for _ in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert len(seen) == 1 and len(found) == 2
    for y in found:
        equal(y, loss(*given))


def test_a_compiled_function_inside_of_another_is_part_of_it() -> None:
    inner = tm.compile(lambda x: tm.sum(tm.tanh(x)))
    outer = tm.compile(lambda x: inner(x) * inner(2.0 * x))
    x = np.linspace(-1, 1, 7)
    equal(outer(x), np.asarray(tm.sum(tm.tanh(x)) * tm.sum(tm.tanh(2.0 * x))))


def test_arguments_are_as_they_were_and_later_calls_are_other_calls() -> None:
    compiled = tm.compile(tm.grad(loss))
    given = arguments()
    before = [np.array(x) for x in tm.tree.leaves(given)]
    one = compiled(*given)
    kept = [np.array(x) for x in tm.tree.leaves(one)]
    compiled(*arguments(seed=1))
    for x, y in zip(before, tm.tree.leaves(given), strict=True):
        np.testing.assert_array_equal(x, y)
    for x, y in zip(kept, tm.tree.leaves(one), strict=True):
        np.testing.assert_array_equal(x, np.asarray(y))


def test_who_runs_in_plain_numpy_calls_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from tinymeta.compile.place.layout import Unplaceable

    def unplaceable(self: Any, program: Program) -> None:
        raise Unplaceable("a product has no form")

    monkeypatch.setattr(Machine, "__init__", unplaceable)
    compiled = tm.compile(loss)
    for seed, n in enumerate((6, 7, 6)):
        w, _ = arguments(seed=seed)
        x = np.ones((n, 3))
        found, said = told(compiled, w, x)
        assert len(said) == (seed == 0)
        equal(found, loss(w, x))
    assert compiled.report().count("plain replay: a product has no form") == 2


def test_that_there_is_no_numba_is_said_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinymeta_kernels.addresses.callable_from_loops", lambda: False)
    monkeypatch.setattr(import_module("tinymeta.compile.compiled"), "_warned", set())
    given = arguments()
    said = [told(tm.compile(f), *given)[1] for f in (loss, tm.grad(loss), lambda w, x: loss(w, x) + 1)]
    assert [len(words) for words in said] == [1, 0, 0] and "no Numba" in said[0][0]


def test_bad_values_in_a_first_call_are_the_errors_of_eager_code_and_no_fault() -> None:
    compiled = tm.compile(lambda x, i: tm.nn.cross_entropy(x, i))
    logits = np.zeros((4, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((ValueError, IndexError)):
            compiled(logits, np.array([0, 1, 2, 3]))
    assert float(compiled(logits, np.array([0, 1, 2, 2]))) == pytest.approx(np.log(3))
