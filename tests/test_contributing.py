"""The blocks of code in CONTRIBUTING.md run as they stand, and do what the text says."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tinymeta.engine.primitive import Primitive

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^## A new (.+?)\n.*?^```python\n(.*?)^```", PAGE, re.M | re.S))


def names(topic: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the block of a topic as a module, compare what it prints with its comments, and return its names."""
    promised = re.findall(r"^print\(.*\)  # (.+)$", BLOCKS[topic], re.M)
    module = ModuleType(f"contributed_{topic.split()[-1]}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(BLOCKS[topic], f"CONTRIBUTING.md, {topic}", "exec", dont_inherit=True), vars(module))
    assert printed.getvalue().splitlines() == promised
    return vars(module)


def test_the_page_has_a_block_for_each_kind_of_addition() -> None:
    assert list(BLOCKS) == ["primitive", "learner", "rewriting rule"]


def test_the_primitive_passes_the_properties_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Primitive, "registry", dict(Primitive.registry))
    names("primitive", monkeypatch)


@pytest.mark.filterwarnings("ignore:compiled functions run as plain NumPy calls")
def test_the_learner_has_an_exact_gradient_and_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    names("learner", monkeypatch)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:tinymeta|tests|kernels|\.ci)/[\w./]+)`", PAGE))))
def test_a_file_that_the_page_names_is_there(path: str) -> None:
    assert (Path(__file__).parents[1] / path).exists()
