"""A compiled function that is right raises no alarm, where rounding turns kinks and where numbers are equal."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.compile.run import selfcheck
from tinymeta.ops import reduce


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def relu_network(rng: np.random.Generator, dtype: Any, order: int) -> tuple[Any, Any]:
    """A random network whose kinks rounding may turn, and its arguments."""
    widths = [int(n) for n in rng.integers(1, 24, size=rng.integers(3, 6))]
    w = [(rng.normal(size=s) / np.sqrt(s[0])).astype(dtype) for s in zip(widths, widths[1:])]
    x = rng.normal(size=(int(rng.integers(2, 30)), widths[0])).astype(dtype)
    normed = bool(rng.integers(2))

    def f(w: Any, x: Any) -> Any:
        for m in w[:-1]:
            x = x @ m
            x = tm.nn.relu((x - tm.mean(x, axis=0)) / tm.sqrt(tm.var(x, axis=0) + 1e-5) if normed else x)
        return tm.mean(tm.square(x @ w[-1]))

    def step(w: Any, x: Any) -> Any:
        return tm.tree.map(lambda p, g: p - 0.1 * g, w, tm.grad(f)(w, x))

    return (tm.grad(lambda w, x: f(step(w, x), x)) if order == 2 else tm.grad(f)), (w, x)


def said_by(f: Any, *given: Any) -> list[str]:
    """The warnings of a compiled function's first call, whose results are compared with the plain replay's."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        tm.compile(f)(*given)
    return [str(warning.message) for warning in said]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bytes_", [selfcheck.COSTLY, -1], ids=["small", "as if it were large"])
def test_kinks_that_rounding_turns_raise_no_alarm(
    order: int, dtype: Any, bytes_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selfcheck, "COSTLY", bytes_)
    for seed in range(25):
        f, given = relu_network(np.random.default_rng((seed, order)), dtype, order)
        assert not said_by(f, *given), f"seed {seed}"


def test_choices_among_equal_numbers_raise_no_alarm() -> None:
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        x = rng.integers(0, 3, size=(2, 3, 8, 8)).astype(dtype)  # many ties
        w = rng.normal(size=(3, 3, 3, 3)).astype(dtype)
        pooled = lambda w, x: tm.sum(tm.square(tm.nn.max_pool2d(tm.nn.conv2d(x, w, padding=1), 2)))
        chosen = lambda x: (tm.argmax(x @ x.mT, axis=-1), tm.sort(x, axis=-1), tm.floor(x / 3.0 * 3.0))
        assert not said_by(tm.grad(pooled), w, x) and not said_by(chosen, x)


ROWS, TENTH = 1_000_000, np.float32(0.1)


def test_equal_numbers_that_are_all_rounded_to_one_side_raise_no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduce, "is_long", lambda x, axes: False)
    given = np.full((ROWS, 2), TENTH)
    eager, exact = tm.mean(given, 0).numpy(), TENTH
    found = tm.compile(lambda x: tm.mean(x, 0))(given).numpy()
    assert np.abs(found - exact).max() < np.abs(eager - exact).max() > 1e-4  # the eager sum rounds more
    monkeypatch.setattr(selfcheck, "_nearer", lambda *results: False)
    with pytest.warns(tm.CompileWarning, match="at stage"):
        tm.compile(lambda x: tm.mean(x, 0))(given)


def test_what_is_farther_from_the_exact_numbers_than_the_right_ones_is_a_fault() -> None:
    exact = [np.array([1.0, 2.0])]
    right, got = [np.float32([1.0, 2.1])], [np.float32([1.05, 2.0])]
    assert selfcheck._nearer(got, right, exact) and not selfcheck._nearer(right, got, exact)
    assert not selfcheck._nearer([np.float32([np.nan, 2.0])], right, exact)
