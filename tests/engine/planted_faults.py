"""P15: plant every fault in a primitive's rule, and one in its kernel, and see which property notices first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.planted_table import Verdict
from tinymeta.engine.primitive import Primitive
from tinymeta.engine.tensor import Array
from tinymeta.testing.case import Case, ladder, random_case, usual_count
from tinymeta.testing.check import properties
from tinymeta.testing.faults import FAULTS, Rule, planted, replaced

_OF_THE_RULE = ("a term dropped", "values detached", "arguments swapped")  # not of one entry
NOTICED = (AssertionError, ValueError, TypeError, IndexError)  # shapes that no longer fit are noticed, too


def has_a_rule(primitive: type[Primitive]) -> bool:
    """Whether it declares one: others have no derivative, or that of their plain form."""
    return primitive.vjp is not None and primitive.vjp is not primitive.plain


def noticed_without_a_fault(primitive: type[Primitive], seed: int) -> str:
    """What notices that a fault could be planted, where none is: such a property would prove nothing."""
    rule = Rule(primitive, "× 1.001", 0)
    rule.fault = lambda rule, right, *_: right
    with replaced(primitive, "vjp", rule):
        for name, holds in properties(primitive).items():
            try:
                holds(random_case(primitive, seed))
            except NOTICED:
                return name
    return ""


def plant_faults(primitive: type[Primitive], examples: int = 12) -> list[Verdict]:
    """Plant every fault in every entry of a primitive's rule, and one in its kernel; say which property noticed."""
    verdicts = []
    floats = sorted({i for seed in range(2) for i in random_case(primitive, seed).variables})
    for fault in FAULTS if has_a_rule(primitive) else ():
        for i in floats[:1] if fault in _OF_THE_RULE else floats:
            with planted(primitive, fault, i) as rule:
                verdicts.append(Verdict(primitive.__name__, fault, i, _first_to_notice(primitive, examples, rule)))
    if any(y.dtype.kind == "f" for y in random_case(primitive, 0).values()):
        with replaced(primitive, "kernel", _off(primitive.kernel)):
            verdicts.append(Verdict(primitive.__name__, "kernel × 1.001", 0, _first_to_notice(primitive, examples)))
    return verdicts


def _first_to_notice(primitive: type[Primitive], examples: int, rule: Rule | None = None) -> str:
    seeds = range(max(examples, usual_count(primitive)))
    if rule and not any(_makes_a_difference(random_case(primitive, seed), rule) for seed in seeds):
        return "–"
    for name, holds in properties(primitive).items():
        if rule and name in ("P1", "P9"):
            continue  # P1 runs the kernel alone, P9 asks who writes into what, and these faults don't
        for seed in seeds:
            try:
                holds(random_case(primitive, seed))
            except NOTICED:
                return name
    return ""


def _makes_a_difference(case: Case, rule: Rule) -> bool:
    """Whether the fault changes a derivative of order 1 to 3, or lets there be none."""
    gs = case.cotangents(case.rng)
    try:
        ladder(case, gs, [case.directions(case.rng), [*case.directions(case.rng), *gs]])
    except NOTICED:
        return True
    return rule.effective


def _off(kernel: Any) -> Callable[..., Any]:
    def wrong(*arrays: Array, **static: Any) -> Any:
        y = kernel(*arrays, **static)
        many = y if isinstance(y, tuple) else (y,)
        off = tuple(np.asarray(v) * 1.001 if np.asarray(v).dtype.kind == "f" else v for v in many)
        return off if isinstance(y, tuple) else off[0]

    return wrong
