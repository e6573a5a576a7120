"""What a step costs with so many workers, and where more of them stop paying.

One process hands out `parts` of a step and takes in their results, one thing at a time; the workers compute at once.
It is busy for

    P = min(w, parts) · send + parts · hand

and the workers compute for at most part · ((parts − 1)/w + 1), for while it is idle and parts are left all of them
compute, and the last part is alone (Graham 1969). Both together are an upper bound; the larger of P and of the longest
that one worker computes, ⌈parts/w⌉ · part, is a lower one. Another worker costs `send` and saves part · (parts − 1)/w²:
where these are equal more stop paying.
"""

from __future__ import annotations

from math import ceil, sqrt
from typing import NamedTuple


class Costs(NamedTuple):
    """Seconds."""

    part: float  # to compute one part of a step, on one core
    send: float  # to send φ to one worker
    hand: float  # to hand out one part and take in its gradient
    finish: float  # to add the parts and take the step


def at_most(costs: Costs, parts: int, workers: int) -> float:
    """The longest that a step takes."""
    return costs.finish + _handing(costs, parts, workers) + costs.part * ((parts - 1) / workers + 1)


def at_least(costs: Costs, parts: int, workers: int) -> float:
    """The shortest that it can take."""
    longest = costs.send + costs.hand + ceil(parts / workers) * costs.part
    return costs.finish + max(_handing(costs, parts, workers), longest)


def worth(costs: Costs, parts: int) -> int:
    """How many workers a step of so many parts is worth."""
    return max(1, min(parts, round(sqrt(costs.part * (parts - 1) / costs.send))))


def _handing(costs: Costs, parts: int, workers: int) -> float:
    return min(workers, parts) * costs.send + parts * costs.hand
