"""The contest: who runs in which process, and what the table says. No times are looked at."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from tinymeta_kernels import threads

from tinymeta.bench import contender, contest, peak
from tinymeta.bench.backends import backend
from tinymeta.bench.contender import Contender
from tinymeta.bench.worker import prepared
from tinymeta.bench.workloads import workload
from tinymeta.engine.errors import UserError

SMALL = workload("sine-2-1-4")
SPEED = 1e12  # operations per second
OURS = ("tinymeta compiled", "tinymeta eager")


class Seen(NamedTuple):
    """A contest of ours on a small workload, on a machine of `SPEED`."""

    rows: list[dict[str, str]]
    asked: list[str]  # of workers, in order
    ended: list[bool]  # for every worker that was there before the race, whether it was gone when the race began
    workers: list[Any]


@pytest.fixture(scope="module")
def seen() -> Seen:
    rows: list[dict[str, str]] = []
    asked: list[str] = []
    ended: list[bool] = []
    workers: list[Any] = []
    popen, ask, race = subprocess.Popen, Contender.ask, contest.race

    def started(command: Any, *args: Any, **kwargs: Any) -> Any:
        process = popen(command, *args, **kwargs)
        if "tinymeta.bench.worker" in command:
            workers.append(process)
        return process

    def noted(self: Contender, request: str) -> Any:
        asked.append(request.split()[0])
        return ask(self, request)

    def begun(*args: Any) -> Any:
        ended.extend(process.poll() is not None for process in workers)
        return race(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", started)
        patch.setattr(contender, "SECONDS", 0.0)  # one step is a turn
        patch.setattr(contest, "CONTENDERS", OURS)
        patch.setattr(contest, "race", begun)
        patch.setattr(Contender, "ask", noted)
        rows += [dict(zip(contest.COLUMNS, row, strict=True)) for row in contest.measure(SMALL, None, 1, 1, SPEED)]
    return Seen(rows, asked, ended, workers)


def test_checks_have_ended_before_a_process_that_times_starts(seen: Seen) -> None:
    assert seen.ended == [True, True] and len(seen.workers) == 4
    assert seen.asked == ["check", "program", "check", *["time"] * 4]


def test_no_process_is_left(seen: Seen) -> None:
    assert all(process.poll() is not None for process in seen.workers)


def test_every_contender_agrees_and_is_measured(seen: Seen) -> None:
    assert [row["contender"] for row in seen.rows] == [*OURS]
    for row in seen.rows:
        assert float(row["gradient differs by"]) < 1e-12 and float(row["peak, MB"]) > 0


def test_all_contenders_are_judged_by_the_operations_of_our_program(seen: Seen) -> None:
    """Share times time, but for rounding to two and to three digits, is what that program costs."""
    step, arguments = prepared(SMALL, backend("tinymeta compiled", threads.count), np.float32)
    step(*arguments)
    flops = step.programs()[0][1].flops()
    for row in seen.rows:
        share, seconds = float(row["share of peak"].removesuffix("%")) / 100, float(row["ms"]) / 1e3
        assert share * seconds * SPEED == pytest.approx(flops, rel=0.05 + 0.005)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Workers without a process, of which only the compiled one can be timed; who was asked for the time."""
    timed: list[str] = []

    def ask(self: Contender, request: str) -> dict[str, float] | None:
        word, _, detail = request.partition(" ")
        if word == "check":
            np.save(detail, np.ones(3))
        elif word == "time":
            timed.append(self.name)
            if "eager" in self.name:
                self.trouble = "can't run it"
                return None
        return {"flops": 1e9, "checked": 0.25, "unchecked": 0.2, "median": 0.1, "first": 1.0, "peak": 100.0}

    monkeypatch.setattr(Contender, "start", lambda self: None)
    monkeypatch.setattr(Contender, "ask", ask)
    monkeypatch.setattr(contest, "CONTENDERS", OURS)
    return timed


def test_who_cannot_run_it_has_a_row_that_says_so(answers: list[str]) -> None:
    rows = contest.measure(SMALL, None, 1, 2, 1e11)
    assert rows[0] == [SMALL.name, "tinymeta compiled", "100", "1.00", "1.00", "0.250, 0.200", "100", "10%", "0e+00"]
    assert rows[1] == [SMALL.name, "tinymeta eager", "can't run it", "", "", "", "", "", ""]
    assert answers == [*OURS, "tinymeta compiled", "tinymeta compiled"]


def test_who_does_not_answer_is_ended_and_out_of_the_contest() -> None:
    for limit, trouble in ((0.0, "no answer in 0 s"), (100.0, "can't run it")):
        silent = Contender("tinymeta eager", SMALL, threads=1, patience=limit)
        silent._command = [sys.executable, "-c", "input()" + "; input()" * (limit == 0)]  # the second dies at once
        silent.start()
        process = silent._process
        assert silent.ask("time 0") is None
        assert silent.trouble == trouble and contender.race([silent], 1) == []
        silent.close()
        assert process is not None and process.poll() is not None


def test_turns_are_taken_one_contender_after_the_other(answers: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(Contender, "turn", lambda self, seconds: not order.append(self.name))
    contender.race(contender.present(SMALL, None, 1, OURS), 2)
    assert order == [*OURS] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process can't tell its own memory from its parent's")
def test_the_memory_of_the_process_that_starts_a_worker_is_not_counted() -> None:
    program = "from tinymeta.bench.worker import peak_memory; print(peak_memory())"
    ballast = bytearray(300_000_000)
    done = subprocess.run(
        [sys.executable, "-c", program], env=contender.environment(1), capture_output=True, text=True, check=True
    )
    assert 1 < float(done.stdout) < len(ballast) / 2**20


@pytest.mark.parametrize(
    ("flops", "seconds", "speed", "expected"),
    [
        (1e9, 0.1, 1e11, "10%"),  # 10 of 100 billion a second
        (1e9, 0.1, 8e10, "12%"),  # 12.5, to the even digit
        (2e9, 0.02, 1e11, "100%"),
        (1e6, 0.03, 1e11, "0.033%"),
        (1e11, 0.9, 1e11, "110%"),
        (1, 1e3, 1e11, "0.000000000001%"),
    ],
)
def test_the_share_is_operations_by_time_by_peak(flops: float, seconds: float, speed: float, expected: str) -> None:
    assert peak.share(flops, seconds, speed) == expected


def test_the_peak_and_the_table_are_printed_and_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peak, "measured", lambda threads: 123.4e9)
    monkeypatch.setattr(contest, "measure", lambda *_: [[*"abcdefghi"]])
    file = tmp_path / "table.md"
    said = "Measured peak: 123 GFLOP/s (float32, 3 threads)."
    contest.bench(ArgumentParser(), ["W1", "--threads", "3", "--markdown", str(file)])
    assert capsys.readouterr().out.startswith(f"{said}\nworkload ")
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines[:2] == [said, ""] and lines[2].endswith("| share of peak | gradient differs by |")
    assert lines[3:] == ["|---" * 9 + "|", "| a | b | c | d | e | f | g | h | i |"]


def test_help_names_every_workload_contender_and_column(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        contest.bench(ArgumentParser(), ["--help"])
    text = capsys.readouterr().out
    for name in (*contest.WORKLOADS, "micro", *contest.CONTENDERS, *contest.COLUMNS):
        assert f"\n  {name}  " in text


def test_micro_rows_fill_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    from tinymeta.bench import micro

    done = subprocess.CompletedProcess([], 0, stdout="1e-6")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert [len(row) for row in micro.micro("python")] == [len(contest.COLUMNS)] * 2


def test_the_measured_peak_is_a_speed() -> None:
    assert peak.measured(1) > 0


def test_a_workload_that_does_not_exist_is_a_users_mistake() -> None:
    with pytest.raises(UserError, match="there is no workload 'W9'"):
        contest.bench(ArgumentParser(), ["W9"])
