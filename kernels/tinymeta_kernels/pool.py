"""Pooling of images (..., H, W): maxima by their index, and means.

The largest entry of a window is found once, as an index into the H·W pixels of its image. Its value, its
gradient and every further derivative are then a gather or a scatter with that index:

    index  =  argmax over the window          y = x[index]          gx[index] += g

Of equal entries the first in reading order is taken, and the first NaN before all else. Padding is never the
maximum; the mean counts it as zeros, as the field does.

Inner loops run over channels, and answers leave in channels-last memory under their own shape, as those of
convolutions do. Gather and scatter have no use for neighbours: they take images as they lie in memory, and
answer in the memory order of their first argument.
"""

import math

import numpy as np

from ._jit import has_kernel, jit
from ._layout import Array, broadcast_shapes, broadcast_to, c_order, common, within
from .windows import Pair, col2im, output_size, view_windows

__all__ = ["avg_pool2d", "avg_pool2d_input", "max_pool2d_index", "scatter_flat", "take_flat"]


def max_pool2d_index(x: Array, window: Pair, stride: Pair, padding: Pair = (0, 0)) -> Array:
    """Where the largest entry of each window is: indices into H·W pixels.

    ``window``, ``stride`` and ``padding`` are pairs (vertical, horizontal).

    Shapes: (…, H, W) → int64 (…, OH, OW).
    Raises: ValueError where padding is so large that a window could lie in it entirely:
    `kernels.max_pool2d_index(np.ones((2, 2)), (1, 1), (1, 1), (1, 1))`.

    >>> kernels.max_pool2d_index(np.array([[1.0, 5.0, 2.0, 0.0]]), (1, 2), (1, 2))
    array([[1, 2]])
    """
    (x,) = common(x)
    h, w = x.shape[-2:]
    oh, ow = output_size((h, w), window, stride, padding)
    if padding[0] >= window[0] or padding[1] >= window[1]:
        raise ValueError(f"max pooling: padding {padding} must be smaller than the window {window}")
    if h * w == 0:
        raise ValueError(f"max pooling: images of shape {x.shape} have no pixel to choose from")
    if not has_kernel(x.dtype):
        pixel = _windows(np.arange(h * w).reshape(h, w), window, stride, padding, -1)
        entry = np.where(pixel < 0, -np.inf, _windows(x.real, window, stride, padding, 0))
        largest = entry.max(axis=-1, keepdims=True)
        hit = (pixel >= 0) & ((entry == largest) | (np.isnan(entry) & np.isnan(largest)))
        pixel = broadcast_to(pixel, entry.shape)
        return np.take_along_axis(pixel, hit.argmax(axis=-1)[..., None], -1)[..., 0]
    lead, last = x.shape[:-2], x.ndim > 2
    images = _pack(x, lead, last)
    index = np.empty((len(images), oh, ow, images.shape[-1]), np.int64)
    _max_index(images, *window, *stride, *padding, index)
    return _unpack(index, lead, last)


def take_flat(x: Array, index: Array) -> Array:
    """The pixels that ``index`` names. Leading axes broadcast.

    Shapes: (…, H, W) and whole numbers (…, OH, OW) → (…, OH, OW).
    Raises: IndexError for an index outside of [0, H·W): `kernels.take_flat(np.ones((2, 2)), np.array([[4]]))`.

    >>> kernels.take_flat(np.array([[1.0, 5.0], [2.0, 0.0]]), np.array([[1, 2]]))
    array([[5., 2.]])
    """
    (x,) = common(x)
    index = within(index, 0, math.prod(x.shape[-2:]), "indices of pixels")
    lead, last = broadcast_shapes(x.shape[:-2], index.shape[:-2]), _is_channels_last(x)
    images, at = _pack(x, lead, last), _pack(index, lead, last)
    y = np.empty(at.shape, x.dtype)
    if has_kernel(x.dtype):
        _take(_flat(images), _flat(at), _flat(y))
    else:
        _flat(y)[...] = np.take_along_axis(_flat(images), _flat(at), 1)
    return _unpack(y, lead, last)


def scatter_flat(g: Array, index: Array, size: Pair) -> Array:
    """Adjoint of :func:`take_flat`: added up in images of ``size`` = (H, W), zero elsewhere.

    Shapes: (…, OH, OW) and whole numbers (…, OH, OW) → (…, H, W).
    Raises: IndexError for an index outside of [0, H·W):
    `kernels.scatter_flat(np.ones((1, 1)), np.array([[4]]), (2, 2))`.

    >>> kernels.scatter_flat(np.array([[1.0, 5.0]]), np.array([[1, 1]]), (2, 2))
    array([[0., 6.],
           [0., 0.]])
    """
    (g,) = common(g)
    index = within(index, 0, math.prod(size), "indices of pixels")
    lead, last = broadcast_shapes(g.shape[:-2], index.shape[:-2]), _is_channels_last(g)
    values, at = _pack(g, lead, last), _pack(index, lead, last)
    x = np.zeros((len(values), *size, values.shape[-1]), g.dtype)
    if has_kernel(g.dtype):
        _scatter(_flat(values), _flat(at), _flat(x))
    else:
        b, _, c = _flat(at).shape
        np.add.at(_flat(x), (np.arange(b)[:, None, None], _flat(at), np.arange(c)), _flat(values))
    return _unpack(x, lead, last)


def avg_pool2d(x: Array, window: Pair, stride: Pair, padding: Pair = (0, 0)) -> Array:
    """Mean of each window, in which padding counts as zeros.

    Shapes: (…, H, W) → (…, OH, OW).
    Raises: ValueError where a window doesn't fit: `kernels.avg_pool2d(np.ones((1, 1)), (2, 2), (1, 1))`.

    >>> kernels.avg_pool2d(np.array([[1.0, 5.0, 2.0, 0.0]]), (1, 2), (1, 2))
    array([[3., 1.]])
    """
    (x,) = common(x)
    oh, ow = output_size(x.shape[-2:], window, stride, padding)
    if not has_kernel(x.dtype):
        means: Array = _windows(x, window, stride, padding, 0).mean(axis=-1)
        return means
    lead, last = x.shape[:-2], x.ndim > 2
    images = _pack(x, lead, last)
    y = np.empty((len(images), oh, ow, images.shape[-1]), x.dtype)
    _mean(images, *window, *stride, *padding, y)
    return _unpack(y, lead, last)


def avg_pool2d_input(g: Array, size: Pair, window: Pair, stride: Pair, padding: Pair = (0, 0)) -> Array:
    """Adjoint of :func:`avg_pool2d`: spread over images of ``size`` = (H, W).

    Shapes: (…, OH, OW) → (…, H, W).

    >>> kernels.avg_pool2d_input(np.array([[4.0, 2.0]]), (1, 4), (1, 2), (1, 2))
    array([[2., 2., 1., 1.]])
    """
    (g,) = common(g)
    lead, last = g.shape[:-2], g.ndim > 2
    values = _pack(g, lead, last)
    x = np.zeros((len(values), *size, values.shape[-1]), g.dtype)
    if not has_kernel(g.dtype):
        share = (values / math.prod(window))[:, :, :, None, None]
        col2im(np.broadcast_to(share, (*share.shape[:3], *window, share.shape[-1])), stride, padding, (1, 1), x)
    else:
        _spread(values, *window, *stride, *padding, x)
    return _unpack(x, lead, last)


def _is_channels_last(x: Array) -> bool:
    return x.ndim > 2 and not x.flags.c_contiguous and bool(np.moveaxis(x, -3, -1).flags.c_contiguous)


def _pack(x: Array, lead: tuple[int, ...], last: bool) -> Array:
    """(images, H, W, channels), with all leading axes as images unless the channels go last."""
    x = broadcast_to(x, (*lead, *x.shape[-2:]))
    if last:
        return c_order(np.moveaxis(x, -3, -1)).reshape(math.prod(lead[:-1]), *x.shape[-2:], lead[-1])
    return c_order(x).reshape(math.prod(lead), *x.shape[-2:], 1)


def _unpack(x: Array, lead: tuple[int, ...], last: bool) -> Array:
    if last:
        return np.moveaxis(x.reshape(*lead[:-1], *x.shape[1:]), -1, -3)
    return x.reshape(*lead, *x.shape[1:3])


def _flat(x: Array) -> Array:
    return x.reshape(len(x), x.shape[1] * x.shape[2], x.shape[3])


def _windows(x: Array, window: Pair, stride: Pair, padding: Pair, fill: float) -> Array:
    """(..., H, W) to (..., OH, OW, kh·kw)."""
    edges = [(0, 0)] * (x.ndim - 2) + [(p, p) for p in padding]
    view = view_windows(np.pad(x, edges, constant_values=fill)[..., None], window, stride, (1, 1))
    return view.reshape(*view.shape[:-3], math.prod(window))


@jit
def _max_index(x: Array, kh: int, kw: int, sh: int, sw: int, ph: int, pw: int, out: Array) -> None:
    images, height, width, channels = x.shape
    _, oh, ow, _ = out.shape
    largest = np.empty(channels, x.dtype)
    for n in range(images):
        for a in range(oh):
            top, bottom = max(a * sh - ph, 0), min(a * sh - ph + kh, height)
            for b in range(ow):
                left, right = max(b * sw - pw, 0), min(b * sw - pw + kw, width)
                for c in range(channels):
                    largest[c] = x[n, top, left, c]
                    out[n, a, b, c] = top * width + left
                for h in range(top, bottom):
                    for w in range(left, right):
                        for c in range(channels):
                            v = x[n, h, w, c]
                            # `|` and `&`, not `or` and `and`: without a branch the loop uses SIMD.
                            wins = (v > largest[c]) | (np.isnan(v) & ~np.isnan(largest[c]))
                            largest[c] = v if wins else largest[c]
                            out[n, a, b, c] = h * width + w if wins else out[n, a, b, c]


@jit
def _take(x: Array, index: Array, out: Array) -> None:
    images, pixels, channels = index.shape
    for n in range(images):
        for p in range(pixels):
            for c in range(channels):
                out[n, p, c] = x[n, index[n, p, c], c]


@jit
def _scatter(g: Array, index: Array, out: Array) -> None:
    images, pixels, channels = index.shape
    for n in range(images):
        for p in range(pixels):
            for c in range(channels):
                out[n, index[n, p, c], c] += g[n, p, c]


@jit
def _mean(x: Array, kh: int, kw: int, sh: int, sw: int, ph: int, pw: int, out: Array) -> None:
    images, height, width, channels = x.shape
    _, oh, ow, _ = out.shape
    total = np.empty(channels)
    for n in range(images):
        for a in range(oh):
            top, bottom = max(a * sh - ph, 0), min(a * sh - ph + kh, height)
            for b in range(ow):
                left, right = max(b * sw - pw, 0), min(b * sw - pw + kw, width)
                total[:] = 0
                for h in range(top, bottom):
                    for w in range(left, right):
                        for c in range(channels):
                            total[c] += x[n, h, w, c]
                for c in range(channels):
                    out[n, a, b, c] = total[c] / (kh * kw)


@jit
def _spread(g: Array, kh: int, kw: int, sh: int, sw: int, ph: int, pw: int, out: Array) -> None:
    images, height, width, channels = out.shape
    _, oh, ow, _ = g.shape
    for n in range(images):
        for a in range(oh):
            top, bottom = max(a * sh - ph, 0), min(a * sh - ph + kh, height)
            for b in range(ow):
                left, right = max(b * sw - pw, 0), min(b * sw - pw + kw, width)
                for h in range(top, bottom):
                    for w in range(left, right):
                        for c in range(channels):
                            out[n, h, w, c] += np.float64(g[n, a, b, c]) / (kh * kw)
