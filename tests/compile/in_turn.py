"""A crew whose cores come one after the other: what one reads of another is then wrong every time, not now and then."""

from __future__ import annotations

from typing import Any

import numpy as np
from tinymeta_kernels import machine

NUMBERS = np.array([0.0, 1.0])


class InTurn:
    """In place of `tinymeta_kernels.crew.Crew`, with the same parts."""

    def __init__(self, last_first: bool) -> None:
        self._last_first = last_first

    def __call__(self, cores: int) -> InTurn:
        return self

    def share(
        self, before: Any, body: Any, base: Any, work: Any, count: int, grain: int, block: int, patience: int
    ) -> None:
        parts = len(base)
        each = -(-count // (parts * grain)) * grain
        size = max(1, -(-each // max(1, -(-each // block))))
        for k in range(parts)[:: -1 if self._last_first else 1]:
            if before.size > 0:
                machine.run(before, NUMBERS, base[k], 0, 1, 1, work[k])
            machine.run(body, NUMBERS, base[k], min(k * each, count), min((k + 1) * each, count), size, work[k])
