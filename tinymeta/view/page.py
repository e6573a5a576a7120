"""The page: one HTML file with everything in it, opened from disk, that steps through a trace.

The parts are `page.html`, `page.css` and three scripts: `page_panes.js` and `page_graph.js` show a
step, `page.js` moves between steps. The derivative table is drawn here, once; the trace's JSON is all
that the scripts know.
"""

from __future__ import annotations

import re
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from tinymeta.view.table_svg import described, drawing
from tinymeta.view.trace_json import to_json
from tinymeta.view.trace_table import table_of

if TYPE_CHECKING:
    from tinymeta.view.trace import Trace

SCRIPTS = ("page_panes.js", "page_graph.js", "page.js")
WIDTH = 1160  # of the columns together where they fit
CELL = 9.0  # a cell's height


def page(trace: Trace, internal: bool = False) -> str:
    """The text of the page; with what is `internal` to the transforms if that is asked for."""
    parts = {
        "title": escape(trace.title),
        "css": _part("page.css"),
        "script": "".join(map(_part, SCRIPTS)),
        "table": _table(trace, internal),
        "trace": to_json(trace, internal).replace(
            "<", "\\u003c"
        ),  # so that no text of the user's can end the script element
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda slot: parts[slot[1]], _part("page.html"))


def _part(name: str) -> str:
    return files("tinymeta.view").joinpath(name).read_text(encoding="utf-8")


def _table(trace: Trace, internal: bool) -> str:
    tables = [table_of(trace, internal=internal)]
    pitch = min(42.0, max(17.0, WIDTH / max(len(tables[0].columns), 1)))
    body, width, height = drawing(tables, pitch, CELL, compact=True)
    label = escape(described(tables))
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-label="{label}">\n{body}\n</svg>'
    )
