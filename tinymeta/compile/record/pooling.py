"""Pooling as operations on windows: the largest entry of each, or the mean.

    P[n, a, b, (i, j), c] = x[n, a·s + i, b·s + j, c]     the windows, images channels-last, as in `convolution.py`

    largest    y = max over (i, j) of P
    position   k = the first (i, j), counted in reading order, that holds it: found as the maximum is, entry by entry
    gradient   gx = (g where (i, j) = k, else 0), added up: each row back where its window came from

A primitive that asks for pixels by an index which pooling has found is told by the position within the window, so the
index itself is never made. The rules answer None where an index comes from elsewhere, or where padding, which is never
the largest, would have to be told from zeros: then the kernel is called.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

from tinymeta.compile.program.calls import Call
from tinymeta.compile.program.operations import Reduce, Ufunc, Where
from tinymeta.compile.program.program import Builder
from tinymeta.compile.program.views import Broadcast, Slice
from tinymeta.compile.record.convolution import LARGEST, Pair, added_up, channels_first, channels_last, patches
from tinymeta.ops.pool import max_pool_index


def take(b: Builder, x: int, index: int) -> int | None:
    """The pixels of x that `index` names."""
    image, how = _found(b, x, index)
    seen = patches(b, x, **how) if image is not None else None
    if image is None or seen is None:
        return None
    if image == seen:
        return channels_first(b, _running(b, seen)[-1])
    chosen = b.add(Where(), _is_first(b, image), seen, b.constant_like(0, seen))
    rank = len(b.nodes[seen].shape)
    return channels_first(b, b.add(Reduce(np.add, (rank - 3, rank - 2)), chosen))


def put(b: Builder, g: int, index: int, size: Pair) -> int | None:
    """g added into zeros at the pixels that `index` names."""
    image, how = _found(b, g, index)
    if image is None:
        return None
    mask = _is_first(b, image)
    spread = b.add(Where(), mask, _beside(b, channels_last(b, g)), b.constant_like(0, mask, b.nodes[g].dtype))
    return added_up(b, spread, size, how["stride"], how["padding"], how["dilation"])


def mean(b: Builder, x: int, window: Pair, stride: Pair, padding: Pair) -> int | None:
    """The mean of each window, in which padding counts as zeros."""
    seen = patches(b, x, window, stride, padding, (1, 1)) if _is_image(b, x) else None
    if seen is None:
        return None
    rank = len(b.nodes[seen].shape)
    total = b.add(Reduce(np.add, (rank - 3, rank - 2)), seen)
    return channels_first(b, b.add(Ufunc(np.divide), total, b.constant_like(math.prod(window), total)))


def spread(b: Builder, g: int, size: Pair, window: Pair, stride: Pair, padding: Pair) -> int | None:
    """The adjoint of `mean`."""
    if not _is_image(b, g) or math.prod(b.nodes[g].shape[-4:]) * math.prod(window) > LARGEST:
        return None
    share = _beside(b, channels_last(b, g))
    share = b.add(Ufunc(np.divide), share, b.constant_like(math.prod(window), share))
    before = b.nodes[share].shape
    share = b.add(Broadcast((*before[:-3], *window, before[-1])), share)
    return added_up(b, share, size, stride, padding, (1, 1))


def _found(b: Builder, x: int, index: int) -> tuple[int | None, dict[str, Any]]:
    """The windows of the image in which an index for x was found by pooling without padding, and how they lie."""
    op = b.nodes[index].op
    if not isinstance(op, Call) or op.primitive is not max_pool_index or op.static["padding"] != (0, 0):
        return None, {}
    image, how = b.nodes[index].inputs[0], {**op.static, "dilation": (1, 1)}
    alike = b.nodes[image].shape[:-2] == b.nodes[x].shape[:-2] and b.nodes[x].dtype.char in "fd"
    return patches(b, image, **how) if alike and _is_image(b, image) else None, how


def _is_image(b: Builder, x: int) -> bool:
    return len(b.nodes[x].shape) > 2 and b.nodes[x].size > 0


def _entries(b: Builder, seen: int) -> list[int]:
    """The entries (…, OH, OW, C) of all windows, in reading order."""
    shape = b.nodes[seen].shape
    whole = (None, None, None)
    keys = [(*(whole,) * (len(shape) - 3), i, j, whole) for i, j in product(*map(range, shape[-3:-1]))]
    return [b.add(Slice(key), seen) for key in keys]


def _running(b: Builder, seen: int) -> list[int]:
    """The largest of the first entries, of the first two, and so on; NaN is larger than any number."""
    first, *others = _entries(b, seen)
    largest = [first]
    for entry in others:
        largest.append(b.add(Ufunc(np.maximum), largest[-1], entry))
    return largest


def _is_first(b: Builder, seen: int) -> int:
    """Where each window has its first largest entry: booleans (…, OH, OW, kh, kw, C)."""
    largest = _running(b, seen)
    position = b.constant_like(0, largest[0])
    for k, (before, after) in enumerate(zip(largest, largest[1:]), 1):
        grown = b.add(Ufunc(np.not_equal), after, before)
        known = b.add(Ufunc(np.equal), before, before)  # after a NaN nothing is larger
        position = b.add(Where(), b.add(Ufunc(np.logical_and), grown, known), b.constant_like(k, before), position)
    shape = b.nodes[seen].shape
    order = np.arange(math.prod(shape[-3:-1]), dtype=b.nodes[seen].dtype)
    wanted = b.constant(order.reshape(*(1,) * (len(shape) - 3), *shape[-3:-1], 1))
    return b.add(Broadcast(shape), b.add(Ufunc(np.equal), _beside(b, position), wanted))


def _beside(b: Builder, x: int) -> int:
    """(…, OH, OW, C) as (…, OH, OW, 1, 1, C)."""
    *lead, c = b.nodes[x].shape
    return b.reshape(x, (*lead, 1, 1, c))
