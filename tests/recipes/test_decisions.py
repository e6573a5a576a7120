"""The decision table: every system has its row, and every number comes from a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tinymeta import recipes
from tinymeta.engine.errors import UserError
from tinymeta.recipes.decisions import BEGIN, DECISIONS, END, table

PAGE = Path(__file__).parents[2] / "tutorials" / "systems.md"


def test_the_page_has_a_row_for_every_system() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = text[text.index(BEGIN) : text.index(END)]
    for name, decision in DECISIONS.items():
        assert name in recipes.RECIPES
        assert f"| {decision.method} | `{name}` |" in rows


def test_a_row_holds_the_runs_own_numbers(tmp_path: Path) -> None:
    interval = {"mean": 0.5, "half": 0.01, "n": 5, "unit": ""}
    metrics = {"MLDG": {"unseen families": interval}, "the pool": {"unseen families": interval | {"mean": 0.75}}}
    result = {"recipe": "domains", "metrics": metrics, "seconds": 41.6, "peak_mb": 123}
    (tmp_path / "result.json").write_text(json.dumps(result))
    assert "| 0.500 ± 0.010 | 0.750 ± 0.010 | 42 s | 123 MB |" in table([tmp_path])
    del metrics["the pool"]
    (tmp_path / "result.json").write_text(json.dumps(result))
    with pytest.raises(UserError, match="the pool, unseen families"):
        table([tmp_path])
