"""The figures of learning one task after the other: what is forgotten, and which tasks are alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinymeta.view.style import COLOURS, GREY, INK, End, name_ends, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]


@styled
def forgetting(accuracy: Mapping[str, Array], *, title: str = "") -> Figure:
    """The mean accuracy in the tasks so far, against their number: a line per method with its 95 % interval.

    Parameters
    ----------
    accuracy : mapping
        Name to shares of shape (streams, tasks learned, tasks measured).
    """
    figure, (axes,) = panels(height=4.2)
    ends = []
    for (name, each), colour in zip(accuracy.items(), [*COLOURS, *[GREY] * len(accuracy)]):
        count = np.arange(1, each.shape[1] + 1)
        so_far = 100 * np.stack([each[:, k - 1, :k].mean(1) for k in count], 1)
        mean, half = so_far.mean(0), 1.96 * so_far.std(0, ddof=1) / np.sqrt(len(so_far))
        axes.fill_between(count, mean - half, mean + half, color=colour, alpha=0.09, linewidth=0)
        axes.plot(count, mean, "o-", color=colour, markersize=4)
        ends.append(End(float(mean[-1]), name, colour))
    axes.set(title=title, xlabel="tasks learned", ylabel="accuracy (%)")
    axes.set_xticks(count)
    axes.margins(x=0.02)
    name_ends(axes, ends)
    return figure


@styled
def similarities(cosines: Array, *, title: str = "") -> Figure:
    """A matrix of cosines, blue where tasks help each other and orange where they conflict, with its numbers."""
    from matplotlib.colors import LinearSegmentedColormap

    count = len(cosines)
    colours = LinearSegmentedColormap.from_list("conflict", [COLOURS[1], "white", COLOURS[0]])
    figure, (axes,) = panels(width=min(8.0, 1.6 + 0.75 * count), height=1.0 + 0.75 * min(count, 9))
    shown = np.where(np.eye(count, dtype=bool), np.nan, cosines)  # a task's likeness to itself says nothing
    reach = max(float(np.nanmax(np.abs(shown))), 1e-9)
    axes.imshow(shown, cmap=colours, vmin=-reach, vmax=reach)
    for j in range(count):
        for k in range(count):
            if j != k:
                ink = "white" if abs(cosines[j, k]) > 0.6 * reach else INK
                axes.text(k, j, f"{cosines[j, k]:.2f}", ha="center", va="center", color=ink, fontsize=9.5)
    names = [f"task {k + 1}" for k in range(count)]
    axes.set_xticks(range(count), names)
    axes.set_yticks(range(count), names)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(title)
    return figure
