"""The terminal stepper: walk through a trace one step at a time, by typing a letter.

Whatever it reads and writes goes through `ask` and `out`, so a test can sit in the terminal's place.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from tinymeta.view.terminal import console
from tinymeta.view.trace_json import rule
from tinymeta.view.trace_text import expression, number, origin, style, type_of

if TYPE_CHECKING:
    from tinymeta.view.trace import Trace
    from tinymeta.watch.recorder import Step

PROMPT = "next ⏎ · b back · u up to its maker · d down · /find · 0 1 2 order · s source · ? help · q quit > "
HELP = """\
  ⏎, n   the next step                       /tanh  find an operation, %12 a step, or words of a line
  b      the step before                     2      the next step of order 2 (any order)
  u      up: the step whose VJP made this    s      more of the source around the line
  d      down: the first step its VJP made   q      quit"""


class Stepper:
    """A walk through the operations of a trace.

    Parameters
    ----------
    trace
        What to walk through.
    ask
        Called with the prompt, gives the answer (`input` does); it raises `EOFError` when there are no more.
    out
        Where to write; with rich if that is a terminal and rich is installed, else plain text.
    """

    def __init__(self, trace: Trace, ask: Callable[[str], str] | None = None, out: TextIO | None = None) -> None:
        self.trace = trace
        self.steps = [step for step in trace.steps if step.kind == "step"]
        self.place = 0
        self._ask = ask or input
        self._out = out or sys.stdout

    def run(self) -> None:
        """Show the first step and obey, until the answer is `q` or there are no more answers."""
        if not self.steps:
            self._write("nothing was recorded: no operation ran inside the trace")
            return
        self._write(self._summary())
        self._show()
        while True:
            try:
                answer = self._ask(PROMPT).strip()
            except EOFError:
                return
            if answer == "q":
                return
            self.obey(answer)

    def obey(self, answer: str) -> None:
        """Do what one answer says, and show the step that it leads to."""
        step = self.steps[self.place]
        if answer in ("", "n"):
            self._go(self.place + 1, "this was the last step")
        elif answer == "b":
            self._go(self.place - 1, "this is the first step")
        elif answer == "u":
            self._to(step.made_by, "no step of this trace made it: it is an operation of your program")
        elif answer == "d":
            made = next((s.id for s in self.steps if s.made_by == step.id), None)
            self._to(made, "its VJP rule made nothing: no differentiation passed through it, or it only handed g on")
        elif answer == "s":
            self._write("\n".join(self._source(step, around=8)))
        elif answer.isdecimal():
            self._find(lambda s: s.order == int(answer), f"there is no step of order {answer}")
        elif answer.startswith(("/", "%")):
            wanted = answer.removeprefix("/").strip()
            named = [step.id for step in self.steps if wanted == f"%{step.id}" or wanted in step.op]
            found = named or [step.id for step in self.steps if wanted in _line(step)]
            self._find(lambda step: step.id in found, f"nothing matches '{wanted}'")
        else:
            self._write(HELP)

    def _go(self, place: int, otherwise: str) -> None:
        if 0 <= place < len(self.steps):
            self.place = place
            self._show()
        else:
            self._write(otherwise)

    def _to(self, number: int | None, otherwise: str) -> None:
        places = [k for k, step in enumerate(self.steps) if step.id == number]
        self._go(places[0] if places else -1, otherwise)

    def _find(self, wanted: Callable[[Step], bool], otherwise: str) -> None:
        """The next step that is `wanted`, from the beginning again after the last."""
        n = len(self.steps)
        after = [k % n for k in range(self.place + 1, self.place + n + 1)]
        self._go(next((k for k in after if wanted(self.steps[k])), -1), otherwise)

    # What is shown of a step.

    def _summary(self) -> str:
        counts = ", ".join(f"{count} of order {order}" for order, count in self.trace.counts().items())
        return f"{self.trace.title}: {len(self.steps)} operations, {counts}"

    def _show(self) -> None:
        step = self.steps[self.place]
        head = f"{expression(self.trace, step)}   {type_of(step)}"
        sweep = self.trace.sweep_of(step)
        where = [f"step {self.place + 1} of {len(self.steps)}", f"order {step.order}", origin(self.trace, step), sweep]
        plain = [f"  {'plain' if k == 0 else '':5}  {line}" for k, line in enumerate(step.plain)]
        lines = [
            " · ".join(filter(None, where)),
            *plain,
            *self._value(step),
            *self._cotangents(step),
            *self._rule(step),
        ]
        self._write("")
        self._write(head, style(step))
        self._write("\n".join([*lines, *self._source(step, around=1)]))

    def _value(self, step: Step) -> list[str]:
        value = step.value
        lines = []
        if "min" in value:
            spread = "  ".join(f"{name} {number(value[name])}" for name in ("min", "mean", "max"))
            bad = f"  {value['bad']} not finite" if value["bad"] else ""
            lines.append(f"  value  {spread}{bad}")
        if "grid" in value:
            cells = [[number(v) for v in row] for row in value["grid"]]
            width = max((len(cell) for row in cells for cell in row), default=0)
            lines += ["         " + " ".join(cell.rjust(width) for cell in row) for row in cells]
        elif value.get("first"):
            lines.append("  first  " + ", ".join(number(v) for v in value["first"]) + ", …")
        return lines

    def _cotangents(self, step: Step) -> list[str]:
        lines = []
        before: dict[int, int] = {}
        for sweep, came, total in step.cotangents:
            sum_ = f"%{before[sweep]} + %{came} = %{total}" if sweep in before else f"%{total}"
            lines.append(f"  g      {sum_}, {self.trace.sweep_name(sweep)}")
            before[sweep] = total
        return lines

    def _rule(self, step: Step) -> list[str]:
        """The rule that made this step; for an operation of the user's, its own."""
        maker = step if step.made_by is None else self.trace.steps[step.made_by - 1]
        text = rule(self.trace.recorder.rules[maker.op])
        label = f"  {maker.op}: "
        return [label + text["mathematics"].partition("\n")[0], *("    " + line for line in text["vjp"].splitlines())]

    def _source(self, step: Step, around: int) -> list[str]:
        """The user's line and its neighbours; for a step that a VJP made, those of what is differentiated."""
        site = next((s.path[-1] for s in (self.trace.column(step), step) if s.path), None)
        if site is None:
            return ["  made before the trace began, so there is no line to show"]
        here = range(site.line - around, site.line + around + 1)
        numbered = [(n, line.rstrip()) for n, line in enumerate(linecache.getlines(site.file), 1) if n in here]
        lines = [f"  {'▸' if n == site.line else ' '} {n:4}  {line}" for n, line in numbered]
        verb = "differentiates " if step.order else ""
        return [f"  {verb}{self.trace.file(site)}:{site.line}, in {site.function}", *lines]

    def _write(self, text: str, style: str = "") -> None:
        screen = console(self._out)
        if screen is None:
            print(text, file=self._out)
        else:
            screen.print(text, style=style, markup=False)


def _line(step: Step) -> str:
    return linecache.getline(step.path[-1].file, step.path[-1].line) if step.path else ""
