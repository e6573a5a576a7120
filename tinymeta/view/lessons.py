"""Lessons as files: plain Python in cells (`# %%`), read by people, run by anything.

    # %% [markdown]          prose, in comment lines
    # %%                     code
    # %% exercise slope      code whose solution stands between `# BEGIN SOLUTION` and `# END SOLUTION`
    # %% check slope         asserts about the exercise, each with a sentence that helps

A check begins with what the grader reads, each in a comment line of its own:

    # without: tm, loops     names that the exercise must do without, such as np.add; `loops` are all of Python's
    # seconds: 300           that it may take, if more than 60
    # nudge: …               what a first failing try is told: a question, a place to look at
    # formula: …             what a third is told, beside the sentence that the second had: the line itself

A lesson ends with its trace (`page`) and shows at least one `figure`.

The committed file is solved, so that it runs as it is. A student's copy (`blank`, `notebook`) has neither solutions
nor checks, which hold answers: `tinymeta.view.grading` runs the committed ones.
"""

from __future__ import annotations

import base64
import html
import io
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tinymeta.engine.errors import UserError
from tinymeta.io.files import whole, write_text
from tinymeta.view import style

_MARK = re.compile(r"^# %%(?P<rest>.*)$")
_PROSE = re.compile(r"^(# %% \[markdown\]\n)(?:#(?! %%).*\n)+\n*", re.M)
_CHECK = re.compile(r"^# %% check .*\n(?:(?!# %%).*\n)*", re.M)
_SOLUTION = re.compile(r"^(?P<indent> *)# BEGIN SOLUTION\n.*?^ *# END SOLUTION\n", re.M | re.S)


class Cell(NamedTuple):
    """One cell of a lesson."""

    kind: str  # "prose", "code", "exercise" or "check"
    name: str  # of the exercise; else empty
    text: str  # the prose without its comment signs, or the code
    line: int  # of its first line in the file, from 0


def folder() -> Path:
    """Where the lessons are: in the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "lessons"
    return installed if installed.is_dir() else package.parent / "tutorials"


def lessons() -> list[Path]:
    """All lessons, in order."""
    return sorted(folder().glob("[0-9][0-9]_*.py"))


def find(wanted: str | int) -> Path:
    """The lesson of that number or name, the only one whose name has `wanted` in it, or a file of one's own, `x.py`."""
    if str(wanted).endswith(".py"):
        return Path(str(wanted))
    there, name = lessons(), re.sub(r"\W+", "_", str(wanted).lower())
    if name.isdigit():
        found = [path for path in there if int(path.name[:2]) == int(name)]
    else:
        found = [path for path in there if name in (path.stem, path.stem[3:])]
        found = found or [path for path in there if name in path.stem]
    if len(found) != 1:
        several = "is one of several: " + ", ".join(path.stem[3:] for path in found)
        none = f"is not there: they go from {there[0].name[:2]} to {there[-1].name[:2]}; `tinymeta learn` lists them"
        raise UserError(f"the lesson {wanted} {several if found else none}")
    return found[0]


def title(path: Path) -> str:
    """The lesson's first heading."""
    heading = re.search(r"^# # (.+)$", path.read_text(encoding="utf-8"), re.M)
    return heading[1] if heading else path.stem


def exercises(path: Path) -> list[str]:
    """The names of a lesson's exercises, in order."""
    return [cell.name for cell in cells(path) if cell.kind == "exercise"]


def written(path: Path) -> dict[str, int]:
    """How many lines a student writes in each exercise: those of the solution, without blank ones and comments."""
    found = {}
    for cell in cells(path):
        if cell.kind == "exercise":
            lines = "".join(match[0] for match in _SOLUTION.finditer(cell.text)).splitlines()
            found[cell.name] = sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in lines)
    return found


def cells(path: Path) -> list[Cell]:
    """The cells of a lesson or of a student's copy, be it a notebook.

    Raises: UserError where that can't be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return _of_notebook(json.loads(text)) if path.suffix == ".ipynb" else _of_script(text)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"can't read {path} as a lesson: name the file that --blank or --notebook wrote") from error


def _of_script(text: str) -> list[Cell]:
    lines = text.splitlines(keepends=True)
    starts = [i for i, line in enumerate(lines) if _MARK.match(line)]
    found = []
    for start, stop in zip(starts, [*starts[1:], len(lines)]):
        title = _MARK.match(lines[start].rstrip("\n"))["rest"].strip()  # type: ignore[index]
        body = lines[start + 1 : stop]
        if title == "[markdown]":
            text = "".join(line.removeprefix("#").removeprefix(" ") for line in body)
            found.append(Cell("prose", "", text.strip(), start + 1))
        else:
            found.append(_code(title, "".join(body), start + 1))
    return found


def _of_notebook(book: dict[str, Any]) -> list[Cell]:
    """Lines are counted from the top of each cell, as Jupyter does."""
    return [
        _code(cell["metadata"].get("title", ""), "".join(cell["source"]), 0)
        if cell["cell_type"] == "code"
        else Cell("prose", "", "".join(cell["source"]), 0)
        for cell in book["cells"]
    ]


def _code(title: str, text: str, line: int) -> Cell:
    kind, _, name = title.partition(" ")
    known = kind in ("exercise", "check")
    return Cell(kind if known else "code", name.strip() if known else "", text, line)


def chinese(path: Path) -> list[str]:
    """What a lesson says in Chinese, a block for each cell of prose, from `zh/NAME.md`; none if that isn't there."""
    file = path.parent / "zh" / f"{path.stem}.md"
    return re.split(r"\n+\+\+\+\n+", file.read_text(encoding="utf-8").strip()) if file.is_file() else []


def built(lesson: str, *names: str) -> list[object]:
    """What exercises define, solved: `Node, gradient = built("a_derivative_by_hand", "Node", "gradient")`."""
    path, namespace, imports = find(lesson), {"__name__": "lesson"}, True
    for cell in cells(path):
        if cell.kind == "exercise" or (cell.kind == "code" and (imports or "built(" in cell.text)):
            run(cell, path, namespace)
            imports = False
    return [namespace[name] for name in names]


def run(cell: Cell, path: Path, namespace: dict[str, Any]) -> None:
    """Run a cell under its own file name and line numbers, so that tracebacks and cached kernels find it."""
    exec(compile("\n" * cell.line + cell.text, str(path), "exec"), namespace)


def unsolved(text: str, grader: str = "") -> str:
    """A lesson's text without solutions; each check gives way to the command that runs it."""
    text = _SOLUTION.sub(lambda m: f"{m['indent']}...  # your turn\n", text)
    return _CHECK.sub(f"# %%\n# {grader} judges it\n\n", text) if grader else text


def blank(path: Path, out: Path, words: Iterable[str] = ()) -> None:
    """Write the student's copy: every solution gives way to `...`, and the prose to `words` in another language."""
    write_text(_free(out), _copy(path, out, words))


def _copy(path: Path, out: Path, words: Iterable[str]) -> str:
    said = iter(words)

    def prose(cell: re.Match[str]) -> str:
        block = next(said, "")
        return cell[1] + re.sub("^", "# ", block, flags=re.M) + "\n\n" if block else cell[0]

    text = _PROSE.sub(prose, path.read_text(encoding="utf-8"))
    return unsolved(text, f"`tinymeta learn {path.name[:2]} --check {out.name}`")


def _free(out: Path) -> Path:
    if out.exists():
        raise UserError(f"{out} is there already, and may hold somebody's work: choose another name")
    return out


def page(trace: Any, number: int) -> None:
    """Write the trace page that a lesson ends with to the temporary folder, and say where it is."""
    out = Path(tempfile.gettempdir()) / f"tinymeta-lesson-{number:02}.html"
    trace.html(out)
    print(f"the trace page, to step through in a browser: {out}")


def figure(draw: Callable[..., object], number: int, alt: str, **layout: Any) -> None:
    """Show what `draw(*axes)` draws, in the project's look: below a notebook's cell, elsewhere as a file that is named.

    Colours are "C0" to "C5", which all eyes tell apart; what has a `label` stands in a legend below the axes. Without
    matplotlib a sentence says so, and the lesson goes on.

    Parameters
    ----------
    draw : callable
        Takes the axes, one argument each, and gives the file its name.
    number : int
        Of the lesson.
    alt : str
        What the figure shows, in words, for those who don't see it.
    layout
        `rows`, `columns`, `height` in inches, `title` and what else `style.panels` takes.
    """
    picture = io.BytesIO()
    try:
        style.sketch(draw, picture, **layout)
    except style.MissingMatplotlib as error:
        print(f"no figures: {error}")
        return
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if hasattr(shell, "kernel"):  # a notebook's, or that of what builds a page of it
        source = base64.b64encode(picture.getvalue()).decode()
        shown = f'<img alt="{html.escape(alt)}" width="{96 * style.WIDTH:.0f}" src="data:image/png;base64,{source}">'
        shell.display_pub.publish({"text/html": shown, "text/plain": alt})
        return
    out = Path(tempfile.gettempdir()) / f"tinymeta-lesson-{number:02}-{draw.__name__}.png"
    with whole(out) as stream:
        stream.write(picture.getvalue())
    print(f"{alt}\nthe figure: {out}")


def notebook(path: Path, out: Path, words: Iterable[str] = ()) -> None:
    """Write the student's copy as a Jupyter notebook (nbformat 4.5)."""
    if out.suffix != ".ipynb":
        raise UserError(f"a notebook's name ends in .ipynb, and {out} doesn't")
    found: list[dict[str, Any]] = []
    for k, cell in enumerate(_of_script(_copy(path, out, words))):
        named: dict[str, Any] = {"title": f"{cell.kind} {cell.name}"} if cell.name else {}
        found.append({"id": f"cell-{k}", "metadata": named, "source": cell.text.strip("\n"), "cell_type": "markdown"})
        if cell.kind != "prose":
            found[-1] |= {"cell_type": "code", "execution_count": None, "outputs": []}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = {"cells": found, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    write_text(_free(out), json.dumps(book, ensure_ascii=False, indent=1) + "\n")
