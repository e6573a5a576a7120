"""What `tm.trace()` knows of each step: the user's lines, a summary of the value, the text of the rule."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.watch.recorder import BINS, GRID, summary

HERE = Path(__file__).name
ROOT = Path(__file__).resolve().parents[2]


# Lines.


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


# Values.


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


def test_the_largest_number_falls_into_the_last_bin() -> None:
    x = np.arange(-800, 801) / 1024  # the first of each hundred opens a bin, but for the last of all
    bins = summary(x)["bins"]
    assert bins == [100] * (BINS - 1) + [101]


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


def test_a_fused_operation_is_one_step_and_shows_what_it_stands_for(capsys: pytest.CaptureFixture[str]) -> None:
    layer = tm.nn.Linear(2, 3, rng=np.random.default_rng(0), dtype=float)
    with tm.trace() as t:
        layer(np.ones((4, 2)), tm.relu)
    step = t.steps[-1]
    x, w, b = (f"%{i}" for i in step.inputs)
    lines = (
        f"%{step.id}.1 = matmul_matrices({x}, {w})",
        f"%{step.id}.2 = reshape({b}, shape=(1, 3), ndim=1)",
        f"%{step.id}.3 = add(%{step.id}.1, %{step.id}.2)",
        f"%{step.id}.4 = relu(%{step.id}.3)",
    )
    assert step.op == "linear_relu" and step.plain == lines and sum(t.counts().values()) == 1
    assert json.loads(t.to_json())["steps"][-1]["plain"] == list(lines)
    t.print()
    printed = capsys.readouterr().out
    assert all(line in printed for line in lines)


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
