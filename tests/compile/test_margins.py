"""What the machine writes beside its arrays is seen, also where nobody has looked at its addresses."""

from __future__ import annotations

import numpy as np
import pytest

from tests.compile.margins import MARGINS
from tests.compile.planted import Fault, plant
from tinymeta.compile.place import schedule
from tinymeta.compile.program.loop import Loop
from tinymeta.compile.program.operations import Contract, Ufunc
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.run.machine import Machine


def loop_of_tasks_and_rows() -> Program:
    """Its turn goes over tasks, and over the rows of a large sum."""
    body, dtype, b = Builder(), np.dtype(float), Builder()
    w, x = body.input(0, (5, 7), dtype), body.input(1, (3, 5), dtype)
    wide = body.add(Contract("ab", "bc", "ac"), body.add(Ufunc(np.tanh), x), w)
    said = body.add(Contract("ab", "ac", "bc"), x, wide)
    loop = Loop(body.finished([said, wide]), 2, 1, 1, False)
    return b.finished(b.parts(b.add(loop, *(b.input(k, *kind) for k, kind in enumerate(loop.kinds()[0])), shape=())))


@pytest.mark.parametrize("planted", [False, True])
def test_a_loop_that_runs_on_beyond_its_arrays_is_seen(planted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYMETA_CHECK", "0")
    for (where, name), value in {**MARGINS, (schedule, "LONG"): 2}.items():
        monkeypatch.setattr(where, name, value)
    if planted:
        plant(Fault(Machine, "joined", "len(counts) <= 1 and ", "", loop_of_tasks_and_rows), monkeypatch)
    run = Machine(loop_of_tasks_and_rows())
    given = [np.ones((5, 7)), np.ones((2, 3, 5))]
    if planted:
        with pytest.raises(AssertionError, match="writes beside an array"):
            run(given)
    else:
        run(given)
