"""The blocks of code in CONTRIBUTING.md run as they stand, and do what the text says."""

from __future__ import annotations

import contextlib
import io
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from tests.compile import test_rewriting_rules
from tinymeta.compile.rewrite import Rule
from tinymeta.engine.primitive import Primitive

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^## A new (.+?)\n.*?^```python\n(.*?)^```", PAGE, re.M | re.S))


def run(topic: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import the block of a topic as a file of one's own; it prints what its comments say."""
    file = folder / f"contributed_{topic.split()[-1]}.py"
    file.write_text(BLOCKS[topic], encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    promised = re.findall(r"^print\(.*\)  # (.+)$", BLOCKS[topic], re.M)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        module = import_module(file.stem)
    assert printed.getvalue().splitlines() == promised
    return module


def test_the_page_has_a_block_for_each_kind_of_addition() -> None:
    assert list(BLOCKS) == ["primitive", "learner", "rewriting rule"]


def test_the_primitive_passes_the_properties_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Primitive, "registry", dict(Primitive.registry))
    run("primitive", tmp_path, monkeypatch)


def test_the_learner_has_an_exact_gradient_and_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("learner", tmp_path, monkeypatch)


def test_the_rule_changes_its_examples_and_its_fault_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rule, "rules", dict(Rule.rules))
    rule = run("rewriting rule", tmp_path, monkeypatch).NegatedTwice
    monkeypatch.setitem(test_rewriting_rules.RULES, rule.__name__, rule)
    test_rewriting_rules.test_a_rule_changes_its_example_and_keeps_the_numbers(rule.__name__, seed=0)
    for fault in rule.faults:
        test_rewriting_rules.test_the_check_sees_a_fault_of_a_rule(rule.__name__, *fault, monkeypatch)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:tinymeta|tests|kernels|\.ci)/[\w./]+)`", PAGE))))
def test_a_file_that_the_page_names_is_there(path: str) -> None:
    assert (Path(__file__).parents[1] / path).exists()
