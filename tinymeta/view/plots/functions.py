"""What models say about a function, beside the truth and the points that were seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tinymeta.view.style import INK, legend_below, styled, tiles

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def adaptation(
    x: ArrayLike,
    truth: ArrayLike,
    support: tuple[ArrayLike, ArrayLike],
    methods: Mapping[str, Mapping[int, ArrayLike]],
    *,
    title: str = "",
) -> Figure:
    """One regression task: the true curve, the points seen, and what each method makes of them.

    Parameters
    ----------
    x, truth : array_like, shape (n,)
        The true curve.
    support : pair of array_like, shape (k,)
        Inputs and targets that the methods adapt to.
    methods : mapping
        Name of the method to `{steps: prediction of shape (n,)}`; 0 steps is the start. A panel each.
    """
    from matplotlib.colors import LinearSegmentedColormap

    steps = sorted({step for curves in methods.values() for step in curves})
    # Light to dark of one hue, for stages of one thing.
    ramp = LinearSegmentedColormap.from_list("steps", ["#f0a36b", "#d55e00", "#7a2f00"])
    looks = {
        _after(step): {"color": ramp(i / max(len(steps) - 1, 1)), "linestyle": "-" if step else (0, (1, 1.6))}
        for i, step in enumerate(steps)
    }
    said = {name: {_after(step): curves[step] for step in sorted(curves)} for name, curves in methods.items()}
    return functions(x, {name: (truth, support, curves) for name, curves in said.items()}, looks, title=title)


@styled
def functions(
    x: ArrayLike,
    views: Mapping[str, tuple[ArrayLike, tuple[ArrayLike, ArrayLike], Mapping[str, ArrayLike]]],
    looks: Mapping[str, Mapping[str, Any]],
    *,
    title: str = "",
    names: tuple[str, str] = ("true function", "points seen"),
    across: int = 3,
    room: float = 0.6,
    columns: int | None = None,
) -> Figure:
    """A panel per view of a function: the truth, the points seen, and what some models say.

    Parameters
    ----------
    x : array_like, shape (n,)
    views : mapping
        Name of the panel to the truth, (n,), the inputs and targets of points, (k,), and the curves by name, (n,).
    looks : mapping
        The look of each curve, as matplotlib takes it.
    names : pair of str
        What truth and points are called.
    across, columns : int
        Panels in a row, and entries in a row of the legend.
    room : float
        What goes beyond the truth's range by more than this share of it leaves the panel, and flattens no other.
    """
    figure, axes = tiles(views, across, 2.3, title=title, sharex=True, sharey=True)
    for index, (panel, (truth, points, curves)) in enumerate(zip(axes, views.values())):
        panel.plot(x, truth, color="#c9c9c9", linewidth=5, label=names[0], zorder=1)
        for name, curve in curves.items():
            panel.plot(x, curve, label=name, zorder=2, **looks[name])
        panel.plot(*points, "o", color=INK, markersize=5, markeredgecolor="white", label=names[1], zorder=3)
        panel.margins(x=0.01)
        panel.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])
        panel.tick_params(axis="y", left=index % across == 0)
    truths = [np.asarray(truth) for truth, _, _ in views.values()]
    low, high = float(np.min(truths)), float(np.max(truths))
    bottom, top = axes[0].get_ylim()
    axes[0].set_ylim(max(bottom, low - room * (high - low)), min(top, high + room * (high - low)))
    legend_below(figure, columns, [*names, *looks])
    return figure


def _after(step: int) -> str:
    return "before" if step == 0 else f"after {step} step{'s' if step > 1 else ''}"
