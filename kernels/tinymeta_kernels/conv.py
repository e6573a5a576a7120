"""Two-dimensional convolution and its two adjoints, with a set of weights per task.

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
gradients of weights leave C-contiguous, as weights usually are.
"""

import math
from typing import TypeAlias

import numpy as np

from ._layout import Array, c_order, common, deliver
from ._threads import run
from .im2col import Pair, col2im, im2col, output_size

__all__ = ["conv2d", "conv2d_input", "conv2d_weight"]

Box: TypeAlias = tuple[slice, slice]
COL_BYTES = 1 << 19


def conv2d(
    x: Array,
    w: Array,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    out: Array | None = None,
) -> Array:
    """Cross-correlate images with filters.

    Parameters
    ----------
    x : (..., N, C, H, W)
    w : (..., O, C / groups, kh, kw)
        Leading axes (tasks) broadcast against those of ``x``.
    stride, padding, dilation
        Pairs (vertical, horizontal); padding is with zeros.

    Returns
    -------
    (..., N, O, OH, OW), where OH = (H + 2·padding - dilation·(kh - 1) - 1) // stride + 1
    """
    x, w = common(x, w)
    if groups > 1:
        y = conv2d(_split(x, -3, groups), _split(w, -4, groups), stride, padding, dilation)
        return deliver(_merge(y, -3), out)
    lead = np.broadcast_shapes(x.shape[:-4], w.shape[:-4])
    kh, kw = w.shape[-2:]
    oh, ow = output_size(x.shape[-2:], (kh, kw), stride, padding, dilation)
    filters = _filters(w, lead)
    images = _images(x, lead, len(filters))
    y = np.empty((*images.shape[:2], oh, ow, w.shape[-4]), x.dtype)

    def work(box: Box) -> None:
        col = im2col(images[box], (kh, kw), stride, padding, dilation)
        np.matmul(_matrix(col, 3), _matrix(filters[box[0]], 3, keep=1).mT, out=_matrix(y[box], 1))

    run(work, _boxes(images, oh * ow * kh * kw))
    return deliver(_nchw(y, lead, x.shape[-4]), out)


def conv2d_input(
    g: Array,
    w: Array,
    size: Pair,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    out: Array | None = None,
) -> Array:
    """Adjoint of ``conv2d(., w)``: cotangents of the output to cotangents of images of ``size`` = (H, W).

    Parameters
    ----------
    g : (..., N, O, OH, OW)
    w : (..., O, C / groups, kh, kw)

    Returns
    -------
    (..., N, C, H, W)
    """
    g, w = common(g, w)
    if groups > 1:
        x = conv2d_input(_split(g, -3, groups), _split(w, -4, groups), size, stride, padding, dilation)
        return deliver(_merge(x, -3), out)
    lead = np.broadcast_shapes(g.shape[:-4], w.shape[:-4])
    c, kh, kw = w.shape[-3:]
    oh, ow = g.shape[-2:]
    filters = _filters(w, lead)
    cotangents = _images(g, lead, len(filters))
    x = np.empty((*cotangents.shape[:2], *size, c), g.dtype)

    def work(box: Box) -> None:
        rows = c_order(cotangents[box])
        gcol = np.matmul(_matrix(rows, 1), _matrix(filters[box[0]], 3, keep=1))
        col2im(gcol.reshape(*rows.shape[:4], kh, kw, c), size, stride, padding, dilation, out=x[box])

    run(work, _boxes(cotangents, oh * ow * kh * kw * c))
    return deliver(_nchw(x, lead, g.shape[-4]), out)
