"""`tinymeta bench --curves PNG`: how a step's time grows with the tasks, the inner steps and the width."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinymeta.bench.contender import present, race
from tinymeta.bench.workloads import workload
from tinymeta.io.files import write_text
from tinymeta.view import plots
from tinymeta.view.style import save

CONTENDERS = ("tinymeta compiled", "tinymeta eager", "JAX jit", "torch.compile")
SWEEPS = {  # what varies → (its place in sine-TASKS-STEPS-WIDTH, values); elsewhere W1: 25 tasks, 1 step, 40 units
    "tasks": (0, (1, 5, 25, 100, 400)),
    "inner steps": (1, (1, 2, 5, 10)),
    "hidden units": (2, (10, 40, 160, 320)),
}


def draw(file: Path, peers: str | None, threads: int, rounds: int) -> None:
    """Measure, print every number, and write the figure and, beside it, the numbers as a CSV."""
    curves: dict[str, dict[str, dict[int, float]]] = {}  # what varies → contender → value → milliseconds
    lines = ["varies,value,contender,ms"]
    for what, (place, values) in SWEEPS.items():
        for value in values:
            size = [25, 1, 40]
            size[place] = value
            contenders = present(workload("sine-{}-{}-{}".format(*size)), peers, threads, CONTENDERS)
            for c in race(contenders, rounds):
                ms = 1e3 * float(np.median(c.rounds))
                curves.setdefault(what, {}).setdefault(c.name, {})[value] = ms
                lines.append(f"{what},{value},{c.name},{ms:.4g}")
                print(lines[-1], flush=True)
    write_text(file.with_suffix(".csv"), "\n".join(lines) + "\n")
    title = f"A second-order MAML step on sinusoids, {threads} threads"
    save(plots.curve_panels(curves, title=title, xlabel="", ylabel="ms", marks=True, log="xy", sharey=True), file)
