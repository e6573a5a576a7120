"""How long a file, the engine and the product may be.

Lines of code have no blanks, comments and docstrings (`lines_of_code`); those of a file are counted with all of them.
"""

from __future__ import annotations

import pytest

from tests.architecture.sources import PRODUCT, ROOT, TESTS, Source, lines_of_code, sizes

FILE = 300
# Where the goal isn't reached, what it has come to: a ceiling that goes down, and never up.
GOALS = {"engine": 1_200, "the product": 15_000}
CEILINGS = {"engine": 1_192, "the product": 30_031}


@pytest.mark.parametrize("source", [*PRODUCT, *TESTS], ids=str)
def test_a_file_has_at_most_300_lines(source: Source) -> None:
    assert len(source.text.splitlines()) <= FILE


@pytest.mark.parametrize("what", GOALS)
def test_the_engine_and_the_product_stay_small(what: str) -> None:
    found = sizes()
    lines = found.total() if what == "the product" else found[what]
    assert lines <= max(GOALS[what], CEILINGS[what])


def test_what_a_student_reads_first_has_at_most_500_lines() -> None:
    files = [ROOT / "tinymeta" / "engine" / f"{name}.py" for name in ("tensor", "primitive", "sweep")]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) <= 500


def test_lines_of_code_are_what_is_left_without_blanks_comments_and_docstrings() -> None:
    text = '"""What it is,\n\nand more."""\n\nx = """no\ndocstring"""  # two lines\n\n# a remark\n'
    text += "def f():\n    'Doc.'\n    return (\n        x)\n"
    assert lines_of_code(Source(ROOT / "tinymeta" / "moved.py", text)) == 2 + 1 + 2
