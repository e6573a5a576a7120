"""What a user may write: `python -m tests.public_api` adds today's names to `tests/api.txt`, which forgets none.

Groups of names: what `tm` and each public package export, Tensor's members, the modules that version 0.1.0 had, the
commands with their options, and the keys of every recipe. A name goes by hand only, when the version says so.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import dataclasses
import re
import textwrap
from importlib import import_module
from pathlib import Path

import tinymeta as tm
from tinymeta import cli, recipes

ROOT = Path(__file__).parents[1]
STORED = Path(__file__).with_name("api.txt")
PACKAGES = ["fewshot", "meta", "nn", "ops", "ops.tree", "optim", "tasks", "testing"]
Names = dict[str, set[str]]


def today() -> Names:
    """Every public name of the code as it is, by group; modules by those that README and lessons import."""
    found = {"tm": _of_tm(), "tm.Tensor": _members(tm.Tensor), "tm.trace": _members(type(tm.trace()))}
    found |= {f"tinymeta.{name}": set(import_module(f"tinymeta.{name}").__all__) for name in PACKAGES}
    found["tinymeta_kernels"] = set(import_module("tinymeta_kernels").__all__)
    found["modules"] = _imported()
    found |= {f"tinymeta {verb}": _options(verb) for verb in cli.VERBS}
    found |= {f"recipe {name}": _keys(name) for name in recipes.RECIPES}
    return found


def stored() -> Names:
    """The groups of `api.txt`: a heading in brackets, then names."""
    parts = re.split(r"^\[(.+)\]$", STORED.read_text(encoding="utf-8"), flags=re.M)[1:]
    return {group: set(names.split()) for group, names in zip(parts[::2], parts[1::2])}


def _of_tm() -> set[str]:
    """The names that `tinymeta/__init__.py` imports on purpose: `from x import y as y`, and those of `ops`."""
    tree = ast.parse((ROOT / "tinymeta" / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    names = {alias.asname for node in imports for alias in node.names if alias.asname == alias.name}
    return {name for name in names if name} | set(tm.ops.__all__)


def _members(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def _imported() -> set[str]:
    pages = [
        page
        for where in ("README*.md", "kernels/*.md", "tutorials/*.md", "tutorials/*.py")
        for page in ROOT.glob(where)
    ]
    words = re.compile(r"^\s*(?:from|import) (tinymeta[\w.]*)", re.M)
    return {module for page in pages for module in words.findall(page.read_text(encoding="utf-8"))}


class _Read(Exception):
    """The parser has its options: nothing needs to run."""


class _Parser(cli.Parser):
    def parse_args(self, *given: object) -> argparse.Namespace:  # type: ignore[override]
        raise _Read


def _options(verb: str) -> set[str]:
    """The options of a command, and its positional arguments in capitals."""
    module, _, function = cli.VERBS[verb].target.partition(":")
    parser = _Parser(add_help=False)
    with contextlib.suppress(_Read):
        getattr(import_module(module), function)(parser, [])
    actions = parser._actions
    return {word for action in actions for word in action.option_strings or [action.dest.upper()]}


def _keys(recipe: str) -> set[str]:
    return {field.name for field in dataclasses.fields(recipes.find(recipe).config)}


def main() -> None:
    known = stored() if STORED.exists() else {}
    names = {group: set(found) | known.get(group, set()) for group, found in {**known, **today()}.items()}
    parts = [
        f"[{group}]\n" + textwrap.fill(" ".join(sorted(names[group])), 120, break_on_hyphens=False) for group in names
    ]
    STORED.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
