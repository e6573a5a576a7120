"""The figure of the learned-optimizer recipe: learned rules beside tuned ones, within and past the training horizon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tinymeta.view.style import COLOURS, FAINT, GREY, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def descents(kinds: Mapping[str, Mapping[str, ArrayLike]], horizon: int) -> Figure:
    """A panel per kind of problem: the mean order of magnitude of the loss against the step, a line per rule.

    Parameters
    ----------
    kinds
        Title to {rule: log₁₀ loss after 0, 1, … steps}. Rules whose name begins with "learned" stand out.
    horizon
        The steps that the learned rules were trained for; what is past them is shaded.
    """
    figure, axes = panels(1, len(kinds), width=11.5, height=4.1)
    for panel, (title, rules) in zip(axes, kinds.items()):
        tuned = iter((GREY, COLOURS[5], COLOURS[3], COLOURS[0]))
        learned = iter((COLOURS[1], COLOURS[2]))
        for name, curve in rules.items():
            y = np.asarray(curve)
            if name.startswith("learned"):
                panel.plot(np.arange(len(y)), y, color=next(learned), linewidth=2.4, label=name, zorder=3)
            else:
                panel.plot(np.arange(len(y)), y, color=next(tuned), linewidth=1.4, label=f"{name}, tuned")
        panel.axvspan(horizon, len(y) - 1, color=FAINT, alpha=0.55, linewidth=0, zorder=0)
        panel.set_title(title, fontsize=10.5)
        panel.set_xlabel("steps")
        panel.margins(x=0)
    axes[0].set_ylabel("log₁₀ of the loss")
    axes[0].annotate("past the training horizon", (horizon, 0.98), (5, 0), va="top", fontsize=8.5, color=GREY,
                     xycoords=axes[0].get_xaxis_transform(), textcoords="offset points")  # fmt: skip
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure
