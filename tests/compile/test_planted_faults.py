"""Faults planted in the compiler, one for each rule: every one is caught, and the suite prints by what.

Faults of the compiled machine itself are planted in a copy of its text, each in another instruction, so that it is
compiled once.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tinymeta_kernels import machine

from tests.compile import machine_faults, program_faults
from tests.compile.machine_witnesses import a_block_that_ends_early, instruction
from tests.compile.planted import caught_by, plant
from tests.compile.test_instructions import Memory
from tests.planted_table import IN_THE_COMPILER

FAULTS = program_faults.FAULTS | machine_faults.FAULTS


def test_no_two_faults_are_one() -> None:
    assert len(FAULTS) == len(program_faults.FAULTS) + len(machine_faults.FAULTS)
    assert len({fault[:4] for fault in FAULTS.values()}) == len(FAULTS)


@pytest.mark.parametrize("witness", dict.fromkeys(fault.witness for fault in FAULTS.values()), ids=lambda w: w.__name__)
def test_a_witness_passes_while_nothing_is_planted(witness: Callable[[], None]) -> None:
    assert not caught_by(witness)


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_caught(
    name: str, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    plant(FAULTS[name], monkeypatch)
    found = caught_by(FAULTS[name].witness)
    record_property(IN_THE_COMPILER, (name, found))
    assert found, f"nothing saw it: {name}"


IN_THE_MACHINE = {
    "LOOP": ("tasks = min(block, last - task)", "tasks = block if code[0] == LOOP else min(block, last - task)"),
    "WHERE": ("else at_y + i * sy\n", "else at_y + i * max(sy, 0)\n"),
    "SCALE": ("(p != p) & ((x == zero) | (y == zero))", "(p != p) & (x == zero)"),
    "CAST": ("_pointer(address[0] + i * stride[0], before)", "_pointer(address[0] + i * max(stride[0], 0), before)"),
    "SUM": ("for _ in range(rows % 4):", "for _ in range(rows % 2):"),
    "GEMM": ("lda, y, ldb, beta, out, ldc, spare)", "lda, y, ldb, 1.0, out, ldc, spare)"),
}


@pytest.fixture(scope="module")
def spoilt_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    text = Path(machine.__file__).read_text()
    for right, wrong in IN_THE_MACHINE.values():
        assert text.count(right) == 1, f"the machine reads otherwise now: {right}"
        text = text.replace(right, wrong)
    file = tmp_path_factory.mktemp("machine") / "spoilt_machine.py"
    file.write_text(text)
    spec = importlib.util.spec_from_file_location("tinymeta_kernels.spoilt_machine", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize("kind", IN_THE_MACHINE)
def test_a_fault_in_the_machine_is_caught(
    kind: str, spoilt_machine: Any, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    monkeypatch.setattr(Memory, "run", spoilt_machine.run)
    found = caught_by(a_block_that_ends_early if kind == "LOOP" else instruction(kind))
    record_property(IN_THE_COMPILER, (f"the machine: {kind}", found))
    assert found, f"nothing saw it: {kind}"
