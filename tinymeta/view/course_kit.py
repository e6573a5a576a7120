"""`tinymeta learn --teacher DIR`: what a course needs, as files that can be changed.

blanks/      the students' copies, as scripts and as notebooks
checks/      the lessons with solutions and checks, for the teacher and the grader alone
grade.yml    a job for continuous integration: grades what stands in `work/` by `checks/`
syllabus.md  the lessons in order: what they ask, their exercises, how many lines a student writes
slides.html  a slide per lesson, with its figures and the derivative table that it ends with, from pictures/
"""

from __future__ import annotations

import contextlib
import html
import io
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tinymeta.engine.errors import UserError
from tinymeta.io.files import told, write_text
from tinymeta.view import lessons
from tinymeta.view.trace import Trace


def kit(out: Path, say: Callable[[str], None] = print) -> None:
    """Write the kit to a folder that isn't there yet; every lesson runs once, for its picture.

    Raises: UserError where something stands there, or it can't be written.
    """
    if out.exists():
        raise UserError(f"{out} is there already: name a folder that isn't")
    with told(out):
        for name in ("blanks", "checks", "pictures"):
            (out / name).mkdir(parents=True)
    slides, rows, total = [], [], 0
    for path in lessons.lessons():
        say(f"{path.stem} runs once, for its picture")
        lessons.blank(path, out / "blanks" / path.name)
        lessons.notebook(path, out / "blanks" / f"{path.stem}.ipynb")
        write_text(out / "checks" / path.name, path.read_text(encoding="utf-8"))
        slides.append(_slide(path, _pictures(path, out)))
        exercises = lessons.exercises(path)
        written = sum(lessons.written(path).values())
        total += written
        rows.append(f"| {lessons.title(path)} | {', '.join(exercises)} | {written} |")
    table = "\n".join(["| lesson | exercises | lines to write |", "|---|---|---|", *rows])
    write_text(out / "syllabus.md", f"# Syllabus\n\n{table}\n\nA student writes {total} lines in all.\n")
    write_text(out / "slides.html", _part("slides.html").replace("{{slides}}", "\n".join(slides)))
    write_text(out / "grade.yml", _part("grade.yml"))


def _pictures(path: Path, out: Path) -> list[tuple[str, Path]]:
    """Run a lesson; its figures and the table of the trace that it ends with, in words and as files within `out`."""
    namespace: dict[str, object] = {"__name__": "lesson"}
    kept, printed, pictures = tempfile.tempdir, io.StringIO(), Path("pictures")
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(printed):
        tempfile.tempdir = folder  # the lesson's figures and its page go there
        try:
            for cell in lessons.cells(path):
                if cell.kind in ("code", "exercise"):
                    lessons.run(cell, path, namespace)
        finally:
            tempfile.tempdir = kept
        found = []
        for words, figure in re.findall(r"^(.+)\nthe figure: (.+)$", printed.getvalue(), re.M):
            found.append((words, pictures / Path(figure).name))
            shutil.copyfile(figure, out / found[-1][1])
    trace, table = namespace["trace"], pictures / f"{path.stem}.svg"
    assert isinstance(trace, Trace)
    trace.svg(out / table)
    words = f"The operations of the program that lesson {lessons.title(path)} ends with, by derivative order"
    return [*found, (words, table)]


def _part(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _slide(path: Path, pictures: list[tuple[str, Path]]) -> str:
    first, *_ = (cell.text for cell in lessons.cells(path) if cell.kind == "prose")
    _, words, *_ = first.split("\n\n")
    plain = html.escape(re.sub(r"[*`]", "", " ".join(words.split())))
    name = html.escape(lessons.title(path))
    shown = [f'<img src="{file.as_posix()}" alt="{html.escape(words)}">' for words, file in pictures]
    return "\n".join(["<section>", f"<h1>{name}</h1>", f"<p>{plain}</p>", *shown, "</section>"])
