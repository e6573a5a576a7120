"""What is awkward comes out well, each case by itself, and a case that doesn't would be seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.awkward import commands
from tests.awkward.__main__ import ROOMS
from tests.awkward.cases import Case, Refused, Says
from tinymeta.engine.errors import UserError

CASES = {f"{room}: {title}": case for room, cases in ROOMS.items() for title, case in cases.items()}


@pytest.fixture(scope="module", autouse=True)
def runs() -> Iterator[None]:
    yield
    commands.forget()


@pytest.mark.parametrize("title", CASES)
def test_what_is_awkward_is_read_right_or_refused_in_a_sentence(title: str, tmp_path: Path) -> None:
    assert CASES[title].came_to(tmp_path) == ""


def refuse(sentence: str) -> object:
    raise UserError(sentence)


WRONG = {
    "read, though to be refused": Case(lambda _: {"a": 2}, Refused("")),
    "read wrong": Case(lambda _: [1, 2], [1, 3]),
    "refused, though to be read": Case(lambda _: refuse("no"), [1]),
    "refused for another reason": Case(lambda _: refuse("no"), Refused("yes")),
    "refused in two lines": Case(lambda _: refuse("no\nno"), Refused("no")),
    "read, and not told": Case(lambda _: Says("all is well"), Says("but for one")),
    "a traceback": Case(lambda _: {}["key"], Refused("")),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_case_that_comes_out_otherwise_is_noticed(name: str, tmp_path: Path) -> None:
    assert WRONG[name].came_to(tmp_path) != ""


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60
