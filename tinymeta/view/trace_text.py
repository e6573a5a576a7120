"""A trace as text: one line per step, coloured by order where rich and a terminal are at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinymeta.view.terminal import console

if TYPE_CHECKING:
    from tinymeta.view.trace import Trace
    from tinymeta.watch.recorder import Step

STYLES = ("bold", "blue", "dark_orange3", "green", "magenta")  # by order; the order itself is written too


def show(trace: Trace) -> None:
    """Print the listing."""
    rows = _rows(trace)
    lines = _aligned([cells for _, cells in rows])
    screen = console()
    if screen is None:
        print("\n".join(lines))
        return
    from rich.text import Text

    for line, (step, _) in zip(lines, rows):
        screen.print(Text(line, style="dim" if step.kind != "step" else style(step)), soft_wrap=True)


def listing(trace: Trace) -> list[str]:
    """A line per step in aligned columns: order, what it computes, type, where it comes from.

    Below a fused operation stands what it is in others. Single numbers from outside have no line of their own: they
    stand in the lines that use them.
    """
    return _aligned([cells for _, cells in _rows(trace)])


def _rows(trace: Trace) -> list[tuple[Step, list[str]]]:
    rows = []
    for s in (s for s in trace.steps if not _is_number(s)):
        rows.append((s, [str(s.order), expression(trace, s), type_of(s), origin(trace, s)]))
        rows += [(s, ["", f"  {line}", "", ""]) for line in s.plain]
    return rows


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)] or [0] * 4
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def expression(trace: Trace, step: Step) -> str:
    """`%7 = add(%5, 0.1)`."""
    if step.kind == "input":
        return f"%{step.id} = {step.op}"
    inputs = [_named(trace.steps[i - 1]) for i in step.inputs]
    options = [f"{name}={value}" for name, value in step.static.items()]
    return f"%{step.id} = {step.op}({', '.join(inputs + options)})"


def type_of(step: Step) -> str:
    """`float64[5, 1]`, and `25 × float64[5, 1]` inside `vmap`."""
    times = "".join(f"{size} × " for size in step.batch)
    return f"{times}{step.dtype}[{', '.join(map(str, step.shape))}]"


def origin(trace: Trace, step: Step) -> str:
    """Where the step comes from: the user's line, or the rule that made it."""
    if step.made_by is not None:
        maker = trace.steps[step.made_by - 1]
        return f"VJP of %{maker.id} {maker.op}"
    if step.path:
        site = step.path[-1]
        return f"{trace.file(site)}:{site.line}"
    return "made before the trace" if step.kind == "earlier" else ""


def number(value: float | str) -> str:
    """Four digits of a number; what JSON can't hold is text already."""
    return value if isinstance(value, str) else f"{value:.4g}".replace("-", "−")


def style(step: Step) -> str:
    """The rich style of a step's order."""
    return STYLES[min(step.order, len(STYLES) - 1)]


def _is_number(step: Step) -> bool:
    return step.kind == "input" and step.shape == () and not step.batch


def _named(step: Step) -> str:
    return number(step.value["first"][0]) if _is_number(step) else f"%{step.id}"
