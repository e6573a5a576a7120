"""A run that is stopped in the middle of a training and goes on, beside one that is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tinymeta.recipes.run import Run


class Counted:
    """A function that counts its calls, and interrupts the one after `stop` of them."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f, self.calls, self.stop = f, 0, -1

    def __call__(self, *args: Any) -> Any:
        if self.calls == self.stop:
            raise KeyboardInterrupt
        self.calls += 1
        return self.f(*args)

    def again(self, stop: int = -1) -> None:
        self.calls, self.stop = 0, stop


def two_runs(folder: Path, recipe: str, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Folders for a whole run and a stopped one, without pictures."""
    monkeypatch.setattr(Run, "draw", lambda *_, **__: None)
    runs = [Run(folder / name, recipe, quiet=True) for name in ("whole", "stopped")]
    for run in runs:
        run.folder.mkdir()
    return runs


def check_stop(recipe: ModuleType, config: Any, runs: list[Run], draws: Counted, whole: int, stop: int) -> None:
    """A run that is stopped after `stop` draws and resumed ends as one that makes all `whole`, to the same bytes. The
    draws that it made after the stop are left in `draws`."""
    expected = recipe.train(config, runs[0])
    assert draws.calls == whole
    draws.again(stop)
    with pytest.raises(KeyboardInterrupt):
        recipe.train(config, runs[1])
    draws.again()
    runs[1].resume = True
    assert recipe.train(config, runs[1]) == expected
    assert runs[1].checkpoint.read_bytes() == runs[0].checkpoint.read_bytes()
