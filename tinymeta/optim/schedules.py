"""Schedules: functions from the number of steps taken (a Tensor) to a learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable

from tinymeta.engine.tensor import Tensor
from tinymeta.ops.select import minimum
from tinymeta.ops.trigonometry import cos

Schedule = Callable[[Tensor], Tensor]


def cosine(peak: float, steps: int, end: float = 0.0) -> Schedule:
    """From `peak` to `end` along half a cosine in `steps` steps, then constant (Loshchilov & Hutter 2017, eq. 5)."""
    return lambda count: end + (peak - end) * 0.5 * (1 + cos(minimum(count / steps, 1.0) * math.pi))


def linear(start: float, end: float, steps: int) -> Schedule:
    """From `start` to `end` on a straight line in `steps` steps, then constant."""
    return lambda count: start + (end - start) * minimum(count / steps, 1.0)


def exponential(start: float, decay: float, every: int) -> Schedule:
    """`start` times `decay` for every `every` steps, smoothly."""
    return lambda count: start * decay ** (count / every)


def warmup(steps: int, then: Schedule) -> Schedule:
    """`then`, scaled up on a straight line from 0 during the first `steps` steps."""
    return lambda count: then(count) * minimum((count + 1) / steps, 1.0)
