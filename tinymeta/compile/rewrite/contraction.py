"""Sums of contractions, as terms: weight · Σ A B …, each array with a label on every axis.

A label that the result lacks is summed over; which pair of arrays is multiplied first is found in
`ops/contraction_path.py`.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

Labels: TypeAlias = tuple[int, ...]  # one for each axis: the result's count from 0, the others are summed over

FREE = 1000  # labels from here on are summed over (and negative ones, before they are renamed); others are the result's


class Factor(NamedTuple):
    """An array of the program, `Σ weight · node` over `parts`, with a label on each axis longer than 1."""

    parts: tuple[tuple[float, int], ...]
    labels: Labels


class Term(NamedTuple):
    """weight · Σ Π factors, times the numbers (arrays of one element) at `scalars`."""

    weight: float
    factors: tuple[Factor, ...]
    scalars: tuple[int, ...] = ()


def merged(terms: list[Term], size: dict[int, int]) -> list[Term]:
    """Terms that differ in one factor alone become one: A B + A C = A (B + C).

    So the updates of several inner steps that share the layer's input, aᵀd₁ + aᵀd₂ + …, are one product. `size` tells
    how long each label's axis is, and learns it of the new names of summed labels.
    """
    terms = [_renamed(term, size) for term in terms]
    while (found := _apart_in_one(terms)) is not None:
        s, t, f = found
        other, term = terms[s], terms.pop(t)
        both = [(other.weight * w, i) for w, i in other.factors[f].parts]
        both += [(term.weight * w, i) for w, i in term.factors[f].parts]
        joined = Factor(tuple(both), term.factors[f].labels)
        terms[s] = Term(1.0, (*term.factors[:f], joined, *term.factors[f + 1 :]), term.scalars)
    return terms


def _apart_in_one(terms: list[Term]) -> tuple[int, int, int] | None:
    """The first two terms that differ in one factor alone, and which one that is."""
    seen: dict[object, int] = {}
    for t, term in enumerate(terms):
        for f, factor in enumerate(term.factors):
            key = (f, factor.labels, (*term.factors[:f], *term.factors[f + 1 :]), term.scalars)
            if seen.setdefault(key, t) != t:
                return seen[key], t, f
    return None


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
