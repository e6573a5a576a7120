"""What changes by itself is no constant of a program: clocks, entropy and files, under whatever name."""

from __future__ import annotations

import datetime
import os
import ssl
import sys
import time
import types
from collections.abc import Callable
from datetime import datetime as moment
from os import urandom as entropy
from time import perf_counter as clock
from typing import Any

import numpy as np
import pytest

import tinymeta as tm

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
