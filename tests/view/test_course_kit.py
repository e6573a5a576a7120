"""`tinymeta learn --teacher`: a course as files, whose job grades as the command does."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tinymeta.cli import main
from tinymeta.view import lessons

FIRST = lessons.lessons()[0]


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kit of a course of one lesson."""
    (tmp_path / "course").mkdir()
    shutil.copy(FIRST, tmp_path / "course")
    monkeypatch.setattr(lessons, "folder", lambda: tmp_path / "course")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert main(["learn", "--teacher", str(tmp_path / "kit")]) == 0
    return tmp_path / "kit"


def test_blanks_hold_no_answers_and_checks_all(kit: Path) -> None:
    for copy in (kit / "blanks" / FIRST.name, kit / "blanks" / f"{FIRST.stem}.ipynb"):
        text = copy.read_text(encoding="utf-8")
        assert "your turn" in text and "SOLUTION" not in text and "Solved:" not in text
    assert (kit / "checks" / FIRST.name).read_bytes() == FIRST.read_bytes()


def test_the_syllabus_counts_the_lines_that_a_student_writes(kit: Path) -> None:
    text = (kit / "syllabus.md").read_text(encoding="utf-8")
    lines = sum(lessons.written(FIRST).values())
    assert f"| {lessons.title(FIRST)} | walk, operations, sweep, forward | {lines} |" in text
    assert f"A student writes {lines} lines in all." in text


def test_each_slide_has_its_picture(kit: Path) -> None:
    page = (kit / "slides.html").read_text(encoding="utf-8")
    [(figure, words), (picture, alt)] = re.findall(r'<img src="([^"]+)" alt="([^"]+)">', page)
    assert (kit / figure).read_bytes().startswith(b"\x89PNG") and "tangent" in words
    assert lessons.title(FIRST) in alt and lessons.title(FIRST) in page
    assert ElementTree.parse(kit / picture).getroot().tag.endswith("svg")
    assert not re.search(r"https?://", page), "the slides ask nobody for anything"


def test_the_job_fails_an_empty_copy_and_passes_a_solved_one(kit: Path, tmp_path: Path) -> None:
    job = (kit / "grade.yml").read_text(encoding="utf-8")
    program = textwrap.dedent(job.partition("- run: |\n")[2]).replace(
        "tinymeta learn", f"{sys.executable} -m tinymeta learn"
    )
    (kit / "work").mkdir()
    run = lambda: subprocess.run(["bash", "-c", program], cwd=kit, capture_output=True, encoding="utf-8", timeout=600)
    shutil.copy(kit / "blanks" / f"{FIRST.stem}.ipynb", kit / "work")
    failed = run()
    assert failed.returncode == 1 and failed.stdout.count("the dots still stand") == 4, failed.stderr
    (kit / "work" / f"{FIRST.stem}.ipynb").unlink()
    shutil.copy(FIRST, kit / "work")
    passed = run()
    assert passed.returncode == 0 and "All solved" in passed.stdout, passed.stderr


def test_nothing_is_written_over(kit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["learn", "--teacher", str(kit)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["learn", "3", "--teacher", str(kit)]) == 2
    assert "leave the lesson out" in capsys.readouterr().err
