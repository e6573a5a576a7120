"""Schedules: functions from the number of steps taken (a Tensor) to a learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tinymeta.engine.errors import user_site
from tinymeta.engine.tensor import Tensor
from tinymeta.ops.rounding import floor
from tinymeta.ops.select import maximum, minimum, where
from tinymeta.ops.trigonometry import cos

Schedule = Callable[[Tensor], Tensor]


def cosine(peak: float, steps: int, end: float = 0.0) -> Schedule:
    """From `peak` to `end` along half a cosine in `steps` steps, then constant.

    Shapes: the number of steps taken, () → a learning rate, ().
    Source: Loshchilov & Hutter 2017, eq. 5.

    >>> rate = tm.optim.schedules.cosine(1.0, steps=10)
    >>> [float(rate(tm.tensor(t))) for t in (0, 10, 20)]
    [1.0, 0.0, 0.0]
    """
    return lambda taken: end + (peak - end) * 0.5 * (1 + cos(minimum(taken / steps, 1.0) * math.pi))


def linear(start: float, end: float, steps: int) -> Schedule:
    """From `start` to `end` on a straight line in `steps` steps, then constant.

    Shapes: the number of steps taken, () → a learning rate, ().

    >>> rate = tm.optim.schedules.linear(1.0, 0.5, steps=10)
    >>> [float(rate(tm.tensor(t))) for t in (0, 5, 20)]
    [1.0, 0.75, 0.5]
    """
    return lambda taken: start + (end - start) * minimum(taken / steps, 1.0)


def exponential(start: float, decay: float, every: int) -> Schedule:
    """`start` times `decay` for every `every` steps, smoothly.

    Shapes: the number of steps taken, () → a learning rate, ().

    >>> rate = tm.optim.schedules.exponential(1.0, 0.25, every=10)
    >>> [float(rate(tm.tensor(t))) for t in (0, 5, 10)]
    [1.0, 0.5, 0.25]
    """
    return lambda taken: start * decay ** (taken / every)


def staircase(start: float, decay: float, every: int) -> Schedule:
    """`start`, multiplied by `decay` after each `every` steps (ProtoNet: 0.5 after each 2,000).

    Shapes: the number of steps taken, () → a learning rate, ().

    >>> rate = tm.optim.schedules.staircase(1.0, 0.5, every=10)
    >>> [float(rate(tm.tensor(t))) for t in (0, 9, 10, 20)]
    [1.0, 1.0, 0.5, 0.25]
    """
    return lambda taken: start * decay ** floor(taken / every)


def piecewise(values: Sequence[float], ends: Sequence[int]) -> Schedule:
    """`values[0]` until step `ends[0]`, then `values[1]` until step `ends[1]`, …; the last one for ever.

    Shapes: the number of steps taken, () → a learning rate, ().
    Raises: ValueError unless there is one value more than ends: `tm.optim.schedules.piecewise([1.0], [5])`.

    >>> rate = tm.optim.schedules.piecewise([1.0, 0.1], [5])
    >>> [float(rate(tm.tensor(t))) for t in (0, 4, 5)]
    [1.0, 1.0, 0.1]
    """
    if len(values) != len(ends) + 1:
        raise ValueError(f"piecewise needs one value more than ends, not {len(values)} and {len(ends)} ({user_site()})")

    def schedule(taken: Tensor) -> Tensor:
        rate: Tensor = taken * 0 + values[-1]
        for value, end in zip(reversed(values[:-1]), reversed(ends)):
            rate = where(taken < end, value, rate)
        return rate

    return schedule


def warmup(steps: int, then: Schedule) -> Schedule:
    """`then`, times (taken + 1)/steps during the first `steps` steps.

    Shapes: the number of steps taken, () → a learning rate, ().

    >>> rate = tm.optim.schedules.warmup(4, tm.optim.schedules.linear(1.0, 1.0, 10))
    >>> [float(rate(tm.tensor(t))) for t in (0, 1, 3, 9)]
    [0.25, 0.5, 1.0, 1.0]
    """
    return lambda taken: then(taken) * minimum((taken + 1) / maximum(steps, 1), 1.0)
