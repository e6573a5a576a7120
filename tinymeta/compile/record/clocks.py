"""What changes by itself between two calls: clocks, the machine's entropy, files.

Code that may read such a thing is recorded twice, the second time with every clock put on by a day and some seconds
(for this thread only): if the programs are equal, what was read doesn't matter to the result.
"""

from __future__ import annotations

import builtins
import datetime
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import FunctionType
from typing import Any

from tinymeta.compile.record.random_draws import sources
from tinymeta.compile.record.stand_ins import Pair, pair, standing_in

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
    known = {id(f) for f in (*clocks, *sources(), builtins.open)} - {id(None)}
    return bool(words & MOVING) or any(id(f) in known for f in functions)


_here = threading.local()  # `ahead` is True in a thread whose clocks are put on


@contextmanager
def put_on(functions: Sequence[FunctionType]) -> Iterator[None]:
    """Every clock goes ahead for this thread, also where the globals of `functions` have it under another name."""
    owners = [vars(time), vars(datetime), *(f.__globals__ for f in functions)]
    with standing_in(owners, list(_clocks())):
        _here.ahead = True
        try:
            yield
        finally:
            _here.ahead = False


def _ahead() -> bool:
    return getattr(_here, "ahead", False)


def _clocks() -> Iterator[Pair]:
    """Each clock, and what stands in for it."""
    for name in _COUNTS:
        for full, unit in ((name, 1), (f"{name}_ns", 10**9)):
            if clock := getattr(time, full, None):
                yield pair(clock, partial(_later, unit=unit))
    for name in _BROKEN_DOWN[:3]:
        yield pair(getattr(time, name), _now)
    for kind in (datetime.datetime, datetime.date):
        yield pair(kind, _later_dates)


def _later(clock: Any, unit: int) -> Any:
    by = type(clock())(AHEAD * unit)
    return lambda: clock() + by if _ahead() else clock()


def _now(clock: Any) -> Any:
    return lambda seconds=None: clock(time.time() if seconds is None else seconds)


def _later_dates(kind: Any) -> Any:
    """A class of dates, whose present is ahead of time."""

    def read(name: str) -> Any:
        real = getattr(kind, name)

        def later(cls: object, *args: Any) -> Any:
            return real(*args) + datetime.timedelta(seconds=AHEAD if _ahead() else 0)

        return classmethod(later)

    methods = {name: read(name) for name in _DATES if hasattr(kind, name)}
    meta = type("_Later", (type,), {"__instancecheck__": lambda cls, x: isinstance(x, kind)})  # dates made before, too
    return meta(kind.__name__, (kind,), methods)
