"""Lessons as notebooks: what a student reads and runs, solutions folded away, and the same in Chinese.

The cells of code are those of `tutorials/NN_name.py` in both languages, so that they run once. The Chinese prose is a
file `tutorials/zh/NN_name.md`: one block per cell of prose, in order, parted by lines `+++`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tinymeta.view import lessons
from tinymeta.view.lessons import Cell
from tutorials.site.pages import Site

_CHINESE = re.compile(r"[\u4e00-\u9fff]{4}")
_WORDS = {
    "en": {
        "solution": "Show a solution",
        "hide": "Hide the solution",
        "grade": "Yours to write: `tinymeta learn {n} --blank mine.py`, judged by `tinymeta learn {n} --check mine.py`.",
        "trace": "Every step of the program above",
        "open": "Open it on a page of its own",
    },
    "zh": {
        "solution": "显示答案",
        "hide": "隐藏答案",
        "grade": "由你来写：`tinymeta learn {n} --blank mine.py` 写出练习本，`tinymeta learn {n} --check mine.py` 批改。",
        "trace": "上面程序的每一步",
        "open": "在单独的页面中打开",
    },
}
# Runs before a lesson, unseen: its last line writes the trace's page, which goes beside the site's.
SETUP = """\
import os
from pathlib import Path
from tinymeta.view import lessons as _lessons

def _page(trace, number):
    trace.title = f"Lesson {number}"
    trace.html(Path(os.environ["TINYMETA_TRACES"], f"{number:02}.html"))

_lessons.page = _page
get_ipython().ast_node_interactivity = "none"  # a lesson prints what it shows
"""


def add(site: Site) -> None:
    """The pages of all lessons, in each language that has their prose."""
    for language in _WORDS:
        for path in lessons.lessons():
            if (prose := _prose(path, language)) is not None:
                page = f"{'zh/' * (language == 'zh')}course/{path.stem}"
                prose = [site.linked(text, f"tutorials/{path.name}", page) for text in prose]
                site.notebooks[page] = book(path, prose, language)


def _prose(path: Path, language: str) -> list[str] | None:
    """The lesson's cells of prose; None where nobody has written them in this language.

    Raises: SystemExit where there are more or fewer blocks in Chinese than cells.
    """
    english = [cell.text for cell in lessons.cells(path) if cell.kind == "prose"]
    if language == "en":
        return ["\n\n".join(p for p in text.split("\n\n") if not _CHINESE.search(p)) for text in english]
    blocks = lessons.chinese(path)
    if blocks and len(blocks) != len(english):
        raise SystemExit(f"{path.name}: {len(blocks)} blocks of Chinese for {len(english)} cells of prose")
    return blocks or None


def book(path: Path, prose: list[str], language: str) -> str:
    """The notebook's JSON (nbformat 4.5)."""
    words, left, found = _WORDS[language], iter(prose), [_code(SETUP, "remove-cell")]
    for cell in lessons.cells(path):
        if cell.kind == "prose":
            found.append(_text(next(left)))
        elif cell.kind == "exercise":
            found += _exercise(cell, words, int(path.name[:2]))
        elif cell.kind == "code":
            found.append(_code(cell.text.strip("\n")))
    found.append(_text(_frame(path, words, depth=1 + (language == "zh"))))
    for k, cell in enumerate(found):
        cell["id"] = f"cell-{k}"
    about = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": found, "metadata": about, "nbformat": 4, "nbformat_minor": 5}, indent=1)


def _exercise(cell: Cell, words: dict[str, str], number: int) -> list[dict[str, Any]]:
    """What the student is given, and the solution, which runs, behind a button."""
    blank = lessons.unsolved(cell.text).strip("\n")
    solved = re.sub(r"^ *# (BEGIN|END) SOLUTION\n", "", cell.text, flags=re.M).strip("\n")
    prompts = {"code_prompt_show": words["solution"], "code_prompt_hide": words["hide"]}
    given = f"```python\n{blank}\n```\n\n{words['grade'].format(n=number)}"
    return [_text(given), _code(solved, "hide-input") | {"metadata": {"tags": ["hide-input"], "mystnb": prompts}}]


def _frame(path: Path, words: dict[str, str], depth: int) -> str:
    page = f"{'../' * depth}traces/{path.name[:2]}.html"
    return (
        f'<iframe class="trace" src="{page}" title="{words["trace"]}" loading="lazy"></iframe>\n'
        f'<p class="trace"><a href="{page}">{words["open"]}</a></p>'
    )


def _text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


def _code(source: str, *tags: str) -> dict[str, Any]:
    cell = {"cell_type": "code", "metadata": {"tags": [*tags]}, "source": source}
    return cell | {"execution_count": None, "outputs": []}
