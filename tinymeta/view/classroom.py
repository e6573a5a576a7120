"""`tinymeta learn`: a lesson in the terminal, cell by cell.

Prose, then a panel of code; Enter runs it, and what it made appears below: new and changed variables
with their shapes, and how many operations of each derivative order passed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tinymeta.engine.errors import UserError
from tinymeta.engine.primitive import Primitive
from tinymeta.engine.state import Watcher, setting, state
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Static, Tree
from tinymeta.io.files import named
from tinymeta.view import lessons, record
from tinymeta.view.course_kit import kit
from tinymeta.view.grading import Grade, grade
from tinymeta.view.lessons import Cell

Show = Callable[[Tree], None]


def learn(parser: argparse.ArgumentParser, arguments: list[str]) -> None:
    """`tinymeta learn [LESSON]`."""
    parser.add_argument("number", nargs="?", metavar="LESSON", help="number or name; without it, all are listed")
    job = parser.add_mutually_exclusive_group()
    job.add_argument("--blank", type=named, metavar="FILE", help="write the student's copy, solutions cut out")
    job.add_argument("--notebook", type=named, metavar="FILE", help="the same as a Jupyter notebook")
    job.add_argument(
        "--teacher", type=named, metavar="DIR", help="write a course kit: blanks, checks, syllabus, slides"
    )
    job.add_argument("--check", type=named, metavar="FILE", help="grade a copy; the exit status is 0 if all is solved")
    parser.add_argument("--zh", action="store_true", help="the prose in Chinese")
    parser.add_argument("--hint", action="store_true", help="with --check: say at once what a third try is told")
    parser.add_argument("--no-input", action="store_true", help="run through without waiting for Enter")
    options = parser.parse_args(arguments)
    if options.teacher:
        if options.number is not None:
            raise UserError("--teacher takes the whole course: leave the lesson out")
        kit(options.teacher)
        print(f"wrote {options.teacher}: begin with syllabus.md; checks/ holds the answers")
        return
    if options.number is None:
        if options.blank or options.check or options.notebook:
            raise UserError("say which lesson, as in `tinymeta learn 3 --blank mine.py`")
        done = record.known()
        for path in lessons.lessons():
            left = record.to_do(path, done)
            print("✓" if not left else "·" if set(left) < set(lessons.exercises(path)) else " ", lessons.title(path))
        lead_on(done)
        return
    path = lessons.find(options.number)
    words = lessons.chinese(path) if options.zh else []
    if options.zh and not words:
        raise UserError(f"{path} is not there in Chinese: leave --zh out")
    if out := options.blank or options.notebook:
        (lessons.blank if options.blank else lessons.notebook)(path, out, words)
        print(f"wrote {out}: fill it in, then `tinymeta learn {options.number} --check {out}`")
    elif options.check:
        grades = grade(path, options.check)
        failed = [found.exercise for found in grades if found.nudge]
        before = record.add((found.exercise for found in grades if not found.problem), failed)
        report(grades, options.check, dict.fromkeys(failed, 2) if options.hint else before)
        lead_on(record.known())
    else:
        attend(path, None if options.no_input else input, words)


def report(grades: list[Grade], student: Path, before: dict[str, int]) -> None:
    """Print how each exercise went, with the line to look at.

    `before` says how often a check had failed before: a nudge comes first, then what is wrong, then the formula, too.

    Raises: SystemExit(1) unless all are solved.
    """
    for exercise, problem, line, nudge, formula in grades:
        tries = before.get(exercise, 1)
        problem = nudge if not tries else f"{problem}\n  {formula}" if tries > 1 and formula else problem
        at = f" in line {line}" if line and student.suffix == ".ipynb" else f" ({student.name}:{line})" * (line > 0)
        print(f"✗ {exercise}{at}: {problem}" if problem else f"✓ {exercise}")
    wrong = sum(bool(found.problem) for found in grades)
    if wrong:
        more = "; the next try is told more (or --hint)" if 0 in before.values() else ""
        print(f"{wrong} of {len(grades)} not there yet: the sentences above say why{more}")
        raise SystemExit(1)
    print("All solved. Well done!")


def lead_on(done: set[str]) -> None:
    """Name the first lesson with something to do."""
    path = record.following(done)
    print(f"Next: `tinymeta learn {int(path.name[:2])}`, {lessons.title(path)}" if path else "The course is done.")


def attend(path: Path, ask: Callable[[str], str] | None, words: Iterable[str] = ()) -> None:
    """Go through a lesson; `ask` waits for Enter before each cell of code (None: don't wait).

    `words` stand in the place of its prose, in another language.
    An exercise is shown as the student's copy has it; what runs is the solution, for the cells after it need one.
    """
    prose, code, say = _surface()
    said = iter(words)
    asked = "Enter runs it"
    namespace: dict[str, Any] = {"__name__": "lesson"}
    for cell in lessons.cells(path):
        if cell.kind == "prose":
            prose(next(said, cell.text))
            asked = "Your prediction, then Enter runs it" if "**Predict" in cell.text else "Enter runs it"
            continue
        if cell.kind == "check":
            say(f"solve it in a copy of your own: `tinymeta learn {path.name[:2]} --blank mine.py`")
            continue
        code(cell._replace(text=lessons.unsolved(cell.text)))
        prediction = ""
        if ask is not None:
            try:
                prediction = ask(f"  {asked}, q leaves: ").strip()
            except EOFError:
                return
            if prediction.lower() == "q":
                return
        before = {name: id(value) for name, value in namespace.items()}
        printed, count = io.StringIO(), Orders()
        # A compiled function runs eagerly while somebody watches, so cells that compile are not counted.
        watching = () if _compiles(cell, namespace) else (count,)
        with contextlib.redirect_stdout(printed), setting(watchers=(*state.watchers, *watching)):
            lessons.run(cell, path, namespace)
        if printed.getvalue():
            say(printed.getvalue().rstrip())
        if prediction:
            say(f"(you predicted: {prediction})")
        asked = "Enter runs it"
        for line in _news(namespace, before):
            say(line)
        if count.seen:
            say("operations: " + ", ".join(f"{n} of order {order}" for order, n in sorted(count.seen.items())))


def _compiles(cell: Cell, namespace: dict[str, Any]) -> bool:
    """Whether a cell compiles, or calls a function of the lesson that does."""
    called = [namespace.get(name) for name in compile(cell.text, "", "exec").co_names]
    names = {name for f in called for name in getattr(getattr(f, "__code__", None), "co_names", ())}
    return "tm.compile" in cell.text or "fit(" in cell.text or not names.isdisjoint({"compile", "fit"})


class Orders(Watcher):
    """Counts the operations that pass, by derivative order."""

    def __init__(self) -> None:
        self.seen: Counter[int] = Counter()

    def saw(self, primitive: type[Primitive], inputs: tuple[Tensor, ...], static: Static, output: Tensor) -> None:
        self.seen[output.order] += 1


def _news(namespace: dict[str, Any], before: dict[str, int]) -> list[str]:
    """The variables that a cell made or changed, with shape and value."""
    lines = []
    for name, value in namespace.items():
        if name.startswith("_") or before.get(name) == id(value) or callable(value) or hasattr(value, "__path__"):
            continue
        shape = getattr(value, "shape", None)
        if shape is None and not isinstance(value, (int, float, str, list, tuple, dict)):
            continue
        text = " ".join(repr(value).split())
        size = f" {tuple(shape)}" if shape else ""
        lines.append(f"{name}{size} = {text if len(text) <= 70 else text[:67] + '…'}")
    return lines


def _surface() -> tuple[Show, Callable[[Cell], None], Show]:
    """How to show prose, code and results: with rich if it is there, else plainly."""
    try:
        from rich.console import Console
        from rich.markdown import Markdown
        from rich.padding import Padding
        from rich.syntax import Syntax
        from rich.text import Text
    except ImportError:
        return (
            lambda text: print(f"\n{text}\n"),
            lambda cell: print("\n".join(f"  │ {line}" for line in cell.text.rstrip().splitlines())),
            lambda line: print(f"  → {line}"),
        )
    console = Console()

    def code(cell: Cell) -> None:
        heading = f"{cell.kind} {cell.name}" if cell.name else ""
        if heading:
            console.print(Text(heading, style="bold magenta"))
        console.print(Padding(Syntax(cell.text.rstrip(), "python", background_color="default", word_wrap=True), (0, 2)))

    return (
        lambda text: console.print(Padding(Markdown(text), (1, 0))),
        code,
        lambda line: console.print(Padding(Text(str(line), style="cyan"), (0, 4))),
    )
