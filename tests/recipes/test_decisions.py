"""The decision table: every system has its row, and every number comes from a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tinymeta import recipes
from tinymeta.engine.errors import UserError
from tinymeta.recipes.decisions import BEGIN, END, PLACES, updated

PAGE = (Path(__file__).parents[2] / "tutorials" / "systems.md").read_text(encoding="utf-8")


def test_the_page_has_a_row_of_eight_cells_for_every_system() -> None:
    rows = PAGE[PAGE.index(BEGIN) : PAGE.index(END)].splitlines()
    for name in PLACES:
        assert name in recipes.RECIPES
        (row,) = (row for row in rows if f" | `{name}` | " in row)
        assert len(row.split(" | ")) == 8


def test_a_row_holds_the_runs_own_numbers_and_the_others_stay(tmp_path: Path) -> None:
    interval = {"mean": 0.5, "half": 0.01, "n": 5, "unit": ""}
    metrics = {
        "MLDG": {"unseen families": interval},
        "the pool, without the hint": {"unseen families": interval | {"mean": 0.75}},
    }
    result = {"recipe": "domains", "metrics": metrics, "seconds": 41.6, "peak_mb": 123}
    (tmp_path / "result.json").write_text(json.dumps(result))
    before, after = PAGE.splitlines(), updated(PAGE, [tmp_path]).splitlines()
    ((old, new),) = ((a, b) for a, b in zip(before, after, strict=True) if a != b)
    assert "| `domains` | " in new and "| 0.500 ± 0.010 | 0.750 ± 0.010 | 42 s | 123 MB |" in new
    assert new.split(" | ")[:3] + new.split(" | ")[7:] == old.split(" | ")[:3] + old.split(" | ")[7:]
    del metrics["the pool, without the hint"]
    (tmp_path / "result.json").write_text(json.dumps(result))
    with pytest.raises(UserError, match="the pool, without the hint, unseen families"):
        updated(PAGE, [tmp_path])


def test_a_run_that_the_table_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished run"):
        updated(PAGE, [tmp_path])
    (tmp_path / "result.json").write_text(json.dumps({"recipe": "linear", "metrics": {}, "seconds": 1.0}))
    with pytest.raises(UserError, match="of which the table says nothing"):
        updated(PAGE, [tmp_path])
