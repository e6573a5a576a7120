"""The recordings of one function: found by key, the latest first, and not more of them than a bound.

A function whose arguments never take the same form twice (a length that grows, a static value that counts) would
otherwise keep a program for each. The recording that was not used for the longest time goes, and the first time that
this happens a warning tells what it is that changes.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from contextlib import suppress
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")
BOUND = 64  # recordings that are kept of one function


class Form(NamedTuple):
    """What a call's arguments are, as far as a recording depends on it: hashable."""

    statics: tuple[Any, ...]
    structure: Any
    leaves: tuple[Any, ...]


class Variants(Generic[T]):
    """At most `BOUND` recordings: for the form of the arguments, those made in different states of what is around."""

    def __init__(self, function: str, statics: tuple[str, ...]) -> None:
        self._function = function
        self._statics = statics
        self._kept: OrderedDict[Form, list[T]] = OrderedDict()  # the latest used last; within a form, first
        self._latest: list[T] = []
        self._warned = False

    def of(self, form: Form) -> list[T]:
        """The recordings for arguments of this form."""
        found = self._kept.get(form)
        if found is None:
            return []
        if found is not self._latest:
            with suppress(KeyError):  # another thread has just let go of it
                self._kept.move_to_end(form)
            self._latest = found
        return found

    def keep(self, form: Form, variant: T, names: list[str], state: str) -> None:
        """Add a recording; `names` are those of the leaves, `state` what changed around the function, if it did."""
        others = [x for x in self._kept.get(form, []) if x is not variant]
        self._latest = self._kept[form] = [variant, *others]
        self._kept.move_to_end(form)
        if sum(map(len, self._kept.values())) > BOUND:
            if not self._warned:
                self._warned = True
                warnings.warn(self._told(names, state), UserWarning, stacklevel=4)
            oldest, found = next(iter(self._kept.items()))
            if len(found) == 1:
                del self._kept[oldest]
            else:
                self._kept[oldest] = found[:-1]

    def why(self, form: Form, names: list[str], state: str) -> str:
        """Why arguments of this form need a recording although there is one; "" for the first."""
        if not self._kept:
            return ""
        latest = next(reversed(self._kept))
        for name, was, now in zip(self._statics, latest.statics, form.statics):
            if was != now:
                return f"static argument {name!r} is another"
        if latest.structure != form.structure:
            return "the arguments' structure is another"
        for name, was, now in zip(names, latest.leaves, form.leaves):
            if was != now:
                return f"argument {name} was {_brief(was)} and is {_brief(now)}"
        return f"{state or 'what the function reaches'} is another"

    def all(self) -> list[T]:
        """The recordings, the latest used first."""
        return [variant for found in reversed(self._kept.values()) for variant in found]

    def _told(self, names: list[str], state: str) -> str:
        forms = list(self._kept)
        statics = [f"static argument {name!r}" for name in self._statics]
        counts = {name: len({f.statics[i] for f in forms}) for i, name in enumerate(statics)}
        if len({f.structure for f in forms}) == 1:
            counts |= {f"argument {name}": len({f.leaves[i] for f in forms}) for i, name in enumerate(names)}
        else:
            counts["the arguments' structure"] = len({f.structure for f in forms})
        counts[state or "what the function reaches"] = max(map(len, self._kept.values()))
        what, many = max(counts.items(), key=lambda item: item[1])
        return (
            f"tm.compile has recorded {self._function} {BOUND + 1} times, because {what} has had {many} forms "
            f"(shapes, dtypes or values), and keeps the latest {BOUND}: pad it to a few sizes, or pass what changes as "
            "an argument, an array or a number that is not static"
        )


def _brief(kind: Any) -> str:
    """A leaf's dtype and shape; of what is no array its class, and its value where the recording is for that alone."""
    what, of = kind if isinstance(kind, tuple) and len(kind) == 2 else (type(kind), kind)
    if isinstance(what, type):
        return what.__name__ if isinstance(of, np.dtype) else f"{what.__name__} {of!r}"
    return f"{of}{list(what)}"
