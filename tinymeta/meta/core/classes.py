"""Which classes a support set shows: a learner that compares with each of them needs an example of each."""

from __future__ import annotations

import numpy as np

from tinymeta.engine.errors import UserError, user_site
from tinymeta.engine.refusals import demand
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import DTypeLike
from tinymeta.ops.embedding import one_hot
from tinymeta.ops.widen import integers


def members(labels: ArrayLike, ways: int, dtype: DTypeLike, what: str) -> Tensor:
    """Who belongs to which class: labels (n,) from 0 to ways − 1, each of them present, give (n, ways) zeros and ones.

    Raises: IndexError if a label lies outside of the ways; UserError if a class has no example: its mean, or its
    share of a vote, would be 0/0.
    """
    labels = integers(labels, what)
    y = one_hot(labels, ways, dtype)
    demand(_each_is_there, labels, ways=ways, hidden=labels.batch, what=what)
    return y


def _each_is_there(labels: Array, ways: int, hidden: int, what: str) -> None:
    rows = labels.reshape(int(np.prod(labels.shape[:hidden])), -1)
    there = (rows[..., None] == np.arange(ways)).any(1)
    if not there.all():
        lacking = np.flatnonzero(~there.all(0)).tolist()
        raise UserError(
            f"{what} of {ways} ways compares with every class, and the support set of a task has no example of "
            f"{lacking[:8]} ({user_site()}): give each class at least one shot, with labels from 0 to {ways - 1}, or "
            "make the learner for fewer ways, as in dataclasses.replace(learner, ways=…)"
        )
