"""The derivative table as SVG: a column per operation of the user's code, a band per derivative order.

Below an operation hang the operations that differentiating it made, one cell each, in the order in
which they ran; a stack's height is what that derivative costs. Above the operations stand the
user's functions that called them. Several traces side by side share their bands, so that a band
which one of them lacks is seen to be empty.

Orders differ in place, in words, in weight and in hatching; hue comes last.
"""

from __future__ import annotations

from collections import defaultdict
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from tinymeta.view.trace import BORDERS
from tinymeta.view.trace_text import expression, origin

if TYPE_CHECKING:
    from tinymeta.engine.trace import Step
    from tinymeta.view.trace import Trace

WORDS = ("your program", "the gradient", "the gradient’s gradient")
LEFT, RIGHT, TOP, GAP = 172, 24, 28, 44  # margins, and the space between two tables
BRACKET, HEAD, NAMES = 19, 14, 62  # heights: a level of functions, an order-0 cell, the operations' names
AIR = 13  # above and below a band's stacks
LEVELS = 3  # of functions above the operations

STYLE = """
.ground{fill:#fdfcf9;stroke:#e3e0d8}
text{font-family:"Helvetica Neue",Helvetica,Arial,"Liberation Sans",sans-serif;fill:#25282c;font-size:11px}
.title{font-size:15px;font-weight:600}
.order{font-size:13px;font-weight:600}
.quiet{fill:#6b6f75}
.rule{stroke:#d8d4ca}
.thread{stroke:#ebe8e0}
.bracket{stroke:#8a8d91;fill:none}
.cell{stroke-width:1}
.o0{fill:#fdfcf9;stroke:#25282c;stroke-width:1.3}
.earlier{stroke-dasharray:2 2}
.o1{fill:#9cc4e0;stroke:#9cc4e0}
.o2{fill:#c2410c;stroke:#c2410c}
.o3{fill:#1f5b47;stroke:#1f5b47}
.hatch{stroke:#fdfcf9;stroke-width:1.4}
"""


class Scale(NamedTuple):
    """How wide a column is, and how high a cell, in pixels."""

    pitch: float
    cell: float


class Table(NamedTuple):
    """One trace, sorted into its table: the columns from left to right, and each column's stack per order."""

    trace: Trace
    columns: list[Step]
    stacks: dict[tuple[int, int], list[Step]]  # (column's id, order) → steps

    def height(self, order: int) -> int:
        """Cells in the highest stack of the band."""
        return max((len(stack) for (_, o), stack in self.stacks.items() if o == order), default=0)


def derivative_table(*traces: Trace, width: float = 960) -> str:
    """The SVG text of the tables of one or more traces, side by side, about `width` pixels wide.

    Each is headed by its trace's `title`. Beyond some 200 columns the picture grows wider instead of illegible.
    """
    tables = [_sorted(trace) for trace in traces]
    count = sum(max(len(t.columns), 1) for t in tables)
    rows = sum(max(t.height(o) for t in tables) for o in range(1, _orders(tables)))
    room = width - LEFT - RIGHT - GAP * (len(tables) - 1)
    scale = Scale(pitch=min(24.0, max(4.0, room / count)), cell=min(9.0, max(2.5, 280 / max(rows, 1))))
    body, w, h = draw(tables, scale, width)
    title = " beside ".join(trace.title for trace in traces)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:g} {h:g}" width="{w:g}" height="{h:g}" role="img" '
        f'aria-labelledby="title about"><title id="title">Derivative table: {escape(title)}</title>'
        f'<desc id="about">{escape(_described(tables))}</desc><style>{STYLE}</style>'
        f'<rect class="ground" x=".5" y=".5" width="{w - 1:g}" height="{h - 1:g}" rx="8"/>\n{body}\n</svg>\n'
    )


def draw(tables: list[Table], scale: Scale, width: float) -> tuple[str, float, float]:
    """The drawing without its frame and style, and its width and height."""
    levels = max(len(rows) for rows in (_brackets(t) for t in tables))
    names = NAMES if scale.pitch >= 9 else 0
    head = TOP + 30 + levels * BRACKET + names
    bands, y = [], head
    for order in range(_orders(tables)):
        height = HEAD if order == 0 else max(t.height(order) for t in tables) * scale.cell
        bands.append(y)
        y += height + 2 * AIR
    x = float(LEFT)
    parts: list[str] = []
    for table in tables:
        parts.append(_one(table, scale, x, head, bands))
        x += max(len(table.columns) * scale.pitch, _wide(table.trace.title)) + GAP
    right = max(x - GAP + RIGHT, width)
    for order, top in enumerate(bands):
        counts = [f"{t.trace.counts().get(order, 0)}" for t in tables]
        words = WORDS[order] if order < len(WORDS) else f"and so on, {order} times"
        parts.append(
            f'<line class="rule" x1="24" x2="{right - 24:g}" y1="{top:g}" y2="{top:g}"/>'
            f'<text class="order" x="24" y="{top + 20:g}">order {order}</text>'
            f'<text class="quiet" x="24" y="{top + 35:g}">{words}</text>'
            f'<text class="quiet" x="24" y="{top + 50:g}">{" · ".join(counts)} operations</text>'
        )
    return "\n".join(parts), right, y


def _one(table: Table, scale: Scale, x: float, head: float, bands: list[float]) -> str:
    return ""


def _sorted(trace: Trace) -> Table:
    stacks: dict[tuple[int, int], list[Step]] = defaultdict(list)
    for step in trace.steps:
        if step.kind == "step" and step.order:
            stacks[trace.column(step).id, step.order].append(step)
    used = {column for column, _ in stacks}
    columns = [
        step
        for step in trace.steps
        if step.id in used or (step.order == 0 and step.kind == "step" and step.op not in BORDERS)
    ]
    return Table(trace, columns, dict(stacks))
