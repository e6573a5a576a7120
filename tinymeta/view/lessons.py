"""Lessons as files: plain Python in cells (`# %%`), read by people, run by anything.

    # %% [markdown]          prose, in comment lines
    # %%                     code
    # %% exercise slope      code whose solution stands between `# BEGIN SOLUTION` and `# END SOLUTION`
    # %% check slope         asserts about the exercise, each with a sentence that helps

The committed file is solved, so that it runs as it is. A student's copy has the solutions cut out
(`blank`); `grade` runs it with the committed checks, not the student's.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tinymeta.engine.errors import UserError
from tinymeta.io.files import write_text

_MARK = re.compile(r"^# %%(?P<rest>.*)$")
_SOLUTION = re.compile(r"^(?P<indent> *)# BEGIN SOLUTION\n.*?^ *# END SOLUTION\n", re.M | re.S)


class Cell(NamedTuple):
    """One cell of a lesson."""

    kind: str  # "prose", "code", "exercise" or "check"
    name: str  # of the exercise; else empty
    text: str  # the prose without its comment signs, or the code
    line: int  # of its first line in the file, from 0


class Grade(NamedTuple):
    """How one exercise went: `problem` is the sentence that helps, empty if it is solved."""

    exercise: str
    problem: str


def folder() -> Path:
    """Where the lessons are: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "lessons"
    return installed if installed.is_dir() else package.parent / "tutorials"


def lessons() -> list[Path]:
    """All lessons, in order."""
    return sorted(folder().glob("[0-9][0-9]_*.py"))


def find(number: int) -> Path:
    """Lesson `number`."""
    there = lessons()
    for path in there:
        if int(path.name[:2]) == number:
            return path
    raise UserError(f"there is no lesson {number}: they go from {there[0].name[:2]} to {there[-1].name[:2]}")


def title(path: Path) -> str:
    """The lesson's first heading."""
    heading = re.search(r"^# # (.+)$", path.read_text(encoding="utf-8"), re.M)
    return heading[1] if heading else path.stem


def cells(path: Path) -> list[Cell]:
    """The cells of a lesson or of a student's copy."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"can't read {path} as a lesson: name the .py file that --blank wrote") from error
    starts = [i for i, line in enumerate(lines) if _MARK.match(line)]
    found = []
    for start, stop in zip(starts, [*starts[1:], len(lines)]):
        rest = _MARK.match(lines[start].rstrip("\n"))["rest"].strip()  # type: ignore[index]
        body = lines[start + 1 : stop]
        kind, _, name = rest.partition(" ")
        if kind == "[markdown]":
            text = "".join(line.removeprefix("#").removeprefix(" ") for line in body)
            found.append(Cell("prose", "", text.strip(), start + 1))
        else:
            known = kind in ("exercise", "check")
            found.append(Cell(kind if known else "code", name.strip() if known else "", "".join(body), start + 1))
    return found


def run(cell: Cell, path: Path, namespace: dict[str, Any]) -> None:
    """Run a cell under its own file name and line numbers, so that tracebacks and cached kernels find it."""
    exec(compile("\n" * cell.line + cell.text, str(path), "exec"), namespace)


def blank(path: Path, out: Path) -> None:
    """Write the student's copy: every solution gives way to `...`."""
    if out.exists():
        raise UserError(f"{out} is there already, and may hold somebody's work: choose another name")
    text = path.read_text(encoding="utf-8")
    write_text(out, _SOLUTION.sub(lambda m: f"{m['indent']}...  # your turn\n", text))


def grade(path: Path, student: Path) -> list[Grade]:
    """Run the student's cells in order, with the lesson's own checks in the places of theirs."""
    checks = {cell.name: cell for cell in cells(path) if cell.kind == "check"}
    theirs = cells(student)
    missing = set(checks) - {cell.name for cell in theirs if cell.kind == "exercise"}
    if missing:
        raise UserError(f"{student} has no cell '# %% exercise {min(missing)}': is it a copy of {path.name}?")
    namespace: dict[str, Any] = {"__name__": "lesson"}
    grades: list[Grade] = []
    for cell in theirs:
        if cell.kind in ("code", "exercise"):
            stop = problem(cell, student, namespace)
            if stop and (cell.kind == "exercise" or not grades or not grades[-1].problem):
                grades.append(Grade(cell.name or f"line {cell.line}", stop))
        if cell.kind == "exercise" and cell.name in checks and not (grades and grades[-1].exercise == cell.name):
            grades.append(Grade(cell.name, problem(checks[cell.name], path, namespace)))
    return grades


def problem(cell: Cell, path: Path, namespace: dict[str, Any]) -> str:
    """Run a cell; what is wrong, in a sentence, or nothing."""
    try:
        run(cell, path, namespace)
    except AssertionError as wrong:
        return str(wrong) or "the check fails"
    except Exception as error:  # whatever a student's code may raise is news for the student, not for us
        return f"it stops with {type(error).__name__}: {error}"
    return ""


def page(trace: Any, number: int) -> None:
    """Write the trace page that a lesson ends with to the temporary folder, and say where it is."""
    out = Path(tempfile.gettempdir()) / f"tinymeta-lesson-{number:02}.html"
    trace.html(out)
    print(f"the trace page, to step through in a browser: {out}")


def notebook(path: Path, out: Path) -> None:
    """Write the lesson as a Jupyter notebook."""
    try:
        import jupytext
    except ImportError:
        raise UserError('notebooks are made by jupytext: pip install "tinymeta[tutorials]"') from None
    write_text(out, jupytext.writes(jupytext.read(path, fmt="py:percent"), fmt="ipynb"))
