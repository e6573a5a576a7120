"""P15: plant every fault in a primitive's rule, and one in its kernel, and see which property notices first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.planted_table import Verdict
from tinymeta.engine.primitive import Primitive
from tinymeta.engine.tensor import Array
from tinymeta.testing.case import random_case, usual_count
from tinymeta.testing.check import properties
from tinymeta.testing.faults import FAULTS, Rule, planted, replaced

_OF_THE_RULE = ("a term dropped", "values detached", "arguments swapped")  # not of one entry


def plant_faults(primitive: type[Primitive], examples: int = 12) -> list[Verdict]:
    """Plant every fault in every entry of a primitive's rule, and one in its kernel; say which property noticed."""
    verdicts = []
    floats = sorted({i for seed in range(2) for i in random_case(primitive, seed).variables})
    for fault in FAULTS if primitive.vjp is not None else ():
        for i in floats[:1] if fault in _OF_THE_RULE else floats:
            with planted(primitive, fault, i) as rule:
                verdicts.append(Verdict(primitive.__name__, fault, i, _first_to_notice(primitive, examples, rule)))
    if any(y.dtype.kind == "f" for y in random_case(primitive, 0).values()):
        with replaced(primitive, "kernel", _off(primitive.kernel)):
            verdicts.append(Verdict(primitive.__name__, "kernel × 1.001", 0, _first_to_notice(primitive, examples)))
    return verdicts


def _first_to_notice(primitive: type[Primitive], examples: int, rule: Rule | None = None) -> str:
    for name, holds in properties(primitive).items():
        if rule and name == "P1":
            continue  # it runs the kernel alone
        for seed in range(max(examples, usual_count(primitive))):
            try:
                holds(random_case(primitive, seed))
            except (AssertionError, ValueError, TypeError, IndexError):  # shapes that no longer fit are noticed too
                return name
        if rule and not rule.effective:
            return "–"
    return ""


def _off(kernel: Any) -> Callable[..., Any]:
    def wrong(*arrays: Array, **static: Any) -> Any:
        y = kernel(*arrays, **static)
        many = y if isinstance(y, tuple) else (y,)
        off = tuple(np.asarray(v) * 1.001 if np.asarray(v).dtype.kind == "f" else v for v in many)
        return off if isinstance(y, tuple) else off[0]

    return wrong
