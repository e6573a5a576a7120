"""The cheapest order to multiply several arrays in.

A product of matrices A B C is a sum over indices, Σ a_ij b_jk c_kl: a *contraction*, in which every array has a label
on each axis, and a label that the result lacks is summed over. Multiplication is associative, so any order of pairs
gives the same numbers (to rounding), and the costs differ by orders of magnitude: with x (5 × 784), a (5 × 784) and
d (5 × 256),

    x (aᵀ d)     2·784·5·256 + 2·5·784·256 = 4.0 million operations, and the 784 × 256 matrix aᵀ d
    (x aᵀ) d     2·5·784·5 + 2·5·5·256    = 0.05 million, and the 5 × 5 matrix x aᵀ
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import TypeAlias, TypeVar

Label = TypeVar("Label", bound=Hashable)
Pair: TypeAlias = tuple[int, int]
Numbers: TypeAlias = frozenset[int]

MOVED = 16  # what it costs to read or write an array element, in floating-point operations
TRIED = 4  # factors, of which all orders are tried


def contraction_path(
    factors: Sequence[Collection[Label]], result: Collection[Label], size: Mapping[Label, int]
) -> tuple[tuple[Pair, ...], float]:
    """Which pairs to multiply, one after the other, and what that costs.

    A pair names two places in the list of what is left; their product goes to its end. `factors` holds the labels of
    each array, and `size` how long each label's axis is.
    """
    number = {label: i for i, label in enumerate(dict.fromkeys((*(i for f in factors for i in f), *result)))}
    numbered = tuple(frozenset(number[i] for i in f) for f in factors)
    return _cheapest(numbered, frozenset(number[i] for i in result), tuple(size[i] for i in number))


@lru_cache(maxsize=4096)
def _cheapest(factors: tuple[Numbers, ...], result: Numbers, size: tuple[int, ...]) -> tuple[tuple[Pair, ...], float]:
    if len(factors) == 1:
        return (), 0.0
    best: tuple[tuple[Pair, ...], float] = ((), math.inf)
    tried = list(combinations(range(len(factors)), 2))
    if len(factors) > TRIED:  # too many orders: the pair that is cheapest now
        tried = [min(tried, key=lambda pair: _multiplied(factors, pair, result, size)[1])]
    for pair in tried:
        left, cost = _multiplied(factors, pair, result, size)
        rest, more = _cheapest(left, result, size)
        if cost + more < best[1]:
            best = ((pair, *rest), cost + more)
    return best


def _multiplied(
    factors: tuple[Numbers, ...], pair: Pair, result: Numbers, size: tuple[int, ...]
) -> tuple[tuple[Numbers, ...], float]:
    """What is left after multiplying a pair, and the cost of that."""
    a, b = factors[pair[0]], factors[pair[1]]
    others = tuple(f for i, f in enumerate(factors) if i not in pair)
    product = (a | b) & result.union(*others)
    whole, *moved = (math.prod(size[i] for i in labels) for labels in (a | b, a, b, product))
    return (*others, product), 2 * whole + MOVED * sum(moved)
