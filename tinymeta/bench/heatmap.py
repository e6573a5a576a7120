"""`tinymeta bench --map PNG`: one size varied at a time, and each time beside the peer that is best there.

A cell that has been measured stays in a file beside the figure, so an interrupted map goes on. Peers' eager forms
count, too: one of them is the best where a compiled one isn't ready in time. Where we are slower than the best peer,
beyond the interval of the ratio, there is a cliff.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinymeta.bench.against import of_ratios
from tinymeta.bench.contender import COMPILED, PATIENCE, checked, present, race
from tinymeta.bench.workloads import workload
from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Tree
from tinymeta.io.files import write_text
from tinymeta.recipes.origin import commit, machine
from tinymeta.view import plots
from tinymeta.view.style import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONTENDERS = (
    COMPILED,
    "tinymeta eager",
    "JAX jit",
    "JAX jit, map over tasks",
    "torch.compile",
    "torch.func",
    "PyTorch loop",
)
_LENGTHS, _BATCHES, _WIDTHS = (8, 32, 64, 128, 512), (1, 8, 32, 128, 512), (16, 64, 128, 512, 1024)
AXES: dict[str, dict[str, tuple[int, ...]]] = {  # workload → what varies → its values
    "W1": {"tasks": (1, 4, 25, 100, 400, 1000), "steps": (1, 3, 10, 30, 100), "width": (16, 40, 128, 320, 1024)},
    "W3": {"tasks": (1, 8, 32, 100, 300), "steps": (1, 3, 10, 30)},
    "T1": {"batch": (1, 8, 32, 128, 512, 1024), "width": _WIDTHS},
    "T2": {"batch": (1, 8, 64, 256, 1024), "side": (14, 28, 56, 84)},
    "T3": {"length": _LENGTHS, "batch": _BATCHES, "width": _WIDTHS},
    "T4": {"length": _LENGTHS, "batch": _BATCHES, "width": _WIDTHS},
}
Cell = dict[str, Tree]  # milliseconds of each round, who is out and why, commit, machine
EVEN = 2.0  # the ratio, or its inverse, from which on a colour is as strong as it gets


def draw(
    file: Path, peers: str | None, threads: int, rounds: int, patience: float = PATIENCE, only: tuple[str, ...] = ()
) -> None:
    """Measure what is missing, print every cell, and write the figure and, beside it, the cells as JSON."""
    chosen = [name for name in AXES if name in (only or AXES)]
    if not chosen:
        raise UserError(
            f"--map varies {', '.join(AXES)}, and not {', '.join(only)}: name some of these, or none for all"
        )
    stored = file.with_suffix(".json")
    try:
        cells: dict[str, Cell] = json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else {}
    except ValueError as error:
        raise UserError(f"{stored} holds no map ({error}): name another file, or remove it") from None
    for base in chosen:
        for name in _names(base):
            if name not in cells:
                cells[name] = measured(name, peers, threads, rounds, patience)
                write_text(stored, json.dumps(cells, indent=1) + "\n")
            print(f"{name}: {said(cells[name])}", flush=True)
    shown = [base for base in AXES if all(name in cells for name in _names(base))]
    save(_figure(shown, cells, threads), file)


def measured(name: str, peers: str | None, threads: int, rounds: int, patience: float) -> Cell:
    """Milliseconds of each round of everyone who computes the right thing, and why the others don't."""
    contenders = present(workload(name), peers, threads, CONTENDERS, patience)
    checked(contenders)
    alive = race(contenders, rounds)
    times = {c.name: [float(f"{1e3 * s:.4g}") for s in c.rounds] for c in alive}
    out = {c.name: c.trouble for c in contenders if c.trouble}
    return {"ms": times, "out": out, "commit": commit(), "machine": machine()}


def compared(cell: Cell) -> tuple[str, float, float, float]:
    """The best peer, our time over its, and the ends of the ratio's interval; NaN without ours or a peer's."""
    peers = {name: times for name, times in cell["ms"].items() if not name.startswith("tinymeta")}
    if not peers or COMPILED not in cell["ms"]:
        return "", math.nan, math.nan, math.nan
    best = min(peers, key=lambda name: float(np.median(peers[name])))
    return best, *of_ratios([ours / theirs for ours, theirs in zip(cell["ms"][COMPILED], peers[best])])


def said(cell: Cell) -> str:
    """A cell in words."""
    best, ratio, low, high = compared(cell)
    if not best:
        return "nobody to compare with" + "".join(f"; {name}: {why}" for name, why in cell["out"].items())
    ms = float(np.median(cell["ms"][COMPILED]))
    return f"{ms:.3g} ms, {ratio:.2f} ({low:.2f} to {high:.2f}) of {best}" + ", a cliff" * (low > 1)


def _names(base: str) -> Iterator[str]:
    return (f"{base}:{axis}={value}" for axis, values in AXES[base].items() for value in values)


def _figure(shown: list[str], cells: dict[str, Cell], threads: int) -> Figure:
    wide = max(len(values) for base in shown for values in AXES[base].values())
    blocks, texts, rows = [], [], []
    for base in shown:
        grid = np.full((len(AXES[base]), wide), np.nan)
        words = [[""] * wide for _ in AXES[base]]
        for row, (axis, values) in enumerate(AXES[base].items()):
            rows.append(f"{base}, {axis}")
            for column, value in enumerate(values):
                _, ratio, low, _ = compared(cells[f"{base}:{axis}={value}"])
                grid[row, column] = np.clip(np.log(ratio) / np.log(EVEN), -1, 1)
                words[row][column] = f"{value}: {ratio:.2f}" + "!" * (low > 1) if ratio == ratio else f"{value}: –"
        blocks.append(grid)
        texts.append(words)
    title = f"Our time over the best peer's, {threads} threads (a size: the ratio; !: slower)"
    return plots.cells(blocks, texts, rows=rows, colours="PuOr_r", span=(-1.0, 1.0), title=title)
