"""What types tell: how often they say nothing or are overruled, and what an editor knows of a user's program."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from mypy import api

import tinymeta as tm
from tests.architecture.sources import PRODUCT, ROOT, Source

# What there is of each: ceilings that go down, and never up.
CEILINGS = {r"\bAny\b": 918, "# type: ignore": 37, "# pyright: ignore": 5}

OPERATORS = Source(ROOT / "tinymeta" / "engine" / "operators.py")
PROGRAM = Path(__file__).with_name("typed_program.py")


def count(pattern: str, texts: Iterable[str]) -> int:
    return sum(len(re.findall(pattern, text)) for text in texts)


def told(program: Path) -> str:
    """What the type checker has to say about a program, in its strict mode."""
    return api.run(["--strict", "--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary", str(program)])[0]


def declared() -> dict[str, list[str]]:
    """The parameters of every operator and method that `Operators` declares; a property has none."""
    functions: dict[str, list[str]] = {}
    names: dict[str, list[str]] = {}
    (only,) = [node for node in OPERATORS.tree.body if isinstance(node, ast.ClassDef)]
    (block,) = [node for node in only.body if isinstance(node, ast.If)]
    for node in block.body:
        if isinstance(node, ast.FunctionDef):
            functions[node.name] = [a.arg for a in [*node.args.args[1:], *filter(None, [node.args.vararg])]]
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            names |= {target.id: functions[node.value.id] for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = []
    return names | {name: taken for name, taken in functions.items() if name.startswith("__") or name[0] != "_"}


@pytest.mark.parametrize("pattern", CEILINGS)
def test_what_says_nothing_becomes_less(pattern: str) -> None:
    assert count(pattern, [source.text for source in PRODUCT]) <= CEILINGS[pattern]


def test_what_says_nothing_is_counted() -> None:
    text = "from typing import Any\n\nx: dict[str, Any] = {}  # type: ignore[misc]  # pyright: ignore[misc]  # Anything"
    assert [count(pattern, [text, text]) for pattern in CEILINGS] == [4, 2, 2]


def test_an_editor_knows_what_a_users_expressions_are() -> None:
    assert told(PROGRAM) == ""


def test_a_wrong_type_is_told(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import tinymeta as tm\n\nx: int = tm.tensor(1.0).sum()\ntm.tensor(1.0).summ()\n", "utf-8")
    found = told(program)
    assert 'has type "Tensor", variable has type "int"' in found
    assert '"Tensor" has no attribute "summ"' in found


def test_what_is_declared_of_tensors_is_what_they_have() -> None:
    tree = Source(ROOT / "tinymeta" / "engine" / "tensor.py").tree
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)} | {*tm.Tensor.__slots__}
    attached = {name for name in vars(tm.Tensor).keys() - own if name[0] != "_"}
    assert attached == {name for name in declared() if name[0] != "_"} | {"data"}  # which says that it isn't there
    assert [name for name in declared() if not hasattr(tm.Tensor, name)] == []


@pytest.mark.parametrize(
    "name", [name for name, taken in declared().items() if taken and name[0] != "_" and hasattr(tm, name)]
)
def test_a_method_takes_what_its_function_takes(name: str) -> None:
    assert declared()[name] == [*inspect.signature(getattr(tm, name)).parameters][1:]
