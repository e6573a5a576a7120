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

T = TypeVar("T")
BOUND = 64  # recordings that are kept of one function


class Form(NamedTuple):
    """What a call's arguments are, as far as a recording depends on it: hashable."""

    statics: tuple[Any, ...]
    structure: Any
    leaves: tuple[Any, ...]


class Variants(Generic[T]):
    """At most `BOUND` recordings, each under the form of its arguments."""

    def __init__(self, function: str, statics: tuple[str, ...]) -> None:
        self._function = function
        self._statics = statics
        self._kept: OrderedDict[Form, T] = OrderedDict()  # the latest used last
        self._warned = False

    def find(self, form: Form) -> T | None:
        """The recording for this form; it becomes the latest used."""
        found = self._kept.get(form)
        if found is not None:
            with suppress(KeyError):  # another thread has just let go of it
                self._kept.move_to_end(form)
        return found

    def keep(self, form: Form, variant: T, names: list[str]) -> None:
        """Add a recording; `names` are those of the leaves, for the warning."""
        self._kept[form] = variant
        self._kept.move_to_end(form)
        if len(self._kept) > BOUND:
            if not self._warned:
                self._warned = True
                warnings.warn(self._told(names), UserWarning, stacklevel=4)
            self._kept.popitem(last=False)

    def all(self) -> list[T]:
        """The recordings, the latest used first."""
        return list(reversed(self._kept.values()))

    def _told(self, names: list[str]) -> str:
        forms = list(self._kept)
        statics = [f"static argument {name!r}" for name in self._statics]
        counts = {name: {f.statics[i] for f in forms} for i, name in enumerate(statics)}
        if len({f.structure for f in forms}) == 1:
            counts |= {f"argument {name}": {f.leaves[i] for f in forms} for i, name in enumerate(names)}
        else:
            counts["the arguments' structure"] = {f.structure for f in forms}
        what, values = max(counts.items(), key=lambda item: len(item[1]))
        return (
            f"tm.compile has recorded {self._function} {len(forms)} times, because {what} has had {len(values)} forms "
            f"(shapes, dtypes or values), and keeps the latest {BOUND}: pad it to a few sizes, or pass a value that "
            "changes as an array or a number that is not static"
        )
