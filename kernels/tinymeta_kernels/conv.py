"""Two-dimensional convolution and its two adjoints, with a set of filters per task.

For one image, with stride s, padding p and dilation d (cross-correlation, as everywhere in the field):

    y[o, a, b] = sum over c, i, j of  x[c, a·s - p + i·d, b·s - p + j·d] · w[o, c, i, j]

The sum is bilinear, so its adjoints with respect to x and to w are all there is to differentiate: the VJPs
of these three functions are these three functions again, at any order.

Inside, everything is channels-last. ``im2col`` lays the window of each output pixel out as one row of a
matrix, BLAS multiplies matrices, and ``col2im`` is the same loop with its assignment turned round:

    col  = im2col(x)        y  = col wᵀ           (pixels, K) (K, O)       K = kh·kw·C
    gcol = g w              gx = col2im(gcol)     (pixels, O) (O, K)
    gw   = gᵀ col                                 (O, pixels) (pixels, K)

Tasks and images are cut into boxes whose ``col`` stays in a core's cache, and threads share the boxes.
Images leave in channels-last memory under their NCHW shape (a view), which saves the next layer a copy;
gradients of filters leave C-contiguous, as filters usually are.
"""

import math
from itertools import groupby
from typing import TypeAlias

import numpy as np

from ._layout import Array, broadcast_shapes, broadcast_to, c_order, common
from .threads import run
from .windows import Pair, col2im, im2col, output_size

__all__ = ["conv2d", "conv2d_input", "conv2d_weight"]

Lead: TypeAlias = tuple[int, ...]
Box: TypeAlias = tuple[slice, slice]  # some tasks, some of their images

BOX_BYTES = 1 << 20


def conv2d(
    x: Array, w: Array, stride: Pair = (1, 1), padding: Pair = (0, 0), dilation: Pair = (1, 1), groups: int = 1
) -> Array:
    """Cross-correlate images with filters.

    Shapes: (…, N, C, H, W) and (…, O, C / groups, kh, kw) → (…, N, O, OH, OW), where
    OH = (H + 2·padding − dilation·(kh − 1) − 1) // stride + 1; leading axes (tasks) broadcast.
    Raises: ValueError where a window doesn't fit: `kernels.conv2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3)))`.

    Parameters
    ----------
    stride, padding, dilation
        Pairs (vertical, horizontal); padding is with zeros.

    Examples
    --------
    >>> kernels.conv2d(np.array([[[[1.0, 2.0, 3.0]]]]), np.array([[[[1.0, -1.0]]]]))[0, 0]
    array([[-1., -1.]])
    """
    x, w = common(x, w)
    if groups > 1:
        return _merge(conv2d(_split(x, -3, groups), _split(w, -4, groups), stride, padding, dilation), -3)
    lead = broadcast_shapes(x.shape[:-4], w.shape[:-4])
    o, c, kh, kw = w.shape[-4:]
    oh, ow = output_size(x.shape[-2:], (kh, kw), stride, padding, dilation)
    filters = _filters(w, lead)
    images = _images(x, lead, len(filters))
    y = np.empty((*images.shape[:2], oh, ow, o), x.dtype)

    def work(box: Box) -> None:
        col = im2col(images[box], (kh, kw), stride, padding, dilation)
        np.matmul(_by_pixel(col), _by_filter(filters[box[0]]).mT, out=_by_pixel(y[box]))

    run(work, _boxes(images, oh * ow * kh * kw * c))
    return _nchw(y, lead, x.shape[-4])


def conv2d_input(
    g: Array,
    w: Array,
    size: Pair,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Array:
    """Adjoint of ``x -> conv2d(x, w)``, for images of ``size`` = (H, W).

    Shapes: (…, N, O, OH, OW) and (…, O, C / groups, kh, kw) → (…, N, C, H, W).

    >>> kernels.conv2d_input(np.array([[[[1.0, 2.0]]]]), np.array([[[[1.0, -1.0]]]]), (1, 3))[0, 0]
    array([[ 1.,  1., -2.]])
    """
    g, w = common(g, w)
    if groups > 1:
        return _merge(conv2d_input(_split(g, -3, groups), _split(w, -4, groups), size, stride, padding, dilation), -3)
    lead = broadcast_shapes(g.shape[:-4], w.shape[:-4])
    c, kh, kw = w.shape[-3:]
    oh, ow = g.shape[-2:]
    filters = _filters(w, lead)
    cotangents = _images(g, lead, len(filters))
    x = np.empty((*cotangents.shape[:2], *size, c), g.dtype)

    def work(box: Box) -> None:
        pixels = c_order(cotangents[box])
        gcol = np.matmul(_by_pixel(pixels), _by_filter(filters[box[0]]))
        col2im(gcol.reshape(*pixels.shape[:4], kh, kw, c), stride, padding, dilation, x[box])

    run(work, _boxes(cotangents, oh * ow * kh * kw * c))
    return _nchw(x, lead, g.shape[-4])


def conv2d_weight(
    x: Array,
    g: Array,
    size: Pair,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Array:
    """Adjoint of ``w -> conv2d(x, w)``, for filters of ``size`` = (kh, kw): sums over N, not over tasks.

    Shapes: (…, N, C, H, W) and (…, N, O, OH, OW) → (…, O, C / groups, kh, kw).

    >>> kernels.conv2d_weight(np.array([[[[1.0, 2.0, 3.0]]]]), np.array([[[[1.0, 2.0]]]]), (1, 2))[0, 0]
    array([[5., 8.]])
    """
    x, g = common(x, g)
    if groups > 1:
        return _merge(conv2d_weight(_split(x, -3, groups), _split(g, -3, groups), size, stride, padding, dilation), -4)
    lead = broadcast_shapes(x.shape[:-4], g.shape[:-4])
    (kh, kw), c = size, x.shape[-3]
    o, oh, ow = g.shape[-3:]
    tasks = math.prod(lead)
    images, cotangents = _images(x, lead, tasks), _images(g, lead, tasks)
    w = np.empty((*lead, o, c, kh, kw), x.dtype)
    w_by_task = w.reshape(tasks, o, c, kh, kw)

    def work(boxes: list[Box]) -> None:
        parts = []
        for box in boxes:
            col = im2col(images[box], size, stride, padding, dilation)
            parts.append(np.matmul(_by_pixel(c_order(cotangents[box])).mT, _by_pixel(col)))
        total = parts[0] if len(parts) == 1 else np.sum(parts, axis=0)
        w_by_task[boxes[0][0]] = np.moveaxis(total.reshape(-1, o, kh, kw, c), -1, -3)

    run(work, _boxes_by_task(_boxes(images, oh * ow * kh * kw * c)))
    return w


def _filters(w: Array, lead: Lead) -> Array:
    """(tasks, O, kh, kw, C); one task if all share their filters."""
    shared = math.prod(w.shape[:-4]) == 1
    tasks = 1 if shared else math.prod(lead)
    w = w.reshape(w.shape[-4:]) if shared else broadcast_to(w, (*lead, *w.shape[-4:]))
    w = np.moveaxis(w, -3, -1)
    filters = w.reshape(tasks, *w.shape[-4:])
    return c_order(filters) if shared else filters


def _images(x: Array, lead: Lead, tasks: int) -> Array:
    """(tasks, N, H, W, C); with one set of filters for all tasks, all images are one task's."""
    x = np.moveaxis(broadcast_to(x, (*lead, *x.shape[-4:])), -3, -1)
    n = math.prod(lead) * x.shape[-4] // tasks if tasks else x.shape[-4]
    return x.reshape(tasks, n, *x.shape[-3:])


def _nchw(x: Array, lead: Lead, n: int) -> Array:
    """Undo :func:`_images`: (..., N, C, H, W), a view."""
    return np.moveaxis(x.reshape(*lead, n, *x.shape[-3:]), -1, -3)


def _by_pixel(x: Array) -> Array:
    """(t, n, h, w, ...) as matrices (t, n·h·w, ...)."""
    t, n, h, w = x.shape[:4]
    return x.reshape(t, n * h * w, math.prod(x.shape[4:]))


def _by_filter(w: Array) -> Array:
    """(t, O, kh, kw, C) as matrices (t, O, K)."""
    return c_order(w).reshape(*w.shape[:2], math.prod(w.shape[2:]))


def _boxes(images: Array, col_size: int) -> list[Box]:
    """Cut (tasks, N, ...) so that ``col_size`` numbers for each image of a box fill BOX_BYTES at most.

    A box holds several whole tasks, or some images of one.
    """
    tasks, n = images.shape[:2]
    limit = max(1, BOX_BYTES // max(1, col_size * images.itemsize))
    if limit < n:
        return [(slice(t, t + 1), slice(i, i + limit)) for t in range(tasks) for i in range(0, n, limit)]
    step = limit // max(1, n)
    return [(slice(t, t + step), slice(0, n)) for t in range(0, tasks, step)]


def _boxes_by_task(boxes: list[Box]) -> list[list[Box]]:
    return [list(of_task) for _, of_task in groupby(boxes, lambda box: box[0].start)]


def _split(x: Array, channels: int, groups: int) -> Array:
    """Groups are tasks: (..., G·c, ...) to (G, ...) with the new axis before the last four."""
    axis = x.ndim + channels
    x = x.reshape(*x.shape[:axis], groups, x.shape[axis] // groups, *x.shape[axis + 1 :])
    return np.moveaxis(x, axis, -5)


def _merge(x: Array, channels: int) -> Array:
    """Undo :func:`_split`."""
    x = np.moveaxis(x, -5, channels - 1)
    axis = x.ndim + channels
    return x.reshape(*x.shape[: axis - 1], x.shape[axis - 1] * x.shape[axis], *x.shape[axis + 1 :])
