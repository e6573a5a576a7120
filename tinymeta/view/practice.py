"""The figure of practice: how good a player is after how many episodes of a game that is new to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tinymeta.view.style import COLOURS, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]


@styled
def practice(games: Mapping[str, Mapping[str, tuple[Array, Array]]], *, title: str = "") -> Figure:
    """A panel per game, a line per player with the 95 % interval over games.

    Parameters
    ----------
    games : mapping
        Name to players: name to the episodes practised, (n,), and the returns, (n, games).
    """
    figure, axes = panels(1, len(games), height=3.4)
    for panel, (game, players) in zip(axes, games.items()):
        for (name, (episodes, returns)), colour in zip(players.items(), COLOURS):
            mean, half = returns.mean(1), 1.96 * returns.std(1, ddof=1) / np.sqrt(returns.shape[1])
            panel.fill_between(episodes, mean - half, mean + half, color=colour, alpha=0.16, linewidth=0)
            panel.plot(episodes, mean, "o-", color=colour, markersize=4, label=name)
        panel.set_title(game, fontsize=10.5, pad=6)
        panel.set(xlabel="episodes practised")
        panel.margins(x=0.02)
    axes[0].set_ylabel("return")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    return figure
