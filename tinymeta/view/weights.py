"""The figure of what a learner trusts: how the weights of right and wrong examples are spread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinymeta.view.style import COLOURS, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]


@styled
def weight_histograms(methods: Mapping[str, tuple[Array, Array]], *, title: str = "") -> Figure:
    """A panel per method: the weights of examples with a right and with a wrong label, 1 being an equal share.

    Parameters
    ----------
    methods : mapping
        Name to (weights, wrong): two arrays of one shape, the second of bool. Names may hold a line break.
    """
    columns = min(2, len(methods))
    rows = -(-len(methods) // columns)
    figure, axes = panels(rows, columns, height=0.9 + 2.1 * rows)
    for panel, (name, (weights, wrong)) in zip(axes, methods.items()):
        share = weights / weights.mean()
        edges = np.linspace(0, np.quantile(share, 0.995), 40).tolist()
        for colour, label, chosen in ((COLOURS[0], "label right", ~wrong), (COLOURS[1], "label wrong", wrong)):
            panel.hist(share[chosen], edges, color=colour, alpha=0.65, label=label)
        panel.set_title(name, fontsize=10, pad=5)
        panel.set_yticks([])
        panel.set_xlabel("weight (1: an equal share)")
    for panel in axes[len(methods) :]:
        panel.set_axis_off()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    return figure
