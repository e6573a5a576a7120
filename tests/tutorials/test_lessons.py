"""Every lesson runs as it is, and meets planted mistakes with a sentence that helps."""

from __future__ import annotations

import json
import re
import tempfile
import tracemalloc
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.tutorials import (
    claims,
    claims_in_building,
    mistakes,
    mistakes_in_algorithms,
    mistakes_in_building,
    mistakes_in_calculus,
    mistakes_in_meta_learning,
    mistakes_in_training,
)
from tests.tutorials.mistakes import IN_NUMPY
from tinymeta.cli import main
from tinymeta.view import classroom, grading, lessons

ROOT, READMES = Path(__file__).parents[2], ("README.md", "README.zh-CN.md")
LESSONS = lessons.lessons()
CLAIMS = claims.CLAIMS | claims_in_building.CLAIMS
MISTAKES = mistakes.MISTAKES | mistakes_in_building.MISTAKES | mistakes_in_calculus.MISTAKES
MISTAKES |= mistakes_in_training.MISTAKES | mistakes_in_algorithms.MISTAKES | mistakes_in_meta_learning.MISTAKES
RIGHT = IN_NUMPY | mistakes_in_meta_learning.OTHERWISE
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
            if cell.kind not in ("prose", "check"):  # a student's copy has no checks
                lessons.run(cell, path, namespace)
    return {**found, "": namespace}


def test_a_student_writes_lines_in_every_lesson_and_readme_says_how_many() -> None:
    written = [sum(lessons.written(path).values()) for path in LESSONS]
    assert min(written) > 0
    english, chinese = (" ".join(Path(ROOT, name).read_text(encoding="utf-8").split()) for name in READMES)
    assert f"{len(LESSON_OF)} exercises, {sum(written)} lines that you write" in english
    assert f"{len(LESSON_OF)} 个练习，由你写 {sum(written)} 行" in chinese


LESSON_OF = {exercise: path for path in LESSONS for exercise in exercises(path)}


def said_of(exercise: str, *change: str) -> str:
    """What the grader says of the solution, of a text in its place, or of it with (old, new) changed in it."""
    path = LESSON_OF[exercise]
    cell, check = (
        next(cell for cell in lessons.cells(path) if (cell.kind, cell.name) == (kind, exercise))
        for kind in ("exercise", "check")
    )
    if len(change) == 1:
        theirs = cell._replace(text=SOLUTION.sub(lambda _: change[0], cell.text))
    elif change:
        assert cell.text.count(change[0]) == 1, "the change is to be made in one place"
        theirs = cell._replace(text=cell.text.replace(*change))
    else:
        theirs = cell
    namespace = dict(before_exercises(path)[exercise])
    try:
        return grading.verdict(path, namespace, theirs, check, Path("mine.py")).problem
    finally:
        tracemalloc.stop()  # a check that measures memory, and that an answer's error ended, has not


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_lesson_runs(path: Path) -> None:
    assert list(before_exercises(path)) == [*exercises(path), ""]


def prose(name: str) -> str:
    cells = lessons.cells(lessons.find(name))
    return " ".join(" ".join(cell.text for cell in cells if cell.kind == "prose").split())


@pytest.mark.parametrize(
    ("name", "sentence"),
    [(name, sentence) for name, claims in CLAIMS.items() for sentence, _ in claims],
)
def test_a_claim_holds_of_the_numbers_that_the_lesson_computes(name: str, sentence: str) -> None:
    assert sentence in prose(name), "the lesson claims something else now: change the claim with it"
    assert dict(CLAIMS[name])[sentence](before_exercises(lessons.find(name))[""])


@pytest.mark.parametrize("name", CLAIMS)
def test_a_number_in_prose_stands_in_a_claim(name: str) -> None:
    claimed = " ".join(sentence for sentence, _ in CLAIMS[name])
    free = [x for x in re.findall(r"\d+\.\d+|\d+ %|[\d.]+ times", prose(name)) if x not in claimed]
    assert not free, f"{name} says {free}, and no test compares it with what the lesson computes"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_lesson_keeps_to_its_form(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = lessons.cells(path)
    assert text.count("\n") <= 400
    assert re.match(rf"{path.name[:2]} · ", lessons.title(path)), "a title with its number"
    assert "try " in found[1].text, "a number to change, with a suggestion"
    assert "**Predict" in text
    assert exercises(path) and set(exercises(path)) == {cell.name for cell in found if cell.kind == "check"}
    assert re.search(r"^page\(", text, re.M), "a trace page at the end"
    assert lessons.chinese(path), "all of its prose in Chinese"
    assert re.search(r"^figure\(", text, re.M), "a figure worth looking at"
    stages = [re.findall(r"^# (nudge|formula): ", cell.text, re.M) for cell in found if cell.kind == "check"]
    assert all(said == ["nudge", "formula"] for said in stages), "a hint before what is wrong, and one after"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_copies_hold_no_answers_and_an_untouched_one_is_told_so(path: Path, tmp_path: Path) -> None:
    mine, book = tmp_path / "mine.py", tmp_path / "mine.ipynb"
    lessons.blank(path, mine)
    lessons.notebook(path, book)
    for copy in (mine, book):
        text, found = copy.read_text(encoding="utf-8"), lessons.cells(copy)
        assert "SOLUTION" not in text and "Solved:" not in text
        assert [cell.name for cell in found if cell.kind == "exercise"] == exercises(path)
        assert f"--check {copy.name}" in text
    assert all("dots still stand" in said_of(exercise, "    ...\n") for exercise in exercises(path))


def test_mistakes_are_planted_in_each_exercise_and_many() -> None:
    assert set(LESSON_OF) == set(MISTAKES)
    assert sum(len(exercises(path)) for path in LESSONS) == len(LESSON_OF), "each has a name of its own"
    assert all(len(wrong) >= 5 for wrong in MISTAKES.values())
    assert sum(map(len, MISTAKES.values())) >= 100


@pytest.mark.parametrize(
    ("exercise", "mistake"),
    [(exercise, mistake) for exercise, mistakes in MISTAKES.items() for mistake in mistakes],
    ids=[f"{exercise}-{i}" for exercise, mistakes in MISTAKES.items() for i, _ in enumerate(mistakes)],
)
def test_a_mistake_gets_the_right_hint(exercise: str, mistake: tuple[str, ...]) -> None:
    *change, hint = mistake
    assert hint in said_of(exercise, *change)


@pytest.mark.parametrize("exercise", RIGHT)
def test_a_right_answer_may_be_an_array_or_go_another_way(exercise: str) -> None:
    assert not said_of(exercise, RIGHT[exercise])


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_solution_passes_its_check(path: Path) -> None:
    for cell in lessons.cells(path):
        if cell.kind == "exercise":
            assert not said_of(cell.name)


def test_learn_runs_through_a_lesson_and_shows_new_variables(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["learn", "1", "--no-input"]) == 0
    shown = capsys.readouterr().out
    assert "gx = " in shown and "of order 1" in shown


def test_learn_asks_for_a_prediction_and_shows_it_beside_the_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lesson = tmp_path / "01_x.py"
    lesson.write_text(
        "# %% [markdown]\n# **Predict, then run:** x?\n\n# %%\nprint(6 * 7)\n\n# %%\ny = 1\n", encoding="utf-8"
    )
    questions: list[str] = []
    classroom.attend(lesson, lambda question: questions.append(question) or "41")  # type: ignore[func-returns-value]
    assert [("prediction" in question) for question in questions] == [True, False]
    shown = capsys.readouterr().out
    assert shown.index("42") < shown.index("you predicted: 41")


def test_learn_shows_no_solution(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["learn", "1", "--no-input"]) == 0
    shown = capsys.readouterr().out
    assert "your turn" in shown and "ga = gb * -b" not in shown and "through_a" not in shown
    assert "--blank mine.py" in shown


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_notebook_holds_the_lessons_cells_in_order(path: Path, tmp_path: Path) -> None:
    assert main(["learn", path.name[:2], "--notebook", str(tmp_path / "lesson.ipynb")]) == 0
    book = json.loads((tmp_path / "lesson.ipynb").read_text(encoding="utf-8"))
    kinds = ["markdown" if cell.kind == "prose" else "code" for cell in lessons.cells(path)]
    assert [cell["cell_type"] for cell in book["cells"]] == kinds
    assert book["metadata"]["kernelspec"]["name"] == "python3" and (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    sources = [cell["source"] for cell in book["cells"] if not cell["metadata"]]
    ours = [cell.text for cell in lessons.cells(path) if cell.kind in ("prose", "code")]
    assert [x for x in sources if "judges it" not in x] == [text.strip("\n") for text in ours]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["learn", "99"], "the lesson 99 is not there"),
        (["learn", "learning"], "is one of several: learning_the_learning_rule, learning_the_data"),
        (["learn", "--blank", "x.py"], "say which lesson"),
        (["learn", "1", "--check", "nothing.py"], "can't read nothing.py"),
        (["learn", "1", "--notebook", "lesson.py"], "a notebook's name ends in .ipynb"),
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
