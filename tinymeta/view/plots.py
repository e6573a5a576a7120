"""The figures that recipes draw, each one function from numbers to a figure.

    learning_curves   what training did          metrics.jsonl, one line per stage
    adaptation        what a few steps do        one regression task, a panel per method
    step_curves       how fast adaptation is     a number against the inner step, with its interval
    bars              who is better              means with intervals, published figures as marks
    images            what the data look like    rows of characters

A quantity with an interval is anything with `mean` and `half`, such as the report's `Interval`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinymeta.view.style import COLOURS, FAINT, GREY, INK, WIDTH, End, log_scale, name_ends, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


class Estimate(Protocol):
    """A mean with the half-width of its interval."""

    @property
    def mean(self) -> float: ...
    @property
    def half(self) -> float: ...


@styled
def learning_curves(
    lines: Sequence[Mapping[str, Any]], metric: str = "loss", *, title: str = "", ylabel: str = ""
) -> Figure:
    """`metric` against the iteration, one curve per stage: smoothed, over the faint raw values.

    Parameters
    ----------
    lines : sequence of mapping
        The lines of `metrics.jsonl`: `iteration`, `stage` where there are several, and metrics.
    metric : str
        The metric to draw; lines without it are passed over.
    title, ylabel : str
        `ylabel` is the metric's name by default.
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    for line in lines:
        if line.get(metric) is not None:
            curves.setdefault(line.get("stage", ""), []).append((line["iteration"], line[metric]))
    figure, (axes,) = panels()
    values = np.array([value for curve in curves.values() for _, value in curve])
    # A log axis where the values span more than a decade, lone spikes aside.
    log = values.size > 0 and values.min() > 0 and np.quantile(values, 0.99) > 10 * np.quantile(values, 0.01)
    ends = []
    for (name, curve), colour in zip(curves.items(), _colours(len(curves))):
        x, y = np.array(curve, dtype=np.float64).T
        smooth = np.exp(_smooth(np.log(y))) if log else _smooth(y)
        axes.plot(x, y, color=colour, alpha=0.22, linewidth=0.9)
        axes.plot(x, smooth, color=colour)
        ends.append(End(float(smooth[-1]), name, colour))
    axes.set(title=title, xlabel="meta-iteration", ylabel=ylabel or metric)
    axes.margins(x=0.01)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    if log:
        log_scale(axes)
    name_ends(axes, ends)
    return figure


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
        Name of the method to `{steps: prediction of shape (n,)}`; 0 steps is the start. A panel each, in columns
        of up to three.
    """
    columns = min(3, len(methods))
    rows = -(-len(methods) // columns)
    figure, axes = panels(rows, columns, height=0.9 + 2.3 * rows, sharex=True, sharey=True)
    steps = sorted({step for curves in methods.values() for step in curves})
    shades = dict(zip(steps, _shades(len(steps))))
    for index, (panel, (name, curves)) in enumerate(zip(axes, methods.items())):
        panel.plot(x, truth, color="#c9c9c9", linewidth=5, label="true function", zorder=1)
        for step, curve in sorted(curves.items()):
            style = (0, (1, 1.6)) if step == 0 else "-"
            panel.plot(x, curve, color=shades[step], linestyle=style, label=_after(step), zorder=2)
        panel.plot(*support, "o", color=INK, markersize=5, markeredgecolor="white", label="points seen", zorder=3)
        panel.set_title(name, fontsize=10.5, pad=6)
        panel.margins(x=0.01)
        panel.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])
        panel.tick_params(axis="y", left=index % columns == 0)
    for panel in axes[len(methods) :]:
        panel.set_axis_off()
    # What diverges leaves the panel instead of flattening the others.
    low, high = np.min(truth), np.max(truth)
    room = 0.6 * (high - low)
    bottom, top = axes[0].get_ylim()
    axes[0].set_ylim(max(bottom, low - room), min(top, high + room))
    # The legend is shared, so the panels together must have named every curve.
    named = {label: handle for panel in axes for handle, label in zip(*panel.get_legend_handles_labels())}
    order = ["true function", "points seen", *map(_after, steps)]
    figure.legend([named[n] for n in order], order, loc="outside lower center", ncols=len(order))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    return figure


@styled
def step_curves(
    methods: Mapping[str, Mapping[int, Estimate]],
    *,
    title: str = "",
    xlabel: str = "inner steps",
    ylabel: str = "accuracy (%)",
    log: bool = False,
) -> Figure:
    """A quantity after 0, 1, 2, … steps (or shots, or examples): a line per method with its interval as a band."""
    figure, (axes,) = panels()
    ends = []
    for (name, curve), colour in zip(methods.items(), _colours(len(methods))):
        x = sorted(curve)
        mean = np.array([curve[step].mean for step in x])
        half = np.array([curve[step].half for step in x])
        axes.fill_between(x, mean - half, mean + half, color=colour, alpha=0.16, linewidth=0)
        axes.plot(x, mean, "o-", color=colour, markersize=4.5)
        ends.append(End(float(mean[-1]), name, colour))
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ticks = sorted({step for curve in methods.values() for step in curve})
    axes.set_xticks(ticks if len(ticks) <= 12 else [tick for tick in ticks if tick % 5 == 0])
    axes.margins(x=0.02)
    if log:
        log_scale(axes)
    name_ends(axes, ends)
    return figure


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
    names = list(values)
    mean = np.array([values[name].mean for name in names])
    half = np.nan_to_num([values[name].half for name in names])
    sure = half == 0  # a number without an interval, such as chance: no whiskers
    axes.barh(names, mean, color=COLOURS[0], height=0.62)
    axes.errorbar(mean, names, xerr=np.where(sure, np.nan, half), fmt="none", ecolor=INK, elinewidth=1.4, capsize=3)
    reach = max([*(mean + half), *published.values()])
    axes.set_xlim(min(0.0, float((mean - half).min())), 1.12 * reach)
    for name, value, error in zip(names, mean, half):
        at = (value + error, name)
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        text = f"{value:.4g}"
        axes.annotate(text, at, (6, 0), textcoords="offset points", va="center", fontweight="bold", bbox=ground)
    for name, figure_value in published.items():
        axes.axvline(figure_value, color=COLOURS[1], linestyle=(0, (4, 2)), linewidth=1.5, zorder=0)
        at_top = (figure_value, 1.0)
        axes.annotate(
            f"{name} {figure_value:.4g}",
            at_top,
            (0, 4),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="center",
            color=COLOURS[1],
            fontsize=9.5,
        )
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel=xlabel)
    axes.set_title(title, pad=22 if published else 10)
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
    sheet = np.full((count * (high + gap) - gap, across * (wide + gap) - gap), np.nan)
    for r in range(count):
        for c in range(across):
            sheet[r * (high + gap) :, c * (wide + gap) :][:high, :wide] = ink[r, c]
    width = min(WIDTH, 1.0 + 0.72 * across)  # inches; a few characters do not fill a page
    figure, (axes,) = panels(width=width, height=0.4 + (width - 1.0) * sheet.shape[0] / sheet.shape[1])
    axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.grid(visible=False)
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([r * (high + gap) + high / 2 for r in range(len(rows))], rows)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_facecolor(FAINT)
    return figure


def _colours(count: int) -> list[str]:
    """A colour per curve; beyond the palette all further ones are grey, since no eye tells ten hues apart."""
    return [*COLOURS, *[GREY] * count][:count]


def _shades(count: int) -> list[str]:
    """Light to dark of one hue, for stages of one thing."""
    from matplotlib.colors import LinearSegmentedColormap, to_hex

    ramp = LinearSegmentedColormap.from_list("steps", ["#f0a36b", "#d55e00", "#7a2f00"])
    return [to_hex(ramp(i / max(count - 1, 1))) for i in range(count)]


def _after(step: int) -> str:
    return "before" if step == 0 else f"after {step} step{'s' if step > 1 else ''}"


def _smooth(y: Array) -> Array:
    """Running mean over a twentieth of the curve, centred.

    At the start the window is as narrow as it must be to stay centred: there curves are steep, and a lopsided mean
    would draw a start that never was. At the end it is cut off: there they are flat, and a narrow one would be noise.
    """
    index = np.arange(len(y))
    half = np.minimum(index, len(y) // 40)
    last = np.minimum(index + half, len(y) - 1)
    total = np.concatenate([[0.0], np.cumsum(y)])
    smooth: Array = (total[last + 1] - total[index - half]) / (last + 1 - index + half)
    return smooth
