"""Progress: a bar on a terminal, few lines elsewhere, nothing when quiet; always on stderr."""

from __future__ import annotations

import pytest

from tinymeta.view import progress as module
from tinymeta.view.progress import LINES, clock, progress


def run(total: int, n: int = 1, quiet: bool = False, done: int = 0) -> None:
    with progress(total, "maml", quiet, done) as bar:
        bar.say("compiling kernels…")
        for _ in range(done, total, n):
            bar.advance(n, query_loss=0.5)


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which every look takes half a second."""
    now = iter(range(10**6))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(now) / 2)


@pytest.mark.parametrize("total", [0, 1, 7, LINES, 1000])
def test_off_a_terminal_a_run_has_few_lines_and_ends_with_the_last(
    total: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run(total)
    out, err = capsys.readouterr()
    said, *lines = err.splitlines()
    assert out == "" and said == "maml: compiling kernels…"
    assert len(lines) == min(total, LINES)
    assert all("query loss 0.5" in line for line in lines)
    assert not lines or lines[-1].startswith(f"maml: {total}/{total}")


def test_steps_of_several_iterations_count(capsys: pytest.CaptureFixture[str]) -> None:
    run(100, n=50)
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()[1:]] == ["50/100", "100/100"]


def test_a_resumed_run_counts_on_and_repeats_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    run(1200, done=600)
    lines = capsys.readouterr().err.splitlines()[1:]
    assert len(lines) == LINES // 2 and lines[0].startswith("maml: 720/1200")


@pytest.mark.usefixtures("ticks")
def test_the_rate_is_counted_from_the_first_finished_step(capsys: pytest.CaptureFixture[str]) -> None:
    # One look at the first step (t = 0), one at each line: after 2 steps at 0.5 s one step took 0.5 s.
    run(3)
    assert [line.split("  ")[2:] for line in capsys.readouterr().err.splitlines()[2:]] == [
        ["1.0 it/s", "0:01 left"],
        ["1.3 it/s", "0:02 taken"],
    ]


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    run(10, quiet=True)
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_there_is_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich", reason="the bar needs the extra `cli`")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    run(50)
    out, err = capsys.readouterr()
    assert out == "" and "50/50" in err and "query loss 0.5" in err and "━" in err


def test_a_terminal_without_rich_gets_plain_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("tinymeta.view.terminal.find_spec", lambda name: None)
    run(50)
    err = capsys.readouterr().err
    assert "\x1b" not in err and "maml: 50/50" in err


@pytest.mark.parametrize("seconds, text", [(0.4, "0:00"), (75, "1:15"), (3599.6, "1:00:00"), (3675, "1:01:15")])
def test_a_clock_reads_minutes_and_seconds(seconds: float, text: str) -> None:
    assert clock(seconds) == text
