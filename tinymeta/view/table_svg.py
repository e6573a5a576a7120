"""The derivative table as SVG: a column per operation of the user's code, a band per derivative order.

Below an operation hang the operations that differentiating it made, one cell each, in the order in
which they ran; a stack's height is what that derivative costs. Above the operations stand the
user's functions that called them. Several traces side by side share their bands, so that a band
which one of them lacks is seen to be empty.

Orders differ in place, in words, in weight and in hatching; hue comes last.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from tinymeta.view.trace_table import Call, DerivativeTable, table_of
from tinymeta.view.trace_text import expression, origin

if TYPE_CHECKING:
    from tinymeta.view.trace import Trace
    from tinymeta.watch.recorder import Step

WORDS = ("your program", "its gradient", "the gradient’s gradient")
RIGHT, TOP, GAP = 26, 38, 40  # margins, and the space between two tables
BRACKET, HEAD, NAMES = 20, 13, 64  # heights: a level of calls, an order-0 cell, the operations' names
CAPTION = "A column is an operation of the program. Below it hang the operations that differentiating it made."
AIR = 14  # above and below a band's stacks
LEGIBLE = 9  # columns narrower than this go without names

STYLE = "\n" + files("tinymeta.view").joinpath("table.css").read_text(encoding="utf-8")
HATCHES = "".join(
    f'<pattern id="hatch{order}" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    f'<rect class="f{order}" width="4" height="4"/><path class="hatch" d="{lines}"/></pattern>'
    for order, lines in ((2, "M.5 0V4"), (3, "M.5 0V4M0 .5H4"))
)


class Frame(NamedTuple):
    """Where everything goes."""

    pitch: float  # a column's width
    cell: float  # a cell's height
    top: float  # of the calls
    bands: tuple[float, ...]  # of each order
    compact: bool  # a page has its title elsewhere, and less room


def derivative_table(*traces: Trace, width: float = 940) -> str:
    """The SVG text of the tables of one or more traces, side by side, about `width` pixels wide.

    Each is headed by its trace's `title`. Some 200 columns fit; more make the picture wider, not illegible.
    """
    tables = [table_of(trace) for trace in traces]
    room = width - _left(False) - RIGHT - GAP * (len(tables) - 1)
    pitch = min(24.0, max(4.0, room / sum(max(len(t.columns), 1) for t in tables)))
    rows = sum(max(t.height(order) for t in tables) for order in range(1, max(t.orders for t in tables)))
    body, right, bottom = drawing(tables, pitch, cell=min(9.0, max(2.5, 280 / max(rows, 1))), width=width)
    body += f'\n<text class="quiet" x="24" y="{bottom + 12:g}">{CAPTION}</text>\n'
    bottom += 32
    title = escape(" beside ".join(trace.title for trace in traces))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right:g} {bottom:g}" width="{right:g}" '
        f'height="{bottom:g}" role="img" aria-labelledby="title about"><title id="title">Derivative table: {title}'
        f'</title><desc id="about">{escape(described(tables))}</desc><style>{STYLE}</style>'
        f'<rect class="ground" x=".5" y=".5" width="{right - 1:g}" height="{bottom - 1:g}" rx="6"/>\n{body}</svg>\n'
    )


def drawing(
    tables: list[DerivativeTable], pitch: float, cell: float, width: float = 0, compact: bool = False
) -> tuple[str, float, float]:
    """What is inside the SVG element, and its width and height. `compact` leaves out the titles and some words."""
    top = 0 if compact else TOP
    y = top + BRACKET * max(len(t.calls) for t in tables) + (NAMES if pitch >= LEGIBLE else 0) + 10.0
    bands = []
    for order in range(max(t.orders for t in tables)):
        bands.append(y)
        height = max(t.height(order) for t in tables) * cell if order else HEAD
        y += max(height + 2 * AIR, 48 if compact else 64)  # room for the words at the left
    frame = Frame(pitch, cell, top, tuple(bands), compact)
    panels: list[str] = []
    x = float(_left(compact))
    for table in tables:
        panels += _panel(table, frame, x)
        x += max(len(table.columns) * pitch, 0 if compact else 9 * len(table.trace.title)) + GAP
    right = max(x - GAP + RIGHT, width)
    parts = [f"<defs>{HATCHES}</defs>", *_bands(tables, frame, right), *panels, *_words(tables, frame, y)]
    return "\n".join(parts), right, y + 6


def described(tables: list[DerivativeTable]) -> str:
    """The picture in a sentence per table, for those who hear it."""
    return " ".join(
        f"{t.trace.title}: {len(t.columns)} columns; "
        + ", ".join(f"{count} operations of order {order}" for order, count in t.trace.counts().items())
        + "."
        for t in tables
    )


def _bands(tables: list[DerivativeTable], frame: Frame, right: float) -> Iterator[str]:
    """The rule above each band."""
    x = 14 if frame.compact else 24
    for y in frame.bands:
        yield f'<line class="rule" x1="{x}" x2="{right - x:g}" y1="{y:g}" y2="{y:g}"/>'


def _words(tables: list[DerivativeTable], frame: Frame, bottom: float) -> Iterator[str]:
    """The words at the left of each band, on a ground of their own: a page keeps them in place as the rest scrolls."""
    x, top, width = 14 if frame.compact else 24, frame.bands[0], _left(frame.compact) - 6
    yield f'<g class="words"><rect class="under" y="{top + 1:g}" width="{width}" height="{bottom - top:g}"/>'
    for order, y in enumerate(frame.bands):
        counts = [t.trace.counts().get(order, 0) if order else len(t.columns) for t in tables]
        amount = f"{' and '.join(map(str, counts))} {'operations' if order else 'columns'}"
        lines = [WORDS[order] if order < len(WORDS) else f"differentiated {order} times", amount]
        yield f'<line class="rule" x1="{x}" x2="{width}" y1="{y:g}" y2="{y:g}"/>'
        if frame.compact:
            head, lines = lines[0], [f"order {order}: {amount}"]
        else:
            head = f"order {order}"
        yield f'<text class="order" x="{x}" y="{y + 21:g}">{head}</text>'
        for k, line in enumerate(lines):
            yield f'<text class="quiet" x="{x}" y="{y + 37 + 15 * k:g}">{line}</text>'
    yield "</g>"


def _left(compact: bool) -> int:
    return 178 if compact else 170


def _panel(table: DerivativeTable, frame: Frame, left: float) -> Iterator[str]:
    """One table: its title, who called what, the operations' names, and all cells."""
    if not frame.compact:
        yield f'<text class="title" x="{left:g}" y="31">{escape(table.trace.title)}</text>'
    for level, row in enumerate(table.calls, 1):
        for call in row:
            yield from _bracket(call, left, frame.top + BRACKET * level, frame.pitch)
    for k, column in enumerate(table.columns):
        yield from _column(table, column, frame, left + k * frame.pitch)
    for order, y in enumerate(frame.bands):
        if order and not table.height(order):
            yield f'<text class="empty" x="{left:g}" y="{y + 21:g}">empty: no operation of order {order}</text>'


def _column(table: DerivativeTable, column: Step, frame: Frame, x: float) -> Iterator[str]:
    """An operation of the user's code, and the stacks below it."""
    middle = x + frame.pitch / 2
    if frame.pitch >= LEGIBLE:
        foot = f"{middle + 4:g} {frame.bands[0] - 7:g}"
        name = escape(_short(column.op))
        yield f'<text data-column="{column.id}" transform="translate({foot}) rotate(-90)">{name}</text>'
    stacks = {order: table.stacks.get((column.id, order), []) for order in range(1, table.orders)}
    stacks = {order: stack for order, stack in stacks.items() if stack}
    if stacks:
        top, bottom = frame.bands[0] + AIR + HEAD, frame.bands[max(stacks)] + AIR
        yield f'<path class="thread" d="M{middle:g} {top:g}V{bottom:g}"/>'
    if column.order == 0:
        yield _cell(table.trace, column, x, frame.bands[0] + AIR, frame.pitch, HEAD)
    seam = 1.0 if frame.cell > 4 else 0.5
    for order, stack in stacks.items():
        for row, step in enumerate(stack):
            y = frame.bands[order] + AIR + row * frame.cell
            yield _cell(table.trace, step, x, y, frame.pitch, frame.cell - seam)


def _bracket(call: Call, left: float, y: float, pitch: float) -> Iterator[str]:
    """A line over the columns of one call, with the function's name above it where that fits."""
    x, stop = left + call.start * pitch + 1.5, left + call.stop * pitch - 1.5
    yield f'<path class="bracket" d="M{x:g} {y + 3:g}v-3H{stop:g}v3"/>'
    fits = int((stop - x) / 6.2)
    name = call.name if len(call.name) <= fits else call.name[: fits - 1] + "…"
    if fits >= min(len(call.name), 3):
        yield f'<text class="quiet" x="{x:g}" y="{y - 4:g}">{escape(name)}</text>'


def _cell(trace: Trace, step: Step, x: float, y: float, pitch: float, height: float) -> str:
    inset = 0.5 if pitch < LEGIBLE else 1.5
    kind = f"o{min(step.order, 3)}" + (" earlier" if step.kind == "earlier" else "")
    title = escape(f"{expression(trace, step)} · order {step.order} · {origin(trace, step)}")
    return (
        f'<rect class="{kind}" data-id="{step.id}" x="{x + inset:g}" y="{y:g}" width="{pitch - 2 * inset:g}" '
        f'height="{height:g}"><title>{title}</title></rect>'
    )


def _short(op: str) -> str:
    """An operation's name, up to its first underscore where it is long."""
    name = op.rpartition(".")[2]
    return name if len(name) <= 9 else name.partition("_")[0][:10]
