"""What a recording costs and what it may do: little memory, and numbers where an operation insists on them."""

from __future__ import annotations

import tracemalloc
import warnings
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.compile.record.recording import record


def test_a_recording_keeps_no_intermediate_results_beyond_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("tinymeta.compile.record.recording"), "KEPT", 0)

    def f(x: Any) -> Any:
        for _ in range(40):
            x = tm.sin(x * x)
        return tm.sum(x)

    x = np.linspace(0, 1, 1 << 17)
    gradient: Any = tm.grad(f)
    tracemalloc.start()
    try:
        record(lambda given: gradient(*given), [x], [])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * x.nbytes  # 80 results wait for the sweep
    np.testing.assert_allclose(tm.compile(gradient)(x).numpy(), gradient(tm.tensor(x)).numpy(), rtol=1e-12)


def test_an_operation_that_refuses_stand_ins_is_recorded_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("tinymeta.compile.record.recording"), "KEPT", 0)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(100, 100)), rng.normal(size=100)  # a + 0 is large enough to be let go of

    def f(a: Any, b: Any) -> Any:
        return tm.solve(a + 0.0 * b, b)

    np.testing.assert_allclose(tm.compile(f)(a, b).numpy(), np.linalg.solve(a, b), rtol=1e-9)


def test_stand_ins_warn_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("tinymeta.compile.record.recording"), "KEPT", 0)

    def spread(x: Any) -> Any:
        x = 2.0 * x  # of stand-ins all are alike, so that their deviation is 0
        return tm.sum((x - tm.mean(x)) / tm.std(x))

    with warnings.catch_warnings(record=True) as told, np.errstate(all="warn"):
        warnings.simplefilter("always")
        y = tm.compile(spread)(np.linspace(-1, 1, 1 << 15))
    assert not told and np.isfinite(y.item())


def test_a_function_of_small_arrays_that_fails_is_not_run_again() -> None:
    calls: list[int] = []

    def f(x: Any) -> Any:
        calls.append(1)
        raise KeyError(f"no such layer, {tm.sum(x).shape}")

    with pytest.raises(KeyError, match="no such layer"):
        tm.compile(f)(np.ones(3))
    assert len(calls) == 1


def test_a_decision_by_value_is_told_after_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("tinymeta.compile.record.recording"), "KEPT", 0)
    calls: list[int] = []

    def f(x: Any) -> Any:
        calls.append(1)
        y = x + 1.0
        return y if tm.sum(y).item() > 0 else x

    with pytest.raises(tm.UserError, match="Python float"):
        tm.compile(f)(np.ones(1 << 15))
    assert len(calls) == 1


def test_a_demand_that_refuses_stand_ins_is_made_of_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of stand-ins all are alike, so that three of four classes have no example."""
    for bound in ("KEPT", "LARGE"):
        monkeypatch.setattr(import_module("tinymeta.compile.record.recording"), bound, 0)
    learner = tm.meta.RelationNet(
        ways=4, network=lambda rng: tm.meta.Relation(tm.nn.MLP([2, 3], rng=rng), tm.nn.MLP([6, 1], rng=rng))
    )
    phi, rng = learner.init(np.random.default_rng(0)), np.random.default_rng(1)
    labels = np.tile(np.arange(4), (2, 2))
    task = (rng.normal(size=(2, 8, 2)).astype(np.float32), labels)

    def f(phi: Any, x: Any, labels: Any) -> Any:
        labels = labels + 0
        return learner(phi, tm.tasks.Episode((x, labels), (x, labels)))

    np.testing.assert_allclose(tm.compile(f)(phi, *task).numpy(), f(phi, *map(tm.tensor, task)).numpy(), rtol=1e-4)
