"""The table of all trials, and the fuzzing of files: what breaks is counted, told and kept."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests import matrix
from tests.trust import __main__ as table
from tests.trust import foreign_files, fuzzing
from tests.trust.stored import Row, store, stored


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "results.json"
    monkeypatch.setattr("tests.trust.stored.RESULTS", path)
    monkeypatch.setattr("tests.trust.stored.commit", lambda: "1234567")
    monkeypatch.setattr("tests.trust.__main__.commit", lambda: "1234567")
    monkeypatch.setattr(matrix, "TABLE", tmp_path / "none.md")
    return path


def ran(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["trust", *words])
    return table.main()


def test_what_is_stored_is_read_and_what_is_not_names_its_command(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store("mutants killed, nn", 7, 9, "python -m tests.mutants --seed 1")
    assert stored() == {"mutants killed, nn": Row(7, 9, "python -m tests.mutants --seed 1", "1234567")}
    assert ran(monkeypatch, "--stored") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "kills survived", "crash points resumed", "full disks resumed", "hostile folders refused well",
        "hostile .safetensors read alike", "fuzzed files without a crash", "executors bit-equal",
        "environments passed", "mutants killed, engine", "mutants killed, ops", "mutants killed, nn",
        "mutants killed, optim", "two workers over one",
    ]  # fmt: skip
    assert re.search(r"1\.\d+ times as fast as one, 0\.\d+ of that ratio   python -m tests.benchmarks", lines[-1])
    assert " ".join(lines[-3].split()) == "mutants killed, nn 7 of 9 python -m tests.mutants --seed 1, 1234567"
    assert "not tried: python -m tests.matrix" in lines[-6]


@pytest.mark.parametrize("broken", [0, 2])
def test_a_row_counts_what_broke_and_keeps_it(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], broken: int
) -> None:
    monkeypatch.setattr("tests.trust.executors.compared", lambda folder: [""] * 3 + ["other bits"] * broken)
    assert ran(monkeypatch, "--row", "exec", "--keep") == (broken > 0)
    assert stored()["executors bit-equal"][:2] == (3, 3 + broken)
    assert ("2 × other bits" in capsys.readouterr().out) == (broken > 0)


def test_the_results_that_are_kept_are_rows() -> None:
    assert all(0 <= row.good <= row.tried and row.command.startswith("python -m tests.") for row in stored().values())


@pytest.mark.parametrize("kind", foreign_files.KINDS)
def test_a_whole_file_is_taken_and_others_are_refused_in_a_sentence(kind: str, tmp_path: Path) -> None:
    assert foreign_files.tried(kind, foreign_files.whole(kind), tmp_path)
    (found,) = fuzzing.fuzzed([kind], ["hypothesis"], 50, 0)
    assert found == ("hypothesis", kind, 50, "")


def test_a_reader_that_breaks_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path) -> None:
        if path.read_bytes()[:1] != b"{":
            raise KeyError("seed")

    monkeypatch.setitem(foreign_files.KINDS, "config", foreign_files.KINDS["config"]._replace(read=read))
    (found,) = fuzzing.fuzzed(["config"], ["hypothesis"], 200, 0)
    assert "KeyError: 'seed'" in found.wrong


def test_an_edit_takes_bytes_out_and_puts_others_in() -> None:
    assert fuzzing.edited(b"0123456789", [(2, 3, b"ab"), (0, 0, b"-")]) == b"-01ab56789"


def test_environments_are_read_from_where_they_are_kept(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [matrix.Row(name, "3.11", "2.4", "0.68", "AVX2", "9", "passed", "7654321") for name in ("oldest", "wheel")]
    (tmp_path / "matrix.md").write_text(matrix.table(rows), encoding="utf-8")
    monkeypatch.setattr(matrix, "TABLE", tmp_path / "matrix.md")
    assert ran(monkeypatch, "--stored") == 0
    line = capsys.readouterr().out.splitlines()[-6]
    assert line.split()[:5] == ["environments", "passed", "2", "of", str(len(matrix.ENVIRONMENTS))]
    assert line.endswith("7654321")
