"""Every rewriting rule, found by being there: it changes its examples, keeps their numbers, and its faults are seen.

A rule without an equation, an example or a fault can't be declared, so it fails the collection of this file.
"""

from __future__ import annotations

import inspect
import sys
from types import ModuleType

import numpy as np
import pytest

from tests.compile.linear_programs import integers
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.rewrite import Rule
from tinymeta.compile.run.replay import Replay
from tinymeta.compile.verify import Broken

RULES = dict(Rule.rules)
FAULTS = [(name, *fault) for name, rule in RULES.items() for fault in rule.faults]
SEEDS = 20


def example(rule: type[Rule], seed: int) -> Program:
    b = Builder()
    return b.finished(rule.example(b, np.random.default_rng(seed)))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_rule_changes_its_example_and_keeps_the_numbers(name: str, seed: int) -> None:
    before = example(RULES[name], seed)
    after = RULES[name].rewritten(before)
    assert [(n.op, n.inputs) for n in after.nodes] != [(n.op, n.inputs) for n in before.nodes]
    assert after.flops() <= before.flops()
    given = integers(before, seed)
    for found, right in zip(Replay(after)(given), Replay(before)(given), strict=True):
        np.testing.assert_array_equal(found, right)  # small integers: sums are exact


@pytest.mark.parametrize(("name", "right", "wrong"), FAULTS)
def test_the_check_sees_a_fault_of_a_rule(name: str, right: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rule, "rules", {})
    home = sys.modules[RULES[name].__module__]
    text = inspect.getsource(home)
    assert text.count(right) == 2, f"beside the fault itself, {home.__name__} has {right!r} not once"
    faulty = ModuleType(home.__name__)
    exec(text.replace(right, wrong), faulty.__dict__)
    seen = []
    for seed in range(SEEDS):
        try:
            getattr(faulty, name).rewritten(example(RULES[name], seed))
        except Broken:
            seen.append(seed)
    assert seen


@pytest.mark.parametrize("missing", ["docstring", "example", "faults"])
def test_a_rule_that_lacks_a_part_can_not_be_declared(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rule, "rules", {})
    body = {"__doc__": "x = x", "example": staticmethod(lambda b, rng: []), "faults": (("a", "b"),)}
    del body["__doc__" if missing == "docstring" else missing]
    with pytest.raises(TypeError, match=f"rule Wrong declares no {missing}"):
        type("Wrong", (Rule,), body)
    assert not Rule.rules
