"""What a compiled function returns that is no Tensor: right in every call, and nobody else's, or refused."""

from __future__ import annotations

import collections
import functools
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinymeta as tm

a, b = np.array([1.0, 2.0]), np.array([5.0, 7.0])


class Result:
    def __init__(self, y: Any = None) -> None:
        self.y = y


def generated(x: Any) -> Any:
    yield x * 2


STALE: dict[str, Callable[[Any], Any]] = {
    "object": lambda x: Result(x * 2),
    "namespace": lambda x: types.SimpleNamespace(y=x * 2),
    "pull-back": lambda x: tm.vjp(tm.square, x),
    "closure": lambda x: (lambda y: lambda: y)(x * 2),
    "partial": lambda x: functools.partial(tm.multiply, x * 2),
    "deque": lambda x: collections.deque([x * 2]),
    "set": lambda x: {x * 2},
    "values of a dict": lambda x: {"a": x * 2}.values(),
    "UserDict": lambda x: collections.UserDict(y=x * 2),
    "generator": generated,
    "map": lambda x: map(tm.square, [x]),
    "method of a list": lambda x: [x * 2].index,
    "text": lambda x: f"{tm.sum(x):.1f}",
    "text of a whole": lambda x: {"y": x, "said": str(x)},
}


@pytest.mark.parametrize("f", STALE.values(), ids=STALE)
def test_an_object_made_inside_that_holds_tensors_is_refused(f: Callable[[Any], Any]) -> None:
    with pytest.raises(tm.UserError, match="the function returns"):
        tm.compile(f)(a)


OWN: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "set": (lambda x: (x, {1}), lambda r: r.add(9), sorted),
    "bytearray": (lambda x: (x, bytearray(1)), lambda r: r.append(3), bytes),
    "deque": (lambda x: (x, collections.deque([1])), lambda r: r.append(5), list),
    "object": (lambda x: (x, Result(1)), lambda r: setattr(r, "y", 5), lambda r: r.y),
    "texts": (lambda x: (x, np.array(["a", "b"])), lambda r: r.fill("c"), np.ndarray.tolist),
    "dates": (lambda x: (x, np.zeros(2, "M8[D]")), lambda r: r.fill(9), np.ndarray.tolist),
}


@pytest.mark.parametrize(("f", "write", "read"), OWN.values(), ids=OWN)
def test_what_one_caller_writes_is_not_there_for_the_next(
    f: Callable[[Any], Any], write: Callable[[Any], Any], read: Callable[[Any], Any]
) -> None:
    step = tm.compile(f)
    write(step(a)[1])
    write(step(a)[1])
    assert read(step(a)[1]) == read(f(a)[1])


def test_what_was_given_comes_back_itself() -> None:
    step = tm.compile(lambda x, setting: (x * setting.y, setting))
    for setting in (Result(2.0), Result(2.0), Result(3.0)):
        y, back = step(a, setting)
        assert back is setting
        assert y.tolist() == (a * setting.y).tolist()


def test_what_a_method_reaches_comes_back_itself() -> None:
    class Model:
        def __init__(self) -> None:
            self.log = Result(0)

        @tm.compile
        def step(self, x: Any) -> Any:
            return x * 2, self.log

    one, two = Model(), Model()
    for model in (one, two, one):
        assert model.step(a)[1] is model.log


def test_a_text_that_shows_no_tensor_is_a_result_like_any_other() -> None:
    step = tm.compile(lambda x, name: (x * 2, f"{name}, {x.shape}"))
    assert step(a, "first")[1] == "first, (2,)"
    assert step(b, "second")[1] == "second, (2,)"
