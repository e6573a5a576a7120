"""`tinymeta` as a function in an empty folder, with the toy recipe in the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipes import toy_recipe
from tests.recipes.toy_console import Command, Outcome
from tinymeta import recipes
from tinymeta.cli import main


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def tinymeta(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYMETA_DATA", raising=False)
    monkeypatch.setitem(recipes.RECIPES, "toy", recipes.Entry("tests.recipes.toy_recipe", toy_recipe.IDEA))

    def command(*arguments: str) -> Outcome:
        status = main(arguments)
        return Outcome(status, *capsys.readouterr())

    return command
