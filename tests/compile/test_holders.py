"""Where a function finds a number: random chains of objects that hold one another, changed in random places.

A compiled function sees what an eager one sees, whatever holds the number: containers of Python's own and subclasses of
them, attributes under any name, slots, classes, modules, cells, buffers.
"""

from __future__ import annotations

import array
import collections
import contextvars
import ctypes
import functools
import operator
import threading
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinymeta as tm
from tests.planted_table import IN_THE_COMPILER
from tinymeta.compile.record import holdings, reached

x = np.ones(2)


class Holder(NamedTuple):
    """How to make an object that holds a value, how to read the value, how to put another one there."""

    make: Callable[[Any], Any]
    get: Callable[[Any], Any]
    put: Callable[[Any, Any], None]


class Plain:
    pass


class Slots:
    __slots__ = ("value",)


class Private:
    __slots__ = ("__value",)

    def get(self) -> Any:
        return self.__value

    def put(self, value: Any) -> None:
        self.__value = value


class Dict(dict[str, Any]):
    extra: Any


class List(list[Any]):
    extra: Any


class Number(float):
    extra: Any


class Point(collections.namedtuple("Point", "x")):
    extra: Any


class Config(collections.UserDict[str, Any]):
    pass


class Delegates:
    def __init__(self) -> None:
        self.inside = Plain()

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["inside"], name)


def with_extra(start: Callable[[], Any]) -> Holder:
    """An attribute of an object that is also something else."""
    return Holder(
        made(start, lambda h, v: setattr(h, "extra", v)), lambda h: h.extra, lambda h, v: setattr(h, "extra", v)
    )


def made(start: Callable[[], Any], put: Callable[[Any, Any], None]) -> Callable[[Any], Any]:
    def make(value: Any) -> Any:
        h = start()
        put(h, value)
        return h

    return make


def attribute(start: Callable[[], Any], name: str, get: Callable[[Any], Any] | None = None) -> Holder:
    put = lambda h, v: setattr(h, name, v)
    return Holder(made(start, put), get or operator.attrgetter(name), put)


def cell(value: Any) -> Any:
    def put(new: Any) -> None:
        nonlocal value
        value = new

    return (lambda: value), put


def replaced(h: Any, value: Any) -> None:
    h.__dict__ = {"value": value}


def class_of(value: Any) -> Any:
    return type("Made", (), {"value": value})


def metaclass_of(value: Any) -> Any:
    return type("Meta", (type,), {"value": value})("Made", (), {})


def keyed(start: Callable[[], Any]) -> Holder:
    put = lambda h, v: h.__setitem__("k", v)
    return Holder(made(start, put), lambda h: h["k"], put)


HOLDERS = {
    "dict": keyed(dict),
    "ordered": keyed(collections.OrderedDict),
    "defaultdict": keyed(lambda: collections.defaultdict(int)),
    "UserDict": keyed(collections.UserDict),
    "user's UserDict": keyed(Config),
    "user's dict": keyed(Dict),
    "ChainMap": keyed(lambda: collections.ChainMap({}, {})),
    "list": Holder(lambda v: [v], lambda h: h[0], lambda h, v: h.__setitem__(0, v)),
    "deque": Holder(lambda v: collections.deque([v]), lambda h: h[0], lambda h, v: h.__setitem__(0, v)),
    "UserList": Holder(lambda v: collections.UserList([v]), lambda h: h[0], lambda h, v: h.__setitem__(0, v)),
    "user's list": Holder(lambda v: List([v]), lambda h: h[0], lambda h, v: h.__setitem__(0, v)),
    "appended to": Holder(lambda v: [v], lambda h: h[-1], lambda h, v: h.append(v)),
    "plain": attribute(Plain, "value", lambda h: h.value),
    "attrgetter": attribute(Plain, "value"),
    "getattr by a name in reach": attribute(Plain, "value", functools.partial(lambda n, h: getattr(h, n), "value")),
    "another class": Holder(
        lambda v: type("A", (), {"value": v})(), lambda h: h.value, lambda h, v: setattr(h, "__class__", class_of(v))
    ),
    "another __dict__": Holder(made(Plain, replaced), lambda h: h.value, replaced),
    "slots": attribute(Slots, "value", lambda h: h.value),
    "private slots": Holder(made(Private, Private.put), lambda h: h.get(), Private.put),
    "namespace": attribute(types.SimpleNamespace, "value", lambda h: h.value),
    "delegates": Holder(
        made(Delegates, lambda h, v: setattr(h.inside, "value", v)),
        lambda h: h.value,
        lambda h, v: setattr(h.inside, "value", v),
    ),
    "attribute of a dict": with_extra(Dict),
    "attribute of a list": with_extra(List),
    "attribute of a number": with_extra(lambda: Number(1.0)),
    "attribute of a named tuple": with_extra(lambda: Point(1)),
    "attribute of a function": with_extra(lambda: types.FunctionType((lambda: 0).__code__, globals())),
    "class": Holder(class_of, lambda h: h.value, lambda h, v: setattr(h, "value", v)),
    "class, through an object": Holder(
        lambda v: class_of(v)(), lambda h: h.value, lambda h, v: setattr(type(h), "value", v)
    ),
    "base class": Holder(
        lambda v: type("Derived", (class_of(v),), {}), lambda h: h.value, lambda h, v: setattr(h.__base__, "value", v)
    ),
    "derived class hides it": Holder(
        lambda v: type("Derived", (class_of(v),), {}), lambda h: h.value, lambda h, v: setattr(h, "value", v)
    ),
    "metaclass": Holder(metaclass_of, lambda h: h.value, lambda h, v: setattr(type(h), "value", v)),
    "module": attribute(lambda: types.ModuleType("somebodys"), "value", lambda h: h.value),
    "cell": Holder(cell, lambda h: h[0](), lambda h, v: h[1](v)),
    "default": Holder(
        lambda v: [types.FunctionType((lambda v=0: v).__code__, globals(), "f", (v,))],
        lambda h: h[0](),
        lambda h, v: setattr(h[0], "__defaults__", (v,)),
    ),
    "partial": Holder(
        lambda v: [functools.partial(lambda v: v, v)],
        lambda h: h[0](),
        lambda h, v: h.__setitem__(0, functools.partial(lambda v: v, v)),
    ),
    "proxy": Holder(
        lambda v: (types.MappingProxyType(d := {"k": v}), d), lambda h: h[0]["k"], lambda h, v: h[1].__setitem__("k", v)
    ),
    "values of a dict": Holder(
        lambda v: ((d := {"k": v}).values(), d), lambda h: next(iter(h[0])), lambda h, v: h[1].__setitem__("k", v)
    ),
    "context variable": Holder(
        made(lambda: contextvars.ContextVar("v"), lambda h, v: h.set(v)), lambda h: h.get(), lambda h, v: h.set(v)
    ),
    "thread's own": attribute(threading.local, "value", lambda h: h.value),
    "event": Holder(
        lambda v: [threading.Event(), v, v],
        lambda h: h[1 + h[0].is_set()],
        lambda h, v: (h[0].set(), h.__setitem__(2, v)),  # type: ignore[func-returns-value]
    ),
}  # fmt: skip
BUFFERS = {
    "bytearray": Holder(lambda v: bytearray([v]), lambda h: h[0], lambda h, v: h.__setitem__(0, v)),
    "array.array": Holder(lambda v: array.array("d", [v]), lambda h: h[0], lambda h, v: h.__setitem__(0, v)),
    "memoryview": Holder(
        lambda v: memoryview(bytearray([v])), lambda h: h[0], lambda h, v: h.__setitem__(0, v)
    ),
    "ctypes": Holder(ctypes.c_double, lambda h: h.value, lambda h, v: setattr(h, "value", v)),
    "NumPy's array": Holder(lambda v: np.array([v]), lambda h: h[0], lambda h, v: h.__setitem__(0, v)),
}  # fmt: skip


class Chain(NamedTuple):
    """Holders from the innermost to the outermost, and which of them is changed before each call."""

    names: list[str]
    changes: list[int]

    def run(self, compiled: Callable[..., Any]) -> list[float]:
        """A function's results at first and after each change."""
        holders = [(HOLDERS | BUFFERS)[name] for name in self.names]
        top, gets = filled(holders, 1), [holder.get for holder in reversed(holders)]

        def f(x: Any) -> Any:
            found = top
            for get in gets:
                found = get(found)
            return x * found

        call = compiled(f)
        results = [float(call(x)[0])]
        for value, k in enumerate(self.changes, 2):
            changed = functools.reduce(lambda h, get: get(h), gets[: len(holders) - 1 - k], top)
            holders[k].put(changed, filled(holders[:k], value))
            results.append(float(call(x)[0]))
        return results


def filled(holders: list[Holder], value: Any) -> Any:
    """The holders, one in another, the first of them with the value."""
    return functools.reduce(lambda inner, holder: holder.make(inner), holders, value)


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    inner = draw(st.sampled_from([*HOLDERS, *BUFFERS]))
    names = [inner, *draw(st.lists(st.sampled_from(list(HOLDERS)), max_size=2))]
    return Chain(names, draw(st.lists(st.integers(0, len(names) - 1), min_size=1, max_size=4)))


def agrees(chain: Chain) -> bool:
    return chain.run(tm.compile) == chain.run(lambda f: f)


@settings(max_examples=150)
@given(chains())
def test_a_compiled_function_sees_every_change_in_a_chain_of_holders(chain: Chain) -> None:
    assert agrees(chain)


@pytest.mark.parametrize("name", [*HOLDERS, *BUFFERS])
def test_each_holder_is_seen_by_itself(name: str) -> None:
    assert agrees(Chain([name], [0, 0, 0]))


FAULTS: dict[str, tuple[Any, str, Any, str]] = {
    "attributes are not looked at": (reached.Reached, "_attributes", lambda self, path, x: None, "plain"),
    "buffers are taken for constants": (holdings, "content", lambda x: None, "ctypes"),
    "members are not looked at": (holdings, "members", lambda path, x: holdings.holding([], list, None), "list"),
    "which names a class has is not looked at": (
        holdings,
        "namespace",
        lambda paths, path, space, names, store: holdings.holding(
            paths, lambda: [space.get(n, holdings.UNSET) for n in names], holdings.unrestored
        ),
        "derived class hides it",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_planted_in_what_is_looked_at_is_found(
    fault: str, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    owner, name, new, holder = FAULTS[fault]
    monkeypatch.setattr(owner, name, new)
    assert not agrees(Chain([holder], [0]))
    record_property(IN_THE_COMPILER, (fault, "chain of holders"))
