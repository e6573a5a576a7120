"""What a path may be on the command line, and what is said of one that is none."""

from __future__ import annotations

import errno
from typing import NoReturn

import pytest

from tests.cli.test_command_line import one_sentence
from tinymeta import cli

PATHS = [("eval", "{}"), ("run", "images", "--data", "{}"), ("run", "linear", "--out", "{}")]
PATHS += [("runs", "{}"), ("runs", "--clean", "{}", "--yes"), ("learn", "1", "--check", "{}")]


@pytest.mark.parametrize("words", PATHS)
def test_a_path_of_nothing_is_not_the_folder_at_hand(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for path, said in (("", "a path is empty: write it out"), ("~nobody_here/x", "a home that there is none of")):
        assert cli.main([word.format(path) for word in words]) == 2
        err = capsys.readouterr().err
        assert one_sentence(err) and said in err


def test_a_path_that_may_not_be_looked_at_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def closed(*arguments: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied", "locked/x")

    monkeypatch.setattr(cli, "_dispatch", closed)
    assert cli.main(["runs", "locked/x"]) == 2
    assert capsys.readouterr().err == ("tinymeta: you may not look at locked/x\n")


@pytest.mark.parametrize("words", PATHS[:3])
def test_a_path_that_is_too_long_is_said(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([word.format("y" * 5000) for word in words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("tinymeta: no file has a name as long as yyy") and len(said) < 100
