"""The record of what a student has done: it leads on, and no grade is lost where it can't be kept."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

from tinymeta.cli import main
from tinymeta.engine.errors import UserError
from tinymeta.view import classroom, lessons, record
from tinymeta.view.grading import Grade


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "tinymeta" / "course.json"


def check(monkeypatch: pytest.MonkeyPatch, *wrong: str) -> int:
    """`tinymeta learn 1 --check`, with a grader that finds these wrong; the exit status."""
    grades = [Grade(name, "no" if name in wrong else "") for name in lessons.exercises(lessons.find(1))]
    monkeypatch.setattr(classroom, "grade", lambda *_: grades)
    try:
        return main(["learn", "1", "--check", "mine.py"])
    except SystemExit as ended:
        return int(ended.code or 0)


def test_what_is_solved_is_kept_and_the_next_lesson_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, at_home: Path
) -> None:
    assert main(["learn"]) == 0
    assert "Next: `tinymeta learn 1`" in capsys.readouterr().out
    assert check(monkeypatch, "sweep") == 1
    assert record.kept()[0] == {"walk", "operations", "forward"}
    main(["learn"])
    assert "· 01" in capsys.readouterr().out
    assert check(monkeypatch) == 0
    assert "Next: `tinymeta learn 2`" in capsys.readouterr().out
    main(["learn"])
    assert "✓ 01" in capsys.readouterr().out
    assert json.loads(at_home.read_text("utf-8"))["solved"] == ["forward", "operations", "sweep", "walk"]


def test_what_was_solved_once_stays_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    check(monkeypatch)
    check(monkeypatch, "walk")
    assert "walk" in record.kept()[0]


def test_each_failing_try_is_told_more_until_it_is_solved(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(problem: str, *options: str) -> list[bool]:
        grade = Grade("walk", problem, 0, *("look at x", "gx = 2x") * bool(problem))
        monkeypatch.setattr(classroom, "grade", lambda *_: [grade])
        with suppress(SystemExit):
            main(["learn", "1", "--check", "mine.py", *options])
        said = capsys.readouterr().out
        return [words in said for words in ("look at x", "the sign", "gx = 2x", "--hint")]

    nudge, sentence, formula = [True, False, False, True], [False, True, False, False], [False, True, True, False]
    assert [told("the sign") for _ in range(4)] == [nudge, sentence, formula, formula]
    assert told("") == [False] * 4
    assert told("the sign") == nudge, "what was solved begins anew"
    assert told("the sign", "--hint") == formula


def test_a_course_that_is_done_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    record.add(name for path in lessons.lessons() for name in lessons.exercises(path))
    main(["learn"])
    assert "The course is done." in capsys.readouterr().out


RECORDS = [
    "",
    "[]",
    '{"solved": 3}',
    '{"solved": [3]}',
    '{"format": 99, "solved": []}',
    '{"solved": [], "failed": [1]}',
]


@pytest.mark.parametrize("text", RECORDS)
def test_a_record_that_is_none_stays_as_it_is_and_the_grade_stands(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, at_home: Path
) -> None:
    at_home.parent.mkdir()
    at_home.write_text(text, encoding="utf-8")
    with pytest.raises(UserError):
        record.kept()
    assert check(monkeypatch) == 0
    said = capsys.readouterr()
    assert "All solved" in said.out and "not in the record" in said.err
    assert at_home.read_text(encoding="utf-8") == text


def test_where_nothing_can_be_written_the_grade_stands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tinymeta").write_text("a file where the folder should be", encoding="utf-8")
    assert check(monkeypatch) == 0
    said = capsys.readouterr()
    assert "All solved" in said.out and "not in the record" in said.err


def test_without_a_place_of_its_own_it_lies_where_data_of_users_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    for named in ("", "relative"):
        monkeypatch.setenv("XDG_DATA_HOME", named)
        assert record.place() == Path("/home/anna/.local/share/tinymeta/course.json")
