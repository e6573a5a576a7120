"""What a training loop shows while it runs: a live bar on a terminal, a few plain lines elsewhere, or nothing.

The loop knows one small protocol, `Progress`; which of the three it talks to is decided here, once.
Everything goes to stderr: stdout belongs to results.
"""

from __future__ import annotations

import sys
import time
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


class Lines:
    """At most `LINES` plain lines, evenly over the run, and one for whatever is said."""

    def __init__(self, total: int, title: str, done: int = 0) -> None:
        self.total, self.title, self.done = total, title, done
        self._pace = Pace()
        self._shown = self._due()

    def advance(self, n: int = 1, **metrics: SupportsFloat) -> None:
        self.done += n
        self._pace.start(self.done)
        if self._due() > self._shown:
            self._shown = self._due()
            pace = self._pace.told(self.done, self.total)
            self.say("  ".join([f"{self.done}/{self.total}", *_numbers(metrics), *pace]))

    def say(self, text: str) -> None:
        print(f"{self.title}: {text}", file=sys.stderr, flush=True)

    def _due(self) -> int:
        return self.done * LINES // max(self.total, 1)


class Bar:
    """A live bar with the latest numbers, the rate and the time left."""

    def __init__(self, live: RichProgress, total: int, title: str, done: int = 0) -> None:
        self.total, self.done = total, done
        self._live, self._pace = live, Pace()
        self._task = live.add_task(title, total=total, completed=done, told="")
        self._drawn = 0.0

    def advance(self, n: int = 1, **metrics: SupportsFloat) -> None:
        self.done += n
        self._pace.start(self.done)
        now = time.monotonic()
        if now - self._drawn < REDRAW and self.done < self.total:
            return
        self._drawn = now
        told = "  ".join([*_numbers(metrics), *self._pace.told(self.done, self.total)])
        self._live.update(self._task, completed=self.done, told=told)

    def say(self, text: str) -> None:
        self._live.update(self._task, told=text)


class Pace:
    """The rate and the time left, counted from the first finished step: compiling is not part of the pace."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def start(self, done: int) -> None:
        if self._first is None:
            self._first = (done, time.monotonic())

    def told(self, done: int, total: int) -> list[str]:
        """`["120 it/s", "0:15 left"]`, or nothing before there is anything to measure."""
        first, since = self._first or (done, 0.0)
        seconds = time.monotonic() - since
        if done == first or seconds == 0:
            return []
        rate = (done - first) / seconds
        speed = f"{rate:.0f} it/s" if rate >= 10 else f"{rate:.1f} it/s" if rate >= 1 else f"{1 / rate:.1f} s/it"
        return [speed, f"{clock((total - done) / rate)} left" if done < total else f"{clock(seconds)} taken"]


def clock(seconds: float) -> str:
    """Seconds as `m:ss` or `h:mm:ss`.

    >>> clock(75), clock(3675)
    ('1:15', '1:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _numbers(metrics: dict[str, SupportsFloat]) -> list[str]:
    return [f"{name.replace('_', ' ')} {float(value):.4g}" for name, value in metrics.items()]


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
