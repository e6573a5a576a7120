"""An operation is known by its class: no room looks a primitive up by a string.

Two things are looked for. `registry[...]` and `.__name__ == "..."` ask for a primitive by name, whatever the name. And
a string that names a primitive, in a table or in a comparison, does so too, unless NumPy has a function of that name
(the compiler's operations are NumPy's functions, by name) or it is an ordinary word.
"""

from __future__ import annotations

import ast

import numpy as np

import tinymeta  # noqa: F401  (declares the primitives)
from tests.architecture.sources import ROOMS, ROOT, Source
from tinymeta.engine.primitive import Primitive

# An argument of many operations, a piece of a program, a kind of bandit, functions of the machine's.
WORDS = {"index", "part", "gaussian", "erf", "normal_cdf"}
NAMES = {name for name, p in Primitive.registry.items() if p.__module__.startswith("tinymeta.")}
TELLING = {name for name in NAMES if not hasattr(np, name)} - WORDS


def asked_by_name(source: Source) -> list[str]:
    """Where a file asks for a primitive by its name."""
    lines = [line for node in ast.walk(source.tree) for line in _asks(node)]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and node.value in TELLING and not _is_export(source, node):
            lines.append(node.lineno)
    return [f"{source}:{line}" for line in sorted(set(lines))]


def _asks(node: ast.AST) -> list[int]:
    if isinstance(node, ast.Subscript | ast.Attribute) and ast.unparse(node.value).endswith("Primitive.registry"):
        wanted = isinstance(node, ast.Subscript) or node.attr == "get"
        return [node.lineno] if wanted else []
    if isinstance(node, ast.Compare):
        strings = {n.value for side in node.comparators for n in ast.walk(side) if isinstance(n, ast.Constant)}
        named = any(isinstance(side, ast.Attribute) and side.attr == "__name__" for side in [node.left])
        return [node.lineno] if named and strings & NAMES else []
    return []


def _is_export(source: Source, node: ast.AST) -> bool:
    while not isinstance(node, ast.stmt):
        node = source.parents[node]
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"


def test_no_room_asks_for_a_primitive_by_its_name() -> None:
    others = [source for source in ROOMS if source.module != "tinymeta.engine.primitive"]  # it keeps the registry
    assert [line for source in others for line in asked_by_name(source)] == []


def test_every_way_to_ask_by_name_is_found() -> None:
    text = (
        "f(Primitive.registry['add'])\nPrimitive.registry.get(name)\n"
        "p.__name__ == 'add'\np.__name__ in ('add', 'sin')\n"
        "RULES = {'conv2d_input': g}\n"
        "__all__ = ['conv2d_input']\nUfunc('add')\nstatic['index']\np.__name__ == 'tinymeta'\n"
        "for p in Primitive.registry.values(): ...\n"
    )
    source = Source(ROOT / "tinymeta" / "compile" / "planted.py", text)
    assert asked_by_name(source) == [f"tinymeta/compile/planted.py:{line}" for line in (1, 2, 3, 4, 5)]
