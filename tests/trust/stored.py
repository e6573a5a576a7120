"""What long trials came to, and of which commit: rows of the table that `python -m tests.trust` prints."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

RESULTS = Path(__file__).with_name("results.json")


class Row(NamedTuple):
    """How many of those that were tried came out well."""

    good: int
    tried: int
    command: str
    commit: str

    def __str__(self) -> str:
        return f"{self.good:7} of {self.tried:7}   {self.command}, {self.commit}"


def stored() -> dict[str, Row]:
    """The rows by title."""
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return {title: Row(**row) for title, row in found.items()}


def store(title: str, good: int, tried: int, command: str, at: str = "") -> None:
    """Keep a row, with the commit that is checked out, or was when several rows were tried."""
    rows = {**stored(), title: Row(good, tried, command, at or commit())}
    text = json.dumps({title: row._asdict() for title, row in sorted(rows.items())}, indent=1)
    RESULTS.write_text(text + "\n", encoding="utf-8")


def commit() -> str:
    """The first digits of the commit that is checked out, and + where files differ from it."""
    command = ["git", "-C", str(RESULTS.parent), "describe", "--always", "--abbrev=7", "--exclude=*", "--dirty=+"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
