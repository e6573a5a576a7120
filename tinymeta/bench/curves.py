"""`tinymeta bench --curves PNG`: how a step's time grows with the tasks, the inner steps and the width."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinymeta.bench.contender import present, race
from tinymeta.bench.workloads import workload
from tinymeta.io.files import write_text
from tinymeta.view.style import COLOURS, End, log_scale, name_ends, panels, save, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONTENDERS = ("tinymeta compiled", "tinymeta eager", "JAX jit", "torch.compile")
SWEEPS = {  # what varies → (its place in sine-TASKS-STEPS-WIDTH, values); elsewhere W1: 25 tasks, 1 step, 40 units
    "tasks": (0, (1, 5, 25, 100, 400)),
    "inner steps": (1, (1, 2, 5, 10)),
    "hidden units": (2, (10, 40, 160, 320)),
}
Curves = dict[str, dict[str, list[tuple[int, float]]]]  # what varies → contender → (value, milliseconds)


def draw(file: Path, peers: str | None, threads: int, rounds: int) -> None:
    """Measure, print every number, and write the figure and, beside it, the numbers as a CSV."""
    curves: Curves = {}
    lines = ["varies,value,contender,ms"]
    for what, (place, values) in SWEEPS.items():
        for value in values:
            size = [25, 1, 40]
            size[place] = value
            contenders = present(workload("sine-{}-{}-{}".format(*size)), peers, threads, CONTENDERS)
            for c in race(contenders, rounds):
                ms = 1e3 * float(np.median(c.rounds))
                curves.setdefault(what, {}).setdefault(c.name, []).append((value, ms))
                lines.append(f"{what},{value},{c.name},{ms:.4g}")
                print(lines[-1], flush=True)
    write_text(file.with_suffix(".csv"), "\n".join(lines) + "\n")
    save(figure(curves, threads), file)


@styled
def figure(curves: Curves, threads: int) -> Figure:
    """A panel for each thing that varies, a line for each contender; both axes logarithmic."""
    picture, axes = panels(1, len(curves), width=11, sharey=True)
    for ax, (what, lines) in zip(axes, curves.items()):
        ends = []
        for (name, points), colour in zip(lines.items(), COLOURS):
            x, y = zip(*points)
            ax.plot(x, y, color=colour, marker="o", markersize=4)
            ends.append(End(y[-1], name, colour))
        ax.set(xscale="log", xlabel=what)
        ax.set_xticks(x, [str(value) for value in x])
        ax.minorticks_off()
        log_scale(ax)
        if ax is axes[-1]:
            name_ends(ax, ends)
    axes[0].set(title=f"A second-order MAML step on sinusoids, {threads} threads", ylabel="ms")
    return picture
