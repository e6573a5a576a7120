"""`tm.trace()`: record once, then look at every step as often as you like.

    with tm.trace() as t:
        tm.grad(objective)(params)

    t.counts()             {0: 32, 1: 73, 2: 47}: how many operations of each derivative order
    t.print()              a line per step
    t.step()               step through it in the terminal
    t.svg("table.svg")     the derivative table
    t.html("trace.html")   all of it, in one file that needs nothing else
    t.to_json()            what all of these are drawn from

The **derivative table** has a column per operation of the user's code and a band per derivative
order: below an operation stand the operations that differentiating it made. `made_by` leads from
each of them to the step whose VJP rule made it, and so on up to the user's own operation, of order 0.
"""

from __future__ import annotations

import linecache
import sys
from collections import Counter
from contextlib import AbstractContextManager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinymeta.engine.errors import Site
from tinymeta.engine.state import setting, state
from tinymeta.watch.recorder import Recorder, Step

if TYPE_CHECKING:
    from types import TracebackType


def trace(title: str = "") -> Trace:
    """Record every operation of the `with` block, in this thread; nothing is paid outside it.

    `title` heads the pictures; by default it is the name of the file that holds the block.

    It sees through `vmap`, through the gradient of a gradient, and through `compile`, whose functions
    run operation by operation while somebody watches.

    Shapes: of any operation.
    Raises: RuntimeError if one trace is entered twice.

    >>> with tm.trace() as t:
    ...     _ = tm.grad(tm.grad(lambda x: x * x * x))(2.0)
    >>> max(t.counts())
    2
    """
    return Trace(title)


class Trace:
    """What happened in a `with tm.trace()` block: `steps` in order, and the ways to show them."""

    def __init__(self, title: str = "") -> None:
        self.title = title
        self.recorder = Recorder()
        self._watching: AbstractContextManager[Any] | None = None
        self._names: dict[str, str] = {}

    def __enter__(self) -> Trace:
        if self.recorder.steps:
            raise RuntimeError("this trace has its steps already: begin another one with tm.trace()")
        self.recorder.entered = sys._getframe(1).f_code
        self.title = self.title or Path(self.recorder.entered.co_filename).name
        self._watching = setting(watchers=(*state.watchers, self.recorder))
        self._watching.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        assert self._watching is not None
        self._watching.__exit__(kind, error, where)
        for file in {site.file for step in self.steps for site in step.path}:
            linecache.getlines(file)  # now, before the user edits the file

    # What was recorded, with the names by which it is shown.

    @property
    def steps(self) -> list[Step]:
        """Every operation, and every value that came in from outside, numbered from 1."""
        return self.recorder.steps

    def counts(self) -> dict[int, int]:
        """How many operations of each derivative order ran: `{0: 32, 1: 73, 2: 47}`."""
        return dict(sorted(Counter(step.order for step in self.steps if step.kind == "step").items()))

    def column(self, step: Step) -> Step:
        """The operation of the user's code that this step belongs to: its ancestor along `made_by`."""
        while step.made_by is not None:
            step = self.steps[step.made_by - 1]
        return step

    def sweep_name(self, index: int) -> str:
        """ "inner backward" for a sweep that another one goes through again, "outer backward" for that one."""
        sweeps = self.recorder.sweeps
        depth, deepest = sweeps[index].depth, max(sweep.depth for sweep in sweeps)
        alike = [k for k, sweep in enumerate(sweeps) if sweep.depth == depth]
        name = "backward" if deepest == 0 else "outer backward" if depth == 0 else "inner backward"
        level = f", level {depth}" if deepest > 1 and depth else ""
        return f"{name}{level}" + (f" {alike.index(index) + 1}" if len(alike) > 1 else "")

    def sweep_of(self, step: Step) -> str:
        """Which sweep the step was made in and how far that was: "outer backward, 14 of 62"; else empty."""
        if step.sweep is None or step.made_by is None:
            return ""
        visits = self.recorder.sweeps[step.sweep].visits
        return f"{self.sweep_name(step.sweep)}, {visits[step.made_by]} of {len(visits)}"

    def file(self, site: Site) -> str:
        """The file's name; with its folder where two files share a name."""
        if not self._names:
            files = sorted({site.file for step in self.steps for site in step.path})
            shared = Counter(Path(file).name for file in files)
            self._names = {f: "/".join(Path(f).parts[-1 - (shared[Path(f).name] > 1) :]) for f in files}
        return self._names[site.file]

    def to_json(self) -> str:
        """The whole trace as JSON: `counts`, `rules`, `sources`, `sites`, `sweeps` and `steps`."""
        from tinymeta.view.trace_json import to_json

        return to_json(self)

    # Ways to show it.

    def print(self) -> None:
        """A line per step: its order, what it computes, the type of the result, where it came from."""
        from tinymeta.view.trace_text import show

        show(self)

    def step(self) -> None:
        """Step through the trace in the terminal."""
        from tinymeta.view.stepper import Stepper

        Stepper(self).run()

    def svg(self, path: str | Path) -> None:
        """Write the derivative table as an SVG file."""
        from tinymeta.io.files import write_text
        from tinymeta.view.table_svg import derivative_table

        write_text(Path(path), derivative_table(self))

    def html(self, path: str | Path, internal: bool = False) -> None:
        """Write the page: one file that shows every step, needs no network and no server.

        Operations that transforms insert at their borders are left out, if they are not asked for as `internal`.
        """
        from tinymeta.io.files import write_text
        from tinymeta.view.page import page

        write_text(Path(path), page(self, internal))

    def _repr_html_(self) -> str:
        """The page, in a notebook."""
        from tinymeta.view.page import page

        return f'<iframe title="{escape(self.title)}" srcdoc="{escape(page(self))}" width="100%" height="800"></iframe>'
