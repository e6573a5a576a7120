"""Nothing is used before its lesson: the course, read from the first lesson to the last."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from tinymeta.view import lessons

LESSONS = lessons.lessons()
MOST = 8  # names that are new in one lesson
TOPICS = {"tm.vmap": "batching_tasks", "tm.compile": "record_once_replay"} | dict.fromkeys(
    ("tm.optim", "tm.nn.MLP", "tm.tree"), "training_a_network"
)
INNER_LOOPS = ("tm.meta", "tm.tasks")  # come after plain training


def used(text: str) -> set[str]:
    """The names of tinymeta in a program, `tm.optim.Adam`, and what it imports from it."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tinymeta."):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.Attribute) and re.fullmatch(r"tm(\.\w+)+", ast.unparse(node)):
            found.add(ast.unparse(node))
    return {name for name in found if not any(other.startswith(name + ".") for other in found)}


def needs_words(name: str) -> bool:
    """NumPy's names are called as in NumPy; whatever else a lesson uses must have been named."""
    return not (name.startswith("tm.") and hasattr(np, name.removeprefix("tm.")))


def said(path: Path) -> set[str]:
    """What a lesson's prose names in backticks: `tm.grad`, `adapt`."""
    words = " ".join(cell.text for cell in lessons.cells(path) if cell.kind == "prose")
    return {name for code in re.findall(r"`([^`]+)`", words) for name in re.findall(r"[\w.]+", code)}


def last(name: str) -> str:
    return name.rpartition(".")[2]


def code(path: Path) -> str:
    return "\n".join(cell.text for cell in lessons.cells(path) if cell.kind in ("code", "exercise"))


def introduced_by(read: list[Path]) -> set[str]:
    return set().union(*map(said, read))


@pytest.mark.parametrize("k", range(len(LESSONS)), ids=lambda k: LESSONS[k].stem)
def test_a_lesson_uses_no_name_that_it_or_an_earlier_one_has_not_introduced(k: int) -> None:
    known = introduced_by(LESSONS[: k + 1])
    strange = {name for name in used(code(LESSONS[k])) if needs_words(name) and not {name, last(name)} & known}
    assert not strange, f"{LESSONS[k].stem} uses {sorted(strange)}, and no lesson up to it says what that is"


@pytest.mark.parametrize("k", range(len(LESSONS)), ids=lambda k: LESSONS[k].stem)
def test_few_names_are_new_in_one_lesson(k: int) -> None:
    before = set().union(*(used(code(path)) for path in LESSONS[:k]))
    new = sorted(filter(needs_words, used(code(LESSONS[k])) - before))
    assert len(new) <= MOST, f"{LESSONS[k].stem} has {len(new)} new names: {new}"


@pytest.mark.parametrize(("name", "lesson"), TOPICS.items())
def test_what_a_lesson_is_about_is_not_used_before_it(name: str, lesson: str) -> None:
    before = LESSONS[: LESSONS.index(lessons.find(lesson))]
    early = [path.stem for path in before if any(f"{each}.".startswith(f"{name}.") for each in used(code(path)))]
    assert not early, f"{early} use {name}, which {lesson} introduces"
    assert any(f"{each}.".startswith(f"{name}.") for each in used(code(lessons.find(lesson)))), "and there it is used"


def test_plain_training_comes_before_meta_training() -> None:
    training = LESSONS.index(lessons.find("training_a_network"))
    meta = [k for k, path in enumerate(LESSONS) if any(name.startswith(INNER_LOOPS) for name in used(code(path)))]
    assert meta and min(meta) > training


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_is_referred_to_only_from_later_ones(path: Path) -> None:
    numbers = [int(n) for cell in lessons.cells(path) for n in re.findall(r"[Ll]essons? (\d+)", cell.text)]
    assert all(number < int(path.name[:2]) for number in numbers), f"{path.stem} refers to {numbers}"


def test_a_name_that_is_used_too_early_is_seen(tmp_path: Path) -> None:
    lesson = tmp_path / "01_x.py"
    lesson.write_text("# %% [markdown]\n# Here is `tm.grad`.\n\n# %%\ntm.vmap(tm.grad(f))\ntm.exp(1.0)\n", "utf-8")
    assert {name for name in used(code(lesson)) if needs_words(name)} - introduced_by([lesson]) == {"tm.vmap"}


def test_the_engine_that_a_student_builds_is_sixty_lines() -> None:
    kept = {"a_derivative_by_hand": ["sweep"], "tensors_and_broadcasting": ["unbroadcast"]}
    kept["the_gradient_of_a_gradient"] = ["recorded", "twice"]
    lines = 0
    for name, wanted in kept.items():
        for cell in lessons.cells(lessons.find(name)):
            if cell.name in wanted and cell.kind == "exercise":
                tree = ast.parse(cell.text)
                nodes = [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
                words = {n.body[0].lineno for n in nodes if ast.get_docstring(n)}
                body = [
                    k
                    for n in tree.body
                    if getattr(n, "name", "") != "gradient" or wanted[-1] == "twice"
                    for k in range(n.lineno, (n.end_lineno or 0) + 1)
                ]
                source = cell.text.splitlines()
                lines += sum(
                    bool(source[k - 1].strip()) and not source[k - 1].strip().startswith("#") and k not in words
                    for k in body
                )
    assert 50 <= lines <= 70, f"the lessons say sixty lines, and the engine has {lines}"
