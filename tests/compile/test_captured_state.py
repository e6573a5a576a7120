"""What a function reaches besides its arguments: a compiled one sees each change that an eager one sees.

Each case makes a function and something that changes its surroundings; the two run side by side, eager and compiled.
"""

from __future__ import annotations

import collections
import contextvars
import copy
import dataclasses
import functools
import pickle
import types
import warnings
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.compile.variants import BOUND

x = np.ones(2)
Compile = Callable[[Callable[..., Any]], Callable[..., Any]]
Step = Callable[[int], Any]  # changes something, calls the function, gives its result
scale: Any = 1.0
library = types.ModuleType("somebodys_library")


class Box:
    """Attributes to set."""

    rate: Any = 1.0
    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    @property
    def twice(self) -> Any:
        return 2 * self.value

    def by_name(self, name: str) -> Any:
        return vars(self)[name]


class Slotted:
    __slots__ = ("value",)


@dataclasses.dataclass
class Settings:
    value: Any = 1.0
    seen: list[int] = dataclasses.field(default_factory=list)


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


def a_global_by_its_name(compile: Compile) -> Step:
    f = compile(lambda x: x * globals()["scale"])

    def step(k: int) -> Any:
        global scale
        scale = k + 1.0
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


class Delegating:
    """Settings in a dict, read as attributes; no other name is known."""

    def __init__(self) -> None:
        vars(self)["settings"] = {"rate": 1.0}

    def __getattr__(self, name: str) -> Any:
        return self.settings[name]


def settings_of(make: Callable[[], Any], read: Callable[[Any], Any], write: Callable[[Any, Any], None]) -> Any:
    def case(compile: Compile) -> Step:
        held = make()
        f = compile(lambda x: x * read(held))

        def step(k: int) -> Any:
            write(held, k + 1.0)
            return f(x)

        return step

    return case


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
    "globals()": a_global_by_its_name,
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
