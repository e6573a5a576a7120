"""Windows of an image as the rows of a matrix, and the adjoint that adds the rows back into an image.

    im2col:  col[a, b, i, j, c]  =  x[a·s - p + i·d, b·s - p + j·d, c]      (0 outside of the image)
    col2im:  x[a·s - p + i·d, b·s - p + j·d, c]  +=  col[a, b, i, j, c]

Images are channels-last, (..., H, W, C), so that the inner loop copies (or adds) C neighbours.
"""

import math
from typing import TypeAlias

import numpy as np

from ._jit import has_kernel, jit
from ._layout import Array, c_order

__all__ = ["Pair", "col2im", "im2col", "output_size", "view_windows"]

Pair: TypeAlias = tuple[int, int]


def output_size(size: Pair, window: Pair, stride: Pair, padding: Pair, dilation: Pair = (1, 1)) -> Pair:
    """Vertical and horizontal count of window positions; ValueError where the window does not fit once."""
    (h, w), (kh, kw) = size, window
    spare_h = h + 2 * padding[0] - dilation[0] * (kh - 1) - 1
    spare_w = w + 2 * padding[1] - dilation[1] * (kw - 1) - 1
    if spare_h < 0 or spare_w < 0:
        raise ValueError(
            f"a {kh}x{kw} window with dilation {dilation} does not fit into a {h}x{w} image with padding "
            f"{padding}: use a smaller window or more padding"
        )
    return spare_h // stride[0] + 1, spare_w // stride[1] + 1


def im2col(x: Array, window: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """The window of every output pixel: (..., H, W, C) to (..., OH, OW, kh, kw, C)."""
    h, w, c = x.shape[-3:]
    kh, kw = window
    oh, ow = output_size((h, w), window, stride, padding, dilation)
    if not has_kernel(x.dtype):
        edges = [(0, 0)] * (x.ndim - 3) + [(padding[0], padding[0]), (padding[1], padding[1]), (0, 0)]
        return np.ascontiguousarray(view_windows(np.pad(x, edges), window, stride, dilation))
    col = np.empty((*x.shape[:-3], oh, ow, kh, kw, c), x.dtype)
    images = c_order(x).reshape(math.prod(x.shape[:-3]), h, w, c)
    _im2col(images, *stride, *padding, *dilation, col.reshape(len(images), oh, ow, kh, kw, c))
    return col


def col2im(col: Array, stride: Pair, padding: Pair, dilation: Pair, out: Array) -> None:
    """Adjoint of :func:`im2col`: (..., OH, OW, kh, kw, C) added up in the C-contiguous ``out``, (..., H, W, C)."""
    oh, ow, kh, kw, c = col.shape[-5:]
    *lead, h, w, _ = out.shape
    if not has_kernel(col.dtype):
        padded = np.zeros((*lead, h + 2 * padding[0], w + 2 * padding[1], c), col.dtype)
        windows = view_windows(padded, (kh, kw), stride, dilation, writeable=True)
        for i in range(kh):  # windows overlap, but not in the same position (i, j)
            for j in range(kw):
                windows[..., i, j, :] += col[..., i, j, :]
        out[...] = padded[..., padding[0] : padding[0] + h, padding[1] : padding[1] + w, :]
        return
    images = out.reshape(math.prod(lead), h, w, c)
    rows = c_order(col).reshape(len(images), oh, ow, kh, kw, c)
    _col2im(rows, *stride, *padding, *dilation, images)


def view_windows(padded: Array, window: Pair, stride: Pair, dilation: Pair, writeable: bool = False) -> Array:
    """All windows as a view, (..., OH, OW, kh, kw, C)."""
    extent = tuple(d * (k - 1) + 1 for k, d in zip(window, dilation))
    view = np.lib.stride_tricks.sliding_window_view(padded, extent, axis=(-3, -2), writeable=writeable)
    view = view[..., :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
    return np.moveaxis(view, -3, -1)


@jit
def _im2col(x: Array, sh: int, sw: int, ph: int, pw: int, dh: int, dw: int, out: Array) -> None:
    images, height, width, channels = x.shape
    _, oh, ow, kh, kw, _ = out.shape
    for n in range(images):
        for a in range(oh):
            for i in range(kh):
                h = a * sh - ph + i * dh
                for j in range(kw):
                    for b in range(ow):
                        w = b * sw - pw + j * dw
                        inside = 0 <= h < height and 0 <= w < width
                        for c in range(channels):
                            out[n, a, b, i, j, c] = x[n, h, w, c] if inside else 0


@jit
def _col2im(col: Array, sh: int, sw: int, ph: int, pw: int, dh: int, dw: int, out: Array) -> None:
    images, height, width, channels = out.shape
    _, oh, ow, kh, kw, _ = col.shape
    out[:] = 0
    for n in range(images):
        for a in range(oh):
            for i in range(kh):
                h = a * sh - ph + i * dh
                for j in range(kw):
                    for b in range(ow):
                        w = b * sw - pw + j * dw
                        if 0 <= h < height and 0 <= w < width:
                            for c in range(channels):
                                out[n, h, w, c] += col[n, a, b, i, j, c]
