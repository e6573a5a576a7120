"""One strategy for every loss of `tm.nn`, with targets that suit it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tinymeta as tm
from tinymeta import nn


class Loss(NamedTuple):
    """`of(model, (x, y))`, a scalar, and how y is drawn: `targets(r, leading, shape, dtype)` for outputs of `shape`."""

    of: Callable[[Any, Any], Any]
    targets: Callable[[Any, tuple[int, ...], tuple[int, ...], Any], Any]


def _like(r: Any, leading: tuple[int, ...], shape: tuple[int, ...], dtype: Any) -> Any:
    return r.normal(size=(*leading, *shape)).astype(dtype)


def _labels(r: Any, leading: tuple[int, ...], shape: tuple[int, ...], dtype: Any) -> Any:
    return r.integers(0, shape[-1], (*leading, *shape[:-1]))


def _narrow_labels(r: Any, leading: tuple[int, ...], shape: tuple[int, ...], dtype: Any) -> Any:
    return _labels(r, leading, shape, dtype).astype("int8")


def _truths(r: Any, leading: tuple[int, ...], shape: tuple[int, ...], dtype: Any) -> Any:
    return r.random((*leading, *shape)) < 0.5


def _shares(r: Any, leading: tuple[int, ...], shape: tuple[int, ...], dtype: Any) -> Any:
    p = r.random((*leading, *shape)) ** 3
    return (p / p.sum(-1, keepdims=True)).astype(dtype)


def mse(model: Any, batch: Any) -> Any:
    return nn.mse_loss(model(batch[0]), batch[1])


def crossed(model: Any, batch: Any) -> Any:
    return nn.cross_entropy(model(batch[0]), batch[1])


def each_crossed(model: Any, batch: Any) -> Any:
    each = nn.cross_entropy_each(model(batch[0]), batch[1])
    return tm.sum(each * each) / each.size


def bce(model: Any, batch: Any) -> Any:
    return nn.bce_with_logits(model(batch[0]), batch[1])


def kl(model: Any, batch: Any) -> Any:
    return nn.kl_div(nn.log_softmax(model(batch[0])), batch[1])


def with_accuracy(model: Any, batch: Any) -> Any:
    logits = model(batch[0])
    return nn.cross_entropy(logits, batch[1]) * (1 + nn.accuracy(logits, batch[1]))


def sum_of_squares(model: Any, batch: Any) -> Any:
    return tm.sum(tm.square(model(batch[0]) - batch[1]))


LOSSES: dict[str, Loss] = {
    "mse_loss": Loss(mse, _like),
    "cross_entropy": Loss(crossed, _labels),
    "cross_entropy_each": Loss(each_crossed, _narrow_labels),
    "bce_with_logits": Loss(bce, _truths),
    "kl_div": Loss(kl, _shares),
    "accuracy": Loss(with_accuracy, _labels),
    "a sum of squares": Loss(sum_of_squares, _like),
}
