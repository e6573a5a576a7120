"""What changes by itself between two calls: clocks, the machine's entropy, files.

Code that may read such a thing is recorded twice, the second time with every clock put on by a day and some seconds
(for this thread only): if the programs are equal, what was read doesn't matter to the result.
"""

from __future__ import annotations

import builtins
import datetime
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any

AHEAD = 100_003.7  # seconds: another second, minute, hour and day
_COUNTS = ("time", "perf_counter", "monotonic", "process_time", "thread_time")
_DATES = ("now", "utcnow", "today")
_BROKEN_DOWN = ("localtime", "gmtime", "ctime", "asctime", "strftime")
# Names in code that may read what changes by itself.
MOVING = frozenset(
    [*_COUNTS, *[f"{n}_ns" for n in _COUNTS], *_DATES, *_BROKEN_DOWN, "next", "urandom", "getrandom", "uuid1"]
    + ["RAND_bytes", "open", "read", "read_bytes", "read_text", "stat", "getmtime", "fromfile", "memmap"]
)


def may_move(words: set[str], functions: Sequence[Any]) -> bool:
    """Whether code with these names, and built-in functions in reach under any name, may read such a thing."""
    clocks = [getattr(time, name, None) for name in MOVING]
    known = {id(f) for f in (*clocks, *_entropy(), builtins.open)} - {id(None)}
    return bool(words & MOVING) or any(id(f) in known for f in functions)


@contextmanager
def put_on(functions: Sequence[FunctionType]) -> Iterator[list[Any]]:
    """Every clock goes ahead for this thread, also where the globals of `functions` have it under another name; what is
    given fills with the entropy that this thread asks for meanwhile."""
    asked: list[Any] = []
    fakes = {id(real): fake for real, fake in _fakes(threading.get_ident(), asked)}
    modules = [vars(module) for module in (time, datetime, os, sys.modules.get("ssl")) if module is not None]
    spaces = {id(space): space for space in (*modules, *[f.__globals__ for f in functions])}
    before = [(space, name, x) for space in spaces.values() for name, x in list(space.items()) if id(x) in fakes]
    try:
        for space, name, x in before:
            space[name] = fakes[id(x)]
        yield asked
    finally:
        for space, name, x in before:
            space[name] = x


def _entropy() -> list[Any]:
    """The functions that give random bytes of the machine's."""
    found = [getattr(os, "urandom", None), getattr(os, "getrandom", None)]
    found += [getattr(sys.modules.get("ssl"), "RAND_bytes", None)]
    return [f for f in found if f is not None]


def _fakes(thread: int, asked: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Each clock and each source of entropy, and what stands in for it."""
    for name in _COUNTS:
        for full, unit in ((name, 1.0), (f"{name}_ns", 1e9)):
            if real := getattr(time, full, None):
                yield real, _ahead(real, type(real())(AHEAD * unit), thread)
    for name in _BROKEN_DOWN[:3]:
        real = getattr(time, name)
        yield real, lambda seconds=None, real=real: real(time.time() if seconds is None else seconds)
    for kind in (datetime.datetime, datetime.date):
        yield kind, _later(kind, thread)
    for real in _entropy():
        yield real, _noting(real, thread, asked)


def _noting(real: Any, thread: int, asked: list[Any]) -> Any:
    def entropy(*args: Any) -> Any:
        if threading.get_ident() == thread:
            asked.append(args)
        return real(*args)

    return entropy


def _ahead(real: Any, by: Any, thread: int) -> Any:
    return lambda: real() + by if threading.get_ident() == thread else real()


def _later(kind: Any, thread: int) -> Any:
    """A class of dates, whose present is ahead of time."""

    def read(name: str) -> Any:
        real = getattr(kind, name)

        def later(cls: Any, *args: Any) -> Any:
            by = datetime.timedelta(seconds=AHEAD) if threading.get_ident() == thread else datetime.timedelta()
            return real(*args) + by

        return classmethod(later)

    methods = {name: read(name) for name in _DATES if hasattr(kind, name)}
    meta = type("_Later", (type,), {"__instancecheck__": lambda cls, x: isinstance(x, kind)})  # dates made before, too
    return meta(kind.__name__, (kind,), methods)
