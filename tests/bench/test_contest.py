"""The contest: who runs in which process, and what the table says. No times are looked at."""

from __future__ import annotations

import re
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from types import SimpleNamespace
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
from tinymeta.engine.tree import leaves

SMALL = workload("W1:tasks=2,steps=1,width=4")
SPEED = 1e12  # operations per second
OURS = ("tinymeta compiled", "tinymeta eager")
NOBODY = "a framework of which the worker knows nothing"


class Seen(NamedTuple):
    """A contest of ours, and of one who can't run, on a small workload and a machine of `SPEED`."""

    rows: list[dict[str, str]]
    asked: list[str]  # of workers, in order: who, and for what
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
        asked.append(f"{self.name}: {request.split()[0]}")
        return ask(self, request)

    def begun(*args: Any) -> Any:
        ended.extend(process.poll() is not None for process in workers)
        return race(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", started)
        patch.setattr(contender, "SECONDS", 0.0)  # one step is a turn
        patch.setitem(contender.CONTENDERS, NOBODY, "tinymeta")  # the module that its worker needs is there
        patch.setattr(contest, "CONTENDERS", (*OURS, NOBODY))
        patch.setattr(contest, "race", begun)
        patch.setattr(Contender, "ask", noted)
        rows += [dict(zip(contest.COLUMNS, row, strict=True)) for row in contest.measure(SMALL, None, 1, 1, SPEED)]
    return Seen(rows, asked, ended, workers)


def test_checks_have_ended_before_a_process_that_times_starts(seen: Seen) -> None:
    assert seen.ended == [True, True, True] and len(seen.workers) == 5
    compiled, eager = OURS
    assert seen.asked[:4] == [f"{compiled}: check", f"{compiled}: program", f"{eager}: check", f"{NOBODY}: check"]


def test_turns_are_taken_one_contender_after_the_other(seen: Seen) -> None:
    assert seen.asked[4:] == [f"{name}: time" for name in OURS] * 2  # the first turn is not counted


def test_who_cannot_run_it_has_a_row_that_says_so(seen: Seen) -> None:
    assert list(seen.rows[-1].values()) == [SMALL.name, NOBODY, "can't run it", *[""] * 6]


def test_no_process_is_left(seen: Seen) -> None:
    assert all(process.poll() is not None for process in seen.workers)


def test_every_contender_agrees_and_is_measured(seen: Seen) -> None:
    rows = seen.rows[:-1]
    assert [row["contender"] for row in rows] == [*OURS]
    for row in rows:
        assert float(row["gradient differs by"]) < 1e-12 and float(row["peak, MB"]) > 0
        ratio = float(row["ms"]) / float(rows[0]["ms"])  # of numbers with three digits, to two after the point
        assert float(row["ratio to ours"]) == pytest.approx(ratio, rel=0.01, abs=0.005)
    assert [len(row["checked, and not"].split(", ")) for row in rows] == [2, 1]  # only the compiled one checks itself


def test_all_contenders_are_judged_by_the_operations_of_our_program(seen: Seen) -> None:
    """Share times time, but for rounding to two and to three digits, is what that program costs."""
    step, arguments = prepared(SMALL, backend("tinymeta compiled", threads.count), np.float32)
    step(*arguments)
    flops = step.programs()[0][1].flops()
    for row in seen.rows[:-1]:
        share, seconds = float(row["share of peak"].removesuffix("%")) / 100, float(row["ms"]) / 1e3
        assert share * seconds * SPEED == pytest.approx(flops, rel=0.05 + 0.005)


def test_who_computes_something_else_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """By one number in a thousand, by a NaN, by shapes: its time would say nothing; by rounding, it stays."""
    ours = np.linspace(-1, 1, 7)
    for theirs, trouble in (
        (ours * (1 + 1e-12), ""),
        (ours * 1.001, "another gradient: it differs by 1e-03"),
        (ours[:5], "another gradient: it differs by inf"),
        (np.where(ours > 0.5, np.nan, ours), "another gradient: it differs by nan"),
    ):
        found = {"tinymeta eager": ours, "JAX jit": theirs}
        both = [Contender(name, SMALL, threads=1, patience=1.0) for name in found]
        monkeypatch.setattr(
            contender, "gradients", lambda contenders, told, found=found: [found[c.name] for c in contenders]
        )
        contender.checked(both)
        assert [c.trouble for c in both] == ["", trouble]


def test_all_frameworks_get_the_same_arguments() -> None:
    """Some go through a dictionary in the order of its keys, others in that of their coming in."""

    def turned(f: Any, tree: Any) -> Any:
        if isinstance(tree, dict):
            return {key: turned(f, tree[key]) for key in sorted(tree, reverse=True)}
        return [turned(f, x) for x in tree] if isinstance(tree, list) else f(tree)

    usual = backend("tinymeta eager", threads.count)
    other = SimpleNamespace(**vars(usual) | {"tree_map": turned})
    (_, ours), (_, theirs) = (prepared(workload("hvp"), b, np.float64) for b in (usual, other))
    for a, b in zip(leaves(ours), leaves(theirs), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


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
    monkeypatch.setattr(contender, "SECONDS", 0.0)
    monkeypatch.setattr(contest, "CONTENDERS", dict.fromkeys(OURS, "tinymeta"))
    monkeypatch.setitem(contest.WORKLOADS, SMALL.name, SMALL)
    file = tmp_path / "table.md"
    contest.bench(ArgumentParser(), [SMALL.name, "--threads", "1", "--rounds", "1", "--markdown", str(file)])
    said, titles, _, *printed = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"Measured peak: [\d.e+]+ GFLOP/s \(float32, 1 threads\)\.", said)
    first, blank, head, rule, *rows = file.read_text(encoding="utf-8").splitlines()
    assert (first, blank, rule) == (said, "", "|---" * len(contest.COLUMNS) + "|")
    cells = [row.strip("| ").split(" | ") for row in (head, *rows)]
    assert cells[0] == list(contest.COLUMNS) and [row[:2] for row in cells[1:]] == [[SMALL.name, name] for name in OURS]
    for line, row in zip([titles, *printed], cells, strict=True):
        assert line.split() == " ".join(row).split()


def test_help_names_every_workload_contender_and_column(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        contest.bench(ArgumentParser(), ["--help"])
    text = capsys.readouterr().out
    for name in (*contest.WORKLOADS, "micro", *contest.CONTENDERS, *contest.COLUMNS):
        assert f"\n  {name}  " in text


def test_micro_rows_fill_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    from tinymeta.bench import micro

    short = micro.PROGRAM.replace("REPEATS, CHAIN = 40, 50", "REPEATS, CHAIN = 1, 2")
    assert short != micro.PROGRAM
    monkeypatch.setattr(micro, "PROGRAM", short)
    (row,) = micro.micro(None)
    assert len(row) == len(contest.COLUMNS) and row[:2] == ["micro", "tinymeta eager"]
    assert float(row[2]) > 0 and row[3] == "1.00"


def test_the_measured_peak_is_a_speed() -> None:
    assert peak.measured(1) > 0


def test_a_workload_that_does_not_exist_is_a_users_mistake() -> None:
    with pytest.raises(UserError, match="there is no workload 'W9'"):
        contest.bench(ArgumentParser(), ["W9"])
