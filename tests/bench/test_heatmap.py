"""The map of ratios: what is measured, kept and said. No times are looked at."""

from __future__ import annotations

import json
import math
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinymeta.bench import contender, contest, heatmap
from tinymeta.bench.backends import backend
from tinymeta.bench.worker import prepared
from tinymeta.bench.workloads import VARIED, workload
from tinymeta.engine.errors import UserError


def test_a_map_measures_each_cell_once_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    measured = heatmap.measured

    def once(name: str, *given: Any) -> dict[str, Any]:
        asked.append(name)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return measured(name, *given)

    monkeypatch.setattr(contender, "SECONDS", 0.0)  # one step is a turn
    monkeypatch.setattr(heatmap, "AXES", {"W1": {"tasks": (1, 2), "width": (4,)}})
    monkeypatch.setattr(heatmap, "measured", once)
    png = tmp_path / "map.png"
    with pytest.raises(KeyboardInterrupt):
        contest.bench(ArgumentParser(), ["--map", str(png), "--rounds", "2", "--threads", "1"])
    assert not png.exists() and len(json.loads(png.with_suffix(".json").read_text())) == 2
    contest.bench(ArgumentParser(), ["--map", str(png), "--rounds", "2", "--threads", "1"])
    assert asked == ["W1:tasks=1", "W1:tasks=2", "W1:width=4", "W1:width=4"] and png.stat().st_size > 0
    cells = json.loads(png.with_suffix(".json").read_text())
    for cell in cells.values():
        assert {name: len(times) for name, times in cell["ms"].items()} == {"tinymeta compiled": 2, "tinymeta eager": 2}
        assert cell["commit"] and cell["machine"]
    assert capsys.readouterr().out.count("nobody to compare with") == 2 + 3


def test_a_cell_is_compared_with_the_best_peer_round_by_round() -> None:
    ms = {"tinymeta compiled": [2.0, 3.0, 4.0], "JAX jit": [4.0, 5.0, 9.0], "torch.func": [1.0, 6.0, 8.0]}
    best, ratio, low, high = heatmap.compared({"ms": ms, "out": {}})
    assert best == "JAX jit" and ratio == pytest.approx((2 / 4 * 3 / 5 * 4 / 9) ** (1 / 3)) and low < ratio < high < 1
    assert heatmap.said({"ms": ms, "out": {}}).startswith("3 ms, 0.51 (")
    slow = {"ms": {**ms, "torch.func": [0.99, 1.51, 1.98]}, "out": {}}
    assert heatmap.said(slow).endswith("of torch.func, a cliff")
    alone = {"ms": {"JAX jit": [1.0, 1.0]}, "out": {"tinymeta compiled": "no answer in 1 s"}}
    assert heatmap.said(alone) == "nobody to compare with; tinymeta compiled: no answer in 1 s"
    assert math.isnan(heatmap.compared(alone)[1])


@pytest.mark.parametrize("base", VARIED)
def test_every_size_of_a_map_is_one_that_its_workload_has(base: str) -> None:
    """At its smallest it runs, and other sizes make other arrays."""
    b = backend("tinymeta eager", 1)
    for axis, values in heatmap.AXES[base].items():
        step, arguments = prepared(workload(f"{base}:{axis}={values[0]}"), b, np.float32)
        step(*arguments)
        assert len(values) <= 7 and [*values] == sorted(set(values))
    assert workload(base).what in workload(f"{base}:{axis}=64").what


def test_mistakes_are_told(tmp_path: Path) -> None:
    png = tmp_path / "map.png"
    with pytest.raises(UserError, match="--map varies W1, W3, T1, T2, T3, T4, and not W4"):
        contest.bench(ArgumentParser(), ["W4", "--map", str(png)])
    png.with_suffix(".json").write_text("{")
    with pytest.raises(UserError, match="holds no map"):
        contest.bench(ArgumentParser(), ["--map", str(png)])
