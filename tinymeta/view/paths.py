"""The figure of what policies do in the plane: where they went in a few tasks, before and after adapting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinymeta.view.style import COLOURS, INK, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]


@styled
def paths(methods: Mapping[str, tuple[Array, Array]], goals: Array, *, title: str = "") -> Figure:
    """A row per stage and a column per method; a colour per task, a star at its goal.

    Parameters
    ----------
    methods : mapping
        Name to the positions before and after adapting, each (tasks, trajectories, steps, 2).
    goals : array, shape (tasks, 2)
    """
    names = list(methods)
    width = min(8.0, 2.7 * len(names))
    height = 0.8 + 2 * (width / len(names))
    figure, axes = panels(2, len(names), width=width, height=height, sharex=True, sharey=True)
    reach = 1.15 * float(np.abs(goals).max()) + 0.1
    for column, name in enumerate(names):
        for row, positions in enumerate(methods[name]):
            panel = axes[row * len(names) + column]
            for task, (tracks, goal) in enumerate(zip(positions, goals)):
                colour = COLOURS[task % len(COLOURS)]
                for track in tracks:
                    panel.plot(*track.T, color=colour, linewidth=0.8, alpha=0.7)
                panel.plot(*goal, "*", color=colour, markersize=13, markeredgecolor="white", zorder=3)
            panel.plot(0, 0, "o", color=INK, markersize=4, zorder=4)
            panel.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
            panel.locator_params(nbins=4, steps=[1, 2, 5, 10])
            panel.set_title(f"{name}\n{'after one step' if row else 'before'}", fontsize=10, pad=5)
            panel.grid(visible=False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    return figure
