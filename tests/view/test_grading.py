"""The grader: whatever an exercise does, there is a verdict, a line, and an exit status that can be trusted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tinymeta.cli import main
from tinymeta.engine.errors import UserError
from tinymeta.view import grading, lessons

LESSON = """\
# %%
import numpy as np
total = 6.0

# %% exercise double
def double(x):
    \"\"\"2x.\"\"\"
    # BEGIN SOLUTION
    total = x + x
    # END SOLUTION
    return total

# %% check double
# without: np.add
# nudge: how often is x in it?
# formula: x + x
assert np.allclose(double(np.ones(2)), 2.0), "twice as much is asked for"
"""


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    path = tmp_path / "01_double.py"
    path.write_text(LESSON, encoding="utf-8")
    return path


def graded(lesson: Path, body: str, seconds: float = 60.0, memory: int = 1 << 30) -> grading.Grade:
    """The verdict on a copy with `body` in the dots' place, which is line 7."""
    mine = lesson.parent / "mine.py"
    mine.unlink(missing_ok=True)
    lessons.blank(lesson, mine)
    mine.write_text(mine.read_text(encoding="utf-8").replace("    ...  # your turn\n", body), encoding="utf-8")
    [grade] = grading.grade(lesson, mine, seconds, memory)
    return grade


RIGHT = "    total = 2 * x\n"
VERDICTS = {
    "right": (RIGHT, "", 0),
    "right, the dots left": ("    ...\n" + RIGHT, "", 0),
    "untouched": ("    ...\n", "dots still stand", 8),
    "wrong": ("    total = 3 * x\n", "twice as much", 5),
    "a name of a cell above": ("    other = 2 * x\n", "total gets no value", 9),
    "syntax": ("    total = = 2\n", "can't read it", 8),
    "an error": ("    total = 2 * x\n    total[7]\n", "IndexError", 9),
    "its own assertion": ("    assert x is None, 'mine'\n" + RIGHT, "it stops with AssertionError: mine", 8),
    "a tool to do without": ("    total = np.add(x, x)\n", "done without np.add", 8),
    "what can't be used": ("    total = {}\n", "the check can't use what it returns", 5),
    "sys.exit": ("    import sys\n    sys.exit(0)\n" + RIGHT, "ends the program (sys.exit)", 9),
    "os._exit": ("    import os\n    os._exit(0)\n" + RIGHT, "ends the program before the check", 5),
    "another's verdict": (
        '    import os, sys\n    print(\'["double", "", 0]\', file=sys.__stdout__, flush=True)\n    os._exit(0)\n'
        + RIGHT,
        "ends the program before the check",
        5,
    ),
    "a library that says yes": ("    np.allclose = lambda *a: True\n" + RIGHT, "changes numpy.allclose", 0),
    "a method that says yes": (
        "    import tinymeta as tm\n    tm.Tensor.__eq__ = lambda a, b: True\n" + RIGHT,
        "changes tinymeta",
        0,
    ),
    "a grader that says yes": (
        "    import tinymeta.view.grading as g\n    g._problem = lambda *a: None\n    total = x\n",
        "twice as much",
        5,
    ),
    "a grader that sees no change": (
        "    import tinymeta.view.grading as g\n    g._library = lambda: iter(())\n    np.allclose = lambda *a: True\n"
        + RIGHT,
        "it changes",
        0,
    ),
    "it asks for input": ("    total = float(input())\n", "EOFError", 8),
}


@pytest.mark.parametrize(("body", "problem", "line"), VERDICTS.values(), ids=VERDICTS)
def test_whatever_it_does_there_is_a_verdict_and_a_line(lesson: Path, body: str, problem: str, line: int) -> None:
    found = graded(lesson, body)
    assert problem in found.problem and bool(problem) == bool(found.problem), found.problem
    assert found.line == line


def test_what_the_check_says_has_a_nudge_before_it_and_a_formula_after(lesson: Path) -> None:
    assert graded(lesson, "    total = 3 * x\n")[3:] == ("how often is x in it?", "x + x")
    for body in ("    total = {}\n", "    total = 2 * x\n    total[7]\n", "    ...\n", RIGHT):
        assert graded(lesson, body)[3:] == ("", ""), "what the check has not said is no matter of hints"


@pytest.mark.parametrize(
    "body", ["    for _ in x:\n        total = x + x\n", "    total = np.stack([2 * each for each in x])\n"]
)
def test_a_loop_is_refused_where_none_is_to_be(lesson: Path, body: str) -> None:
    assert not graded(lesson, body).problem
    lesson.write_text(
        lesson.read_text(encoding="utf-8").replace("# without: np.add", "# without: np.add, loops"), "utf-8"
    )
    assert "done without loops" in graded(lesson, body).problem


def test_a_loop_that_never_ends_is_ended_and_its_line_named(lesson: Path) -> None:
    stubborn = (
        "    while True:\n        try:\n            total = x\n        except BaseException:\n            x = 0\n"
    )
    found = graded(lesson, stubborn, 2.0)
    assert "a loop that never ends" in found.problem
    assert 8 <= found.line <= 12


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory a process has")
def test_memory_without_bounds_is_refused(lesson: Path) -> None:
    found = graded(lesson, "    total = bytearray(1 << 40)\n")
    assert (found.problem, found.line) == ("it asks for more memory than there is", 8)


def test_a_check_may_give_more_time(lesson: Path) -> None:
    lesson.write_text(lesson.read_text(encoding="utf-8").replace("# without", "# seconds: 100\n# without"), "utf-8")
    slow = (
        "    import time\n    began = time.process_time()\n    while time.process_time() < began + 0.5:\n        pass\n"
    )
    assert not graded(lesson, slow + RIGHT, 0.2).problem


def test_what_else_the_student_changed_does_not_count(lesson: Path) -> None:
    mine = lesson.parent / "mine.py"
    mine.write_text(
        LESSON.replace("import numpy as np", "raise SystemExit(0)").replace('"twice', 'True or "'), encoding="utf-8"
    )
    assert not grading.grade(lesson, mine)[0].problem


def test_what_the_exercise_does_to_names_and_libraries_does_not_reach_the_check(lesson: Path) -> None:
    mine = lesson.parent / "mine.py"
    for first, said in (("np = None", "twice as much"), ("np.allclose = lambda *a: True", "changes numpy.allclose")):
        text = LESSON.replace("def double", f"{first}\n\n\ndef double").replace("x + x", "3 * x")
        mine.write_text(text, encoding="utf-8")
        assert said in grading.grade(lesson, mine)[0].problem


def test_a_lesson_that_does_not_run_is_not_the_students_fault(lesson: Path) -> None:
    lesson.write_text(LESSON.replace("total = 6.0", "raise OSError('no disk')"), encoding="utf-8")
    with pytest.raises(UserError, match=r"01_double\.py itself does not run here: OSError: no disk"):
        graded(lesson, RIGHT)


def dots(copy: Path) -> int:
    """The line where the first exercise of a copy waits."""
    lines = copy.read_text(encoding="utf-8").splitlines()
    return next(k for k, line in enumerate(lines, 1) if "# your turn" in line)


def test_the_exit_status_says_whether_all_is_solved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    solved, mine, book = lessons.find(1), tmp_path / "mine.py", tmp_path / "mine.ipynb"
    assert main(["learn", "1", "--check", str(solved)]) == 0
    assert "All solved" in capsys.readouterr().out
    for copy, option in ((mine, "--blank"), (book, "--notebook")):
        assert main(["learn", "1", option, str(copy)]) == 0
        place = "in line 7" if copy is book else f"(mine.py:{dots(copy)})"
        with pytest.raises(SystemExit) as status:
            main(["learn", "1", "--check", str(copy)])
        assert status.value.code == 1
        assert f"✗ walk {place}: the dots still stand" in capsys.readouterr().out


def test_a_notebook_is_graded_with_what_was_written_in_it(lesson: Path) -> None:
    book = lesson.parent / "mine.ipynb"
    lessons.notebook(lesson, book)
    content = json.loads(book.read_text(encoding="utf-8"))
    content["cells"][1]["source"] = (
        content["cells"][1]["source"].replace("...  # your turn", "total = x + x").splitlines(True)
    )
    book.write_text(json.dumps(content), encoding="utf-8")
    assert not grading.grade(lesson, book)[0].problem


def test_the_verdict_of_the_command_is_its_exit_status(lesson: Path) -> None:
    command = [sys.executable, "-m", "tinymeta", "learn", "1", "--check", str(lesson)]
    process = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
    assert process.returncode == 2, "no copy of lesson 1"
    assert "is it a copy of" in process.stderr
