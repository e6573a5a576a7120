"""A case that fails, made as short as it goes: while something smaller fails as well, that takes its place."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from tests.fuzz.agreement import Refused


class Case(Protocol):
    """A random program and what is asked of it. Its `repr` is Python that makes it again."""

    def check(self) -> str:
        """What is wrong, in words; "" if nothing is."""

    def smaller(self) -> Iterator[Any]:
        """Cases with less in them, the smallest first."""

    def names(self) -> Iterable[str]:
        """What was drawn from the vocabulary."""

    def text(self) -> str:
        """The program, as a reader would write it."""


def verdict(case: Case) -> str:
    """`case.check()`, "" where the case itself is refused."""
    try:
        return case.check()
    except Refused:
        return ""


def shrunk(case: Case, seconds: float = 60.0) -> Case:
    """The shortest case that still fails."""
    until = time.monotonic() + seconds
    found = True
    while found and time.monotonic() < until:
        found = False
        for smaller in case.smaller():
            if time.monotonic() > until:
                break
            if verdict(smaller):
                case, found = smaller, True
                break
    return case
