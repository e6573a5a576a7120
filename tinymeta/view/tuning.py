"""The figure of the hypergradient recipe: what a grid costs, and what a step size does that tunes itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tinymeta.view.style import COLOURS, GREY, INK, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def tuning(
    grid: Sequence[float],
    starts: Sequence[float],
    rules: Mapping[str, Mapping[str, ArrayLike]],
    unrolled: Mapping[str, Any],
) -> Figure:
    """Three panels: final loss against the first step size, step sizes over the training, the unrolled descent.

    Parameters
    ----------
    grid, starts
        Step sizes of the grid, and those from which online training starts.
    rules
        Name to `grid` (a loss per step size), `online` (a loss per start) and `course` (step sizes, (steps, starts)).
    unrolled
        `lines` of the journal, the `best` validation loss of the grid, and how many `points` it has.
    """
    figure, (left, middle, right) = panels(1, 3, width=11.5, height=3.9)
    for (name, rule), colour in zip(rules.items(), COLOURS):
        losses = np.asarray(rule["grid"])
        kept = losses < 2 * losses.min()
        left.plot(np.asarray(grid)[kept], losses[kept], color=colour, linewidth=1.4, label=f"{name}, fixed")
        left.plot(starts, rule["online"], "o", color=colour, markersize=7, markeredgecolor="white", zorder=3)
        course = np.asarray(rule["course"])
        for k in range(len(starts)):
            middle.plot(
                np.arange(1, len(course) + 1), course[:, k], color=colour, linewidth=1.4, label="" if k else name
            )
    left.plot([], [], "o", color=GREY, label="tuned online, by start")
    left.set(title="One run against a grid", xlabel="first step size", ylabel="final training loss", xscale="log")
    middle.set(title="Step sizes that tune themselves", xlabel="training step", ylabel="step size")
    middle.set(xscale="log", yscale="log")
    left.legend(fontsize=8.5)
    middle.legend(fontsize=8.5, loc="lower right")
    x = [line["iteration"] for line in unrolled["lines"] if line.get("loss") is not None]
    y = [line["loss"] for line in unrolled["lines"] if line.get("loss") is not None]
    right.plot(x, y, color=INK, label="through all of training")
    right.axhline(unrolled["best"], color=COLOURS[1], linestyle=(0, (4, 2)), linewidth=1.5)
    label = f"best of a grid of {unrolled['points']} trainings"
    right.plot([], [], color=COLOURS[1], linestyle=(0, (4, 2)), linewidth=1.5, label=label)
    right.set(title="Three hyperparameters unrolled", xlabel="trainings", ylabel="validation loss")
    right.legend(fontsize=8.5)
    return figure
