"""Two versions side by side: who is asked what, and what may be said of their ratio. No times are looked at."""

from __future__ import annotations

import math
import re
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pytest

from tinymeta.bench import against, contender, contest
from tinymeta.bench.workloads import workload
from tinymeta.engine.errors import UserError

HERE = Path(__file__).resolve().parents[2]
SMALL = workload("W1:tasks=2,steps=1,width=4")


def test_a_version_beside_itself_computes_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(contender, "SECONDS", 0.0)  # one step is a turn
    monkeypatch.setitem(contest.WORKLOADS, SMALL.name, SMALL)
    contest.bench(ArgumentParser(), [SMALL.name, "--threads", "1", "--rounds", "3", "--against", str(HERE)])
    head, _, line = (re.split(r"  +", line) for line in capsys.readouterr().out.splitlines())
    assert head == list(against.COLUMNS)
    row = dict(zip(head, line, strict=True))
    low, _, high = row["95 % interval"].partition(" to ")
    assert row["workload"] == SMALL.name and row["gradient differs by"] == "0e+00" and row["rounds"] == "3"
    assert 0 < float(low) <= float(row["here / there"]) <= float(high)


def test_each_version_runs_from_its_own_folder() -> None:
    there = contender.environment(1, Path("/elsewhere"))["PYTHONPATH"]
    assert there.split(":") == ["/elsewhere", "/elsewhere/kernels"]
    assert str(HERE) in contender.environment(1)["PYTHONPATH"]


def test_the_interval_holds_the_ratio_as_often_as_it_says() -> None:
    """Of 2,000 intervals, 95 % but for three standard deviations of a count."""
    rng = np.random.default_rng(0)
    held = 0
    for ratios in np.exp(0.03 + 0.1 * rng.standard_normal((2000, 15))):
        _, low, high = against.of_ratios(list(ratios))
        held += low <= math.exp(0.03) <= high
    assert abs(held / 2000 - 0.95) < 3 * math.sqrt(0.95 * 0.05 / 2000)


def test_one_round_says_nothing_of_the_interval() -> None:
    assert against.of_ratios([2.0]) == (2.0, 0.0, math.inf)


def test_a_folder_without_a_version_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds none"):
        contest.bench(ArgumentParser(), ["W1", "--against", str(tmp_path)])
