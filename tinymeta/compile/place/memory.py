"""Memory that knows what was written where: the machine's, for programs on symbols."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinymeta.compile.place.layout import ONES, PARTIAL, ROW, SCRATCH, ZERO
from tinymeta.compile.verify import Broken
from tinymeta.engine.tensor import Array

STAGE = "placed program"
Region = tuple[int, Array, int]  # slot, the first byte of each element, bytes of one


class Memory:
    """For every byte of every slot: which byte it is of a number of what width (`_byte`; 0: nobody has written it), the
    symbol if it is the first, and which core has written it in the loop that runs. Scratch and partial sums are each
    core's own."""

    def __init__(self, extent: Mapping[int, int], cores: int) -> None:
        kept = [(slot, core) for slot in extent for core in (range(cores) if slot in (SCRATCH, PARTIAL) else (0,))]
        self.symbol = {key: np.zeros(extent[key[0]], np.int64) for key in kept}
        self.byte = {key: np.zeros(extent[key[0]], np.uint16) for key in kept}
        self.writer = {key: np.full(extent[key[0]], -1) for key in kept}

    def begin(self) -> None:
        """A new loop: what others wrote may be read."""
        for writers in self.writer.values():
            writers[:] = -1

    def fill(self, slot: int, values: Array, width: int) -> None:
        """Write an array without gaps."""
        self.write(-1, slot, np.arange(values.size).reshape(values.shape) * width, width, values, None)

    def read(self, core: int, slot: int, offsets: Array, width: int, who: str) -> Array:
        if slot == ZERO:  # 0 in every width
            return np.zeros(offsets.shape, np.int64)
        if slot == ONES:  # first in float32, then in float64
            if ((offsets < 4 * ROW) != (width == 4)).any() or (offsets % width).any():
                raise Broken(STAGE, f"{who}, slot {slot}", "it takes parts of ones for numbers")
            return np.ones(offsets.shape, np.int64)
        key = self._key(slot, core)
        if any((self.byte[key][offsets + j] != _byte(j, width)).any() for j in range(width)):
            raise Broken(STAGE, f"{who}, slot {slot}", "it reads bytes that nobody has written, or only in part")
        self._alone(key, core, offsets, f"{who} reads")
        found: Array = self.symbol[key][offsets]
        return found

    def write(self, core: int, slot: int, offsets: Array, width: int, values: Array, fold: str | None) -> None:
        """Write, or with `fold`, the name of a ufunc, combine with what is there: then a place may come repeatedly."""
        key, values = self._key(slot, core), np.broadcast_to(values, offsets.shape)
        if fold is not None:
            self.read(core, slot, offsets, width, fold)
            if fold not in ("add", "maximum"):
                raise Broken(STAGE, f"{fold}, slot {slot}", "one instruction writes two numbers to one place")
            getattr(np, fold).at(self.symbol[key], offsets, values)
            self._mark(key, core, offsets, width)
            return
        if np.unique(offsets).size != offsets.size:
            raise Broken(STAGE, f"slot {slot}", "one instruction writes two numbers to one place")
        self._mark(key, core, offsets, width)
        self.symbol[key][offsets] = values

    def apart(self, x: Region, out: Region, elementwise: bool) -> None:
        """An operand and the result share no bytes, unless each element lies where the result's does."""
        if x[0] != out[0] or not x[1].size:
            return
        if elementwise and x[2] == out[2] and x[1].shape == out[1].shape and np.array_equal(x[1], out[1]):
            return
        if np.intersect1d(_bytes(x), _bytes(out)).size:
            raise Broken(STAGE, f"slot {x[0]}", "an instruction writes over what it still has to read")

    def _key(self, slot: int, core: int) -> tuple[int, int]:
        return slot, max(core, 0) if slot in (SCRATCH, PARTIAL) else 0

    def _mark(self, key: tuple[int, int], core: int, offsets: Array, width: int) -> None:
        self._alone(key, core, offsets, "written")
        for j in range(width):
            self.byte[key][offsets + j] = _byte(j, width)
            self.writer[key][offsets + j] = core

    def _alone(self, key: tuple[int, int], core: int, offsets: Array, what: str) -> None:
        writers = self.writer[key][offsets]
        if core >= 0 and ((writers >= 0) & (writers != core)).any():
            raise Broken(STAGE, f"slot {key[0]}", f"{what} by one core while another writes it")


def _byte(j: int, width: int) -> int:
    """Byte j of a number of so many."""
    return 1 + j + 16 * width


def _bytes(region: Region) -> Array:
    _, offsets, width = region
    return np.unique(offsets.reshape(-1, 1) + np.arange(width))
