"""The trace as JSON: the one model that the page reads and that tests compare.

What many steps share is written once: `sites` holds the user's call paths, `sources` their files'
lines, `rules` the text of each operation's VJP rule and its mathematics.
"""

from __future__ import annotations

import inspect
import json
import linecache
from typing import TYPE_CHECKING, Any

from tinymeta.engine.primitive import Primitive
from tinymeta.io.files import FORMAT
from tinymeta.view.trace_table import BORDERS

if TYPE_CHECKING:
    from tinymeta.engine.errors import Site
    from tinymeta.view.trace import Trace
    from tinymeta.watch.recorder import Step

LINES = 5000  # of one source file, at most


def to_json(trace: Trace, internal: bool = True) -> str:
    """The JSON text of a trace, where `hidden` are the operations that a page leaves out; numbers that JSON can't hold
    stand as the strings "nan", "inf", "-inf"."""
    recorder = trace.recorder
    paths = list(dict.fromkeys(step.path for step in trace.steps if step.path))
    sites = {path: index for index, path in enumerate(paths)}
    files = {site.file: trace.file(site) for path in paths for site in path}
    model = {
        "format": FORMAT,
        "title": trace.title,
        "counts": trace.counts(),
        "hidden": [] if internal else sorted(BORDERS),
        "rules": {name: rule(primitive) for name, primitive in recorder.rules.items()},
        "sources": {name: [line.rstrip() for line in linecache.getlines(file)[:LINES]] for file, name in files.items()},
        "sites": [[_site(trace, site) for site in path] for path in paths],
        "sweeps": [{"name": trace.sweep_name(k), "nodes": len(s.visits)} for k, s in enumerate(recorder.sweeps)],
        "steps": [_step(trace, step, sites) for step in trace.steps],
    }
    return json.dumps(model, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def rule(primitive: type[Primitive]) -> dict[str, str]:
    """An operation's mathematics (its docstring) and the text of its VJP rule."""
    text = "no gradient"
    try:
        if primitive.vjp is not None:
            text = inspect.cleandoc(inspect.getsource(primitive.vjp)).strip().removeprefix("@staticmethod\n")
    except (OSError, TypeError):
        text = "(Python keeps no source text of this rule)"
    return {"mathematics": inspect.cleandoc(primitive.__doc__ or ""), "vjp": text}


def _site(trace: Trace, site: Site) -> dict[str, Any]:
    text = linecache.getline(site.file, site.line).strip()
    return {"file": trace.file(site), "line": site.line, "function": site.function, "text": text}


def _step(trace: Trace, step: Step, sites: dict[tuple[Site, ...], int]) -> dict[str, Any]:
    """One step. `visit` is [sweep, position]: it was made while that sweep visited its node of that position."""
    visits = trace.recorder.sweeps[step.sweep].visits if step.sweep is not None else {}
    shown = {name: value for name, value in vars(step).items() if name not in ("sweep", "path")}
    return shown | {
        "column": trace.column(step).id,
        "visit": None if step.made_by is None or not visits else [step.sweep, visits[step.made_by]],
        "site": sites.get(step.path),
    }
