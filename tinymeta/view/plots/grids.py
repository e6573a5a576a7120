"""Rows and columns: texts on coloured grounds, and sheets of small images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tinymeta.view.style import FAINT, INK, WIDTH, bare, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def cells(
    blocks: Sequence[ArrayLike],
    texts: Sequence[Sequence[Sequence[str]]],
    *,
    rows: Sequence[str],
    columns: Sequence[str] = (),
    colours: str | Sequence[str],
    span: tuple[float, float],
    title: str = "",
    **font: Any,
) -> Figure:
    """Texts on grounds whose colours say a number, in blocks of rows, one below the other.

    Parameters
    ----------
    blocks : sequence of array_like, shape (r, c)
        The numbers, of which `span` are the least and the largest; where there is none (NaN) the ground is white.
    texts
        Of every cell of every block.
    rows, columns : sequence of str
        Names of all rows, block after block, and of the columns: with those, cells are squares.
    colours : str or sequence of str
        A colour map of matplotlib's, or the colours to make one of.
    font
        How to write the texts.
    """
    from matplotlib.colors import LinearSegmentedColormap

    shades = colours if isinstance(colours, str) else LinearSegmentedColormap.from_list("cells", list(colours))
    count, across = len(rows), len(texts[0][0])
    square = min(WIDTH, 1.6 + 0.75 * across), 1.0 + 0.75 * min(count, 9)  # inches
    width, height = square if columns else (WIDTH, 0.9 + 0.3 * count + 0.12 * len(blocks))
    figure, (axes,) = panels(width=width, height=height)
    ticks: list[float] = []
    top = 0.0
    for values, written in zip(blocks, texts):
        ground = np.asarray(values)
        low = top + len(ground)
        axes.imshow(ground, cmap=shades, vmin=span[0], vmax=span[1], aspect="auto", extent=(0, across, low, top))
        for (row, column), value in np.ndenumerate(ground):
            ink = "white" if abs(value) > 0.6 * span[1] else INK
            axes.text(
                column + 0.5, top + row + 0.5, str(written[row][column]), ha="center", va="center", color=ink, **font
            )
        ticks += [top + row + 0.5 for row in range(len(ground))]
        top = low + 0.4
    axes.set(xlim=(0, across), ylim=(top - 0.4, 0), title=title, aspect="equal" if columns else "auto")
    axes.set_xticks([column + 0.5 for column in range(len(columns))], columns)
    axes.set_yticks(ticks, rows)
    bare(axes)
    return figure


@styled
def images(pixels: ArrayLike, *, rows: Sequence[str] = (), title: str = "") -> Figure:
    """A grid of small images, dark ink on white, with a name per row.

    Parameters
    ----------
    pixels : array_like, shape (r, c, h, w)
        Ink from 0 to 1, row by row.
    rows : sequence of str
        A name for each row.
    """
    ink = np.asarray(pixels, dtype=np.float64)
    count, across, high, wide = ink.shape
    # One picture with gaps of a tenth of a character: sharper and smaller than a grid of axes.
    gap = max(high // 10, 1)
    sheet = np.pad(ink, ((0, 0), (0, 0), (0, gap), (0, gap)), constant_values=np.nan).swapaxes(1, 2)
    sheet = sheet.reshape(count * (high + gap), across * (wide + gap))[:-gap, :-gap]
    width = min(WIDTH, 1.0 + 0.72 * across)  # inches; a few characters do not fill a page
    figure, (axes,) = panels(width=width, height=0.4 + (width - 1.0) * sheet.shape[0] / sheet.shape[1])
    axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.set(title=title, xticks=[], facecolor=FAINT)
    axes.set_yticks([r * (high + gap) + high / 2 for r in range(len(rows))], rows)
    bare(axes)
    return figure
