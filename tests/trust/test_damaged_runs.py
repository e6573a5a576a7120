"""A share of what `python -m tests.trust` tries on damaged folders; and what was wrong once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trust.damaged_runs import answered, damages, of_sine, tried

RUN = Path(__file__).parents[1] / "recipes" / "old_runs" / "0.2.0" / "sine"
ALL = list(damages(RUN))
ONCE = [  # each ended in a traceback, or in a sentence of a hundred thousand characters
    "metrics.jsonl is a folder",
    "checkpoint.npz is a folder",
    "config.json lacks data",
    "config.json, data: half of a character",
    "config.json, recipe: much",
    "checkpoint.npz is encrypted",
    "checkpoint.npz says 8 GB",
    "checkpoint.npz has gone -1 iterations",
    "metrics.jsonl, seconds: a list",
    "metrics.jsonl, stage: red",
    "metrics.jsonl, stage: half of a character",
    "metrics.jsonl, stage: a zero byte",
]


@pytest.mark.parametrize("name", [*ONCE, *ALL[::23]])
def test_a_damaged_folder_costs_a_sentence(name: str, tmp_path: Path) -> None:
    assert [wrong for wrong in tried(RUN, [name], of_sine, tmp_path) if wrong] == []


def test_there_are_hundreds_of_damages() -> None:
    assert len(ALL) > 300


def test_a_traceback_and_an_obeyed_character_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(arguments: list[str]) -> int:
        if arguments[0] == "raise":
            raise KeyError("data")
        print("\x1b[31m" if arguments[0] == "red" else "well")
        return 1 if arguments[0] == "one" else 0

    monkeypatch.setattr("tests.trust.damaged_runs.main", wrong)
    assert "KeyError" in answered(tmp_path, ("raise",))
    assert "would obey" in answered(tmp_path, ("red",))
    assert "status 1" in answered(tmp_path, ("one",))
    assert answered(tmp_path, ("well",)) == ""
