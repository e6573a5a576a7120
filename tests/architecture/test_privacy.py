"""What a room calls its own: no other room imports a name that begins with an underscore, or reads one of its objects.

Whose an attribute is can't be seen in general. Here it is a room's own if the room defines it: as a function, a class,
a variable, an attribute of `self`, or in a string (`__slots__`, `setattr`). What only other rooms define is theirs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from tests.architecture.sources import PRODUCT, ROOT, Source, room

OF_NAMED_TUPLES = {"_replace", "_asdict", "_fields", "_make"}


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def defined(source: Source) -> Iterator[str]:
    """The private names that a file defines."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _of_self(node):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _of_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def intrusions(sources: Sequence[Source]) -> set[tuple[str, str]]:
    """Which files use which private names of other rooms of the project."""
    own: dict[str, set[str]] = {}
    for source in sources:
        own.setdefault(source.room, set()).update(filter(private, defined(source)))
    somebodys = set().union(*own.values())
    found = set()
    for source in sources:
        theirs = somebodys - own[source.room] - OF_NAMED_TUPLES
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tinymeta"):
                others = room(node.module or "") != source.room
                found |= {(str(source), alias.name) for alias in node.names if private(alias.name) and others}
            elif isinstance(node, ast.Attribute) and not _of_self(node):
                found |= {(str(source), name) for name in theirs & {node.attr}}
    return found


def test_no_room_reads_what_another_keeps_to_itself() -> None:
    assert intrusions(PRODUCT) == set()


def test_a_reader_of_private_names_is_found() -> None:
    below = Source(
        ROOT / "tinymeta" / "engine" / "a.py", "def _f(): ...\nclass C:\n    def __init__(self): self._x = 1"
    )
    text = "from tinymeta.engine.a import _f, C\nfrom tinymeta.engine import a\nC()._x\na._f\nC()._replace"
    reader = Source(ROOT / "tinymeta" / "ops" / "b.py", text)
    assert intrusions([below, reader]) == {("tinymeta/ops/b.py", "_f"), ("tinymeta/ops/b.py", "_x")}
    assert intrusions([below, Source(ROOT / "tinymeta" / "engine" / "b.py", text)]) == set()
