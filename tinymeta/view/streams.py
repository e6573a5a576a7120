"""The figures of learning along a stream: what it cost, and what was predicted on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinymeta.view.style import COLOURS, FAINT, GREY, INK, End, name_ends, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]


@styled
def followed(losses: Mapping[str, Array], trained_for: int, *, title: str = "") -> Figure:
    """The loss so far against the time: a line per method, with the 95 % interval of its mean as a band.

    Parameters
    ----------
    losses : mapping
        Name to losses of shape (streams, times).
    trained_for : int
        Up to here streams went in training; it is marked.
    """
    figure, (axes,) = panels(height=4.2)
    ends, top = [], 0.0
    for (name, each), colour in zip(losses.items(), [*COLOURS, *[GREY] * len(losses)]):
        total = np.cumsum(each, 1)
        mean, half = total.mean(0), 1.96 * total.std(0, ddof=1) / np.sqrt(len(total))
        time = np.arange(1, len(mean) + 1)
        axes.fill_between(time, mean - half, mean + half, color=colour, alpha=0.16, linewidth=0)
        axes.plot(time, mean, color=colour)
        ends.append(End(float(mean[-1]), name, colour))
        top = max(top, float(mean[-1]))
    axes.axvline(trained_for, color=GREY, linewidth=0.9, linestyle=(0, (3, 3)), zorder=0)
    axes.annotate(" streams in training end here", (trained_for, top), color=GREY, fontsize=9, va="top")
    axes.set(title=title, xlabel="time", ylabel="sum of losses so far", ylim=(0, None))
    axes.margins(x=0.01)
    name_ends(axes, ends)
    return figure


@styled
def tracked(
    times: Sequence[int],
    x: Array,
    truths: Sequence[Array],
    points: Sequence[tuple[Array, Array]],
    predictions: Mapping[str, Sequence[Array]],
    *,
    title: str = "",
) -> Figure:
    """A panel per time: the true curve, what each method predicts it to be, and the points that were told last.

    Parameters
    ----------
    times : sequence of int
        How many sets of points were told before.
    x, truths, predictions
        Inputs, and at each time the true curve and that of each method.
    points
        The inputs and targets that were told just before each time.
    """
    figure, axes = panels(1, len(times), height=3.0, sharex=True, sharey=True)
    reach = 1.15 * max(float(np.abs(truth).max()) for truth in truths)
    for k, (panel, time) in enumerate(zip(axes, times)):
        panel.plot(x, truths[k], color=FAINT, linewidth=6, label="true curve", zorder=1)
        for (name, curves), colour in zip(predictions.items(), COLOURS):
            panel.plot(x, curves[k], color=colour, label=name, zorder=2)
        panel.plot(
            *points[k], "o", color=INK, markersize=4, markeredgecolor="white", label="points told last", zorder=3
        )
        panel.set_title(f"after {time} time{'s' * (time > 1)}", fontsize=10, pad=6)
        panel.set(ylim=(-reach, reach))
        panel.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])
        panel.tick_params(axis="y", left=k == 0)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    return figure
