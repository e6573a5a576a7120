"""ARCHITECTURE.md says what is: the rooms from the ground up, what each may import, how large it is, which files."""

from __future__ import annotations

import re

import pytest

from tests.architecture.page import PAGE, below, rows
from tests.architecture.sources import ROOT, sizes
from tests.architecture.test_imports import BELOW

TEXT = PAGE.read_text(encoding="utf-8")
ROWS = rows(TEXT)


def stale(room: str, said: tuple[str, int], lines: int) -> list[str]:
    """What the page says of a room and isn't so; a twelfth of its lines, or 40, may come and go unsaid."""
    wrong = [] if said[0] == below(room) else [f"{room} may import {below(room)}, not {said[0]}"]
    return wrong + ([] if abs(said[1] - lines) <= max(40, lines // 12) else [f"{room} has {lines} lines of code"])


def test_the_page_has_the_rooms_in_their_order() -> None:
    assert list(ROWS) == list(BELOW)


def test_what_the_page_says_of_rooms_is_so() -> None:
    lines = sizes()
    wrong = [fault for room, said in ROWS.items() for fault in stale(room, said, lines[room])]
    assert not wrong, "`python -m tests.architecture.page` writes it anew"


def test_a_page_that_is_no_longer_so_is_seen() -> None:
    assert stale("ops", ("`engine`", 1000), 1000) == []
    assert stale("ops", ("`engine`, `nn`", 1000), 1000)
    assert stale("ops", ("`engine`", 1000), 1200)


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "README.md", "CONTRIBUTING.md"])
def test_links_to_files_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([\w./-]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert links and [link for link in links if not (ROOT / link).exists()] == []
