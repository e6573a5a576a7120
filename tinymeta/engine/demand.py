"""Checks of values: what an operation asks of its numbers before it runs, for as long as the program lives.

A shape is known when a function is recorded, a value only when it runs. So a check that an operation makes in Python
(labels lie within their classes) goes through `demand`, and becomes a part of the compiled program; one that a kernel
makes itself is kept because its primitive says `raises = True`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinymeta.engine.state import state
from tinymeta.engine.tensor import Tensor


def demand(check: Callable[..., None], *inputs: Tensor, **static: Any) -> None:
    """Run `check(*arrays, **static)`, which raises where the values won't do; recorders write it down.

    The arrays come as they are, `vmap`'s hidden axes in front.
    """
    check(*[x.data for x in inputs], **static)
    for watcher in state.watchers:
        watcher.demanded(check, inputs, static)
