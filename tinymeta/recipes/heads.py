"""Heads: how queries are answered from the features of a few labelled examples. Many tasks at once, in NumPy.

A head takes the features of the support set (tasks, n, features), its labels (tasks, n), the features of the queries
(tasks, m, features) and the number of classes, and gives scores (tasks, m, ways): the higher, the likelier. Tasks say
by number which pictures they are made of, so a picture's features are computed once, however many tasks it is in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import Function, Tree
from tinymeta.tasks.images import as_unit_interval

AT_ONCE = 25  # tasks whose features are held at a time
BLOCK = 64  # pictures that are embedded at once
STRENGTH = 0.002  # λ of logistic regression, beside features of unit mean square
EXACT = 1e-4  # of its distance to the optimum, what is left at the end

Head = Callable[[Tree, Array, Tree, int], Array]


class Tasks(NamedTuple):
    """Classification tasks: numbers of pictures, (tasks, n) and (tasks, m), with their labels."""

    support: Array
    labels: Array
    query: Array
    answers: Array


def drawn(family: tm.tasks.FewShotImages, rng: np.random.Generator, tasks: int) -> tuple[Array, Tasks]:
    """Tasks of a family, those that `family.sample` would draw, and the pictures (n, …) that they number."""
    classes = family.classes
    place = np.cumsum(classes.counts) - classes.counts
    numbers = (place[:, None] + np.arange(classes.images.shape[1])).astype(np.float64)[..., None, None]
    by_number = replace(family, classes=replace(classes, images=numbers), flatten=True, augment=None, dtype=np.float64)
    (s, ys), (q, yq) = by_number.sample(rng, tasks)
    used, at = np.unique(np.concatenate([s, q], 1)[..., 0].astype(np.intp), return_inverse=True)
    return classes.pictures[used], Tasks(at[:, : s.shape[1]], ys, at[:, s.shape[1] :], yq)


def scores(head: Head, features: Tree, tasks: Tasks) -> Array:
    """What a head gives the queries of every task, some tasks at a time: (tasks, m, ways)."""
    ways = int(tasks.labels.max()) + 1
    parts = []
    for start in range(0, len(tasks.support), AT_ONCE):
        s, ys, q, _ = (part[start : start + AT_ONCE] for part in tasks)
        picked = [tm.tree.map(lambda x, rows=rows: x[rows], features) for rows in (s, q)]
        parts.append(head(picked[0], ys, picked[1], ways))
    return np.concatenate(parts)


def right(scored: Array, tasks: Tasks) -> Array:
    """Per cent of queries whose likeliest class is the right one, by task."""
    each: Array = 100 * (scored.argmax(-1) == tasks.answers).mean(-1)
    return each


def means(xs: Array, ys: Array, xq: Array, ways: int) -> Array:
    """−‖x − c_k‖², c_k the mean of the examples of class k."""
    mine = _members(ys, ways)
    centres = np.swapaxes(mine / mine.sum(1, keepdims=True), -1, -2) @ xs
    return -_distances(xq, centres)


def nearest(xs: Array, ys: Array, xq: Array, ways: int) -> Array:
    """−‖x − xᵢ‖² of the nearest example of class k."""
    d = _distances(xq, xs)
    by_class = np.where(_members(ys, ways)[:, None] > 0, d[..., None], np.inf)
    closest: Array = -by_class.min(2)
    return closest


def logistic(xs: Array, ys: Array, xq: Array, ways: int, strength: float = STRENGTH, intercept: float = 0.0) -> Array:
    """The logits of multinomial logistic regression W that minimises mean cross-entropy + λ/2 ‖W‖².

    Features are first centred and scaled so that the examples' mean square length is 1. W = Xᵀ A lies in their span,
    and with the Gram matrix K = X Xᵀ the gradient with respect to W is Xᵀ G, G = (softmax(K A) − Y)/n + λ A. As the
    curvature lies between λ and ½ tr K/n + λ = ½ + λ, Nesterov's method comes near (`descended`).
    With an `intercept` one more feature has its root for every example.
    """
    xs, xq = xs.astype(np.float64), xq.astype(np.float64)
    middle, n = xs.mean(1, keepdims=True), xs.shape[1]
    xs, xq = xs - middle, xq - middle
    square = np.maximum((xs**2).sum((1, 2), keepdims=True) / n, np.finfo(float).tiny)
    gram, wanted = xs @ np.swapaxes(xs, -1, -2) / square + intercept, _members(ys, ways)
    steep = 0.5 * (1 + intercept) + strength
    a = descended(lambda a: (softmax(gram @ a) - wanted) / n + strength * a, np.zeros(wanted.shape), steep, strength)
    logits: Array = xq @ (np.swapaxes(xs, -1, -2) @ a) / square + intercept * a.sum(1, keepdims=True)
    return logits


def descended(slope: Callable[[Array], Array], w: Array, steep: Array | float, flat: Array | float) -> Array:
    """Where a function of slope `slope`, whose curvature lies between `flat` and `steep`, is least, from `w`.

    Nesterov's method shrinks the distance by 1 − √(flat/steep) a step; `EXACT` of it is left.
    """
    rate = np.sqrt(flat / steep)
    ahead = w
    for _ in range(int(np.ceil(np.log(1 / EXACT) / np.min(rate)))):
        before, w = w, ahead - slope(ahead) / steep
        ahead = w + (1 - rate) / (1 + rate) * (w - before)
    return w


HEADS: dict[str, Head] = {"nearest neighbour": nearest, "class means": means, "logistic regression": logistic}


def places(phi: tm.meta.LocalMatcher) -> Head:
    """Scores of pictures compared place by place, of features that are directions and weights of their places."""

    def head(xs: Tree, ys: Array, xq: Tree, ways: int) -> Array:
        each = [
            _compared(phi, *(tm.tree.map(lambda x, k=k: x[k], x) for x in (xq, xs))).numpy() for k in range(len(ys))
        ]
        mine = _members(ys, ways)
        found: Array = np.array(each) @ (mine / mine.sum(1, keepdims=True))
        return found

    return head


_compared = tm.compile(lambda phi, a, b: phi.scores(a, b))


def embedded(network: Function, pictures: Array) -> Tree:
    """What a network makes of pictures (n, [channels,] height, width), some at a time."""
    starts = range(0, len(pictures), BLOCK)
    parts = [tm.tree.map(tm.Tensor.numpy, network(tm.tensor(shaped(pictures[k : k + BLOCK])))) for k in starts]
    return tm.tree.map(lambda *x: np.concatenate(x), *parts)


def shaped(pictures: Array) -> Array:
    """Pictures (n, [channels,] height, width) of bytes as (n, channels, height, width) in [0, 1]."""
    values = as_unit_interval(pictures, np.float32)
    return values if values.ndim == 4 else values[:, None]


def spread(x: Array) -> float:
    """The root of the mean square distance of features (n, features) from their mean."""
    return float(np.sqrt(max(((x - x.mean(0)) ** 2).sum(1).mean(), np.finfo(float).tiny)))


def beside(blocks: Sequence[Array], scales: Sequence[float]) -> Array:
    """Several features of the same pictures as one, each block (n, features) by its scale."""
    return np.concatenate([x / scale for x, scale in zip(blocks, scales)], 1)


def _members(ys: Array, ways: int) -> Array:
    """(tasks, n) labels to (tasks, n, ways) of 0 and 1."""
    mine: Array = (ys[..., None] == np.arange(ways)).astype(np.float64)
    return mine


def _distances(a: Array, b: Array) -> Array:
    """Squared distances of (tasks, m, features) and (tasks, n, features): (tasks, m, n)."""
    lengths = (a**2).sum(-1)[..., None] + (b**2).sum(-1)[:, None]
    d: Array = np.maximum(lengths - 2 * a @ np.swapaxes(b, -1, -2), 0)
    return d


def softmax(x: Array) -> Array:
    """Along the last axis."""
    e = np.exp(x - x.max(-1, keepdims=True))
    p: Array = e / e.sum(-1, keepdims=True)
    return p
