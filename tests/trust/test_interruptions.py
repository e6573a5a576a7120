"""A share of what `python -m tests.trust` tries on runs that are interrupted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.trust.interruptions import came_to, toy, trial, went_on


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, object]:
    assert toy("--out", str(tmp_path / "whole")) == 0
    return came_to(tmp_path / "whole")


@pytest.mark.skipif(os.name != "posix", reason="Windows gives files back to a process's heirs at other times")
@pytest.mark.parametrize("what", ["death", "a full disk"])
@pytest.mark.parametrize("at", [3, 17, 40])
def test_a_run_that_met_the_worst_goes_on_to_the_same_bits(
    tmp_path: Path, whole: dict[str, object], what: str, at: int
) -> None:
    status, _ = trial(tmp_path / "run", at, what)
    assert status in ((9,) if what == "death" else (0, 2))
    assert went_on(tmp_path / "run") == whole
