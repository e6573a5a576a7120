"""The page of kinks and special values, computed from the primitives: `python -m tests.testing.kinks_page`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np

from tinymeta.engine.domain import Kink
from tinymeta.engine.primitive import Primitive
from tinymeta.testing.case import Case, ladder
from tinymeta.testing.points import one_sided
from tinymeta.testing.values import SPECIAL

_HEAD = """\
# Kinks and special values

This page is computed from the declarations of the primitives (`python -m tests.testing.kinks_page`), and a test
keeps it current.

## Kinks

Where the two one-sided derivatives of a function differ, tinymeta takes one of them, always the same, at every
order. Splitting a tie in halves, as other engines do, gives second derivatives that neither side has: the
halves multiply. The columns for orders 2 and 3 show it on (f − c)² and (f − c)³, with c the value at the kink:
left, right, and *taken*.

| primitive | at | along | f′ | (f − c)²″ | (f − c)³‴ | side taken |
|---|---|---|---|---|---|---|
"""

_SPECIAL = """
Wherever `where` does not take a branch, the gradients of that branch's inputs are exactly 0 at every order, whatever
its value or its derivative is there: 0 times anything is 0 in the rules of all the elementwise primitives.

## Special values

Value and, below it, derivative of the elementwise functions of one number. A dash: no gradient.

"""


def page(primitives: list[type[Primitive]] | None = None) -> str:
    """The page in Markdown; of all the primitives that tinymeta declares if none are given."""
    if primitives is None:
        primitives = [p for p in Primitive.registry.values() if p.__module__.startswith("tinymeta.")]
    primitives = sorted(primitives, key=lambda p: p.__name__)
    kinks = "".join(row for p in primitives for kink in p.kinks for row in _rows(p, kink))
    header = f"| primitive | {' | '.join(_number(x) for x in SPECIAL)} |\n|---{'|---' * len(SPECIAL)}|\n"
    return _HEAD + kinks + _SPECIAL + header + "".join(_special(p) for p in primitives if _is_function(p))


def _rows(primitive: type[Primitive], kink: Kink) -> Iterator[str]:
    """One row for every number that the kink's inputs hold and whose derivative jumps."""
    at = ", ".join(f"({', '.join(map(_number, x))})" if isinstance(x, tuple) else _number(x) for x in kink.at)
    count = sum(len(x) if isinstance(x, tuple) else 1 for x in kink.at)
    for i in range(count):
        name = f"x{chr(ord('₀') + i)}" if count > 1 else "x"
        sides = [one_sided(primitive, kink, i, order) for order in (1, 2, 3)]
        if sides[0].left != sides[0].right:
            cells = [f"{_number(s.left)}, {_number(s.right)}: *{_number(s.taken)}*" for s in sides]
            yield f"| `{primitive.__name__}` | {at} | {name} | {' | '.join(cells)} | {kink.side} |\n"


def _special(primitive: type[Primitive]) -> str:
    points = np.array(SPECIAL)
    case = Case(primitive, (points,), {}, 0, 0)
    with np.errstate(all="ignore"):  # infinities are what the table is about
        values = case.values()[0]
        slopes = ladder(case, [np.ones(points.shape)], [])[0][0].array if primitive.vjp is not None else None
    cells = [
        f"{_number(v)}<br>{'–' if slopes is None else _number(slopes[k])}" for k, v in enumerate(values.astype(float))
    ]
    return f"| `{primitive.__name__}` | {' | '.join(cells)} |\n"


def _is_function(primitive: type[Primitive]) -> bool:
    """Whether it takes one real number to another, element by element."""
    domain = primitive.domain
    if primitive.samples or len(domain) != 1 or domain[0].kind != "real":
        return False
    return Case(primitive, (np.full(1, float(domain[0].high)),), {}, 0, 0).values()[0].dtype.kind == "f"


def _number(x: float) -> str:
    return f"{x:.4g}".replace("inf", "∞").replace("nan", "NaN").replace("-", "−")


if __name__ == "__main__":
    import tinymeta  # noqa: F401  (declares all the primitives)

    sys.stdout.write(page())
