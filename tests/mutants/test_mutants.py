"""Mutations change what a function does, in a running process and nowhere else; the list of survivors is up to date."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.mutants.__main__ import ROOMS, explained, of_room
from tests.mutants.mutations import ROOT, sites, variants
from tests.mutants.plant import changed_by

MUTATED = {
    "n < m": ["n <= m", "n > m"],
    "a == b": ["a != b"],
    "a + b": ["a - b"],
    "a and b": ["a or b", "b", "a"],
    "not a": ["a"],
    "-a": ["a"],
    "True": ["False"],
    "1": ["2", "0"],
    "0": ["1"],
    "0.5": ["1.5", "-0.5"],
    "a if b else c": ["a if not b else c"],
    "f(x, y)": ["f(x)"],
    "f(x, axis=y)": ["f(x)"],
    "min(x)": [],
    "any": ["all"],
    "x[y]": [],
}


@pytest.mark.parametrize(("before", "after"), MUTATED.items())
def test_a_mutation_is_one_small_fault(before: str, after: list[str]) -> None:
    node = ast.parse(before, mode="eval").body
    assert [what for what, _ in variants(node)] == [f"{before} → {text}" for text in after]
    assert ast.unparse(node) == before


def test_statements_are_dropped_and_neighbours_returned() -> None:
    function = ast.parse("def f(x, y):\n    g(x)\n    raise E\n    return y\n    return x").body[0]
    assert isinstance(function, ast.FunctionDef)
    found = [what for statement in function.body for what, _ in variants(statement, function)]
    assert found == ["g(x) → pass", "raise E → pass", "return y → return x"]


def test_every_mutation_compiles_and_changes_a_function() -> None:
    for site in sites("tinymeta/optim/clip.py"):
        assert changed_by(site) and "raise" not in site.what.partition("→")[2]


def test_messages_annotations_and_what_runs_at_import_are_left_alone() -> None:
    found = sites("tinymeta/ops/pool.py")
    lines = (ROOT / "tinymeta/ops/pool.py").read_text(encoding="utf-8").splitlines()
    assert found and not any(lines[site.line - 1].lstrip().startswith(("@", 'f"', "def ", "Sample(")) for site in found)


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs os.fork")
def test_a_planted_fault_is_killed_by_the_test_that_sees_it_and_survives_another() -> None:
    name = next(s.name for s in sites("tinymeta/optim/clip.py") if s.what == "limit / unit → limit * unit")
    command = [sys.executable, "-m", "tests.mutants", "--room", "optim", "--only", name, "--tests"]
    seen = subprocess.run([*command, "tests/optim/test_clip.py"], cwd=ROOT, capture_output=True, text=True)
    unseen = subprocess.run([*command, "tests/optim/test_learning_rates.py"], cwd=ROOT, capture_output=True, text=True)
    assert seen.returncode == 0 and "made 1, killed 1, survived 0" in seen.stdout, seen.stdout + seen.stderr
    assert unseen.returncode == 1 and f"called by no test: {name}" in unseen.stdout, unseen.stdout + unseen.stderr


def test_every_survivor_that_is_explained_can_still_be_planted() -> None:
    known = {(site.path, site.text, site.what) for room in ROOMS for site in of_room(room)}
    for entry in explained():
        assert (entry["file"], entry["line"], entry["mutation"]) in known and len(entry["why"]) > 20, entry
