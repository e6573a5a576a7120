"""Pooling: one number per window of an image or a signal, its largest or its mean.

The largest is found once, as the index of a pixel. Its value and all its derivatives are then a gather
or a scatter with that index, so of equal pixels the first in reading order counts at every order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tinymeta_kernels as kernels

from tinymeta.engine.domain import Domain, Sample, reals
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import DType
from tinymeta.ops.conv import Pair, Size, pair
from tinymeta.ops.linalg import matmul
from tinymeta.ops.reduce import mean
from tinymeta.ops.shape import expand_dims, floats, squeeze
from tinymeta.ops.transposed import transposed
from tinymeta.ops.widen import real

_any = reals(-2, 2)


def _windows(x: Array, window: Pair, stride: Pair, padding: Pair, fill: float) -> Array:
    """(…, H, W) to (…, OH, OW, kh, kw)."""
    padded = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(p, p) for p in padding], constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(padded, window, axis=(-2, -1))
    return view[..., :: stride[0], :: stride[1], :, :]


class max_pool_index(Primitive):
    """The pixel, counted in reading order, that is the first maximum of each window. Padding never is."""

    kernel = staticmethod(kernels.max_pool2d_index)

    @staticmethod
    def reference(x: Array, window: Pair, stride: Pair, padding: Pair) -> Array:
        pixels = np.broadcast_to(np.arange(x.shape[-2] * x.shape[-1]).reshape(x.shape[-2:]), x.shape)
        values, places = (
            _windows(t, window, stride, padding, fill) for t, fill in ((np.real(x), -np.inf), (pixels, -1))
        )
        first = values.reshape(*values.shape[:-2], -1).argmax(-1)[..., None]
        return np.take_along_axis(places.reshape(*places.shape[:-2], -1), first, -1)[..., 0]

    domain, kinks, vjp = (_any,), (), None
    samples = (
        Sample(((2, 4, 5),), {"window": (2, 2), "stride": (2, 2), "padding": (0, 0)}),
        Sample(((1, 4, 5),), {"window": (3, 2), "stride": (1, 2), "padding": (1, 1)}),
    )


class take_pixels(Primitive):
    """y[…, a, b] = x[…, pixel] with pixel = index[…, a, b] counted in reading order."""

    kernel = staticmethod(kernels.take_flat)

    @staticmethod
    def reference(x: Array, index: Array) -> Array:
        flat, at = x.reshape(*x.shape[:-2], -1), index.reshape(*index.shape[:-2], -1)
        y = np.take_along_axis(flat, at, -1)
        return y.reshape(*y.shape[:-1], *index.shape[-2:])

    domain, kinks = (_any, Domain(0, 5, "index")), ()
    samples = (Sample(((2, 2, 3), (2, 2, 2)), {}),)
    vjp = lambda g, y, x, index: (lambda: bind(put_pixels, g, index, size=x.shape[-2:]), None)


class put_pixels(Primitive):
    """y[…, pixel] += x[…, a, b] into zeros of `size` = (H, W): the adjoint of `take_pixels`."""

    kernel = staticmethod(kernels.scatter_flat)

    @staticmethod
    def reference(x: Array, index: Array, size: Pair) -> Array:
        x, index = np.broadcast_arrays(x, index)
        return transposed(lambda units: take_pixels.reference(units, index[None]), (*x.shape[:-2], *size), x)

    domain, kinks = (_any, Domain(0, 5, "index")), ()
    samples = (Sample(((2, 2, 2), (2, 2, 2)), {"size": (2, 3)}),)
    vjp = lambda g, y, x, index, size: (lambda: bind(take_pixels, g, index), None)


class mean_windows(Primitive):
    """y = the mean of each window, in which padding counts as zeros."""

    kernel = staticmethod(kernels.avg_pool2d)
    reference = staticmethod(
        lambda x, window, stride, padding: _windows(x, window, stride, padding, 0).mean(axis=(-2, -1))
    )
    domain, kinks = (_any,), ()
    samples = (
        Sample(((2, 4, 5),), {"window": (2, 2), "stride": (2, 2), "padding": (0, 0)}),
        Sample(((1, 4, 5),), {"window": (3, 2), "stride": (1, 2), "padding": (1, 1)}),
    )
    vjp = lambda g, y, x, **how: bind(spread_windows, g, size=x.shape[-2:], **how)


class spread_windows(Primitive):
    """y += x/count over each window, into zeros of `size` = (H, W): the adjoint of `mean_windows`."""

    kernel = staticmethod(kernels.avg_pool2d_input)

    reference = staticmethod(
        lambda x, size, **how: transposed(lambda units: mean_windows.reference(units, **how), size, x)
    )
    domain, kinks = (_any,), ()
    samples = (
        Sample(((2, 2, 2),), {"size": (4, 5), "window": (2, 2), "stride": (2, 2), "padding": (0, 0)}),
        Sample(((1, 4, 3),), {"size": (4, 5), "window": (3, 2), "stride": (1, 2), "padding": (1, 1)}),
    )
    vjp = lambda g, y, x, size, **how: bind(mean_windows, g, **how)


def max_pool2d(
    x: ArrayLike,
    window: int | Sequence[int] = 2,
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
) -> Tensor:
    """The largest entry of each window; of several largest the first in reading order has the gradient.

    Shapes: (…, H, W) → (…, OH, OW), OH = (H + 2·padding − kh) // stride + 1, likewise OW.
    Raises: ShapeError where a window doesn't fit, or holds padding alone: `tm.max_pool2d([[1.0]])`; DtypeError of
    integers: `tm.max_pool2d([[1]], 1)`.

    Parameters
    ----------
    window, stride, padding
        One number, or (vertical, horizontal). `stride` is the window's size if None. Padding is never the
        largest, so it must be smaller than the window.

    Examples
    --------
    >>> tm.max_pool2d([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    tensor([[6., 8.]])
    """
    x = real("max_pool2d", floats("max_pool2d", x)[0])
    how = _geometry("max_pool2d", x, window, stride, padding)
    if any(p >= k for p, k in zip(how["padding"], how["window"])) or 0 in x.shape[-2:]:
        raise ShapeError(
            f"max_pool2d of {x.shape}: some window of {how['window']} with padding {how['padding']} holds no entry "
            f"({user_site()}): padding must be smaller than the window"
        )
    return bind(take_pixels, x, bind(max_pool_index, x, **how))


def avg_pool2d(
    x: ArrayLike,
    window: int | Sequence[int] = 2,
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
) -> Tensor:
    """The mean of each window, in which padding counts as zeros; arguments as in `max_pool2d`.

    Shapes: (…, H, W) → (…, OH, OW), OH = (H + 2·padding − kh) // stride + 1, likewise OW.
    Raises: ShapeError where a window doesn't fit: `tm.avg_pool2d([[1.0]])`; DtypeError of integers:
    `tm.avg_pool2d([[1]], 1)`.

    >>> tm.avg_pool2d([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    tensor([[3.5, 5.5]])
    """
    (x,) = floats("avg_pool2d", x)
    return bind(mean_windows, x, **_geometry("avg_pool2d", x, window, stride, padding))


def adaptive_avg_pool2d(x: ArrayLike, size: int | Sequence[int]) -> Tensor:
    """Means over `size` = (OH, OW) windows that cover the image evenly.

    Window i of OH spans the rows from ⌊i·H/OH⌋ to ⌈(i + 1)·H/OH⌉ − 1, likewise the columns.

    Shapes: (…, H, W) → (…, OH, OW).
    Raises: ShapeError for a size below 1: `tm.adaptive_avg_pool2d([[1.0]], 0)`; DtypeError of integers:
    `tm.adaptive_avg_pool2d([[1]], 1)`.

    >>> tm.adaptive_avg_pool2d([[1.0, 2.0, 3.0]], (1, 2))
    tensor([[1.5, 2.5]])
    """
    (x,) = floats("adaptive_avg_pool2d", x)
    rows, columns = pair(size, "size")
    if x.ndim < 2 or min(rows, columns, *x.shape[-2:]) < 1:
        raise ShapeError(f"adaptive_avg_pool2d can't pool shape {x.shape} to {rows} by {columns} ({user_site()})")
    across, down = _even_windows(x.shape[-1], columns, x.dtype), _even_windows(x.shape[-2], rows, x.dtype)
    return matmul(down, matmul(x, across.T))


def global_avg_pool2d(x: ArrayLike) -> Tensor:
    """The mean of each image.

    Shapes: (…, C, H, W) → (…, C).
    Raises: DtypeError of integers: `tm.global_avg_pool2d([[1]])`; ShapeError of fewer than two axes:
    `tm.global_avg_pool2d([1.0])`.

    >>> tm.global_avg_pool2d([[1.0, 2.0], [3.0, 4.0]])
    tensor(2.5)
    """
    (x,) = floats("global_avg_pool2d", x)
    return mean(x, (-2, -1))


def max_pool1d(x: ArrayLike, window: int = 2, stride: int | None = None, padding: int = 0) -> Tensor:
    """`max_pool2d` for signals.

    Shapes: (…, L) → (…, OL), OL = (L + 2·padding − window) // stride + 1.
    Raises: ShapeError where a window doesn't fit: `tm.max_pool1d([1.0])`; DtypeError of integers:
    `tm.max_pool1d([1, 2])`.

    >>> tm.max_pool1d([1.0, 3.0, 2.0, 0.0])
    tensor([3., 2.])
    """
    (x,) = floats("max_pool1d", x)
    stride = window if stride is None else stride
    return squeeze(max_pool2d(expand_dims(x, -2), (1, window), (1, stride), (0, padding)), -2)


def avg_pool1d(x: ArrayLike, window: int = 2, stride: int | None = None, padding: int = 0) -> Tensor:
    """`avg_pool2d` for signals.

    Shapes: (…, L) → (…, OL), OL = (L + 2·padding − window) // stride + 1.
    Raises: ShapeError where a window doesn't fit: `tm.avg_pool1d([1.0])`; DtypeError of integers:
    `tm.avg_pool1d([1, 2])`.

    >>> tm.avg_pool1d([1.0, 3.0, 2.0, 0.0])
    tensor([2., 1.])
    """
    (x,) = floats("avg_pool1d", x)
    stride = window if stride is None else stride
    return squeeze(avg_pool2d(expand_dims(x, -2), (1, window), (1, stride), (0, padding)), -2)


def adaptive_avg_pool1d(x: ArrayLike, size: int) -> Tensor:
    """`adaptive_avg_pool2d` for signals.

    Shapes: (…, L) → (…, size).
    Raises: DtypeError of integers: `tm.adaptive_avg_pool1d([1, 2], 1)`; ShapeError for a size below 1:
    `tm.adaptive_avg_pool1d([1.0], 0)`.

    >>> tm.adaptive_avg_pool1d([1.0, 2.0, 3.0], 2)
    tensor([1.5, 2.5])
    """
    (x,) = floats("adaptive_avg_pool1d", x)
    return squeeze(adaptive_avg_pool2d(expand_dims(x, -2), (1, size)), -2)


def _geometry(what: str, x: Tensor, window: Size, stride: Size | None, padding: Size) -> dict[str, Pair]:
    """The primitives' static arguments, checked."""
    window = pair(window, "window")
    how = {
        "window": window,
        "stride": window if stride is None else pair(stride, "stride"),
        "padding": pair(padding, "padding"),
    }
    if min(*how["window"], *how["stride"]) < 1 or min(how["padding"]) < 0:
        raise ShapeError(f"{what}: windows and strides are at least 1, padding at least 0, not {how} ({user_site()})")
    if x.ndim < 2 or any(n + 2 * p < k for n, p, k in zip(x.shape[-2:], how["padding"], window)):
        raise ShapeError(f"{what}: a window of {window} does not fit into shape {x.shape} ({user_site()})")
    return how


def _even_windows(n: int, count: int, dtype: DType) -> Array:
    """The (count, n) matrix that takes the means of `count` even windows."""
    starts = [i * n // count for i in range(count)]
    stops = [-(-(i + 1) * n // count) for i in range(count)]
    means = np.zeros((count, n), dtype)
    for row, start, stop in zip(means, starts, stops):
        row[start:stop] = 1 / (stop - start)
    return means
