"""The figure of the learned-loss recipe: how hard a loss pulls at a prediction, and where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tinymeta.view.style import GREY, INK, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def landscape(predictions: ArrayLike, slopes: Mapping[float, ArrayLike], target: float) -> Figure:
    """∂loss/∂prediction against the prediction: the squared error's straight line, and the learned loss's at several x.

    Parameters
    ----------
    predictions : array_like, shape (n,)
    slopes : mapping
        x to the learned slopes, (n,).
    target : float
        The target of the example, where the squared error stops pulling.
    """
    from matplotlib import colormaps

    figure, (axes,) = panels(height=4.0)
    at = np.asarray(predictions)
    axes.plot(at, 2 * (at - target), color=INK, linewidth=2.4, label="squared error", zorder=3)
    for (x, slope), shade in zip(slopes.items(), np.linspace(0.1, 0.9, len(slopes))):
        axes.plot(at, slope, color=colormaps["viridis"](shade), label=f"learned, x = {x:g}")
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.axvline(target, color=GREY, linewidth=0.8, linestyle=(0, (2, 2)))
    axes.set(title=f"What each loss says to a prediction whose target is {target:g}", xlabel="prediction")
    axes.set_ylabel("slope of the loss")
    axes.legend(ncols=2)
    return figure
