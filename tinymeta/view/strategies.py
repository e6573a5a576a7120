"""Which rule is picked where, and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinymeta.view.style import COLOURS, INK, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def strategies(rules: Sequence[str], picks: Mapping[str, Any], scores: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Shares of the rules per family as a grid of discs; the scores of the methods per family beside it.

    Parameters
    ----------
    rules
        Names of the columns.
    picks
        Family to the share of every rule.
    scores
        Method, then family, to an interval (lower is better).
    """
    figure, (left, right) = panels(1, 2, width=12, height=4.6)
    names = list(picks)
    for row, name in enumerate(names):
        share = np.asarray(picks[name])
        left.scatter(np.arange(len(rules)), np.full(len(rules), row), s=520 * share, color=COLOURS[0])
        for column in np.flatnonzero(share >= 0.2):
            left.annotate(f"{100 * share[column]:.0f}", (column, row), ha="center", va="center", size=8, color="white")
    left.set_xticks(range(len(rules)), [rule.replace(" ", "\n") for rule in rules])
    left.set_yticks(range(len(names)), names)
    left.set_ylim(len(names) - 0.4, -0.6)
    left.set_xlim(-0.6, len(rules) - 0.4)
    left.grid(False)
    left.set_title("What is picked, per cent")
    families = list(next(iter(scores.values())))
    height = 0.8 / len(scores)
    for k, (method, line) in enumerate(scores.items()):
        at = np.arange(len(families)) + (k - (len(scores) - 1) / 2) * height
        means, halves = (np.array([getattr(line[f], part) for f in families]) for part in ("mean", "half"))
        colour = INK if method.startswith("best fixed rule of") else COLOURS[k]
        right.errorbar(means, at, xerr=halves, fmt="o", markersize=5, color=colour, label=method)
    right.set_yticks(range(len(families)), families)
    right.set_ylim(len(families) - 0.4, -0.6)
    right.grid(True, axis="x")
    right.set(title="Log of the loss that remains (less is better)")
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, fontsize=8.5)
    return figure
