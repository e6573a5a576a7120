"""Colour and weight where they can be seen: rich on a terminal, plain text everywhere else."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


def console(out: TextIO | None = None) -> Console | None:
    """A console of rich's that writes to `out`, by default stdout; None if that is no terminal or rich is missing."""
    out = out or sys.stdout
    if out is None or not out.isatty() or find_spec("rich") is None:
        return None
    from rich.console import Console

    return Console(file=out, highlight=False)
