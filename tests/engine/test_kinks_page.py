"""The page of kinks is what the declarations say today, and the declarations are true (P10 in test_primitives)."""

from __future__ import annotations

from pathlib import Path

from tinymeta.engine.primitive import Primitive
from tinymeta.testing.kinks import page

PAGE = Path(__file__).parents[2] / "tutorials" / "kinks.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tinymeta.testing.kinks > tutorials/kinks.md"


def test_the_page_has_a_row_for_every_kink_and_the_side_it_takes() -> None:
    for p in Primitive.registry.values():
        for kink in p.kinks:
            if p.__module__.startswith("tinymeta."):
                rows = [line for line in page().splitlines() if line.startswith(f"| `{p.__name__}` |") and kink.side in line]
                assert rows
