"""Colour and weight where they can be seen: rich on a terminal, plain text everywhere else, nothing where nobody is."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, TextIO

from tinymeta.io.visible import visible

if TYPE_CHECKING:
    from rich.console import Console


def console(out: TextIO | None = None) -> Console | None:
    """A console of rich's that writes to `out`, by default stdout; None if that is no terminal or rich is missing."""
    out = out or sys.stdout
    if out is None or not out.isatty() or find_spec("rich") is None:
        return None
    from rich.console import Console

    return Console(file=out, highlight=False)


def streams_are_there() -> None:
    """Have two streams to print to: one that was closed takes all, and one without "±" shows "?" and goes on."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed before we began: nobody listens
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def nobody_listens() -> None:
    """Send what is still to be printed nowhere: the reader left, or has no room."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def warnings_in_a_line(quiet: bool) -> Iterator[None]:
    """Show a warning as a sentence for a user, without the line of code that made it; with `--quiet`, not at all."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print("tinymeta:", visible(str(message)), file=sys.stderr)
        if quiet:
            warnings.simplefilter("ignore")
        yield
