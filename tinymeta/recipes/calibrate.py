"""What the distances of a trained embedding are worth: probabilities that mean something, and "none of these".

A run keeps the embeddings of the classes that it held out, in `held_out.npz`. Tasks are drawn from these, of the
user's ways and shots where they allow it. They give a temperature, that of the least log loss, and a threshold: the
strangeness beyond which a picture is none of the classes. How often that errs is measured on other classes
than those that it was chosen on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import Tree
from tinymeta.io.save import contents, save
from tinymeta.recipes.answering import Answering
from tinymeta.recipes.heads import Tasks

FILE = "held_out.npz"
EPISODES = 400  # tasks that a temperature and a threshold come from
HALVES = 20  # times that the classes are halved, to choose a threshold on the one half and measure it on the other
REFUSED = 0.05  # share of pictures of the classes at hand that the threshold may call none of them


class Calibration(NamedTuple):
    """How distances become answers.

    Attributes
    ----------
    temperature : float
        The probabilities are softmax(logits / temperature).
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


def keep(folder: Path, features: Tree, labels: Array) -> None:
    """Keep the features of held-out classes beside the checkpoint."""
    save(folder / FILE, {"features": features, "labels": labels})


def calibration(folder: Path, answering: Answering, ways: int, shots: int) -> Calibration:
    """From what a run kept, for tasks of so many ways and shots; without it, nothing is calibrated."""
    if not (folder / FILE).is_file():
        return Calibration()
    held, _ = contents(folder / FILE)
    labels = held.pop("labels")
    features: Tree = tuple(held[name] for name in sorted(held))  # of places, directions and weights
    features = features[0] if len(features) == 1 else features
    rows = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    shots = max(1, min(shots, min(map(len, rows)) - 1))
    rng = np.random.default_rng(0)
    asked = partial(_asked, answering, features, rng, shots=shots)
    own = asked(rows, ways=max(2, min(ways, len(rows))))
    truth = np.eye(own.logits.shape[1])[own.labels]
    temperature = least(lambda t: log_loss(own.logits / t, truth))
    near = min(ways, len(rows) // 2 - 1)
    if near < 2:  # too few classes to leave one out of a task, in each half of them
        return Calibration(temperature, ways=own.logits.shape[1], shots=shots, classes=len(rows))
    refused, accepted, limits = [], [], []
    for _ in range(HALVES):
        order = rng.permutation(len(rows))
        known, fresh = (
            asked([rows[i] for i in part], ways=near, episodes=EPISODES // HALVES) for part in np.array_split(order, 2)
        )
        limit = np.quantile(strangeness(known.distances), 1 - REFUSED)
        refused.append((strangeness(fresh.distances) > limit).mean())
        accepted.append((strangeness(fresh.away) <= limit).mean())
        limits.append(limit)
    limit = float(np.mean(limits))  # a quantile of all halves together would be laxer than those that were measured
    return Calibration(temperature, limit, float(np.mean(refused)), float(np.mean(accepted)), near, shots, len(rows))


def strangeness(d: Array) -> Array:
    """How far pictures are from all classes, of distances (n, ways): that to the nearest one, times its ratio
    to the mean of the others. Where all classes lie close together, the least distance alone says little."""
    near = d.min(1)
    others = (d.sum(1) - near) / (d.shape[1] - 1)
    strange: Array = near * near / np.maximum(others, np.finfo(float).tiny)
    return strange


class Asked(NamedTuple):
    """What queries of random tasks got, one of each class, (n, ways), with their classes, and one of another class."""

    logits: Array
    distances: Array
    labels: Array
    away: Array


def _asked(
    answering: Answering,
    features: Tree,
    rng: np.random.Generator,
    rows: Sequence[Array],
    ways: int,
    shots: int,
    episodes: int = EPISODES,
) -> Asked:
    """Random tasks of classes, each the rows of its pictures; nobody is `away` where all classes are in a task."""
    support, query = [], []
    for _ in range(episodes):
        drawn = [rng.permutation(rows[i])[: shots + 1] for i in rng.permutation(len(rows))[: ways + 1]]
        support.append(np.concatenate([each[:shots] for each in drawn[:ways]]))
        query.append([each[shots] for each in drawn])
    labels = np.tile(np.arange(ways), (episodes, 1))
    tasks = Tasks(np.array(support), np.repeat(labels, shots, axis=1), np.array(query), labels)
    logits, distances = answering.scores(features, tasks), answering.distances(features, tasks)
    near, far = (x[:, :ways].reshape(-1, ways) for x in (logits, distances))
    return Asked(near, far, labels.reshape(-1), distances[:, ways:].reshape(-1, ways))


def log_loss(logits: Array, truth: Array) -> float:
    """The mean of −truth · log softmax(logits), truth (n, classes) adding up to 1."""
    above = logits - logits.max(1, keepdims=True)
    return float((np.log(np.exp(above).sum(1)) - (truth * above).sum(1)).mean())


def least(loss: Callable[[float], float]) -> float:
    """The temperature of the least loss, by golden section over its logarithm: the loss is convex in its inverse."""
    low, high = -12.0, 12.0
    shrink = (np.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        a, b = high - shrink * (high - low), low + shrink * (high - low)
        low, high = (low, b) if loss(np.exp(a)) < loss(np.exp(b)) else (a, high)
    return float(np.exp((low + high) / 2))
