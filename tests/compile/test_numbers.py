"""Numbers among the arguments of a compiled function: Python's and NumPy's, with the manners of eager code."""

from __future__ import annotations

import enum
import functools
import warnings
from collections.abc import Callable, Sized
from numbers import Integral
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.compile.record import number

x = np.ones(2)
KINDS: dict[str, Callable[[int], Any]] = {
    "int": int,
    "float": float,
    "half": lambda n: n / 2,
    "float64": np.float64,
    "float32": np.float32,
    "int64": np.int64,
    "int8": np.int8,
    "uint8": lambda n: np.uint8(abs(n)),
}
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
}
Expression = tuple[str, Any, Any]  # an operator and two expressions; an int stands for a number argument


def expressions(arguments: int) -> st.SearchStrategy[Any]:
    leaves = st.integers(0, arguments - 1) | st.sampled_from([("constant", 2, None), ("constant", 0.5, None)])
    return st.recursive(leaves, lambda e: st.tuples(st.sampled_from(list(OPERATORS)), e, e), max_leaves=4)


def value(e: Any, numbers: tuple[Any, ...]) -> Any:
    if isinstance(e, int):
        return numbers[e]
    return e[1] if e[0] == "constant" else OPERATORS[e[0]](value(e[1], numbers), value(e[2], numbers))


def outcome(f: Callable[..., Any], *args: Any) -> tuple[str, Any]:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            y = f(*args)
        except (ArithmeticError, tm.UserError, ValueError, TypeError) as error:
            return "error", error
    return str(y.dtype), y.numpy()


def same(compiled: tuple[str, Any], eager: tuple[str, Any]) -> bool:
    if compiled[0] == "error":
        why = str(compiled[1])  # a result of another kind is told why
        return eager[0] == "error" or "of them" in why or "to the power" in why
    if eager[0] == "error" or compiled[0] != eager[0]:
        return False
    return np.allclose(compiled[1], eager[1], rtol=4 * np.finfo(eager[1].dtype).eps, atol=0, equal_nan=True)


@settings(max_examples=50)
@given(st.data())
def test_random_arithmetic_on_numbers_is_that_of_eager_code(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=3))
    e = data.draw(expressions(len(kinds)))
    array = x.astype(data.draw(st.sampled_from([np.float32, np.float64])))
    f = lambda x, *numbers: x * value(e, numbers)
    step = tm.compile(f)
    for _ in range(3):
        numbers = [KINDS[kind](data.draw(st.integers(-3, 3))) for kind in kinds]
        eager = outcome(lambda *args: tm.tensor(args[0]) * value(e, args[1:]), array, *numbers)
        assert same(outcome(step, array, *numbers), eager), (e, numbers, eager)


def test_arithmetic_that_forgets_where_it_came_from_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    f = lambda x, n, m: x * (n / m)
    for owner, name, new, numbers in (
        (number, "_as_python", lambda a, b, name: None, (1.0, 0.0)),
        (number.Number, "weak", lambda self, like: self, (np.float32(1), np.int64(2))),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, new)
            step = tm.compile(f)
            step(np.ones(2, np.float32), 1.0, 2.0)
            assert not same(outcome(step, x.astype("f"), *numbers), outcome(f, tm.tensor(x.astype("f")), *numbers))


class Mode(enum.IntEnum):
    PLAIN, DOUBLE = 1, 2


class Metres(float):
    unit = "m"


def matched(x: Any, n: Any) -> Any:
    match n:
        case int():
            return x * 5
    return x


@functools.singledispatch
def dispatched(n: Any) -> float:
    return 1.0


dispatched.register(int, lambda n: 2.0)
dispatched.register(float, lambda n: 3.0)


ASKED: dict[str, tuple[Callable[[Any, Any], Any], list[Any]]] = {
    "key of a dict": (lambda x, n: x * {1: 2.0, 3: 5.0}.get(n, 1.0), [2, 4]),
    "a member of an enumeration": (lambda x, m: x * 5 if m is Mode.DOUBLE else x, [*Mode]),
    "a float of one's own": (lambda x, m: x * m if m.unit == "m" else x, [Metres(2), Metres(3)]),
    "class": (lambda x, n: x * 5 if isinstance(n, int) else x, [1, 2, 2.0]),
    "not a Tensor, says its class": (lambda x, n: x * 5 if n.__class__ is float else x, [1, 2.0]),
    "class of NumPy's": (lambda x, n: x * 5 if isinstance(n, int) else x, [np.int64(1), np.bool_(True)]),
    "a class of NumPy's": (
        lambda x, n: x * 5 if isinstance(n, np.floating) else x,
        [1.0, np.float32(1), np.float64(1)],
    ),
    "abstract class": (lambda x, n: x * 5 if isinstance(n, Integral) else x, [2, np.int8(2), 2.0]),
    "protocol": (lambda x, n: x * 5 if isinstance(n, Sized) else x, [0, 2.0, np.float32(2)]),
    "dispatch": (lambda x, n: x * dispatched(n), [2, 2.0, np.float64(2)]),
    "match": (matched, [1, 2.0]),
    "type": (lambda x, n: x * {int: 2.0, float: 3.0}.get(type(n), 4.0), [0, 1, 0.0, np.float32(0)]),
    "a Tensor": (lambda x, n: x * n if isinstance(n, tm.Tensor) else x * n * 2, [0, 3, 0.0, 2.5]),
    "hasattr": (lambda x, n: x * n + hasattr(n, "shape"), [0, 3, np.float32(1)]),
    "text": (lambda x, n: x * {"w3": 5.0}.get(f"w{n}", 1.0), [3, 4, 3]),
    "text of a result": (lambda x, n: x * {"6": 5.0}.get(str(2 * n), 1.0), [3, 4]),
    "text of NumPy's": (lambda x, n: x * len(str(n)), [np.float32(0.1), np.float64(0.1), np.float16(0.1), 0.1]),
    "repr of NumPy's": (lambda x, n: x * len(repr(n)), [np.float32(0.1), np.float64(0.1), 0.1]),
    "format": (lambda x, n: x * len(f"{n:.2f}"), [3.0, 44.0]),
    "filled": (lambda x, n: x + tm.full(2, n) + tm.full_like(x, n), [3.0, 4.0]),
}


@pytest.mark.parametrize(("f", "numbers"), ASKED.values(), ids=ASKED)
def test_what_python_asks_a_number_is_answered_as_in_eager_code(f: Callable[..., Any], numbers: list[Any]) -> None:
    step = tm.compile(f)
    for n in numbers:
        assert np.asarray(step(x, n)).tolist() == np.asarray(f(x, n)).tolist()


def test_a_number_that_python_looks_for_in_a_set_is_an_error_or_right() -> None:
    f = lambda x, n: x * 5 if n in {1, 2, 3} else x
    for n in (3, 4):
        found = outcome(tm.compile(f), x, n)
        assert found[0] == "error" or found[1].tolist() == np.asarray(f(x, n)).tolist()


def test_numbers_that_nobody_asks_need_one_recording() -> None:
    step = tm.compile(lambda x, n, m: x * n + m / 2)
    for n in range(1, 5):
        step(x, n, np.int64(n))
    assert len(step.programs()) == 1


def test_nor_do_those_of_a_function_that_asks_what_something_else_is() -> None:
    f = lambda p, n: (type(p)([p[0] * n, p[1] / (n + 1)]), n + 1)
    step = tm.compile(f)
    for n in range(4):
        np.testing.assert_allclose(step([x, x], n)[0], f([x, x], n)[0])
    assert len(step.programs()) == 1


def test_nobody_sees_the_numbers_with_which_stand_ins_are_tried(capsys: pytest.CaptureFixture[str]) -> None:
    def f(x: Any, n: Any) -> Any:
        print(x * n if isinstance(n, float) else x)
        return x * n

    for n in (0.0, 2.0):
        np.testing.assert_array_equal(tm.compile(f)(x, n), n * x)
        assert set(capsys.readouterr().out.splitlines()) == {repr(tm.tensor(n * x))}


def test_a_constant_that_holds_a_zero_is_no_plain_factor() -> None:
    mask = np.array([1.0, 0.0])
    f = lambda x: tm.grad(lambda x: tm.sqrt(tm.sum(x * mask)))(x)
    step = tm.compile(f)
    step(x)
    with np.errstate(divide="ignore"):
        assert step(0 * x).tolist() == f(tm.tensor(0 * x)).tolist() == [np.inf, 0.0]
