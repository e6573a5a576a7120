"""Optimizers as pairs of pure functions. Read optimizer.py, then sgd.py."""

from tinymeta.optim import schedules
from tinymeta.optim.adagrad import Adagrad
from tinymeta.optim.adam import Adam, AdamW
from tinymeta.optim.clip import Clipped, clip_by_global_norm, clip_by_value, global_norm
from tinymeta.optim.optimizer import Optimizer
from tinymeta.optim.rmsprop import RMSProp
from tinymeta.optim.sgd import SGD

__all__ = [
    "schedules", "Adagrad", "Adam", "AdamW", "Clipped", "clip_by_global_norm", "clip_by_value", "global_norm",
    "Optimizer", "RMSProp", "SGD",
]  # fmt: skip
