"""The state that a recording was made in: checked at every call, so that an old program never runs in a new state.

Numbers, strings, functions and the members of containers count by value; arrays by content. A Tensor counts as the
object that it is, for Tensors never change; one that was replaced since an earlier recording (a model that is trained)
is *promoted* to an input of the next program, read anew at each call, so that training doesn't record for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_
from typing import Any

from tinymeta.compile.key import Same
from tinymeta.compile.record import holdings
from tinymeta.compile.record.reached import Reached
from tinymeta.engine.state import USER
from tinymeta.engine.tensor import Array, Tensor

Roots = Sequence[tuple[str, Any]]  # what a walk starts from, and what to call it


class Captured:
    """What a function reaches, as it is now. Tensors at the paths `promoted` are inputs, all others constants."""

    def __init__(
        self, roots: Roots, promoted: frozenset[str] = frozenset(), ignored: frozenset[str] = frozenset()
    ) -> None:
        self._reached = reached = Reached(roots, ignored)
        self.words, self.generators, self.functions = reached.words, reached.generators, reached.functions
        self.whole, self.texts = reached.whole, reached.texts
        self.strangers, self.iterators, self.builtins = reached.strangers, reached.iterators, reached.builtins
        moving = {id(x) for path, x in reached.tensors if path in promoted and not x.tracked & USER}
        first: dict[int, int] = {}  # a Tensor → the number of the input that it is
        for _, x in reached.tensors:
            if id(x) in moving:
                first.setdefault(id(x), len(first))
        self.inputs = list({id(x): x for _, x in reached.tensors if id(x) in moving}.values())
        kinds = [(first[id(x)], x.shape, x.dtype) if id(x) in moving else Same(x) for _, x in reached.tensors]
        self.signature = (tuple(reached.signature), tuple(kinds))
        places = [[(k, first[id(x)]) for k, x in enumerate(h.was) if id(x) in moving] for h in reached.holdings]
        self._checks = [(h, at) for h, at in zip(reached.holdings, places) if h.put is not None or at]
        readers = [(path, x, holdings.content(x)) for path, x in reached.contents]
        self._contents = [(path, x, read, read()) for path, x, read in readers if read is not None]

    def current(self) -> list[Array] | None:
        """The arrays of the inputs, as they are now; None if anything else has changed."""
        found: list[Any] = [None] * len(self.inputs)
        for holding, moved in self._checks:
            now = holding.read()
            if len(now) != len(holding.was):
                return None
            for k, at in moved:
                x = now[k]
                if found[at] is None:
                    found[at] = x
                elif found[at] is not x:  # two names of one Tensor have come apart
                    return None
                now[k] = holding.was[k]
            if not all(map(is_, now, holding.was)):
                return None
        for x, was in zip(found, self.inputs):
            if type(x) is not Tensor or x.shape != was.shape or x.dtype != was.dtype or x.tracked & USER:
                return None
        if any(read() != was for _, _, read, was in self._contents):
            return None
        return [x.array for x in found]

    def changes(self) -> dict[str, Any]:
        """What differs from the time of the walk: paths, and the new values."""
        found: dict[str, Any] = {}
        for holding in self._reached.holdings:
            if holding.put is None:
                continue
            now = holding.read()
            for k, new in enumerate(now):
                if k >= len(holding.was) or new is not holding.was[k]:
                    found[holding.names[min(k, len(holding.names) - 1)]] = new
            if len(now) < len(holding.was):
                found[holding.names[-1]] = None
        return found | {path: x for path, x, read, was in self._contents if read is not object and read() != was}

    def holds(self, x: object) -> bool:
        """Whether an object is reached."""
        return id(x) in self._reached.paths

    def names(self, path: str) -> list[str]:
        """All that the container or the object at a path is called."""
        for names in self._reached.paths.values():
            if path.partition("[")[0] in names:
                return names
        return [path]

    def restore(self) -> None:
        """Put everything back as it was (but the contents of arrays)."""
        for holding in self._reached.holdings:
            now = holding.read()
            if holding.put is not None and (len(now) != len(holding.was) or not all(map(is_, now, holding.was))):
                holding.put(holding.was)

    def differs(self, other: Captured) -> str:
        """The first name that stands for something else in another state."""
        for mine, theirs in zip(self._reached.holdings, other._reached.holdings):
            for name, a, b in zip(mine.names, mine.was, theirs.was):
                if a is not b:
                    return name
        return ""

    def replaced(self, other: Captured) -> frozenset[str]:
        """The paths at which another walk found other Tensors."""
        mine = dict(self._reached.tensors)
        return frozenset(path for path, x in other._reached.tensors if path in mine and mine[path] is not x)
