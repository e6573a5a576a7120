"""What changes by itself is no constant of a program: clocks, entropy and files, under whatever name."""

from __future__ import annotations

import datetime
import importlib
import os
import queue
import random
import ssl
import sys
import threading
import time
import types
from collections.abc import Callable
from datetime import datetime as moment
from os import urandom as entropy
from pathlib import Path
from time import perf_counter as clock
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.compile.record import library

x = np.ones(2)
kept = {"clock": time.monotonic}


def device(x: Any) -> Any:
    with open("/dev/urandom", "rb") as file:
        return x * int.from_bytes(file.read(4), "little")


MOVING: dict[str, Callable[[Any], Any]] = {
    "time.time": lambda x: x * time.time(),
    "whole seconds": lambda x: x * int(time.time()),
    "whole days": lambda x: x * (time.time() // 86400),
    "nanoseconds": lambda x: x * float(time.monotonic_ns()),
    "a clock under another name": lambda x: x * clock(),
    "a clock in a container": lambda x: x * kept["clock"](),
    "the minute of the hour": lambda x: x * (1 + time.localtime().tm_min),
    "today": lambda x: x * datetime.date.today().day,
    "now under another name": lambda x: x * (1 + moment.now().second),
    "urandom under another name": lambda x: x * float(int.from_bytes(entropy(4), "little")),
    "getrandom": lambda x: x * float(int.from_bytes(os.getrandom(4), "little")),
    "OpenSSL": lambda x: x * float(int.from_bytes(ssl.RAND_bytes(4), "little")),
    "a device": device,
    "entropy with two outcomes": lambda x: x * (1 + entropy(1)[0] % 2),
}
SKIPPED = {"getrandom": hasattr(os, "getrandom"), "a device": os.path.exists("/dev/urandom")}


@pytest.mark.parametrize("f", [f for name, f in MOVING.items() if SKIPPED.get(name, True)])
def test_what_changes_by_itself_is_refused(f: Callable[[Any], Any]) -> None:
    with pytest.raises(tm.UserError, match="changes by itself|random numbers"):
        tm.compile(f)(x)


def test_a_clock_that_the_result_does_not_depend_on_is_nobodys_business() -> None:
    seconds = []

    def timed(x: Any) -> Any:
        start = time.perf_counter()
        y = 2 * x
        seconds.append(time.perf_counter() - start)
        return y

    before = time.time
    assert tm.compile(timed)(x).tolist() == [2, 2]
    assert time.time is before


def test_clocks_are_the_real_ones_after_two_threads_have_recorded_at_once() -> None:
    """The first to begin ends first: what the second found in a clock's place was the first one's stand-in."""
    names = ((time, "perf_counter"), (time, "time"), (datetime, "datetime"), (os, "urandom"), (random, "_urandom"))
    before = [getattr(*name) for name in names]
    second_began, first_ended = threading.Event(), threading.Event()

    def reads_the_clock(x: Any, begun: Callable[[], object], wait: threading.Event) -> Any:
        if time.perf_counter is not before[0]:  # put on, as in a second recording
            begun()
            assert wait.wait(60)
        return x * 2

    def second() -> None:
        g = tm.compile(lambda x: reads_the_clock(x, second_began.set, first_ended))
        assert g(x).tolist() == [2, 2]

    thread = threading.Thread(target=second)
    f = tm.compile(lambda x: reads_the_clock(x, lambda: thread.ident or thread.start(), second_began))
    assert f(x).tolist() == [2, 2]
    first_ended.set()
    thread.join()
    assert [getattr(*name) for name in names] == before
    assert time.time() < before[1]() + 60


def test_a_date_that_is_given_stays_a_date_while_a_clock_is_put_on() -> None:
    when = moment(2020, 1, 1)

    def f(x: Any) -> Any:
        moment.now()
        return x * when.day if isinstance(when, moment) else x * 0

    assert tm.compile(f)(x).tolist() == [1, 1]
    assert moment is datetime.datetime


def test_a_module_that_is_imported_inside_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "somebodys_settings", module := types.ModuleType("somebodys_settings"))
    module.rate = 1.0  # type: ignore[attr-defined]

    def inside(x: Any) -> Any:
        from somebodys_settings import rate  # type: ignore[import-not-found]

        return x * rate

    step = tm.compile(inside)
    assert step(x).tolist() == [1, 1]
    module.rate = 5.0  # type: ignore[attr-defined]
    assert step(x).tolist() == [5, 5]


def test_a_builtin_function_that_is_hidden_later_is_looked_at() -> None:
    space: dict[str, Any] = {}
    exec("def f(x): return x * len('a')", space)
    step = tm.compile(space["f"])
    assert step(x).tolist() == [1, 1]
    space["len"] = lambda text: 5
    assert step(x).tolist() == [5, 5]


def test_a_list_that_has_two_names_is_read_where_one_of_them_is() -> None:
    written: list[int] = []
    also = written

    def f(x: Any) -> Any:
        written.append(1)
        return x * len(also)

    with pytest.raises(tm.UserError, match="which its code also reads"):
        tm.compile(f)(x)


def test_the_state_of_a_generator_is_looked_at_where_code_reads_it() -> None:
    rng = np.random.default_rng(0)
    f = lambda x: x * float(rng.bit_generator.state["state"]["state"] % 1000)
    step = tm.compile(f)
    for _ in range(3):
        rng.random()
        assert step(x).tolist() == f(x).tolist()


@pytest.mark.parametrize("name", ["code", "calendar", "somebodys"])
def test_a_users_module_may_have_the_name_of_one_of_pythons(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{name}.py").write_text("RATE = 1.0\ndef scaled(x): return x * RATE\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    library._installed.cache_clear()
    module = importlib.import_module(name)
    step = tm.compile(lambda x: module.scaled(x))
    assert step(x).tolist() == [1, 1]
    module.RATE = 5.0  # type: ignore[attr-defined]
    assert step(x).tolist() == [5, 5]
    library._installed.cache_clear()


def test_a_refusal_that_the_function_catches_is_raised_all_the_same() -> None:
    def f(x: Any) -> Any:
        try:
            return x * 2 if tm.sum(x) > 5 else x
        except Exception:
            return x

    with pytest.raises(tm.UserError, match="static_argnames"):
        tm.compile(f)(x)


def test_a_list_times_a_number_is_refused_for_python_repeats_it() -> None:
    with pytest.raises(tm.UserError, match="static_argnames"):
        tm.compile(lambda x, n: sum([0.9] * n) * x)(x, 3)


def test_names_in_tuples_and_variables_are_names() -> None:
    class Box:
        rate = 1.0

    box, names = Box(), ["rate"]
    for f in (lambda x: sum(getattr(box, n) for n in ("rate", "rate")) * x, lambda x: getattr(box, names[0]) * x):
        step = tm.compile(f)
        for box.rate in (1.0, 5.0):
            assert step(x).tolist() == f(x).tolist()


def test_a_queue_that_is_drained_inside_is_refused() -> None:
    items: queue.Queue[float] = queue.Queue()
    for n in range(9):
        items.put(n)
    with pytest.raises(tm.UserError, match="changes items"):
        tm.compile(lambda x: x * items.get())(x)
