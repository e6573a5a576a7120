"""The reference: a page per group of names, each name from its docstring, which `tests/docstrings.py` describes.

Docstrings are written as Markdown is: `code` between single backticks, indented blocks as they stand. `restructured`
says the same in the language that Sphinx's autodoc reads.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import re
import sys
from collections import defaultdict
from functools import cache
from importlib import import_module
from typing import Any

from tests.docstrings import FIELDS, documented
from tinymeta import cli
from tinymeta.engine.primitive import Primitive
from tutorials.site.pages import Site, toctree

GROUPS = {
    "tm": "Derivatives, programs, files",
    "numbers": "Operations, number by number",
    "arrays": "Operations that make arrays and move their numbers",
    "sums": "Operations along axes, and products of matrices",
    "layers": "Operations of layers",
    "nn": "Networks and losses: `tm.nn`",
    "optim": "Update rules: `tm.optim`",
    "meta": "Meta-learning: the loops of `tm.meta`",
    "learners": "Meta-learning: the learners of `tm.meta`",
    "tuning": "Meta-learning: what `tm.meta` tunes, policies, streams, workers",
    "tasks": "Tasks: `tm.tasks`",
    "tree": "Trees: `tm.tree`",
    "testing": "Testing: `tm.testing`",
    "fewshot": "As in scikit-learn: `tm.fewshot`",
    "tinymeta_kernels": "Kernels: `tinymeta_kernels`",
}
# Where the operations of a module of `tinymeta.ops` stand; the functions of all others take functions.
_OPERATIONS = {
    "numbers": "elementwise trigonometry logistic special rounding logic select",
    "arrays": "shape arrange creation index write along structure",
    "sums": "reduce products extrema quantifiers linalg matrix einsum",
    "layers": "conv pool norm softmax embedding fused",
}
_SPAN = re.compile(r"``([^`]+)``|`([^`]+)`")
_FIELD = re.compile(rf"(?m:^)({'|'.join(FIELDS)}): ")
_SECTION = re.compile(r"^(\w+)\n-{3,}$", re.M)


@cache
def names() -> dict[str, Any]:
    """What is public, by the name that pages call it: `tm.hvp`, `tm.meta.MAML`, `tinymeta_kernels.erf`."""
    return {_called(name): thing for name, thing in documented().items()}


def _called(name: str) -> str:
    first, _, rest = name.partition(".")
    return name if first in ("tm", "tinymeta_kernels") else f"tm.{rest if first == 'ops' else name}"


def group_of(name: str, thing: Any) -> str:
    """The page on which a name stands."""
    module, _, _ = name.rpartition(".")
    if module == "tm.meta":
        return {"core": "meta", "learners": "learners"}.get(thing.__module__.split(".")[2], "tuning")
    if module != "tm":
        return module.removeprefix("tm.").partition(".")[0]
    where = thing.__module__.rpartition(".")[2]
    return next((page for page, modules in _OPERATIONS.items() if where in modules.split()), "tm")


def page_of(name: str) -> str:
    """The same of a name that `known` gave, which may be a class's member."""
    return group_of(name, names()[name]) if name in names() else page_of(name.rpartition(".")[0])


def known(name: str) -> str:
    """The name under which the reference has what is called so: the same thing may have several; empty if it hasn't."""
    found: Any = import_module("tinymeta" if name.startswith("tm.") else "tinymeta_kernels")
    for k, part in enumerate(path := name.split(".")[1:]):
        owner, found = found, getattr(found, part, None)
        if id(found) in _by_id() and k == len(path) - 1:
            return _by_id()[id(found)]
        if id(owner) in _by_id():
            return f"{_by_id()[id(owner)]}.{part}" if getattr(found, "__doc__", "") else _by_id()[id(owner)]
    return ""


@cache
def _by_id() -> dict[int, str]:
    return {id(thing): name for name, thing in names().items()}


def add(site: Site) -> None:
    """A page per group, with a section per module; the commands; and a list of all."""
    groups: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, thing in names().items():
        groups[group_of(name, thing)][thing.__module__].append(_entry(name, thing))
    for group, title in GROUPS.items():
        parts = [f"# {title}"]
        for module, entries in sorted(groups[group].items()):
            parts += [_heading(module), *entries] if group != "tm" else entries
        site.add(f"reference/{group}", "\n\n".join(parts) + "\n")
    site.add("reference/commands", "# Commands\n\n" + "\n\n".join(map(_command, cli.VERBS)) + "\n")
    listed = "\n".join(f"/reference/{group}" for group in (*GROUPS, "commands"))
    intro = "Every public name, with shapes, errors and an example, all of which the tests run.\n\n"
    intro += "`import numpy as np, tinymeta as tm` is at hand in the examples, and floats are shown to four places.\n\n"
    site.add("reference/index", f"# Reference\n\n{intro}{toctree(listed)}")


def _heading(module: str) -> str:
    said = (import_module(module).__doc__ or "").partition("\n")[0]
    return f"## {module.rpartition('.')[2].replace('_', ' ').capitalize()}\n\n{said}"


def _entry(name: str, thing: Any) -> str:
    module, _, own = name.rpartition(".")
    is_function = not isinstance(thing, type) or issubclass(thing, Primitive)
    what = f".. autofunction:: {module}::{own}" if is_function else f".. autoclass:: {module}::{own}\n   :members:"
    return f"```{{eval-rst}}\n{what}\n```"


def _command(verb: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        cli.main([verb, "--help"])
    return f"## `tinymeta {verb}`\n\n```text\n{said.getvalue().strip()}\n```"


def import_by_site_names() -> None:
    """Let `tm.meta` be imported as it is called: autodoc imports what it documents."""
    for name in names():
        path = name.split(".")[:-1]
        found = import_module("tinymeta" if path[0] == "tm" else path[0])
        for k, part in enumerate(path):
            found = getattr(found, part) if k else found
            sys.modules[".".join(path[: k + 1])] = found


def signature(thing: Any) -> str | None:
    """Of a primitive: what its rule, or its plain form, takes; of anything else autodoc knows better."""
    if not (isinstance(thing, type) and issubclass(thing, Primitive)):
        return None
    form = thing.plain or thing.vjp or thing.reference
    found = [*inspect.signature(form).parameters.values()]
    return str(inspect.Signature([p.replace(annotation=p.empty) for p in found[2 * (form is thing.vjp) :]]))


def restructured(text: str) -> str:
    """A docstring in reStructuredText: its code, blocks and fields; what sections hold is left to napoleon."""
    for start in (_FIELD.pattern, ">>> "):
        text = re.sub(rf"(?<=[^\n>])\n(?={start})", "\n\n", text)
    found, of_names = [], False
    for block in re.split(r"\n[ \n]*\n(?=.)", _SECTION.sub(r"\g<0>\n", text)):
        if _SECTION.fullmatch(block):
            of_names = not block.startswith(("Examples", "Notes"))
        elif block.startswith("    ") and not of_names:
            block = f"::\n\n{block}"
        elif _FIELD.match(block):
            block = _FIELD.sub(r":\1: ", _inline(block)).replace("\n", "\n    ")
        elif not block.startswith(">>>"):
            block = _inline(block)
        found.append(block)
    return "\n\n".join(found)


def _inline(text: str) -> str:
    """Code as literals, apart from words beside them; and no other character that means something."""
    parts = _SPAN.split(re.sub(r":(?:func|class):(?=`)", "", text))
    for k in range(0, len(parts), 3):
        parts[k] = re.sub(r"([\\*|]|(?<=\w)_(?!\w))", r"\\\1", parts[k])
    for k in range(1, len(parts), 3):
        code = (parts[k] or parts[k + 1]).strip()
        before = "" if re.search(r"(^|[\s(\[{/-])$", parts[k - 1]) else "\\ "
        after = "" if re.search(r"^($|[\s).,;:!?\]}/-])", parts[k + 2]) else "\\ "
        parts[k : k + 2] = [f"{before}``{code}``{after}", ""]
    return "".join(parts)
