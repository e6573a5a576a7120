"""Text as a model reads it: every character on a ground that is the darker, the less it was expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tinymeta.view.style import GREY, INK, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 8.0  # bits with the darkest ground


@styled
def surprise(lines: Sequence[str], readings: Mapping[str, Sequence[ArrayLike]], *, title: str = "") -> Figure:
    """Lines of text, each once per reading.

    Parameters
    ----------
    lines : sequence of str
        Pieces of text of one length.
    readings : mapping
        The name of a reading to the bits of each character of each line.
    """
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    width, rows = max(map(len, lines)), len(lines) * len(readings)
    figure, (axes,) = panels(height=0.9 + 0.3 * rows + 0.12 * len(lines))
    ground = colormaps["Oranges"]
    y = 0.0
    ticks = []
    for i, line in enumerate(lines):
        for name, bits in readings.items():
            costs = np.asarray(bits[i], dtype=np.float64)
            for x, (character, cost) in enumerate(zip(line, costs)):
                shade = 0.9 * min(cost / MOST, 1)
                axes.add_patch(Rectangle((x, y), 1, 1, facecolor=ground(shade), edgecolor="none"))
                colour = "white" if shade > 0.6 else INK
                shown = character if character.isprintable() else "¶"
                axes.text(x + 0.5, y + 0.54, shown, ha="center", va="center", color=colour, family="monospace")
            ticks.append((y + 0.5, f"{name}, {costs.mean():.1f} bits"))
            y += 1
        y += 0.4
    axes.set_xlim(0, width)
    axes.set_ylim(y - 0.4, 0)
    axes.set_xticks([])
    axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks])
    axes.tick_params(length=0, labelcolor=GREY)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(title)
    return figure
