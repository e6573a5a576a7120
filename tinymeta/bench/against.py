"""`tinymeta bench --against CHECKOUT`: this version beside another folder's, and how sure one is of the ratio.

Both run in processes of their own, a round of one after a round of the other, so whatever slows the machine slows both.
The ratios of the rounds' medians are positive and multiply, so their logarithms are averaged; the interval is
Student's, 95 %. Gradients are compared in float64 first: a speed counts only with the right numbers.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from tinymeta.bench.contender import COMPILED, Contender, apart, gradients, race
from tinymeta.bench.networks import Workload
from tinymeta.engine.errors import UserError
from tinymeta.recipes.report import interval

ROUNDS = 15
COLUMNS = ("workload", "ms here", "ms there", "here / there", "95 % interval", "rounds", "gradient differs by")


def checkout(folder: Path) -> Path:
    """The folder, if a version of tinymeta is in it."""
    if not (folder / "tinymeta" / "bench" / "worker.py").is_file() or not (folder / "kernels").is_dir():
        raise UserError(f"--against wants a folder with another version of this project, and {folder} holds none")
    return folder.resolve()


def against(workload: Workload, there: Path, threads: int, rounds: int, patience: float) -> list[str]:
    """The row of one workload."""
    both = [Contender(COMPILED, workload, threads=threads, patience=patience, root=root) for root in (None, there)]
    differs = f"{apart(*gradients(both)):.0e}"
    if len(race(both, rounds)) < 2:
        trouble = next(f"{where}: {c.trouble}" for where, c in zip(("here", "there"), both) if c.trouble)
        return [workload.name, trouble, *[""] * (len(COLUMNS) - 2)]
    here, other = (c.rounds for c in both)
    ratio, low, high = of_ratios([a / b for a, b in zip(here, other)])
    ms = [f"{1e3 * float(np.median(times)):.3g}" for times in (here, other)]
    return [workload.name, *ms, f"{ratio:.3f}", f"{low:.3f} to {high:.3f}", str(len(here)), differs]


def of_ratios(ratios: list[float]) -> tuple[float, float, float]:
    """The geometric mean of ratios, and the ends of its 95 % interval; one ratio alone says nothing of it."""
    logs = interval([math.log(r) for r in ratios])
    half = math.inf if math.isnan(logs.half) else logs.half
    return math.exp(logs.mean), math.exp(logs.mean - half), math.exp(logs.mean + half) if half < 700 else math.inf
