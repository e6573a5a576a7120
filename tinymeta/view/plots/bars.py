"""Who is better: a bar per method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tinymeta.view.plots.curves import Estimate
from tinymeta.view.style import COLOURS, INK, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def bars(
    values: Mapping[str, Estimate],
    published: Mapping[str, float] | None = None,
    *,
    title: str = "",
    xlabel: str = "accuracy (%)",
) -> Figure:
    """A bar per method, its 95 % interval and its number; published figures as labelled marks across.

    Parameters
    ----------
    values : mapping
        Name to estimate, drawn from top to bottom.
    published : mapping, optional
        Name to a figure that the bars are to be compared with.
    """
    figure, (axes,) = panels(height=1.15 + 0.42 * len(values))
    published = published or {}
    mean, half = (np.array([getattr(value, part) for value in values.values()]) for part in ("mean", "half"))
    reach = np.nan_to_num(half)
    error = np.where(reach == 0, np.nan, half)  # a number without an interval, such as chance: no whiskers
    whiskers = {"ecolor": INK, "elinewidth": 1.4, "capsize": 3}
    drawn = axes.barh(list(values), mean, color=COLOURS[0], height=0.62, xerr=error, error_kw=whiskers)
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axes.bar_label(drawn, fmt="{:.4g}", padding=6, fontweight="bold", bbox=ground)
    axes.set_xlim(1.3 * min(0.0, float((mean - reach).min())), 1.12 * max([0.0, *(mean + reach), *published.values()]))
    for name, value in published.items():
        axes.axvline(value, color=COLOURS[1], linestyle=(0, (4, 2)), linewidth=1.5, zorder=0)
        axes.annotate(
            f"{name} {value:.4g}", (value, 1.0), (0, 4), xycoords=axes.get_xaxis_transform(),
            textcoords="offset points", ha="center", color=COLOURS[1], fontsize=9.5,
        )  # fmt: skip
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel=xlabel)
    axes.set_title(title, pad=22 if published else 10)
    return figure
