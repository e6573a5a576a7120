"""`tinymeta learn N --check mine.py`: what a student wrote, run in a process of its own, and judged.

The lesson's own cells run first, from the committed file. Then the student's exercise runs in a copy of what they made,
and the check in what they made, with nothing of the student's in it but what the exercise asks for. The time and the
memory of it are limited, and a library that it changes is noticed: what passes was computed. That keeps
out mistakes and shortcuts, not somebody who means harm: a course runs strangers' code in a container.
"""

from __future__ import annotations

import ast
import faulthandler
import json
import os
import re
import secrets
import subprocess
import symtable
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from tinymeta.engine.errors import UserError
from tinymeta.io.visible import visible
from tinymeta.view import lessons
from tinymeta.view.lessons import Cell

SECONDS = 60.0  # that an exercise and its check may take, unless the check says `# seconds: 300`
MEMORY = 4 << 30  # bytes that they may ask for, beyond what the lesson has taken
LESSON_SECONDS = 900.0  # for the lesson's own cells, on a machine that is busy
WATCHED = frozenset({"builtins", "json", "numpy", "tinymeta", "tinymeta_kernels"})  # packages that stay as they are


class Grade(NamedTuple):
    """How one exercise went: the sentence that helps, empty if it is solved, and the line of the student's file.

    Where the sentence is the check's own, there are two more: the nudge comes before it, and the formula after it.
    """

    exercise: str
    problem: str
    line: int = 0
    nudge: str = ""
    formula: str = ""


def grade(path: Path, student: Path, seconds: float = SECONDS, memory: int = MEMORY) -> list[Grade]:
    """Judge each exercise of a student's copy of the lesson at `path`.

    Raises: UserError where the copy has no such exercise, can't be read, or the lesson's own cells fail.
    """
    asked = {cell.name: cell for cell in lessons.cells(path) if cell.kind == "check"}
    theirs = {cell.name: cell for cell in lessons.cells(student) if cell.kind == "exercise"}
    missing = sorted(set(asked) - set(theirs))
    if missing:
        raise UserError(f"{student} has no cell '# %% exercise {missing[0]}': is it a copy of {path.name}?")
    own = {name: re.search(r"^# seconds: (\d+)$", check.text, re.M) for name, check in asked.items()}
    limit = {name: float(found[1]) if found else seconds for name, found in own.items()}
    return [_graded(path, student, theirs[name], limit[name], memory) for name in asked]


def _graded(path: Path, student: Path, exercise: Cell, seconds: float, memory: int) -> Grade:
    """The verdict of a process of its own. Its word counts only behind a token that the exercise can't know."""
    token = secrets.token_hex(16)
    order = [token, str(path), str(student), *exercise, seconds, memory]
    command = [sys.executable, "-c", "from tinymeta.view.grading import child; child()"]
    own = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONPATH": own, "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1"},
    )
    try:
        said, complaint = process.communicate(json.dumps(order), timeout=LESSON_SECONDS + 2 * seconds)
    except subprocess.TimeoutExpired:
        said, complaint = "", "Timeout"
    finally:
        process.kill()
        process.wait()
    words = [json.loads(line.removeprefix(token)) for line in said.splitlines() if line.startswith(token)]
    if not words and "Timeout" not in complaint:
        last = (complaint.strip().splitlines() or ["it ended without a word"])[-1]
        raise UserError(f"{path.name} itself does not run here: {visible(last)}")
    if len(words) == 2:
        return Grade(*words[1])
    if "Timeout" in complaint:
        at = re.search(rf'File "{re.escape(str(student))}", line (\d+)', complaint)
        problem = f"not done after {seconds:g} s: is there a loop that never ends?"
        return Grade(exercise.name, problem, int(at[1]) if at else exercise.line)
    return Grade(exercise.name, "it ends the program before the check has run (os._exit, perhaps)", exercise.line)


def child() -> None:
    """The process that runs the exercise: its order comes by stdin, its verdict leaves by stdout."""
    token, path, student, kind, name, text, line, seconds, memory = json.load(sys.stdin)
    out, sys.stdout = sys.stdout, open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    lesson, exercise, namespace = Path(path), Cell(kind, name, text, line), {"__name__": "lesson"}
    check, judge = Cell("", "", "", 0), verdict
    lessons.figure = lambda *_, **__: None  # nobody looks
    for cell in lessons.cells(lesson):
        if (cell.kind, cell.name) == ("check", name):
            check = cell
            break
        if cell.kind == "code" or (cell.kind == "exercise" and cell.name != name):  # an earlier one, solved
            lessons.run(cell, lesson, namespace)
    print(token + '"ready"', file=out, flush=True)
    _limit(memory)
    faulthandler.dump_traceback_later(seconds, exit=True)
    found = judge(lesson, namespace, exercise, check, Path(student))
    print(token + json.dumps(found), file=out, flush=True)
    os._exit(0)  # whatever threads it has left


def verdict(lesson: Path, namespace: dict[str, Any], exercise: Cell, check: Cell, student: Path) -> Grade:
    """Run an exercise and its check, after the lesson's cells have made `namespace`."""
    solved = next(c for c in lessons.cells(lesson) if (c.kind, c.name) == ("exercise", exercise.name))
    theirs, before = dict(namespace), dict(_library())
    problem, changed = _problem, _changed  # by these names nobody finds them any more
    stop = _refused(exercise, solved, check) or problem(exercise, student, theirs, exercise) or changed(before)
    if stop is None:
        defined = (ast.FunctionDef, ast.ClassDef)
        wanted = [node.name for node in ast.parse(solved.text).body if isinstance(node, defined)]
        absent = [each for each in wanted if each not in theirs]
        if absent:
            stop = Stop(f"it no longer defines {absent[0]}, which the check calls", exercise.line)
        else:
            stop = problem(check, student, namespace | {k: theirs[k] for k in wanted}, exercise) or changed(before)
    return Grade(exercise.name, *(stop or ("", 0)))


class Stop(NamedTuple):
    """What is wrong, as in `Grade`."""

    problem: str
    line: int
    nudge: str = ""
    formula: str = ""


def _refused(exercise: Cell, solved: Cell, check: Cell) -> Stop | None:
    """What can be said without running it: syntax, dots that still stand, tools that the exercise is to do without."""
    try:
        tree = ast.parse(exercise.text)
    except SyntaxError as error:
        return Stop(f"Python can't read it: {error.msg}", exercise.line + (error.lineno or 1))
    dots = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value is ...]
    if dots and ast.dump(tree) == ast.dump(ast.parse(lessons.unsolved(solved.text))):
        return Stop("the dots still stand: put your lines in their place", exercise.line + dots[0])
    without = re.search(r"^# without: (.+)$", check.text, re.M)
    loops = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Attribute, ast.Name, *loops)) and without:
            used = "loops" if isinstance(node, loops) else ast.unparse(node)
            if any(used == tool or used.startswith(tool + ".") for tool in without[1].split(", ")):
                return Stop(f"this one is done without {used}", exercise.line + node.lineno)
    own = {name for names in map(_locals, _functions(solved.text)) for name in names}
    for function in _functions(exercise.text):
        for name in sorted(own & {symbol.get_name() for symbol in function.get_symbols() if symbol.is_global()}):
            at = next(n.lineno for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == name)
            return Stop(
                f"{name} gets no value in the function, so Python takes that of a cell above", exercise.line + at
            )
    return None


def _functions(text: str) -> list[symtable.SymbolTable]:
    """The functions at the top of a cell."""
    return symtable.symtable(text, "", "exec").get_children()


def _locals(function: symtable.SymbolTable) -> list[str]:
    return [symbol.get_name() for symbol in function.get_symbols() if symbol.is_local()]


def _problem(cell: Cell, student: Path, namespace: dict[str, Any], exercise: Cell) -> Stop | None:
    """Run a cell; what is wrong, and where in the student's file."""
    try:
        lessons.run(cell, student if cell is exercise else Path(f"check {cell.name}"), namespace)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a student's code may raise is news for the student, not for us
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno or 0 for frame in frames if frame.filename == str(student)]
        if isinstance(error, AssertionError) and not lines:
            hints = dict(re.findall(r"^# (nudge|formula): (.+)$", cell.text, re.M))
            return Stop(str(error) or "the check fails", exercise.line, **hints)
        said = visible(f"{type(error).__name__}: {error}".rstrip(": "))
        if isinstance(error, SystemExit):
            return Stop(
                "it ends the program (sys.exit) before the check has run", lines[-1] if lines else exercise.line
            )
        if isinstance(error, MemoryError):
            return Stop("it asks for more memory than there is", lines[-1] if lines else exercise.line)
        if lines:
            return Stop(f"it stops with {said}", lines[-1])
        return Stop(f"the check can't use what it returns: {said}", exercise.line)
    return None


def _library() -> Iterator[tuple[tuple[str, str], Any]]:
    """What the check relies on: functions and classes of the libraries, with their code and their methods."""
    for module, holder in [*sys.modules.items()]:
        if module.partition(".")[0] in WATCHED and holder is not None:
            for name, value in [*vars(holder).items()]:
                if callable(value):
                    yield (module, name), (value, getattr(value, "__code__", None))
                if isinstance(value, type) and value.__module__.partition(".")[0] in WATCHED:
                    for method, function in [*vars(value).items()]:
                        if callable(function):
                            yield (module, f"{name}.{method}"), (function, getattr(function, "__code__", None))


def _changed(before: dict[tuple[str, str], Any]) -> Stop | None:
    now = dict(_library())
    for (module, name), was in before.items():
        found = now.get((module, name))
        if found is None or found[0] is not was[0] or found[1] is not was[1]:
            return Stop(f"it changes {module}.{name}, on which the check relies: leave the libraries as they are", 0)
    return None


def _limit(memory: int) -> None:
    """Let this process ask for so much more memory, where the system says how much it has."""
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        with suppress(ValueError):  # a lower limit is there already
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory,) * 2)
