"""Functions that stand in for others while a recording listens, and do something else for its thread alone.

A name in a module is everybody's, a recording is one thread's. So each function has one stand-in, whoever asks for it,
which looks who is calling; it takes the name with the first recording that wants it and gives it back with the last.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

Pair = tuple[Any, Any]  # a function, and what stands in for it

_lock = threading.Lock()
_pairs: dict[int, Pair] = {}  # by the ids of both
_wanted = Counter[tuple[int, str]]()  # the id of an owner and a name → recordings that want the stand-in there


def pair(function: object, make: Callable[[Any], Any]) -> Pair:
    """A function and its stand-in, `make(function)` if it has none yet; also when the stand-in is what is asked for."""
    found = _pairs.get(id(function))
    if found is None:
        found = _pairs.setdefault(id(function), (function, make(function)))
        _pairs[id(found[1])] = found
    return found


@contextmanager
def standing_in(owners: Iterable[Any], pairs: Iterable[Pair]) -> Iterator[None]:
    """Put stand-ins wherever their functions have a name in one of the `owners`: namespaces and classes."""
    known = {id(x): both for both in pairs for x in both}
    taken = []
    with _lock:
        for owner in {id(owner): owner for owner in owners}.values():
            for name, x in list((owner if isinstance(owner, dict) else vars(owner)).items()):
                if id(x) in known:
                    function, stand_in = known[id(x)]
                    _put(owner, name, stand_in)
                    _wanted[id(owner), name] += 1
                    taken.append((owner, name, function))
    try:
        yield
    finally:
        with _lock:
            for owner, name, function in taken:
                _wanted[id(owner), name] -= 1
                if not _wanted[id(owner), name]:
                    del _wanted[id(owner), name]
                    _put(owner, name, function)


def _put(owner: object, name: str, x: object) -> None:
    if isinstance(owner, dict):
        owner[name] = x
    else:
        setattr(owner, name, x)
