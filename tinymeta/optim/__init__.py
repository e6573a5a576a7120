"""Optimizers as pairs of pure functions. Read optimizer.py, then sgd.py."""

from tinymeta.optim import schedules
from tinymeta.optim.adam import Adam, AdamW
from tinymeta.optim.clip import clip_by_global_norm, global_norm
from tinymeta.optim.optimizer import Optimizer
from tinymeta.optim.rmsprop import Adagrad, RMSProp
from tinymeta.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSProp",
    "clip_by_global_norm",
    "global_norm",
    "schedules",
]
