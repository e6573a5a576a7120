"""The page of kinks is what the declarations say today, and the declarations are true (P10 in test_primitives)."""

from __future__ import annotations

from pathlib import Path

from tests.testing.kinks_page import page
from tinymeta.engine.primitive import Primitive

PAGE = Path(__file__).parents[2] / "tutorials" / "kinks.md"


def test_the_page_is_current() -> None:
    anew = "python -m tests.testing.kinks_page > tutorials/kinks.md"
    assert PAGE.read_text(encoding="utf-8") == page(), f"write it anew: {anew}"


def test_the_page_has_a_row_for_every_kink_and_the_side_it_takes() -> None:
    rows = page().splitlines()
    for p in Primitive.registry.values():
        for kink in p.kinks if p.__module__.startswith("tinymeta.") else ():
            assert any(row.startswith(f"| `{p.__name__}` |") and kink.side in row for row in rows)
