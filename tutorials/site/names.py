"""What Sphinx is taught of names: they are imported as they are called, and `tm.grad` in a text leads to it."""

from __future__ import annotations

import re
from typing import Any

from tutorials.site import reference

_CALLED = re.compile(r"(?:tm|tinymeta_kernels)(?:\.\w+)+")


def setup(app: Any) -> None:
    reference.import_by_site_names()
    app.connect("autodoc-process-docstring", _docstring, priority=400)  # before napoleon's
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
    app.connect("doctree-resolved", _link)


def _docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = reference.restructured("\n".join(lines)).split("\n")


def _signature(app: Any, what: str, name: str, thing: Any, options: Any, given: str, returned: str) -> Any:
    found = reference.signature(thing)
    return None if found is None else (found, None)


def _skip(app: Any, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """NumPy's and Python's own words about a field say nothing."""
    return True if str(getattr(thing, "__doc__", "")).startswith("Alias for field number") else None


def _link(app: Any, doctree: Any, page: str) -> None:
    """`tm.nn.relu` and `tm.sum(x)`, wherever they stand in a text, lead to the reference."""
    from docutils import nodes

    for literal in list(doctree.findall(nodes.literal)):
        found = _CALLED.match(literal.astext())
        name = found and reference.known(found[0])
        if name and not isinstance(literal.parent, (nodes.reference, nodes.title)):
            where = app.builder.get_relative_uri(page, f"reference/{reference.page_of(name)}")
            link = nodes.reference("", "", internal=True, refuri=f"{where}#{name}")
            literal.replace_self(link)
            link += literal
