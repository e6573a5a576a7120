"""One look for every figure: white ground, few colours that all eyes can tell apart, names beside the lines.

Figures are made without pyplot: no window, no global state, no backend to choose. matplotlib is imported by
the first figure, so a program that draws nothing does not need it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, ParamSpec

from tinymeta.engine.errors import UserError
from tinymeta.io.files import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), without its yellow, which is too light on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
INK, GREY, FAINT = "#262626", "#7a7a7a", "#e4e4e4"
WIDTH = 8.0  # inches: what a README column shows, with text at reading size

STYLE = Path(__file__).with_name("figures.mplstyle")


class MissingMatplotlib(UserError):
    """A figure was asked for where matplotlib is not installed."""


class End(NamedTuple):
    """The right end of a line: its height and the name to write beside it."""

    y: float
    name: str
    colour: str


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Give the figures that `draw` makes the project's look, and say so where matplotlib is missing."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        if find_spec("matplotlib") is None:
            raise MissingMatplotlib("they need matplotlib; `pip install 'tinymeta[plot]'` brings it")
        from matplotlib import rc_context, rc_params_from_file

        with rc_context(rc_params_from_file(STYLE, use_default_template=False)):
            return draw(*args, **kwargs)

    return drawn


def panels(
    rows: int = 1, columns: int = 1, *, width: float = WIDTH, height: float = 3.6, title: str = "", **sharing: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of `width` × `height` inches with `rows` × `columns` axes, listed row by row, under a common title."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **sharing)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    return figure, list(axes.flat)


def tiles(names: Iterable[str], across: int, high: float, **settings: Any) -> tuple[Figure, list[Axes]]:
    """`panels` with a panel of `high` inches for each of `names`, at most so many `across`, and room for a legend."""
    names = list(names)
    columns = min(across, len(names))
    rows = -(-len(names) // columns)
    figure, axes = panels(rows, columns, height=0.9 + high * rows, **settings)
    for panel, name in zip(axes, names):
        panel.set_title(name, fontsize=10.5, pad=6)
    for panel in axes[len(names) :]:
        panel.set_axis_off()
    return figure, axes[: len(names)]


def legend_below(figure: Figure, columns: int | None = None, order: Sequence[str] = ()) -> None:
    """One legend for all panels, below them: what several panels show stands there once."""
    pairs = [zip(*panel.get_legend_handles_labels()) for panel in figure.axes]
    named = {label: handle for pair in pairs for handle, label in pair}
    order = order or list(named)
    figure.legend([named[n] for n in order], order, loc="outside lower center", ncols=columns or len(order))


@styled
def sketch(draw: Callable[..., object], out: BinaryIO, **layout: Any) -> Figure:
    """Let `draw(*axes)` fill the `panels` of this layout, put the legend below, and write the figure as a PNG."""
    figure, axes = panels(**layout)
    draw(*axes)
    names = {name for panel in axes for name in panel.get_legend_handles_labels()[1]}
    if names:
        rows = -(-len(names) // 4)
        legend_below(figure, -(-len(names) // rows))
    figure.savefig(out, format="png", dpi=200)  # here, where "C0" is our first colour
    return figure


def bare(axes: Axes) -> None:
    """Leave the names at the axes' ticks alone: no grid, no marks, no frame."""
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def save(figure: Figure, path: Path) -> None:
    """Write a figure, whole or not at all, in the format that the suffix names (`.png`, `.svg`, `.pdf`)."""
    with whole(path) as stream:
        figure.savefig(stream, format=path.suffix.removeprefix("."), dpi=200)


def log_scale(axes: Axes, which: str = "y") -> None:
    """Make the y axis (or x) of finished lines logarithmic; within three decades it has plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis = axes.yaxis if which == "y" else axes.xaxis
    (axes.set_yscale if which == "y" else axes.set_xscale)("log")
    low, high = sorted(axis.get_view_interval())
    if high < 1e3 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())


def name_ends(axes: Axes, ends: Sequence[End]) -> None:
    """Write each line's name beside its right end, moved apart where two would meet. Limits must be final."""
    if not ends:
        return
    low, high = axes.transScale.transform([(1, limit) for limit in axes.get_ylim()])[:, 1]
    heights = axes.transScale.transform([(1, end.y) for end in ends])[:, 1]
    # The axes fill about four fifths of the figure's height; a name is 13 points high.
    points = 0.8 * 72 * axes.figure.get_size_inches()[1]  # type: ignore[union-attr]
    wanted = [float((height - low) / (high - low) * points) for height in heights]
    placed = _apart(wanted, gap=13.0)
    for end, here, there in zip(ends, wanted, placed):
        axes.annotate(
            end.name,
            xy=(1, end.y),
            xycoords=axes.get_yaxis_transform(),
            xytext=(7, there - here),
            textcoords="offset points",
            color=end.colour,
            va="center",
            fontweight="bold",
            annotation_clip=False,
        )


def _apart(wanted: Sequence[float], gap: float) -> list[float]:
    """The positions nearest to `wanted` (in squares) that keep their order and a distance of `gap`.

    With p_i = wanted_i − i·gap in sorted order this is isotonic regression: pool neighbours that violate the order.
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    pools: list[list[float]] = []
    for rank, i in enumerate(order):
        pools.append([wanted[i] - rank * gap])
        while len(pools) > 1 and sum(pools[-2]) / len(pools[-2]) > sum(pools[-1]) / len(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    level = [sum(pool) / len(pool) for pool in pools for _ in pool]
    placed = [0.0] * len(wanted)
    for rank, i in enumerate(order):
        placed[i] = level[rank] + rank * gap
    return placed
