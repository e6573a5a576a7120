"""The picture of crossing domains: a method's error against what a domain does, the domains trained on shaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tinymeta.view.plots import Estimate
from tinymeta.view.style import COLOURS, FAINT, GREY, End, log_scale, name_ends, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def slopes(
    x: ArrayLike, methods: Mapping[str, Sequence[Estimate]], *, seen: tuple[float, float], title: str = ""
) -> Figure:
    """A line per method with its interval as a band, over `x`, of which the stretch `seen` was trained on."""
    figure, (axes,) = panels()
    at = np.asarray(x, dtype=np.float64)
    axes.axvspan(*seen, color=FAINT, zorder=0)
    axes.annotate(
        "trained on", (np.mean(seen), 1), (0, -4), xycoords=axes.get_xaxis_transform(), textcoords="offset points",
        ha="center", va="top", color=GREY, fontsize=9.5,
    )  # fmt: skip
    ends = []
    for (name, curve), colour in zip(methods.items(), COLOURS):
        mean = np.array([point.mean for point in curve])
        half = np.array([point.half for point in curve])
        axes.fill_between(at, mean - half, mean + half, color=colour, alpha=0.16, linewidth=0)
        axes.plot(at, mean, color=colour)
        ends.append(End(float(mean[-1]), name, colour))
    axes.set(title=title, xlabel="slope of the domain's response", ylabel="mean squared error")
    axes.margins(x=0)
    log_scale(axes)
    name_ends(axes, ends)
    return figure
