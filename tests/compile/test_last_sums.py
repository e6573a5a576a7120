"""Results that are 0 but for rounding: told from wrong ones by the terms of their last sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.compile.program.operations import Contract, Reduce, Ufunc
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.program.views import Permute
from tinymeta.compile.run.replay import Replay
from tinymeta.compile.run.rounding import Rounding
from tinymeta.compile.run.terms import in_terms

F = np.dtype(np.float32)
EPS = float(np.finfo(F).eps)
ROWS, COLUMNS = 64, 8


def cancelling() -> Program:
    """Σ_rows (e^x − mean e^x) and, for each row, what is left of a product less the same product."""
    b = Builder()
    x, w = b.input(0, (ROWS, COLUMNS), F), b.input(1, (COLUMNS, COLUMNS), F)
    y = b.add(Ufunc(np.exp), x)
    count = b.constant(np.full((1, 1), ROWS, F))
    mean = b.add(Ufunc(np.divide), b.reshape(b.add(Reduce(np.add, (0,)), y), (1, COLUMNS)), count)
    zero = b.add(Reduce(np.add, (0,)), b.add(Ufunc(np.subtract), y, mean))
    product = b.add(Contract("ij", "jk", "ik"), y, w)
    turned = b.add(Permute((1, 0)), b.add(Contract("kj", "ij", "ki"), b.add(Permute((1, 0)), w), y))
    return b.finished([zero, b.add(Ufunc(np.negative), b.add(Ufunc(np.subtract), product, turned))])


def given() -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=s).astype(F) for s in ((ROWS, COLUMNS), (COLUMNS, COLUMNS))]


def judge(program: Program, monkeypatch: pytest.MonkeyPatch) -> Rounding:
    """One that may not run anything in float64."""
    found = Rounding(program, given(), lambda results: results, 1)
    monkeypatch.setattr(found, "_moved", lambda *_: [np.zeros(COLUMNS), np.zeros((ROWS, COLUMNS))])
    return found


def test_terms_are_added_up_with_all_signs_positive() -> None:
    x, w = given()
    y = np.exp(x.astype(float))
    sums, last = in_terms(cancelling())
    found = Replay(sums)([x, w])
    np.testing.assert_allclose(found[0], np.abs(y - y.mean(0)).sum(0), rtol=1e-5)
    np.testing.assert_allclose(found[1], 2 * y @ np.abs(w), rtol=1e-5)
    assert len(last) == len(cancelling().nodes)


def test_two_orders_of_one_sum_are_told_to_be_right_by_one_more_plain_run(monkeypatch: pytest.MonkeyPatch) -> None:
    program, (x, w) = cancelling(), given()
    y = np.exp(x)
    backwards = [np.add.reduce((y - y[::-1].mean(0))[::-1], 0), y[:, ::-1] @ w[::-1] - y @ w]
    found = Replay(program)([x, w])
    rounding = judge(program, monkeypatch)
    assert not rounding.plain(found, backwards, EPS)
    assert rounding.explains(found, backwards, EPS, kinks=False)


@pytest.mark.parametrize("which", [0, 1])
def test_a_term_that_is_wrong_in_its_fourth_digit_is_seen(which: int, monkeypatch: pytest.MonkeyPatch) -> None:
    program, (x, w) = cancelling(), given()
    wrong = Replay(program)([x, w])
    term = np.exp(x).max() * (1 if which == 0 else np.abs(w).max())
    wrong[which].flat[0] += 5e-4 * term
    assert not judge(program, monkeypatch).explains(wrong, Replay(program)([x, w]), EPS)


def test_terms_whose_sum_is_beyond_the_dtype_explain_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    b = Builder()
    x = b.input(0, (3,), F)
    program = b.finished([b.add(Reduce(np.add, (0,)), x)])
    huge = np.array([2e38, -2e38, 3.0], F)
    found = Rounding(program, [huge], lambda results: results, 1)
    monkeypatch.setattr(found, "_moved", lambda *_: [np.zeros(())])
    assert not found.explains([np.array(4.0, F)], [np.array(3.0, F)], EPS)


def test_the_gradient_of_a_bias_in_front_of_a_normalisation_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def loss(params: Any, x: Any) -> Any:
        y = x @ params["w"] + params["b"]
        y = y - tm.mean(y, 0, keepdims=True)
        y = y / tm.sqrt(tm.mean(tm.square(y), 0, keepdims=True) + 1e-5)
        return tm.mean(tm.square(tm.tanh(y) - 0.3))

    def never(*_: Any) -> Any:
        raise AssertionError("one plain run would have been enough")

    monkeypatch.setattr(Rounding, "_moved", never)
    rng = np.random.default_rng(0)
    params = {"w": rng.normal(size=(20, 30)).astype(F), "b": rng.normal(size=30).astype(F)}
    step = tm.compile(tm.grad(loss))
    step(params, rng.normal(size=(50, 20)).astype(F))
    assert "as far as rounding lets it" in step.report()
