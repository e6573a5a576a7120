"""What a function reaches besides its arguments: a compiled one sees each change that an eager one sees."""

from __future__ import annotations

import copy
import functools
import operator
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.compile.captured_cases import CASES
from tests.compile.captured_objects import Box, Compile, Step, x
from tinymeta.compile.variants import BOUND


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_change_of_what_a_function_reaches_changes_its_result(case: Callable[[Compile], Step]) -> None:
    eager = [np.asarray(y).tolist() for y in map(case(lambda f: f), range(6))]
    Box.rate = 1.0
    compiled = [np.asarray(y).tolist() for y in map(case(tm.compile), range(6))]
    Box.rate = 1.0
    assert compiled == eager


class Trainer:
    def __init__(self) -> None:
        self.w, self.m, self.rate = tm.ones(2), tm.zeros(2), 0.5
        self.history: list[Any] = []
        self.bound = tm.compile(self.plain)

    def plain(self, g: Any) -> Any:
        m = 0.5 * self.m + g
        return self.w - self.rate * m, m

    @tm.compile
    def decorated(self, g: Any) -> Any:
        return self.plain(g)


@pytest.mark.parametrize("name", ["bound", "decorated"])
def test_a_method_trains_its_object_with_two_recordings(name: str) -> None:
    t, eager = Trainer(), Trainer()
    recorded: Any = t.bound if name == "bound" else Trainer.decorated
    before = len(recorded.programs())
    for k in range(12):
        g = np.full(2, float(k))
        t.w, t.m = getattr(t, name)(g)
        eager.w, eager.m = eager.plain(g)
        t.history.append(t.w)
        np.testing.assert_array_equal(t.w, eager.w)
    assert len(recorded.programs()) <= before + 2
    t.rate = eager.rate = 5.0
    np.testing.assert_array_equal(getattr(t, name)(x)[0], eager.plain(x)[0])


@tm.compile
def doubled(x: Any) -> Any:
    return 2 * x


def test_a_compiled_function_is_copied_and_pickled_as_a_function_is() -> None:
    for copied in (copy.copy(doubled), copy.deepcopy(doubled), pickle.loads(pickle.dumps(doubled))):
        assert copied is doubled
    assert pickle.loads(pickle.dumps(Trainer.decorated)) is Trainer.decorated


def test_a_copied_object_has_its_own_compiled_method() -> None:
    t = Trainer()
    t.bound(x)
    twin = copy.deepcopy(t)
    twin.rate = 5.0
    assert t.bound(x)[0].tolist() == [0.5, 0.5]
    assert twin.bound(x)[0].tolist() == [-4.0, -4.0]


def test_two_objects_with_one_compiled_method_keep_apart() -> None:
    a, b = Trainer(), Trainer()
    b.w = 10 * b.w
    for _ in range(4):
        a.w, a.m = a.decorated(x)
        b.w, b.m = b.decorated(x)
    np.testing.assert_array_equal(b.w - a.w, [9.0, 9.0])


def test_a_state_that_comes_back_finds_its_recording() -> None:
    runs = []
    mode = {"train": True}

    def f(x: Any) -> Any:
        runs.append(1)
        return x * (2 if mode["train"] else 3)

    compiled = tm.compile(f)
    for k in range(10):
        mode["train"] = k % 2 == 0
        assert compiled(x).tolist() == [2 + k % 2] * 2
    assert len(runs) == 2


class Scaling:
    def __init__(self, x: Any) -> None:
        self.x = x

    def scaled(self, by: list[float]) -> Any:
        return self.x * by[0]


@pytest.mark.parametrize("how", [((), {"by": [1.0]}), (([1.0],), {})], ids=["by name", "by position"])
def test_what_a_methodcaller_hands_on_is_looked_at(how: tuple[Any, dict[str, Any]]) -> None:
    args, named = how
    call = operator.methodcaller("scaled", *args, **named)
    f = tm.compile(lambda x: call(Scaling(x)))
    assert f(x).tolist() == [1, 1]
    (*args, *named.values())[0][0] = 5.0
    assert f(x).tolist() == [5, 5]


def test_attributes_that_no_code_names_may_change_freely() -> None:
    box = Box(value=2.0, log=[])
    compiled = tm.compile(lambda x: x * box.value)
    for _ in range(5):
        box.log = [*box.log, compiled(x)]
    assert len(compiled.programs()) == 1


# What only happens while recording


def test_counters_and_lists_that_a_function_only_writes_are_its_own_business() -> None:
    seen: list[Any] = []
    box = Box(runs=0, log={})

    def f(x: Any) -> Any:
        seen.append(x.shape)
        box.runs += 1
        box.log["shape"] = x.shape
        return x * 2

    compiled = tm.compile(f)
    for _ in range(3):
        compiled(x)
    assert (seen, box.runs) == ([(2,)], 1)
    seen.clear()
    compiled(x)
    assert not seen and len(compiled.programs()) == 1


def test_a_memo_that_is_filled_while_recording_is_recorded_full() -> None:
    made = []
    memo: dict[Any, float] = {}

    def f(x: Any) -> Any:
        if x.shape not in memo:
            made.append(1)
            memo[x.shape] = 3.0
        return x * memo[x.shape]

    compiled = tm.compile(f)
    assert compiled(x).tolist() == [3, 3] and len(made) == 1
    memo[2,] = 5.0
    assert compiled(x).tolist() == [5, 5]


def _counts(box: Box) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        box.value += 1
        return x * box.value

    return f


def _stores(box: Box) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        box.value = box.value + x
        return box.value

    return f


def _keeps(box: Box) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        box.log.append(x * 2)
        return x

    return f


@pytest.mark.parametrize(("make", "named"), [(_counts, "box.value"), (_stores, "box.value"), (_keeps, "box.log")])
def test_a_change_of_state_that_matters_is_an_error_that_shows_the_way(make: Any, named: str) -> None:
    box = Box(value=1, log=[])
    with pytest.raises(tm.UserError, match=rf"{named}.*Right: .*t\.{named[4:]} = t\.step"):
        tm.compile(make(box))(x)
    assert (box.value, box.log) == (1, [])  # and everything is as it was


def _takes(values: Any) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        for v in values:
            return x * v

    return f


def _asks(values: Any) -> Callable[[Any], Any]:
    return lambda x: x * values.send(None)


@pytest.mark.parametrize("make", [_takes, _asks])
def test_an_iterator_gives_something_else_each_time_and_is_refused(make: Any) -> None:
    with pytest.raises(tm.UserError, match="an iterator"):
        tm.compile(make(float(k) for k in range(9)))(x)


def test_a_default_that_each_call_adds_to_is_refused() -> None:
    def f(x: Any, seen: list[int] = []) -> Any:  # noqa: B006
        seen.append(1)
        return x * len(seen)

    with pytest.raises(tm.UserError, match="changes seen"):
        tm.compile(f)(x)
    assert f(x).tolist() == [1, 1]


# Bounds


def test_recordings_are_bounded_and_a_warning_names_what_changes() -> None:
    f = tm.compile(lambda batch, n: tm.sum(batch["x"]) * n)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for n in range(1, 2 * BOUND):
            assert f({"x": np.ones(n)}, 2.0).item() == 2 * n
            assert f({"x": np.ones(1)}, 2.0).item() == 2
    assert len(f.programs()) == BOUND
    (warning,) = told
    assert f"argument 0.x has had {BOUND + 1} forms" in str(warning.message)
    assert warning.filename == __file__


def test_a_state_that_never_comes_back_is_told_too() -> None:
    box = Box(value=0.0)
    f = tm.compile(lambda x: x * box.value)
    with pytest.warns(UserWarning, match=r"because box\.value has had"):
        for k in range(BOUND + 1):
            box.value = float(k)
            assert f(x).tolist() == [k, k]


def counting(f: Any, wraps: Any) -> Any:
    """A decorator's function, which counts its calls and reads the count."""
    calls = [0]

    @wraps(f)
    def counted(x: Any) -> Any:
        calls[0] += 1
        return f(x) * calls[0]

    return counted


@pytest.mark.parametrize("wraps", [functools.wraps, lambda f: lambda g: g], ids=["wraps", "plain"])
def test_what_a_decorators_function_reads_is_not_only_written_whatever_it_wraps(wraps: Any) -> None:
    with pytest.raises(tm.UserError, match=r"changes calls\[0\], which its code also reads"):
        tm.compile(counting(lambda x: x + 1, wraps))(np.ones(2))
