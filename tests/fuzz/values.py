"""The values that a random array program has so far, and what a strategy may ask of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.fuzz.references import Ref


class Misfit(Exception):
    """No value that is wanted is there."""


Place = Callable[[Any], bool]


class Values:
    """What has been computed, as arrays; places count from the program's first input."""

    def __init__(self, r: np.random.Generator, arrays: list[Any]) -> None:
        self.r = r
        self.arrays = arrays

    def __getitem__(self, ref: Ref) -> Any:
        return self.arrays[ref.place]

    def maybe(self, share: float = 0.5) -> bool:
        return bool(self.r.random() < share)

    def one(self, *options: Any) -> Any:
        return options[self.r.integers(len(options))]

    def number(self) -> Any:
        """A Python number."""
        return self.one(0, 1, 2, -1, 3, 0.5, 1.25, -0.75, round(float(self.r.normal()), 2))

    def integer(self, low: int, high: int) -> int:
        """From `low` to `high`, both included."""
        return int(self.r.integers(low, high + 1))

    def pick(self, wanted: Place = lambda a: True, guard: str = "") -> Ref:
        """A value of this kind, later ones oftener."""
        places = [i for i, a in enumerate(self.arrays) if wanted(a)]
        if not places:
            raise Misfit
        return Ref(places[max(self.integer(0, len(places) - 1) for _ in range(2))], guard)

    def ranked(self, least: int = 1, guard: str = "") -> Ref:
        """A value of at least so many axes, none of them empty."""
        return self.pick(lambda a: a.ndim >= least and a.size > 0, guard)

    def floating(self, least: int = 0, guard: str = "") -> Ref:
        return self.pick(lambda a: a.dtype.kind == "f" and a.ndim >= least and a.size > 0, guard)

    def whole(self) -> Ref:
        """Integers or booleans."""
        return self.pick(lambda a: a.dtype.kind in "iub")

    def like(self, ref: Ref, wanted: Place = lambda a: True, guard: str = "") -> Ref:
        """A value that broadcasts with that one."""
        shape = self[ref].shape

        def fits(a: Any) -> bool:
            try:
                np.broadcast_shapes(shape, a.shape)
            except ValueError:
                return False
            return wanted(a)

        return self.pick(fits, guard)

    def axis(self, ref: Ref) -> int:
        ndim = self[ref].ndim
        return self.integer(-ndim, ndim - 1)

    def axes(self, ref: Ref) -> Any:
        """One axis, several, or None for all."""
        ndim = self[ref].ndim
        if not ndim or self.maybe(0.2):
            return None
        if self.maybe(0.6):
            return self.axis(ref)
        chosen = self.r.permutation(ndim)[: self.integer(1, ndim)]
        return tuple(int(a) - (ndim if self.maybe() else 0) for a in chosen)

    def key(self, shape: tuple[int, ...]) -> tuple[Any, ...]:
        """An index of an array of this shape: integers, slices of either sign, None, …, integer arrays, masks."""
        entries: list[Any] = []
        for n in shape:
            kind = self.integer(0, 8)
            if kind == 0 and n:
                entries.append(self.integer(-n, n - 1))
            elif kind in (1, 2):
                entries.append(slice(None, None, self.one(-1, -2, 2, 3)))
            elif kind == 3:
                entries.append(
                    slice(self.integer(-n - 1, n), self.one(None, self.integer(-n, n + 1)), self.one(1, -1, 2))
                )
            elif kind == 4 and n:
                entries.append([self.integer(-n, n - 1) for _ in range(self.integer(1, 4))])
            elif kind == 5 and n and not any(isinstance(e, list) for e in entries):
                entries.append([bool(b) for b in self.r.random(n) < 0.6])
            else:
                entries.append(slice(None))
        if self.maybe(0.2):
            entries.insert(self.integer(0, len(entries)), None)
        if self.maybe(0.2):
            return (*entries[: self.integer(0, len(entries))], ...)
        lists = [e for e in entries if isinstance(e, list) and not isinstance(e[0], bool)]
        if len(lists) > 1:  # integer arrays index together
            longest = max(map(len, lists))
            for e in lists:
                e += [e[-1]] * (longest - len(e))
        return tuple(entries)
