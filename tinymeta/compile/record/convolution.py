"""Convolution as a product of matrices: windows of the images become rows, and filters columns.

    P[n, a, b, (i, j, c)] = x[n, a·s − p + i·d, b·s − p + j·d, c]         the patches, images channels-last

    y  = P Wᵀ               one row for each position, (i, j, c) summed over
    gW = gᵀ P               summed over positions
    gx = g W, added up      each row back where its window came from

So a convolution is what a linear layer is, with patches in place of the input: filters shared by all tasks are one
product with the tasks in its rows, a task's own filters one product for each, and a sum over tasks is part of the
product. The patches of a layer's input are written once for the forward pass and all derivatives, because equal
operations are one.

Within the program images are channels-last: the sums of batch normalisation run over rows, and the gather copies
runs of (j, c). The image axes keep their names outside, where a transpose costs nothing.
"""

from __future__ import annotations

import math

from tinymeta.compile.program.program import Builder
from tinymeta.compile.program.views import Gather, Permute, Scatter, Slice, Views, Windows
from tinymeta.compile.record.products import product

Pair = tuple[int, int]

LARGEST = 1 << 26  # numbers in the patches of one task; the kernels, which cut images in boxes, need less memory


def images(b: Builder, x: int, w: int, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> int | None:
    """y[n, o, a, b] of x[n, c, h, w] and w[o, c, i, j]."""
    window = b.nodes[w].shape[-2:]
    seen = patches(b, x, (window[0], window[1]), stride, padding, dilation) if groups == 1 else None
    if seen is None:
        return None
    lead = _lead(b, x)
    return channels_first(b, product(b, lead + "nabijc", seen, lead + "ocij", w, lead + "nabo"))


def weight(
    b: Builder, x: int, g: int, size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> int | None:
    """w[o, c, i, j] of x[n, c, h, w] and g[n, o, a, b]."""
    seen = patches(b, x, size, stride, padding, dilation) if groups == 1 else None
    if seen is None:
        return None
    lead = _lead(b, x)
    return product(b, lead + "nabijc", seen, lead + "noab", g, lead + "ocij")


def input_(
    b: Builder, g: int, w: int, size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> int | None:
    """x[n, c, h, w] of g[n, o, a, b] and w[o, c, i, j]."""
    (n, _, oh, ow), (c, kh, kw) = b.nodes[g].shape[-4:], b.nodes[w].shape[-3:]
    if groups != 1 or not 0 < n * oh * ow * kh * kw * c <= LARGEST:
        return None
    lead = _lead(b, g)
    rows = product(b, lead + "noab", g, lead + "ocij", w, lead + "nabijc")
    return added_up(b, rows, size, stride, padding, dilation)


def patches(b: Builder, x: int, window: Pair, stride: Pair, padding: Pair, dilation: Pair) -> int | None:
    """The patches (…, N, OH, OW, kh, kw, C) of images (…, N, C, H, W)."""
    shape = b.nodes[x].shape
    rows = len(shape) - 3  # the axis of the image's rows, channels last
    (n, c), size = (1, *shape)[-4:-2], (shape[-2], shape[-1])
    extents = [d * (k - 1) + 1 for k, d in zip(window, dilation)]
    oh, ow = ((k + 2 * p - e) // s + 1 for k, p, e, s in zip(size, padding, extents, stride))
    if not 0 < n * oh * ow * math.prod(window) * c <= LARGEST:
        return None
    x = channels_last(b, x)
    if padding != (0, 0):
        padded = (*shape[:rows], *(k + 2 * p for k, p in zip(size, padding)), c)
        x = b.add(Scatter(padded, (inside(rows, size, padding),)), x)
    if window == (1, 1) == stride:
        return b.reshape(x, (*shape[:rows], oh, ow, 1, 1, c))
    return b.add(Gather(windows(rows, (oh, ow), window, stride, dilation)), x)


def added_up(b: Builder, x: int, size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> int:
    """The adjoint of `patches`: (…, N, OH, OW, kh, kw, C) added up in images (…, N, C, *size)."""
    *lead, oh, ow, kh, kw, c = b.nodes[x].shape
    padded = (*lead, *(k + 2 * p for k, p in zip(size, padding)), c)
    if (kh, kw) == (1, 1) == stride:
        x = b.reshape(x, padded)
    else:
        x = b.add(Scatter(padded, windows(len(lead), (oh, ow), (kh, kw), stride, dilation)), x)
    if padding != (0, 0):
        x = b.add(inside(len(lead), size, padding), x)
    return channels_first(b, x)


def windows(rows: int, count: Pair, window: Pair, stride: Pair, dilation: Pair) -> Views:
    """From images with these axes of rows and columns to (…, OH, OW, kh, kw, C)."""
    return (
        Windows(rows, count[0], window[0], stride[0], dilation[0]),
        Windows(rows + 2, count[1], window[1], stride[1], dilation[1]),
        Permute((*range(rows), rows, rows + 2, rows + 1, rows + 3, rows + 4)),
    )


def inside(rows: int, size: Pair, padding: Pair) -> Slice:
    """A padded image without its padding."""
    edges = ((p, p + n, None) for p, n in zip(padding, size))
    return Slice((*((None, None, None),) * rows, *edges, (None, None, None)))


def channels_last(b: Builder, x: int) -> int:
    """(…, C, H, W) to (…, H, W, C)."""
    rows = len(b.nodes[x].shape) - 3
    return b.add(Permute((*range(rows), rows + 1, rows + 2, rows)), x)


def channels_first(b: Builder, x: int) -> int:
    """(…, H, W, C) to (…, C, H, W)."""
    rows = len(b.nodes[x].shape) - 3
    return b.add(Permute((*range(rows), rows + 2, rows, rows + 1)), x)


def _lead(b: Builder, x: int) -> str:
    """Letters for the axes in front of (N, C, H, W)."""
    return "".join(chr(ord("A") + i) for i in range(len(b.nodes[x].shape) - 4))
