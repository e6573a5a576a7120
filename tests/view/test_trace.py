"""What `tm.trace()` records: every operation with its order, maker, sweep, line, value and cotangent."""

from __future__ import annotations

import json
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
from tinymeta.engine.trace import FIRST, GRID, summary
from tinymeta.view.trace import Trace
from tinymeta.view.trace_text import listing

HERE = Path(__file__).name
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
    code = "import sys, tinymeta; print([m for m in ('tinymeta.view.page', 'tinymeta.view.stepper', 'rich') if m in sys.modules])"
    path = f"{ROOT}:{ROOT / 'kernels'}" if sys.platform != "win32" else f"{ROOT};{ROOT / 'kernels'}"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": path}
    )
    assert result.stdout.strip() == "[]"


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
    assert maml.counts()[2] > 0 and set(first_order.counts()) == {0, 1}
    orders = [{s["order"] for s in json.loads(t.to_json())["steps"]} for t in (maml, first_order)]
    assert orders == [{0, 1, 2}, {0, 1}]


def test_the_traced_meta_gradient_is_the_one_without_a_trace(maml: Trace) -> None:
    program = (ROOT / "tinymeta" / "view" / "trace_maml.py").read_text(encoding="utf-8")
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
    assert places == sorted(places) and 1 <= places[0] and places[-1] <= total


def test_a_cotangent_is_told_before_and_after_each_addition() -> None:
    with tm.trace() as t:
        tm.grad(lambda x: x * x + tm.exp(x))(1.0)
    leaf = next(s for s in t.steps if s.op == "lift")
    sums = [(t.steps[c.contribution - 1].value["first"][0], t.steps[c.total - 1].value["first"][0]) for c in leaf.cotangents]
    # from exp(x) comes e, then x·x adds 1 and again 1, in whatever grouping: the last total is 2 + e
    came, totals = zip(*sums)
    assert totals[-1] == pytest.approx(2 + np.e, rel=1e-5)
    assert np.cumsum(came) == pytest.approx(totals, rel=1e-5)


# Lines and values.


def inner(x: tm.Tensor) -> tm.Tensor:
    return tm.tanh(x)  # the line of tanh


def outer(x: tm.Tensor) -> tm.Tensor:
    return inner(x)  # the line that called it


def line_with(text: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.endswith(text))


def test_a_step_knows_the_users_lines_from_the_block_inwards() -> None:
    with tm.trace() as t:
        outer(tm.tensor(1.0))
    path = t.steps[-1].path
    assert [site.function for site in path][-2:] == ["outer", "inner"] and len(path) == 3
    assert [site.line for site in path[1:]] == [line_with("# the line that called it"), line_with("# the line of tanh")]


def test_the_json_holds_the_source_and_no_folder_of_this_machine() -> None:
    with tm.trace() as t:
        outer(tm.tensor(1.0))
    text = t.to_json()
    model = json.loads(text)
    here = model["sites"][model["steps"][-1]["site"]][-1]
    assert here["file"] == HERE and here["text"].startswith("return tm.tanh(x)")
    assert model["sources"][HERE][here["line"] - 1].strip() == here["text"]
    assert str(ROOT) not in text.replace(json.dumps(model["sources"]), "")


def test_two_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    with tm.trace() as t:
        for folder in ("a", "b"):
            file = tmp_path / folder / "model.py"
            file.parent.mkdir()
            file.write_text("y = tm.tanh(tm.tensor(1.0))\n")
            exec(compile(file.read_text(), str(file), "exec"), {"tm": tm})
    assert sorted(json.loads(t.to_json())["sources"])[:2] == ["a/model.py", "b/model.py"]


def test_inside_vmap_a_step_has_its_batch_and_shows_one_example() -> None:
    x = np.arange(12.0).reshape(4, 3)
    with tm.trace() as t:
        tm.vmap(lambda row: row * 10.0)(x)
    step = next(s for s in t.steps if s.op == "multiply")
    assert (step.batch, step.shape) == ((4,), (3,))
    assert step.value["grid"] == [[0.0, 10.0, 20.0]] and step.value["max"] == 110.0


def test_a_compiled_function_shows_the_steps_of_the_plain_one() -> None:
    def slope(x: tm.Tensor) -> tm.Tensor:
        return tm.grad(lambda x: tm.sum(tm.tanh(x) * x))(x)

    x, compiled = np.arange(3.0), tm.compile(slope)
    compiled(x)
    with tm.trace() as plain:
        slope(x)
    with tm.trace() as again:
        compiled(x)
    assert again.counts() == plain.counts()


def test_a_large_array_leaves_a_small_summary() -> None:
    kept = summary(np.random.default_rng(0).normal(size=(1000, 1000)))
    assert len(json.dumps(kept)) < 500 and "grid" not in kept and sum(kept["bins"]) == 10**6


@pytest.mark.parametrize("shape", [(), (1,), (8, 8), (16, 4), (2, 2, 3)])
def test_a_small_array_is_kept_whole(shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape), dtype=float).reshape(shape)
    assert sum(summary(x)["grid"], []) == x.ravel().tolist()


@pytest.mark.parametrize("shape", [(9, 8), (1, GRID), (17, 1)])
def test_an_array_that_would_not_fit_is_not_a_grid(shape: tuple[int, ...]) -> None:
    assert "grid" not in summary(np.ones(shape))


def test_what_is_not_finite_is_counted_and_named() -> None:
    kept = summary(np.array([1.0, np.nan, -np.inf, 3.0]))
    assert (kept["bad"], kept["min"], kept["mean"], kept["max"]) == (2, 1.0, 2.0, 3.0)
    assert kept["first"] == [1.0, "nan", "-inf", 3.0]
    json.dumps(kept, allow_nan=False)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "x",
    [
        np.array([1e308, -1e308] * 50),
        np.array([5e-324, 0.0] * 50),
        np.full(100, 7.0),
        np.full(100, np.nan),
        np.zeros((0, 3)),
        np.array([True, False]),
        np.arange(100, dtype=np.int8),
        np.ones((3, 0, 2)),
        np.array([1 + 2j]),
        np.linspace(0, 1, 100, dtype=np.float16),
    ],
    ids=str,
)
def test_any_array_has_a_summary_that_json_can_hold(x: np.ndarray) -> None:
    kept = json.loads(json.dumps(summary(x), allow_nan=False))
    finite = int(np.isfinite(x).sum()) if x.dtype.kind != "c" else 0
    assert sum(kept.get("bins", [finite])) == finite


def test_numbers_keep_six_digits() -> None:
    assert summary(np.array([1 / 3]))["first"] == [0.333333]


# Rules.


def test_a_rule_is_quoted_with_its_mathematics() -> None:
    with tm.trace() as t:
        tm.tanh(tm.tensor(1.0))
    rule = json.loads(t.to_json())["rules"]["tanh"]
    assert rule["vjp"].startswith("vjp = lambda g, y, x:") and rule["mathematics"].startswith("y = tanh x")


def declared(source: dict[str, object]) -> type:
    return tm.primitive(type("tanh", (), {"__doc__": "y = 2x.", "domain": (), "kinks": (), **source}))


def test_a_primitive_without_source_text_says_so() -> None:
    names: dict[str, object] = {}
    exec("kernel = reference = staticmethod(lambda x: 2 * x)\nvjp = lambda g, y, x: 2 * g", names)
    double = declared({k: names[k] for k in ("kernel", "reference", "vjp")})
    with tm.trace() as t:
        double(tm.tensor(1.0))
    assert "no source text" in json.loads(t.to_json())["rules"]["tanh"]["vjp"]


def test_two_primitives_of_one_name_keep_their_own_rules() -> None:
    double = declared({"kernel": staticmethod(lambda x: 2 * x), "reference": None, "vjp": None})
    with tm.trace() as t:
        double(tm.tanh(tm.tensor(0.5)))
    rules = json.loads(t.to_json())["rules"]
    assert rules["tanh"]["mathematics"].startswith("y = tanh x")
    assert rules[t.steps[-1].op]["mathematics"] == "y = 2x." and t.steps[-1].op.endswith(".tanh")


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
