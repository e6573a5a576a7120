"""The suite in several processes: when it is, and that what its tests record comes from all of them."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from tests.planted_table import IN_A_RULE, IN_THE_COMPILER, pytest_terminal_summary
from tests.processes import PROCESSES, pytest_cmdline_main

FOLDER, FILE = os.path.dirname(__file__), __file__
PLAIN = {"numprocesses": None, "dist": "no", "usepdb": False, "trace": False, "capture": "fd"}


@pytest.mark.parametrize(
    ("arguments", "options", "processes"),
    [
        ([FOLDER], {}, PROCESSES),
        ([FOLDER, FILE], {}, PROCESSES),
        ([FILE], {}, None),
        ([f"{FILE}::test_the_folders_run_in_two_processes"], {}, None),
        ([FOLDER], {"numprocesses": 0}, 0),
        ([FOLDER], {"numprocesses": 4}, 4),
        ([FOLDER], {"capture": "no"}, None),
        ([FOLDER], {"usepdb": True}, None),
    ],
)
def test_whole_folders_run_in_two_processes_unless_told_otherwise(
    arguments: list[str], options: dict[str, Any], processes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    option = SimpleNamespace(**(PLAIN | options))
    pytest_cmdline_main(SimpleNamespace(option=option, args=arguments))  # type: ignore[arg-type]
    assert option.numprocesses == processes
    assert (option.dist == "worksteal") == (processes == PROCESSES)
    assert os.environ.get("OMP_NUM_THREADS") == ("1" if processes else None)


def test_without_xdist_and_in_a_worker_nothing_is_asked_for() -> None:
    alone = SimpleNamespace(**{k: v for k, v in PLAIN.items() if k not in ("numprocesses", "dist")})
    worker = SimpleNamespace(**PLAIN)
    pytest_cmdline_main(SimpleNamespace(option=alone, args=[FOLDER]))  # type: ignore[arg-type]
    pytest_cmdline_main(SimpleNamespace(option=worker, args=[FOLDER], workerinput={}))  # type: ignore[arg-type]
    assert not hasattr(alone, "dist") and worker == SimpleNamespace(**PLAIN)


def test_what_tests_recorded_is_told_in_the_order_of_their_names() -> None:
    told: list[str] = []
    report = lambda nodeid, *properties, when="call": SimpleNamespace(
        nodeid=nodeid, when=when, user_properties=list(properties)
    )
    passed = [
        report("b", (IN_THE_COMPILER, ("a slice", "verifier"))),
        report("b", (IN_THE_COMPILER, ("a slice", "verifier")), when="teardown"),
        report("c", (IN_A_RULE, ("tanh", "entry missing", 0, "P2")), (IN_A_RULE, ("tanh", "result detached", 0, "–"))),
    ]
    failed = [report("a", (IN_THE_COMPILER, ("a view", "")))]
    stats = {"passed": passed, "failed": failed, "warnings": [SimpleNamespace(message="…")]}
    pytest_terminal_summary(SimpleNamespace(stats=stats, section=told.append, write_line=told.append))
    compiler, view, part, rules, head, missing, detached, last = told
    assert (view.split(), part.split()) == (["a", "view", "MISSED"], ["a", "slice", "verifier"])
    assert head.split() == ["fault", "planted", "P2", "missed"]
    assert (missing.split()[-3:], detached.split()[-3:]) == (["1", "1", "0"], ["0", "·", "0"])
    assert last == "1 primitives; 1 further plantings change nothing and are not counted"
    assert "compiler" in compiler and "property" in rules
