"""Functions, each with something that changes its surroundings; the two run side by side, eager and compiled."""

from __future__ import annotations

import collections
import contextvars
import functools
import os
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

import tinymeta as tm
from tests.compile.captured_objects import (
    Box,
    Compile,
    Delegating,
    Settings,
    Slotted,
    Step,
    library,
    settings_of,
    x,
)

scale: Any = 1.0


class Scaling(tm.nn.Module):
    def __init__(self) -> None:
        self.w = tm.ones(2)

    def __call__(self, x: Any) -> Any:
        return x * self.w * scale


def a_cell(compile: Compile) -> Step:
    rate = 1.0

    def step(k: int) -> Any:
        nonlocal rate
        rate = k + 1.0
        return f(x)

    f = compile(lambda x: x * rate)
    return step


def a_global(compile: Compile) -> Step:
    def step(k: int) -> Any:
        global scale
        scale = k + 1.0
        return f(x)

    f = compile(lambda x: x * scale)
    return step


def a_global_that_a_module_names(compile: Compile) -> Step:
    f, model = compile(lambda model, x: model(x)), Scaling()

    def step(k: int) -> Any:
        global scale
        scale = k + 1.0
        return f(model, x)

    return step


def an_attribute_not_set_at_first(compile: Compile) -> Step:
    box = Box()
    f = compile(lambda x: x * getattr(box, "extra", 1.0))

    def step(k: int) -> Any:
        if k:
            box.extra = 3.0 * k
        return f(x)

    return step


def a_class_attribute_that_an_instance_shadows(compile: Compile) -> Step:
    box = Box()
    f = compile(lambda x: x * box.rate)

    def step(k: int) -> Any:
        if k == 2:
            box.rate = 7.0
        else:
            Box.rate = k + 1.0
        return f(x)

    return step


def a_default(compile: Compile) -> Step:
    def g(x: Any, rate: Any = 1.0) -> Any:
        return x * rate

    f = compile(g)

    def step(k: int) -> Any:
        g.__defaults__ = (k + 1.0,)
        return f(x)

    return step


def a_function_attribute(compile: Compile) -> Step:
    def g(x: Any) -> Any:
        return x * g.rate  # type: ignore[attr-defined]

    f = compile(g)

    def step(k: int) -> Any:
        g.rate = k + 1.0  # type: ignore[attr-defined]
        return f(x)

    return step


def a_function_inside(compile: Compile) -> Step:
    inner = compile(lambda x: x * scale)
    f = compile(tm.grad(lambda x: tm.sum(inner(x) * x)))

    def step(k: int) -> Any:
        global scale
        scale = k + 1.0
        return f(x)

    return step


def functions_as_arguments(compile: Compile) -> Step:
    f = compile(lambda x, g: g(x))
    return lambda k: f(x, lambda v: v * k)


def an_array_in_place(compile: Compile) -> Step:
    table = np.arange(1000.0)
    f = compile(lambda x: x * table[7] + np.sum(table))

    def step(k: int) -> Any:
        table[7] = k
        return f(x)

    return step


def two_names_of_one_tensor(compile: Compile) -> Step:
    box = Box(w=tm.ones(2))
    box.v = box.w
    f = compile(lambda x: x * box.w + 10 * box.v)

    def step(k: int) -> Any:
        if k:
            box.w = box.w * 2
        if k == 3:
            box.v = box.w
        if k == 4:
            box.v = box.v * 5
        return f(x)

    return step


def a_tensor_that_python_reads(compile: Compile) -> Step:
    box = Box(w=tm.ones(2))
    f = compile(lambda x: x * box.w.sum().item())

    def step(k: int) -> Any:
        box.w = box.w * 2
        return f(x)

    return step


def a_shape_that_changes(compile: Compile) -> Step:
    box = Box(w=tm.ones(1))
    f = compile(lambda x: x * tm.sum(box.w))

    def step(k: int) -> Any:
        box.w = tm.ones(k + 1)
        return f(x)

    return step


def a_keyword_default_in_place(compile: Compile) -> Step:
    def g(x: Any, *, rate: Any = 1.0) -> Any:
        return x * rate

    f, defaults = compile(g), g.__kwdefaults__ or {}

    def step(k: int) -> Any:
        defaults["rate"] = k + 1.0
        return f(x)

    return step


def a_context_variable(compile: Compile) -> Step:
    rate = contextvars.ContextVar("rate", default=1.0)
    f = compile(lambda x: x * rate.get())

    def step(k: int) -> Any:
        if k:
            rate.set(k + 1.0)
        return f(x)

    return step


def by_name(read: Callable[[], float], compile: Compile) -> Step:
    f = compile(lambda x: x * read())

    def step(k: int) -> Any:
        os.environ["SCALE"] = globals()["scale"] = str(k + 1)
        return f(x)

    return step


def the_bound_of_a_deque(compile: Compile) -> Step:
    box = Box()
    f = compile(lambda x: x * box.last.maxlen)

    def step(k: int) -> Any:
        box.last = collections.deque([1], maxlen=k + 1)
        return f(x)

    return step


def _weak(compile: Compile) -> Step:
    held = Box(value=1.0)
    weak: Callable[[], Any] = weakref.ref(held)
    f = compile(lambda x: x * weak().value)

    def step(k: int) -> Any:
        held.value = k + 1.0
        return f(x)

    return step


def _partial(compile: Compile) -> Step:
    held = {"rate": 1.0}
    f = compile(functools.partial(lambda held, x: x * held["rate"], held))

    def step(k: int) -> Any:
        held["rate"] = k + 1.0
        return f(x)

    return step


CASES: dict[str, Callable[[Compile], Step]] = {
    "cell": a_cell,
    "global": a_global,
    "global named by a module": a_global_that_a_module_names,
    "absent attribute": an_attribute_not_set_at_first,
    "class attribute": a_class_attribute_that_an_instance_shadows,
    "default": a_default,
    "function attribute": a_function_attribute,
    "function inside": a_function_inside,
    "function argument": functions_as_arguments,
    "array": an_array_in_place,
    "aliases": two_names_of_one_tensor,
    "read tensor": a_tensor_that_python_reads,
    "tensor of another shape": a_shape_that_changes,
    "partial": _partial,
    "list": settings_of(lambda: [1.0], lambda h: h[0], lambda h, v: h.__setitem__(0, v)),
    "length": settings_of(list, len, lambda h, v: h.append(v)),
    "set": settings_of(set, len, lambda h, v: h.add(v)),
    "deque": settings_of(collections.deque, len, lambda h, v: h.append(v)),
    "type": settings_of(lambda: [1], lambda h: h[0] / 2 if isinstance(h[0], float) else 1, lambda h, v: h.insert(0, 1)),
    "nested": settings_of(
        lambda: Box(a=Box(b={"k": [1, 2]})), lambda h: h.a.b["k"][1], lambda h, v: h.a.b["k"].__setitem__(1, v)
    ),
    "property": settings_of(lambda: Box(value=1.0), lambda h: h.twice, lambda h, v: setattr(h, "value", v)),
    "vars": settings_of(lambda: Box(q=1.0), lambda h: h.by_name("q"), lambda h, v: setattr(h, "q", v)),
    "keyword default": a_keyword_default_in_place,
    "context variable": a_context_variable,
    "globals()": functools.partial(by_name, lambda: float(globals()["scale"])),
    "eval": functools.partial(by_name, lambda: eval("float(scale) + 1")),
    "environment": functools.partial(by_name, lambda: float(os.environ.get("SCALE", 0))),
    "bound of a deque": the_bound_of_a_deque,
    "weak reference": _weak,
    "range": settings_of(lambda: [1], lambda h: h[0].stop, lambda h, v: h.__setitem__(0, range(0, 3 + int(v) % 2, 2))),
    "sign of a zero": settings_of(
        lambda: [1], lambda h: np.sqrt(h[0]).imag, lambda h, v: h.__setitem__(0, complex(-1, -0.0 if v % 2 else 0.0))
    ),
    "delegating": settings_of(Delegating, lambda h: h.rate, lambda h, v: h.settings.__setitem__("rate", v)),
    "slots": settings_of(Slotted, lambda h: h.value, lambda h, v: setattr(h, "value", v)),
    "dataclass": settings_of(Settings, lambda h: h.value, lambda h, v: setattr(h, "value", v)),
    "module": settings_of(lambda: library, lambda h: h.rate, lambda h, v: setattr(h, "rate", v)),
}
