"""`tinymeta` as a function in an empty folder, with the toy recipe in the table; a run on pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipes import toy_recipe
from tests.recipes.pictures import BRIEFLY, write_folder
from tests.recipes.toy_console import Command, Outcome
from tinymeta import recipes
from tinymeta.cli import main


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's own cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a folder of eight classes; the other four are new to it."""
    folder = tmp_path_factory.mktemp("images")
    data = write_folder(folder / "data", range(8))
    assert (
        main(["run", "images", *BRIEFLY, "final=yes", "--data", str(data), "--out", str(folder / "run"), "--quiet"])
        == 0
    )
    return folder / "run"


@pytest.fixture
def tinymeta(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYMETA_DATA", raising=False)
    monkeypatch.setitem(recipes.RECIPES, "toy", recipes.Entry("tests.recipes.toy_recipe", toy_recipe.IDEA))

    def command(*arguments: str) -> Outcome:
        status = main(arguments)
        return Outcome(status, *capsys.readouterr())

    return command
