"""A table of results in the terminal: columns aligned at their "±", figures of others fainter than one's own.

Cells are finished text. With rich on a terminal the table has weight and colour; everywhere else the same
rows are plain text, so a log file reads as well as a screen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from tinymeta.io.visible import visible
from tinymeta.view.terminal import console

_NUMBER = re.compile(r"[-+−<>≤≥~]?(\.?\d|nan|inf)")


@dataclass(frozen=True)
class Row:
    """One line of a table; `faint` for what is quoted and not measured here."""

    cells: tuple[str, ...]
    faint: bool = False


@dataclass(frozen=True)
class Table:
    """A header and rows of as many cells each; an empty cell says that there is no such number."""

    header: tuple[str, ...]
    rows: tuple[Row, ...]

    def plain(self) -> str:
        """The table as text: two spaces between columns, a rule under the header."""
        columns = self.columns()
        rule = tuple("─" * len(column[0]) for column in columns)
        lines = [next(zip(*columns)), rule, *list(zip(*columns))[1:]]
        return "\n".join("  ".join(line).rstrip() for line in lines)

    def _repr_html_(self) -> str:
        """The table, in a notebook."""
        rows = [("th", self.header), *(("td", row.cells) for row in self.rows)]
        lines = ("".join(f"<{tag}>{escape(visible(cell))}</{tag}>" for cell in cells) for tag, cells in rows)
        return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"

    def columns(self) -> list[list[str]]:
        """Each column's cells, header first, padded to one width."""
        columns = []
        for index, name in enumerate(map(visible, self.header)):
            cells = [visible(row.cells[index]) for row in self.rows]
            numeric = index > 0 and all(_NUMBER.match(cell) for cell in cells if cell)
            cells = _at_sign(cells) if numeric else cells
            width = max(map(len, [name, *cells]))
            columns.append([cell.rjust(width) if numeric else cell.ljust(width) for cell in [name, *cells]])
        return columns


def show(table: Table) -> None:
    """Print `table` to stdout, with rich if stdout is a terminal and rich is installed."""
    screen = console()
    if screen is None:
        print(table.plain())
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    rich = RichTable(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    columns = table.columns()
    for column in columns:
        rich.add_column(Text(column[0]))
    for row, cells in zip(table.rows, list(zip(*columns))[1:]):
        rich.add_row(*map(Text, cells), style="dim" if row.faint else None)
    screen.print(rich)


def _at_sign(cells: Sequence[str]) -> list[str]:
    """Pad cells so that what follows the number ("± 1.1 %") begins in one column."""
    parts = [cell.partition(" ") for cell in cells]
    left = max((len(mean) for mean, _, _ in parts), default=0)
    right = max((len(gap + rest) for _, gap, rest in parts), default=0)
    return [mean.rjust(left) + (gap + rest).ljust(right) for mean, gap, rest in parts]
