"""What `tm.trace()` records: every operation in the block, with its order, its maker, its sweep and its cotangents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.engine.errors import ShapeError
from tinymeta.engine.state import state
from tinymeta.view.trace import Trace
from tinymeta.view.trace_text import listing
from tinymeta.watch.recorder import FIRST

ROOT = Path(__file__).resolve().parents[2]


def operations(t: Trace, order: int) -> list[str]:
    return [step.op for step in t.steps if step.kind == "step" and step.order == order]


def test_what_runs_in_the_block_is_recorded_and_nothing_else() -> None:
    x = tm.tensor([1.0, 2.0])
    tm.exp(x)
    with tm.trace() as t:
        tm.tanh(x)
    tm.log(x)
    assert [step.op for step in t.steps] == ["input", "tanh"]


def test_the_block_may_fail_and_keeps_what_ran_until_then() -> None:
    t = tm.trace()
    with pytest.raises(ShapeError), t:
        tm.tanh(tm.tensor([1.0])) + np.ones((2, 3)) @ tm.tensor(np.ones((4, 5)))
    assert "tanh" in operations(t, 0) and state.watchers == ()


def test_a_trace_records_once() -> None:
    with tm.trace() as t:
        tm.tanh(tm.tensor(1.0))
    with pytest.raises(RuntimeError, match="begin another one"):
        t.__enter__()


def test_traces_nest() -> None:
    with tm.trace() as outer:
        tm.exp(tm.tensor(1.0))
        with tm.trace() as inner:
            tm.tanh(tm.tensor(1.0))
    assert operations(outer, 0) == ["exp", "tanh"] and operations(inner, 0) == ["tanh"]


def test_other_threads_are_not_recorded() -> None:
    with tm.trace() as t:
        thread = threading.Thread(target=lambda: tm.exp(tm.tensor(1.0)))
        thread.start()
        thread.join()
        tm.tanh(tm.tensor(1.0))
    assert operations(t, 0) == ["tanh"]


def test_tracing_keeps_no_tensor_alive() -> None:
    x = tm.tensor(np.ones(3))
    with tm.trace() as t:
        y = tm.tanh(x)
        seen = weakref.ref(y)
        del y
    assert seen() is None and operations(t, 0) == ["tanh"]


def test_tracing_changes_no_result() -> None:
    curvature = tm.hessian(lambda x: tm.sum(tm.tanh(x) * x))
    x = np.linspace(-2, 2, 7)
    plain = curvature(x).numpy()
    with tm.trace():
        traced = curvature(x).numpy()
    assert plain.tobytes() == traced.tobytes()


def test_importing_tinymeta_loads_neither_the_page_nor_rich() -> None:
    code = "import sys, tinymeta; print({'tinymeta.view.page', 'tinymeta.view.stepper', 'rich'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "kernels")))}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.strip() == "set()"


# Orders, makers, columns.


def test_the_gradient_of_a_square_step_by_step() -> None:
    with tm.trace() as t:
        tm.grad(lambda x: x * x)(3.0)
    told = [(s.id, s.op, s.kind, s.inputs, s.order, s.made_by, s.value["first"]) for s in t.steps]
    assert told == [
        (1, "input", "input", (), 0, None, [3.0]),
        (2, "lift", "step", (1,), 0, None, [3.0]),
        (3, "multiply", "step", (2, 2), 0, None, [9.0]),
        (4, "input", "input", (), 0, None, [1.0]),
        (5, "scale", "step", (4, 2), 1, 3, [3.0]),
        (6, "scale", "step", (4, 2), 1, 3, [3.0]),
        (7, "add", "step", (5, 6), 1, 3, [6.0]),
    ]


def test_counts_tell_the_orders_of_a_second_derivative() -> None:
    with tm.trace() as t:
        tm.grad(tm.grad(lambda x: x * x))(3.0)
    # d/dx x·x: two products and their sum, order 1. Each of the two products is differentiated in both factors'
    # cotangents: only x leads back to x, so each gives one product of order 2; with their sum that is three.
    assert t.counts() == {0: 3, 1: 3, 2: 3}


def test_a_step_has_a_maker_exactly_if_its_order_is_positive(maml: Trace) -> None:
    steps = [s for s in maml.steps if s.kind == "step"]
    assert all((s.made_by is not None) == (s.order > 0) for s in steps)


def test_a_step_is_of_a_higher_order_than_its_maker(maml: Trace) -> None:
    made = [s for s in maml.steps if s.made_by is not None]
    assert made and all(s.order > maml.steps[s.made_by - 1].order for s in made if s.made_by)


def test_steps_are_numbered_so_that_inputs_and_makers_come_first(maml: Trace) -> None:
    for step in maml.steps:
        assert all(i < step.id for i in (*step.inputs, step.made_by or 0))


def test_a_column_is_an_operation_of_the_users_code(maml: Trace) -> None:
    assert {maml.column(s).order for s in maml.steps if s.kind == "step"} == {0}


def test_maml_has_order_2_and_first_order_maml_has_none(maml: Trace, first_order: Trace) -> None:
    assert set(maml.counts()) == {0, 1, 2} and set(first_order.counts()) == {0, 1}
    orders = [{s["order"] for s in json.loads(t.to_json())["steps"]} for t in (maml, first_order)]
    assert orders == [{0, 1, 2}, {0, 1}]


def test_the_traced_meta_gradient_is_the_one_without_a_trace(maml: Trace) -> None:
    program = Path(tm.view.__file__).with_name("trace_maml.py").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    exec(program, names)
    gradient = names["meta_gradient"]
    assert isinstance(gradient, dict)
    totals = [s.value["first"] for s in maml.steps if s.kind == "step"]
    for leaf in gradient.values():
        expected = [float(f"{v:.6g}") for v in leaf.numpy().ravel()[:FIRST]]
        assert expected in totals


def test_a_value_from_before_the_trace_can_be_differentiated_in_it() -> None:
    x = tm.tensor([1.0, 2.0], requires_grad=True)
    y = tm.sum(tm.tanh(x))
    with tm.trace() as t:
        tm.gradient(y, x)
    earlier = [s.op for s in t.steps if s.kind == "earlier"]
    assert earlier[0] == "tanh" and {t.column(s).op for s in t.steps if s.order == 1} <= {*earlier}
    assert set(t.counts()) == {1}


# Sweeps and cotangents.


def test_sweeps_are_told_apart_as_inner_and_outer(maml: Trace) -> None:
    names = [maml.sweep_name(k) for k in range(len(maml.recorder.sweeps))]
    assert names == ["inner backward", "outer backward"]


def test_sweeps_of_one_depth_are_counted() -> None:
    x = tm.tensor(1.0, requires_grad=True)
    with tm.trace() as t:
        y = tm.tanh(x)
        (g,) = tm.gradient(y, [x])
        tm.gradient(g, x)
    assert [t.sweep_name(k) for k in range(2)] == ["backward 1", "backward 2"]


def test_a_step_says_how_far_its_sweep_was(maml: Trace) -> None:
    order_2 = [s for s in maml.steps if s.order == 2 and s.kind == "step"]
    told = [maml.sweep_of(s) for s in order_2]
    total = len(maml.recorder.sweeps[1].visits)
    places = [int(text.removeprefix("outer backward, ").partition(" of ")[0]) for text in told]
    assert all(text.endswith(f" of {total}") for text in told)
    assert places == sorted(places) and places[0] >= 1 and places[-1] <= total


def test_a_cotangent_is_told_before_and_after_each_addition() -> None:
    with tm.trace() as t:
        tm.grad(lambda x: x * x + tm.exp(x))(1.0)
    leaf = next(s for s in t.steps if s.op == "lift")
    came, totals = ([t.steps[c[k] - 1].value["first"][0] for c in leaf.cotangents] for k in (1, 2))
    # exp(x) gives e, and x·x gives 1 and again 1, in whatever grouping; the trace keeps six digits
    assert totals[-1] == pytest.approx(2 + np.e, rel=1e-5)
    assert np.cumsum(came) == pytest.approx(totals, rel=1e-5)


# The listing.


def test_the_listing_has_a_line_per_step_with_its_order(maml: Trace, capsys: pytest.CaptureFixture[str]) -> None:
    maml.print()
    lines = capsys.readouterr().out.splitlines()
    steps = [s for s in maml.steps if s.kind == "step"]
    for step in steps:
        (line,) = [text for text in lines if f"  %{step.id} = " in text]
        assert line.startswith(f"{step.order}  ") and step.op in line


def test_the_listing_of_a_square() -> None:
    with tm.trace() as t:
        tm.grad(lambda x: x * x)(3.0)
    assert [line.split("  ")[:2] for line in listing(t)] == [
        ["0", "%2 = lift(3, at=0, rise=0)"],
        ["0", "%3 = multiply(%2, %2)"],
        ["1", "%5 = scale(1, %2)"],
        ["1", "%6 = scale(1, %2)"],
        ["1", "%7 = add(%5, %6)"],
    ]
