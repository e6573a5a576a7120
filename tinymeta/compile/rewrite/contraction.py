"""Products of several arrays, and the cheapest order to multiply them in.

A product of matrices A B C is a sum over indices, Σ a_ij b_jk c_kl: a *network*, in which every array has a label
on each axis, and a label that the result lacks is summed over. Multiplication is associative, so any order of pairs
gives the same numbers (to rounding), and the costs differ by orders of magnitude: with x (5 × 784), a (5 × 784) and
d (5 × 256),

    x (aᵀ d)     2·784·5·256 + 2·5·784·256 = 4.0 million operations, and the 784 × 256 matrix aᵀ d
    (x aᵀ) d     2·5·784·5 + 2·5·5·256    = 0.05 million, and the 5 × 5 matrix x aᵀ
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple, TypeAlias

Labels: TypeAlias = tuple[int, ...]  # one for each axis: the result's count from 0, the others are summed over
Pair: TypeAlias = tuple[int, int]

MOVED = 16  # what it costs to read or write an array element, in floating-point operations


class Factor(NamedTuple):
    """An array of the program, `Σ weight · node` over `parts`, with a label on each axis longer than 1."""

    parts: tuple[tuple[float, int], ...]
    labels: Labels


class Term(NamedTuple):
    """weight · Σ Π factors, times the numbers (arrays of one element) at `scalars`."""

    weight: float
    factors: tuple[Factor, ...]
    scalars: tuple[int, ...] = ()


def order(factors: tuple[Labels, ...], result: Labels, size: Mapping[int, int]) -> tuple[list[Pair], float]:
    """Which pairs to multiply, one after the other, and what that costs.

    A pair names two places in the list of what is left; their product goes to its end.
    """
    name = {label: i for i, label in enumerate(dict.fromkeys([i for f in factors for i in f] + list(result)))}
    plain = tuple(frozenset(name[i] for i in f) for f in factors)
    pairs, cost = _cheapest(plain, frozenset(name[i] for i in result), tuple(size[i] for i in name))
    return list(pairs), cost


@lru_cache(maxsize=4096)
def _cheapest(
    factors: tuple[frozenset[int], ...], result: frozenset[int], size: tuple[int, ...]
) -> tuple[tuple[Pair, ...], float]:
    if len(factors) == 1:
        return (), 0.0
    best: tuple[tuple[Pair, ...], float] = ((), math.inf)
    tried = list(combinations(range(len(factors)), 2))
    if len(factors) > 4:  # too many orders to try: the pair that is cheapest now
        tried = [min(tried, key=lambda pair: _multiplied(factors, pair, result, size)[1])]
    for pair in tried:
        left, cost = _multiplied(factors, pair, result, size)
        rest, more = _cheapest(left, result, size)
        if cost + more < best[1]:
            best = ((pair, *rest), cost + more)
    return best


def _multiplied(
    factors: tuple[frozenset[int], ...], pair: Pair, result: frozenset[int], size: tuple[int, ...]
) -> tuple[tuple[frozenset[int], ...], float]:
    """What is left after multiplying a pair, and the cost of that."""
    a, b = factors[pair[0]], factors[pair[1]]
    others = tuple(f for i, f in enumerate(factors) if i not in pair)
    product = (a | b) & result.union(*others)
    whole, *moved = (math.prod(size[i] for i in labels) for labels in (a | b, a, b, product))
    return (*others, product), 2 * whole + MOVED * sum(moved)


def merged(terms: list[Term], size: dict[int, int]) -> list[Term]:
    """Terms that differ in one factor alone become one: A B + A C = A (B + C).

    So the updates of several inner steps that share the layer's input, aᵀd₁ + aᵀd₂ + …, are one product. `size` tells
    how long each label's axis is, and learns it of the new names of summed labels.
    """
    terms = [_renamed(term, size) for term in terms]
    changed = True
    while changed:
        changed = False
        seen: dict[object, tuple[int, int]] = {}
        for t, term in enumerate(terms):
            for f, factor in enumerate(term.factors):
                rest = (*term.factors[:f], *term.factors[f + 1 :])
                key = (f, factor.labels, rest, term.scalars)
                if key not in seen:
                    seen[key] = (t, f)
                    continue
                other = terms[seen[key][0]]
                both = [(other.weight * w, i) for w, i in other.factors[f].parts]
                both += [(term.weight * w, i) for w, i in factor.parts]
                joined = Factor(tuple(both), factor.labels)
                terms[seen[key][0]] = Term(1.0, (*rest[:f], joined, *rest[f:]), term.scalars)
                del terms[t]
                changed = True
                break
            if changed:
                break
    return terms


def _renamed(term: Term, size: dict[int, int]) -> Term:
    """The term with its summed labels, negative until now, named by their length and the order in which they appear:
    factors of different terms have equal labels only if they have equal shapes."""
    factors = sorted(term.factors, key=lambda f: (len(f.labels), f.parts))
    names: dict[int, int] = {}
    for label in (i for f in factors for i in f.labels if i < 0):
        if label not in names:
            names[label] = FREE * (1 + size[label]) + len(names)
            size[names[label]] = size[label]
    return term._replace(factors=tuple(Factor(f.parts, tuple(names.get(i, i) for i in f.labels)) for f in factors))


FREE = 1000  # labels from here on are summed over (and negative ones, before they are renamed); others are the result's
