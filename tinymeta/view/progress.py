"""What a training loop shows while it runs: a live bar on a terminal, a few plain lines elsewhere, or nothing.

The loop knows one small protocol, `Progress`; which of the three it talks to is decided here, once.
Everything goes to stderr: stdout belongs to results.
"""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, SupportsFloat

from tinymeta.view.terminal import console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

LINES = 10  # plain lines per bar: a run of hours stays readable in a log file
REDRAW = 0.1  # seconds between two redraws of the live bar: a step can be shorter than drawing it


class Progress(Protocol):
    """What a loop may tell: how far it has come, and in words what it is doing."""

    def advance(self, n: int = 1, **metrics: SupportsFloat) -> None:
        """`n` more iterations are done; `metrics` are their latest numbers (`loss=…`)."""

    def say(self, text: str) -> None:
        """Show what goes on beside the counting, such as `"compiling kernels…"`."""


@contextmanager
def progress(total: int, title: str, quiet: bool = False, done: int = 0) -> Iterator[Progress]:
    """Show the progress of `total` iterations under `title` while the block runs.

    Parameters
    ----------
    total : int
        Iterations in all.
    title : str
        A word or two: the recipe, or the stage of it.
    quiet : bool
        Show nothing.
    done : int
        Iterations that an earlier session finished: they count, but not for the rate.
    """
    if quiet:
        yield Silence()
    elif (screen := console(sys.stderr)) is not None:
        with _live_bar(screen) as live:
            yield Bar(live, total, title, done)
    else:
        yield Lines(total, title, done)


class Silence:
    """Shows nothing."""

    def advance(self, n: int = 1, **metrics: SupportsFloat) -> None:
        pass

    def say(self, text: str) -> None:
        pass


class Counted(ABC):
    """Counts iterations, and shows their latest numbers, the rate and the time left where something is due.

    The pace is counted from the first finished step: compiling is not part of it.
    """

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done = total, done
        self._first: tuple[int, float] | None = None

    def advance(self, n: int = 1, **metrics: SupportsFloat) -> None:
        self.done += n
        self._first = self._first or (self.done, time.monotonic())
        if self._due():
            numbers = [f"{name.replace('_', ' ')} {float(value):.4g}" for name, value in metrics.items()]
            self._show("  ".join([*numbers, *self._pace(*self._first)]))

    def _pace(self, first: int, since: float) -> list[str]:
        """`["120 it/s", "0:15 left"]`, or nothing before there is anything to measure."""
        seconds = time.monotonic() - since
        if self.done == first or seconds == 0:
            return []
        rate = (self.done - first) / seconds
        speed = f"{rate:.0f} it/s" if rate >= 10 else f"{rate:.1f} it/s" if rate >= 1 else f"{1 / rate:.1f} s/it"
        left = self.total - self.done
        return [speed, f"{clock(left / rate)} left" if left > 0 else f"{clock(seconds)} taken"]

    @abstractmethod
    def _due(self) -> bool:
        """Whether it is time to show something."""

    @abstractmethod
    def _show(self, told: str) -> None:
        """Show where it stands."""


class Lines(Counted):
    """At most `LINES` plain lines, evenly over the run, and one for whatever is said."""

    def __init__(self, total: int, title: str, done: int = 0) -> None:
        super().__init__(total, done)
        self.title, self._shown = title, 0
        self._due()

    def say(self, text: str) -> None:
        print(f"{self.title}: {text}", file=sys.stderr, flush=True)

    def _due(self) -> bool:
        before, self._shown = self._shown, self.done * LINES // max(self.total, 1)
        return self._shown > before

    def _show(self, told: str) -> None:
        self.say(f"{self.done}/{self.total}  {told}".rstrip())


class Bar(Counted):
    """A live bar with the latest numbers, the rate and the time left."""

    def __init__(self, live: RichProgress, total: int, title: str, done: int = 0) -> None:
        super().__init__(total, done)
        self._live, self._drawn = live, 0.0
        self._task = live.add_task(title, total=total, completed=done, told="")

    def say(self, text: str) -> None:
        self._live.update(self._task, told=text)

    def _due(self) -> bool:
        now = time.monotonic()
        if now - self._drawn < REDRAW and self.done < self.total:
            return False
        self._drawn = now
        return True

    def _show(self, told: str) -> None:
        self._live.update(self._task, completed=self.done, told=told)


def clock(seconds: float) -> str:
    """Seconds as `m:ss` or `h:mm:ss`.

    >>> clock(75), clock(3675)
    ('1:15', '1:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _live_bar(screen: Console) -> RichProgress:
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Live

    return Live(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}", markup=False, style="dim"),
        console=screen,
    )
