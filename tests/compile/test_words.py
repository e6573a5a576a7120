"""`compiled.explain()` tells of a program what is in it: counted here by other means."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.compile.program.operations import Constant, Input

LINE = re.compile(r"\d+\. .*?(: (?P<ms>[\d.]+) ms, (?P<share>\d+) %)?")


def said(words: str) -> list[dict[str, Any]]:
    """The lines about loops."""
    return [found.groupdict() for line in words.splitlines() if (found := LINE.fullmatch(line))]


def operations(words: str) -> int:
    return sum(map(int, re.findall(r"(\d+) × ", words)))


@given(st.lists(st.sampled_from(["tanh", "product", "sum", "sort"]), min_size=1, max_size=5), st.integers(2, 5))
def test_every_operation_is_told_once_and_shares_add_up(steps: list[str], n: int) -> None:
    def f(x: Any) -> Any:
        for step in steps:
            x = {
                "tanh": tm.tanh,
                "product": lambda x: x @ x,
                "sum": lambda x: x + tm.sum(x, axis=0, keepdims=True),
                "sort": lambda x: tm.sort(x, axis=-1),
            }[step](x)
        return x

    compiled = tm.compile(f)
    words = compiled.explain(np.random.default_rng(n).normal(size=(n, n)) / n)
    program = compiled._variants.all()[0].made.run.program
    whole = [node for node in program.nodes if not (node.op.view or isinstance(node.op, (Input, Constant)))]
    assert operations(words) == len(whole)
    rows = said(words)
    assert len(rows) >= 1 and abs(sum(int(row["share"]) for row in rows) - 100) <= len(rows)
    assert ("kernel" in words) == ("sort" in steps)


def test_cores_and_memory_are_those_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    from tinymeta_kernels import threads

    monkeypatch.setattr(threads, "count", 2)
    monkeypatch.setattr(import_module("tinymeta.compile.run.machine"), "WORTH_SHARING", 0)
    compiled = tm.compile(tm.grad(lambda w, x: tm.sum(tm.tanh(x @ w) ** 2)))
    compiled(np.ones((5, 3)), np.ones((8, 5)))
    words = compiled.explain()
    assert "for each of 8 tasks" in words and "on 2 cores" in words and "ms" not in words
    machine = compiled._variants.all()[0].made.run
    assert f"needs {machine.memory() / 1e6:.3g} MB" in words
    assert machine.memory() >= 15 * 8  # the gradient


def test_it_says_why_it_recorded_again() -> None:
    lr = [0.1]
    step = tm.compile(lambda x, y=None, *, mode="a": x * lr[0] if mode == "a" else x, static_argnames="mode")
    for change, call in (
        ("", lambda: step(np.ones(3))),
        ("was float64[3] and is float64[4]", lambda: step(np.ones(4))),
        ("was float64[4] and is float32[4]", lambda: step(np.ones(4, np.float32))),
        ("static argument 'mode'", lambda: step(np.ones(4, np.float32), mode="b")),
        ("structure", lambda: step(np.ones(4, np.float32), np.ones(2), mode="b")),
    ):
        call()
        first = step.explain().splitlines()[0]
        assert change in first and first.startswith("recorded again: " if change else "runs on")
    lr[0] = 0.2
    step(np.ones(3))
    assert "recorded again: lr[0] is another" in step.explain()


def test_it_says_so_where_each_number_needs_a_recording() -> None:
    step = tm.compile(lambda x, n: x * n if not isinstance(n, tm.Tensor) else x)
    step(np.ones(3), 2.0)
    assert "a number among the arguments" in step.explain(np.ones(3), 3.0)
    step(np.ones(3), True)
    assert "argument 1 was float and is bool True" in step.explain()


@given(st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=12))
def test_the_latest_recording_is_the_one_that_ran_last(lengths: list[int]) -> None:
    step = tm.compile(tm.tanh)
    for n in lengths:
        step(np.ones(n))
    assert step.programs()[0][0].nodes[0].shape == (lengths[-1],)


def test_what_does_not_run_on_the_machine_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinymeta_kernels.addresses.callable_from_loops", lambda: False)
    compiled = tm.compile(tm.tanh)
    assert "nothing recorded yet" in compiled.explain()
    with pytest.warns(tm.CompileWarning):
        compiled(np.ones(3))
    assert "plain replay: no Numba" in compiled.explain()
