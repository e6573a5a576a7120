"""What the distances of a trained embedding are worth: probabilities that mean something, and "none of these".

A run keeps the embeddings of the classes that it held out, in `held_out.npz`. Tasks are drawn from these, of the
user's ways and shots where they allow it. They give a temperature, that of the least log loss, and a threshold: the
strangeness beyond which a picture is none of the classes. How often that errs is measured on other classes
than those that it was chosen on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import Tree
from tinymeta.io.save import contents, save

FILE = "held_out.npz"
BLOCK = 64  # pictures that are embedded at once
EPISODES = 400  # tasks that a temperature and a threshold come from
HALVES = 20  # times that the classes are halved, to choose a threshold on the one half and measure it on the other
REFUSED = 0.05  # share of pictures of the classes at hand that the threshold may call none of them


class Calibration(NamedTuple):
    """How distances become answers.

    Attributes
    ----------
    temperature : float
        The probabilities are softmax(−distance² / temperature).
    strangest : float
        The `strangeness` beyond which a picture is none of the classes; inf where nothing is known.
    refused, accepted : float
        The shares of pictures of the classes, and of others, that are wrongly called none and wrongly called one.
    ways, shots, classes : int
        Of the tasks that this comes from, and how many classes they were drawn from.
    """

    temperature: float = 1.0
    strangest: float = np.inf
    refused: float = np.nan
    accepted: float = np.nan
    ways: int = 0
    shots: int = 0
    classes: int = 0


def embedded(phi: Tree, pictures: Array) -> Array:
    """The embeddings of pictures (n, channels, height, width), some at a time: (n, features)."""
    return np.concatenate([phi(tm.tensor(pictures[k : k + BLOCK])).numpy() for k in range(0, len(pictures), BLOCK)])


def keep(folder: Path, features: Array, labels: Array) -> None:
    """Keep the embeddings of held-out classes beside the checkpoint."""
    save(folder / FILE, {"features": features, "labels": labels})


def calibration(folder: Path, ways: int, shots: int) -> Calibration:
    """From what a run kept, for tasks of so many ways and shots; without it, nothing is calibrated."""
    if not (folder / FILE).is_file():
        return Calibration()
    held, _ = contents(folder / FILE)
    features, labels = held["features"].astype(np.float64), held["labels"]
    groups = [features[labels == label] for label in np.unique(labels)]
    shots = max(1, min(shots, min(map(len, groups)) - 1))
    rng = np.random.default_rng(0)
    d, y, _ = _distances(rng, groups, max(2, min(ways, len(groups))), shots)
    temperature = _least(lambda t: _log_loss(d / t, y))
    near = min(ways, len(groups) // 2 - 1)
    if near < 2:  # too few classes to leave one out of a task, in each half of them
        return Calibration(temperature, ways=d.shape[1], shots=shots, classes=len(groups))
    refused, accepted, own = [], [], []
    for _ in range(HALVES):
        order = rng.permutation(len(groups))
        known, fresh = (
            _distances(rng, [groups[i] for i in part], near, shots, EPISODES // HALVES)
            for part in np.array_split(order, 2)
        )
        limit = np.quantile(strangeness(known[0]), 1 - REFUSED)
        refused.append((strangeness(fresh[0]) > limit).mean())
        accepted.append((strangeness(fresh[2]) <= limit).mean())
        own.append(strangeness(known[0]))
    limit = float(np.quantile(np.concatenate(own), 1 - REFUSED))
    return Calibration(temperature, limit, float(np.mean(refused)), float(np.mean(accepted)), near, shots, len(groups))


def strangeness(d: Array) -> Array:
    """How far pictures are from all classes, of squared distances (n, ways): that to the nearest one, times its ratio
    to the mean of the others. Where all classes lie close together, the least distance alone says little."""
    near = d.min(1)
    others = (d.sum(1) - near) / (d.shape[1] - 1)
    strange: Array = near * near / np.maximum(others, np.finfo(float).tiny)
    return strange


def _distances(
    rng: np.random.Generator, groups: list[Array], ways: int, shots: int, episodes: int = EPISODES
) -> tuple[Array, Array, Array]:
    """Squared distances to the class means of random tasks: of a picture of each class, (n, ways), with its class, and
    of one of another class, if there is one."""
    own, labels, away = [], [], []
    for _ in range(episodes):
        chosen = rng.permutation(len(groups))
        drawn = [groups[i][rng.permutation(len(groups[i]))] for i in chosen[: ways + 1]]
        means = np.stack([group[:shots].mean(0) for group in drawn[:ways]])
        queries = np.stack([group[shots] for group in drawn[:ways]])
        own.append(((queries[:, None] - means) ** 2).sum(-1))
        labels.append(np.arange(ways))
        away += [((group[shots] - means) ** 2).sum(-1)[None] for group in drawn[ways:]]
    return np.concatenate(own), np.concatenate(labels), np.concatenate(away) if away else np.zeros((0, ways))


def _log_loss(d: Array, labels: Array) -> float:
    """The mean of −log softmax(−d)[label]."""
    least = d.min(1)
    return float((np.log(np.exp(least[:, None] - d).sum(1)) - least + d[np.arange(len(d)), labels]).mean())


def _least(loss: Callable[[float], float]) -> float:
    """The temperature of the least loss, by golden section over its logarithm: the loss is convex in its inverse."""
    low, high = -12.0, 12.0
    shrink = (np.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        a, b = high - shrink * (high - low), low + shrink * (high - low)
        low, high = (low, b) if loss(np.exp(a)) < loss(np.exp(b)) else (a, high)
    return float(np.exp((low + high) / 2))
