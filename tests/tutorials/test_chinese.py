"""The Chinese lessons: block by block what the English ones say, with the same headings, code and numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tinymeta.cli import main
from tinymeta.view import lessons

LESSONS = lessons.lessons()
CHINESE = re.compile(r"[\u3400-\u9fff]")
CODE = re.compile(r"`[^`]+`")


def pairs(path: Path) -> list[tuple[str, str]]:
    """What each cell of prose says, in English and in Chinese."""
    english = [cell.text for cell in lessons.cells(path) if cell.kind == "prose"]
    assert len(lessons.chinese(path)) == len(english), "a block for each cell of prose"
    return list(zip(english, lessons.chinese(path)))


def headings(text: str) -> list[int]:
    return [len(signs) for signs in re.findall(r"^(#+) ", text, re.M)]


def numbers(text: str) -> list[str]:
    return sorted(re.findall(r"\d+(?:[.,]\d+)*", CODE.sub("", text)))


def test_every_lesson_is_there_in_chinese_and_no_other() -> None:
    assert {path.stem for path in (lessons.folder() / "zh").glob("*.md")} == {path.stem for path in LESSONS}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_each_block_has_the_headings_the_code_and_the_numbers_of_its_cell(path: Path) -> None:
    for english, chinese in pairs(path):
        assert headings(chinese) == headings(english), english
        assert sorted(CODE.findall(chinese)) == sorted(CODE.findall(english)), english
        assert numbers(chinese) == numbers(english), english


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_all_of_it_is_chinese_and_nothing_is_left_out(path: Path) -> None:
    for english, chinese in pairs(path):
        assert not CHINESE.search(english), "the English file is English"
        for one, other in zip(english.split("\n\n"), chinese.split("\n\n"), strict=True):
            if not one.startswith("    "):  # a formula may be the same
                # A Chinese text has about a third of the English one's letters; less than a fifth leaves something out.
                words = [len(CODE.sub("", text)) for text in (one, other)]
                assert CHINESE.search(other) and words[0] < 5 * words[1] + 40, other


def test_learn_speaks_chinese_where_it_is_asked_to(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("builtins.input", lambda question: "q")
    path = LESSONS[0]
    heading = lessons.chinese(path)[0].splitlines()[0].removeprefix("# ")
    assert main(["learn", path.name[:2], "--zh"]) == 0
    assert heading in capsys.readouterr().out
    for option, name in (("--blank", "mine.py"), ("--notebook", "mine.ipynb")):
        assert main(["learn", path.name[:2], "--zh", option, str(tmp_path / name)]) == 0
        prose = [cell.text for cell in lessons.cells(tmp_path / name) if cell.kind == "prose"]
        assert prose == lessons.chinese(path)
