"""Numbers against a step: of training, with all its noise, and of what was measured, with its intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from tinymeta.view.style import COLOURS, FAINT, GREY, End, legend_below, log_scale, name_ends, panels, styled, tiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Array = NDArray[np.float64]


class Estimate(Protocol):
    """A mean with the half-width of its interval."""

    @property
    def mean(self) -> float: ...
    @property
    def half(self) -> float: ...


Points = Mapping[Any, Estimate | float]  # by step: any number
Span = tuple[float, float, str]  # of steps, and what is said of it


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
def step_curves(
    methods: Mapping[str, Points],
    *,
    title: str = "",
    xlabel: str = "inner steps",
    ylabel: str = "accuracy (%)",
    log: bool = False,
    marks: bool = True,
    band: float = 0.16,
    height: float = 3.6,
    span: Span | None = None,
    **limits: Any,
) -> Figure:
    """A quantity after 0, 1, 2, … steps (or shots, or examples): a line per method with its interval as a band.

    Parameters
    ----------
    methods : mapping
        Name to `{step: estimate}`, or to plain numbers by step.
    log : bool
        A logarithmic axis for the quantity.
    marks : bool
        Mark each step; else the lines are drawn as curves.
    band : float
        How opaque an interval is.
    span : tuple, optional
        First and last of the steps to shade, and the words for them (`(0, 30, "trained on")`).
    limits
        Of the axes, as matplotlib takes them (`ylim=(0, None)`).
    """
    figure, (axes,) = panels(height=height)
    ends = _lines(axes, methods, marks, band, span)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel, **limits)
    if marks:
        ticks = sorted({step for points in methods.values() for step in points})
        axes.set_xticks(ticks if len(ticks) <= 12 else [tick for tick in ticks if tick % 5 == 0])
    if log:
        log_scale(axes)
    name_ends(axes, ends)
    return figure


@styled
def curve_panels(
    views: Mapping[str, Mapping[str, Points]],
    *,
    title: str = "",
    xlabel: str,
    ylabel: str,
    across: int = 3,
    marks: bool = False,
    span: Span | None = None,
    log: str = "",
    sharey: bool = False,
) -> Figure:
    """`step_curves` side by side, at most so many `across`: a panel per view, and one legend for all of them.

    `log` names the axes that are logarithmic: "x", "y", "xy".
    """
    figure, axes = tiles(views, across, 2.5, title=title, sharey=sharey)
    for panel, methods in zip(axes, views.values()):
        _lines(panel, methods, marks, 0.16, span)
        panel.set_xlabel(xlabel)
        for which in log:
            log_scale(panel, which)
    for panel in axes[::across]:
        panel.set_ylabel(ylabel)
    legend_below(figure)
    return figure


def _lines(axes: Axes, methods: Mapping[str, Points], marks: bool, band: float, span: Span | None) -> list[End]:
    """Draw a line per method with its intervals as a band, and give their right ends; `span` is shaded below them."""
    ends = []
    for (name, points), colour in zip(methods.items(), _colours(len(methods))):
        x = sorted(points)
        mean, half = np.array([_estimate(points[step]) for step in x]).T
        axes.fill_between(x, mean - half, mean + half, color=colour, alpha=band, linewidth=0)
        axes.plot(x, mean, "o-" if marks else "-", color=colour, markersize=4.5, label=name)
        ends.append(End(float(mean[-1]), name, colour))
    axes.margins(x=0.02 if marks else 0)
    if span is not None:
        first, last, words = span
        axes.axvspan(first, last, color=FAINT, alpha=0.55, linewidth=0, zorder=0)
        axes.annotate(
            words, (first, 1), (4, -4), xycoords=axes.get_xaxis_transform(), textcoords="offset points", va="top",
            color=GREY, fontsize=9,
        )  # fmt: skip
    return ends


def _estimate(value: Estimate | float) -> tuple[float, float]:
    """Mean and half-width, NaN for a plain number."""
    return (float(value), math.nan) if isinstance(value, SupportsFloat) else (value.mean, value.half)


def _colours(count: int) -> list[str]:
    """A colour per curve; beyond the palette all further ones are grey, since no eye tells ten hues apart."""
    return [*COLOURS, *[GREY] * count][:count]


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
