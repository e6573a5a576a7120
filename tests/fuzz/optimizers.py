"""One strategy for every optimizer, schedule and clipping of `tm.optim`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tinymeta import optim
from tinymeta.optim import schedules

SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "cosine": lambda r: schedules.cosine(0.1, int(r.integers(1, 5)), 0.01),
    "linear": lambda r: schedules.linear(0.1, 0.02, int(r.integers(1, 5))),
    "exponential": lambda r: schedules.exponential(0.1, 0.5, int(r.integers(1, 4))),
    "staircase": lambda r: schedules.staircase(0.1, 0.5, int(r.integers(1, 4))),
    "piecewise": lambda r: schedules.piecewise([0.1, 0.05, 0.01], [1, 3]),
    "warmup": lambda r: schedules.warmup(int(r.integers(1, 5)), schedules.cosine(0.1, 4)),
}


def _decay(r: Any) -> float:
    return float(r.choice([0.0, 0.1]))


def _sgd(r: Any, lr: Any) -> Any:
    momentum = float(r.choice([0.0, 0.9]))
    return optim.SGD(lr, momentum, bool(momentum and r.integers(2)), _decay(r))


# An eps that is not small keeps g/√v, which is ±1 for a g of rounding alone, from making noise large.
OPTIMIZERS: dict[str, Callable[[Any, Any], Any]] = {
    "SGD": _sgd,
    "Adagrad": lambda r, lr: optim.Adagrad(lr, float(r.choice([0.0, 0.1])), 1e-3, _decay(r), float(r.choice([0, 0.1]))),
    "Adam": lambda r, lr: optim.Adam(lr, eps=1e-3, weight_decay=_decay(r)),
    "AdamW": lambda r, lr: optim.AdamW(lr, eps=1e-3, weight_decay=_decay(r)),
    "RMSProp": lambda r, lr: optim.RMSProp(lr, 0.9, 1e-3, _decay(r), float(r.choice([0.0, 0.9]))),
}
CLIPS: dict[str, Callable[[Any], Any]] = {
    "clip_by_global_norm": lambda r: partial(optim.clip_by_global_norm, limit=float(r.choice([0.01, 1.0, 100.0]))),
    "clip_by_value": lambda r: partial(optim.clip_by_value, limit=float(r.choice([0.001, 0.1, 10.0]))),
}
OTHERS = {
    "Optimizer": "the protocol",
    "Clipped": "drawn with the clips",
    "global_norm": "drawn with clip_by_global_norm",
    "schedules": "drawn one by one",
}


def drawn(r: Any) -> tuple[Any, list[str]]:
    """An optimizer, and the names of what it is made of."""
    name = str(r.choice(list(OPTIMIZERS)))
    names, lr = [name], 0.05
    if r.random() < 0.4:
        names.append(str(r.choice(list(SCHEDULES))))
        lr = SCHEDULES[names[-1]](r)
    optimizer = OPTIMIZERS[name](r, lr)
    if r.random() < 0.5:
        names.append(str(r.choice(list(CLIPS))))
        optimizer = optim.Clipped(optimizer, CLIPS[names[-1]](r))
    return optimizer, names
