"""Places in one piece of memory, taken and given back while a program is assembled."""

from __future__ import annotations


class Scratch:
    """First fit; what is given back joins the free places beside it."""

    def __init__(self, unit: int = 64) -> None:
        self.size = 0
        self._unit = unit
        self._free: list[tuple[int, int]] = []  # (offset, size), by offset

    def take(self, size: int) -> int:
        """The offset of a place of this size."""
        size = self._rounded(size)
        for k, (offset, free) in enumerate(self._free):
            if free >= size:
                self._free[k : k + 1] = [(offset + size, free - size)] if free > size else []
                return offset
        offset = self.size
        if self._free and sum(self._free[-1]) == self.size:  # the last place reaches the end: it grows
            offset = self._free.pop()[0]
        self.size = offset + size
        return offset

    def give(self, offset: int, size: int) -> None:
        """A place is free again."""
        places = sorted([*self._free, (offset, self._rounded(size))])
        joined = [places[0]]
        for start, length in places[1:]:
            if sum(joined[-1]) == start:
                joined[-1] = (joined[-1][0], joined[-1][1] + length)
            else:
                joined.append((start, length))
        self._free = joined

    def _rounded(self, size: int) -> int:
        return max(1, -(-size // self._unit)) * self._unit
