"""The README's example prints what it says it prints, and its first block holds the two commands."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)


def test_the_example_prints_what_its_comments_say() -> None:
    (example, *_) = blocks("python")
    promised = [line.split("# ", 1)[1].strip() for line in example.splitlines() if "print(" in line]
    assert promised, "the example prints nothing"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, str(README), "exec"), {})
    assert printed.getvalue().splitlines() == promised


def test_the_primitive_of_ones_own_passes_the_suite_of_properties() -> None:
    _, example = blocks("python")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, str(README), "exec"), {})
    assert printed.getvalue().split() == ["12.0"]


def test_the_chinese_page_mirrors_commands_example_and_lessons() -> None:
    chinese = README.with_name("README.zh-CN.md").read_text(encoding="utf-8")
    english = README.read_text(encoding="utf-8")
    lessons = re.findall(r"\((tutorials/\d\d_\w+\.py)\)", english)
    assert lessons == re.findall(r"\((tutorials/\d\d_\w+\.py)\)", chinese)
    assert lessons == [f"tutorials/{path.name}" for path in sorted((README.parent / "tutorials").glob("[0-9]*.py"))]
    code = [
        re.sub(r" *#.*", "", re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)[0]) for text in (english, chinese)
    ]
    assert code[0] == code[1]


def test_the_example_is_fifteen_lines_or_less() -> None:
    (example, *_) = blocks("python")
    assert len([line for line in example.splitlines() if line.strip()]) <= 15


def test_a_first_readers_path_names_eight_files_in_their_order() -> None:
    (section,) = re.findall(r"^## How it works\n(.*?)^## ", README.read_text(encoding="utf-8"), re.M | re.S)
    path = re.findall(r"^(\d)\. \[`([\w/.]+)`\]\(tinymeta/([\w/.]+)\)", section, re.M)
    assert [int(number) for number, _, _ in path] == list(range(1, len(path) + 1)) and 0 < len(path) <= 8
    assert all(name == link and README.parent.joinpath("tinymeta", link).is_file() for _, name, link in path)


def test_the_first_block_holds_the_two_commands_and_nothing_else() -> None:
    first = re.search(r"^```\w*\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)
    assert first is not None
    commands = [line.split("#")[0].strip() for line in first[1].splitlines()]
    assert commands == ['pip install -e ".[all]" && tinymeta', 'pip install -e ".[all]" && pytest']
