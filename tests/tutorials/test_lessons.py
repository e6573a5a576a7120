"""Every lesson runs as it is, and meets planted mistakes with a sentence that helps."""

from __future__ import annotations

import json
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.tutorials.claims import CLAIMS
from tests.tutorials.mistakes import MISTAKES
from tinymeta.cli import main
from tinymeta.view import lessons

LESSONS = lessons.lessons()
SOLUTION = re.compile(r"^ *# BEGIN SOLUTION\n.*?^ *# END SOLUTION\n", re.M | re.S)


def exercises(path: Path) -> list[str]:
    return [cell.name for cell in lessons.cells(path) if cell.kind == "exercise"]


@cache
def before_exercises(path: Path) -> dict[str, dict[str, Any]]:
    """Run a lesson; for each exercise, what a learner has at hand when it begins; under "", what it leaves."""
    namespace: dict[str, Any] = {"__name__": "lesson"}
    found = {}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("tempfile.tempdir", folder)
        for cell in lessons.cells(path):
            if cell.kind == "exercise":
                found[cell.name] = dict(namespace)
            if cell.kind != "prose":
                lessons.run(cell, path, namespace)
    return {**found, "": namespace}


def said_of(path: Path, exercise: str, text: str) -> str:
    """What the exercise's check says where `text` stands in the solution's place."""
    cell, check = (
        next(cell for cell in lessons.cells(path) if (cell.kind, cell.name) == (kind, exercise))
        for kind in ("exercise", "check")
    )
    namespace = dict(before_exercises(path)[exercise])
    lessons.run(cell._replace(text=SOLUTION.sub(lambda _: text, cell.text)), path, namespace)
    return lessons.problem(check, path, namespace)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_lesson_runs(path: Path) -> None:
    assert list(before_exercises(path)) == [*exercises(path), ""]


def prose(number: str) -> str:
    cells = lessons.cells(lessons.find(int(number)))
    return " ".join(" ".join(cell.text for cell in cells if cell.kind == "prose").split())


@pytest.mark.parametrize(
    ("number", "sentence"),
    [(number, sentence) for number, claims in CLAIMS.items() for sentence, _ in claims],
)
def test_a_claim_holds_of_the_numbers_that_the_lesson_computes(number: str, sentence: str) -> None:
    assert sentence in prose(number), "the lesson claims something else now: change the claim with it"
    assert dict(CLAIMS[number])[sentence](before_exercises(lessons.find(int(number)))[""])


@pytest.mark.parametrize("number", CLAIMS)
def test_a_number_in_prose_stands_in_a_claim(number: str) -> None:
    claimed = " ".join(sentence for sentence, _ in CLAIMS[number])
    free = [x for x in re.findall(r"\d+\.\d+|\d+ %|[\d.]+ times", prose(number)) if x not in claimed]
    assert not free, f"lesson {number} says {free}, and no test compares it with what the lesson computes"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_lesson_keeps_to_its_form(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = lessons.cells(path)
    assert text.count("\n") < 250
    assert re.match(rf"{path.name[:2]} · ", lessons.title(path)), "a title with its number"
    assert re.search(r"[\u4e00-\u9fff]{10}", found[0].text), "the first paragraph in Chinese too"
    assert "try " in found[1].text, "a number to change, with a suggestion"
    assert "**Predict" in text
    assert exercises(path) and set(exercises(path)) == {cell.name for cell in found if cell.kind == "check"}
    assert re.search(r"^page\(", text, re.M), "a trace page at the end"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_blank_copy_is_not_solved_and_says_so(path: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    lessons.blank(path, mine)
    assert "BEGIN SOLUTION" not in mine.read_text(encoding="utf-8")
    assert [cell.name for cell in lessons.cells(mine) if cell.kind == "exercise"] == exercises(path)
    assert all(said_of(path, exercise, "    ...\n") for exercise in exercises(path))


@pytest.mark.parametrize("number", [1, 4])
def test_a_blank_copy_is_graded_to_its_end(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path, mine = lessons.find(number), tmp_path / "mine.py"
    lessons.blank(path, mine)
    unsolved = {grade.exercise for grade in lessons.grade(path, mine) if grade.problem}
    assert set(exercises(path)) <= unsolved


def test_each_exercise_has_three_planted_mistakes() -> None:
    wanted = {(path.stem[:2], exercise) for path in LESSONS for exercise in exercises(path)}
    assert wanted == set(MISTAKES)
    assert all(len(wrong) >= 3 for wrong in MISTAKES.values())


@pytest.mark.parametrize(
    ("number", "exercise", "body"),
    [(*key, body) for key, bodies in MISTAKES.items() for body in bodies],
    ids=[f"{n}-{e}-{i}" for (n, e), bodies in MISTAKES.items() for i, _ in enumerate(bodies)],
)
def test_a_mistake_gets_a_sentence_that_helps(number: str, exercise: str, body: str) -> None:
    problem = said_of(lessons.find(int(number)), exercise, body)
    assert problem, "the mistake was taken for a solution"
    assert not problem.startswith("it stops with"), problem
    assert len(problem.split()) >= 6, problem


def test_the_solved_lesson_passes_its_own_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn", "1", "--check", str(lessons.find(1))]) == 0
    assert "All solved" in capsys.readouterr().out


def test_learn_runs_through_a_lesson_and_shows_new_variables(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["learn", "1", "--no-input"]) == 0
    shown = capsys.readouterr().out
    assert "gx = " in shown and "of order 1" in shown


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_notebook_holds_the_lessons_cells_in_order(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("jupytext", reason='notebooks need jupytext: pip install "tinymeta[tutorials]"')
    assert main(["learn", path.name[:2], "--notebook", str(tmp_path / "lesson.ipynb")]) == 0
    book = json.loads((tmp_path / "lesson.ipynb").read_text(encoding="utf-8"))
    code = ["".join(cell["source"]).strip() for cell in book["cells"] if cell["cell_type"] == "code"]
    assert code == [cell.text.strip() for cell in lessons.cells(path) if cell.kind != "prose"]
    prose = [cell for cell in book["cells"] if cell["cell_type"] == "markdown"]
    assert len(prose) == len([cell for cell in lessons.cells(path) if cell.kind == "prose"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["learn", "99"], "there is no lesson 99"),
        (["learn", "--blank", "x.py"], "say which lesson"),
        (["learn", "1", "--check", "nothing.py"], "can't read nothing.py"),
    ],
)
def test_bad_input_gets_one_sentence(
    arguments: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert sentence in capsys.readouterr().err
