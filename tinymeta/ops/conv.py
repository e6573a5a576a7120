"""Convolution of one- and two-dimensional signals, and its transpose, with the field's arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.options import several, whole, wholes
from tinymeta.engine.primitive import bind
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.typing import Static
from tinymeta.ops.arrange import pad
from tinymeta.ops.correlate import conv2d_images, conv2d_input
from tinymeta.ops.shape import expand_dims, floats, reshape, squeeze

Pair = tuple[int, int]
Size = int | Sequence[int]  # one for both sides, or (vertical, horizontal)


def conv2d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] | str = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Slide filters over images (cross-correlation, as everywhere in the field).

    Shapes: (…, C, H, W) and (O, C / groups, kh, kw) → (…, O, OH, OW),
    OH = (H + 2·padding − dilation·(kh − 1) − 1) // stride + 1, likewise OW.
    Raises: ShapeError where images, filters and options don't fit: `tm.conv2d([[1.0]], [[1.0]])`; DtypeError of
    integers: `tm.conv2d([[[1]]], [[[[1]]]])`.

    Parameters
    ----------
    x, w, b
        Images: one, a batch, or more leading axes; filters; a bias per output channel, (O,).
    stride, padding, dilation
        One number, or (vertical, horizontal). Padding is with zeros; "same" (stride 1, odd windows) keeps H
        and W, "valid" is 0.
    groups
        Output channels in group i see only the input channels in group i; `groups=C` is depthwise.

    Examples
    --------
    >>> tm.conv2d([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]], [[[[1.0, 1.0]]]])
    tensor([[[ 3.,  5.],
             [ 9., 11.]]])
    """
    x, w = floats("conv2d", x, w)
    if x.ndim < 3 or w.ndim != 4:
        raise ShapeError(
            f"conv2d needs images (…, C, H, W) and filters (O, C/groups, kh, kw), not shapes {x.shape} and "
            f"{w.shape} ({user_site()})"
        )
    how = _geometry(w.shape[2:], stride, padding, dilation, groups)
    _check_channels("conv2d", x, w, w.shape[1] * how["groups"], w.shape[0], how["groups"])
    _check_window("conv2d", x, w.shape[2:], how["padding"], how["dilation"])
    y = over_images(x, lambda images: bind(conv2d_images, images, w, **how))
    return y if b is None else y + reshape(b, (-1, 1, 1))


def conv_transpose2d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """The adjoint of `conv2d` with the same filters: it undoes a convolution's change of shape, not of values.

    Shapes: (…, C, H, W) and (C, O / groups, kh, kw) → (…, O, OH, OW),
    OH = (H − 1)·stride − 2·padding + dilation·(kh − 1) + output_padding + 1, likewise OW.
    Raises: ShapeError where images, filters and options don't fit: `tm.conv_transpose2d([[1.0]], [[1.0]])`; DtypeError
    of integers: `tm.conv_transpose2d([[[1]]], [[[[1]]]])`.

    Parameters
    ----------
    w, b
        Filters: those of the convolution that goes from O to C channels; a bias per output channel, (O,).
    output_padding
        Extra rows and columns at the lower and right edge, where several input sizes of the convolution give
        one output size.

    Examples
    --------
    >>> tm.conv_transpose2d([[[1.0, 2.0]]], [[[[1.0, 10.0]]]], stride=(1, 2))
    tensor([[[ 1., 10.,  2., 20.]]])
    """
    x, w = floats("conv_transpose2d", x, w)
    if x.ndim < 3 or w.ndim != 4:
        raise ShapeError(
            f"conv_transpose2d needs images (…, C, H, W) and filters (C, O/groups, kh, kw), not shapes {x.shape} "
            f"and {w.shape} ({user_site()})"
        )
    how = _geometry(w.shape[2:], stride, padding, dilation, groups)
    _check_channels("conv_transpose2d", x, w, w.shape[0], w.shape[0], how["groups"])
    extra = pair(output_padding, "output_padding")
    if any(e >= max(s, d) for e, s, d in zip(extra, how["stride"], how["dilation"])):
        raise ShapeError(f"output_padding {extra} must be smaller than the stride or the dilation ({user_site()})")
    size = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, k, s, p, d, e in zip(x.shape[-2:], w.shape[2:], how["stride"], how["padding"], how["dilation"], extra)
    )
    if min(size) < 1:
        raise ShapeError(
            f"conv_transpose2d of {x.shape} with filters {w.shape} leaves no image ({user_site()}): use less padding"
        )
    x = _with_all_windows(x, w.shape[2:], size, how)
    y = over_images(x, lambda images: bind(conv2d_input, images, w, size=size, **how))
    return y if b is None else y + reshape(b, (-1, 1, 1))


def _with_all_windows(x: Tensor, window: Sequence[int], size: Sequence[int], how: Static) -> Tensor:
    """`x` with zeros at its lower and right edge for the windows that output padding made room for: its adjoint, the
    convolution, reads them too."""
    counts = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, window, how["stride"], how["padding"], how["dilation"])
    ]
    extra = [(0, count - n) for count, n in zip(counts, x.shape[-2:])]
    return pad(x, [(0, 0)] * (x.ndim - 2) + extra) if any(after for _, after in extra) else x


def conv1d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    stride: int = 1,
    padding: int | str = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """`conv2d` for signals.

    Shapes: (…, C, L) and (O, C / groups, k) → (…, O, OL).
    Raises: ShapeError where signals, filters and options don't fit: `tm.conv1d([1.0], [1.0])`.

    >>> tm.conv1d([[1.0, 2.0, 3.0]], [[[1.0, -1.0]]])
    tensor([[-1., -1.]])
    """
    x, w = _flat_images(x, w, "conv1d")
    pad = padding if isinstance(padding, str) else (0, padding)
    return squeeze(conv2d(x, w, b, (1, stride), pad, (1, dilation), groups), -2)


def conv_transpose1d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """`conv_transpose2d` for signals.

    Shapes: (…, C, L) and (C, O / groups, k) → (…, O, OL).
    Raises: ShapeError where signals, filters and options don't fit: `tm.conv_transpose1d([1.0], [1.0])`.

    >>> tm.conv_transpose1d([[1.0, 2.0]], [[[1.0, 10.0]]])
    tensor([[ 1., 12., 20.]])
    """
    x, w = _flat_images(x, w, "conv_transpose1d")
    y = conv_transpose2d(x, w, b, (1, stride), (0, padding), (0, output_padding), (1, dilation), groups)
    return squeeze(y, -2)


def pair(value: Size | str, what: str) -> Pair:
    """(vertical, horizontal) from one number for both, or from two."""
    both = wholes(value, what) if several(value) else (whole(value, what),) * 2
    if len(both) != 2:
        raise ShapeError(f"{what} is one number or two, (vertical, horizontal), not {value} ({user_site()})")
    return both


def over_images(x: Tensor, f: Callable[[Tensor], Tensor]) -> Tensor:
    """`f`, which takes (N, C, H, W), applied to images with any number of leading axes."""
    if x.ndim == 4:
        return f(x)
    y = f(reshape(x, (math.prod(x.shape[:-3]), *x.shape[-3:])))
    return reshape(y, (*x.shape[:-3], *y.shape[1:]))


def _geometry(window: Sequence[int], stride: Size, padding: Size | str, dilation: Size, groups: int) -> Static:
    """The primitives' static arguments, checked."""
    stride, dilation, groups = pair(stride, "stride"), pair(dilation, "dilation"), whole(groups, "groups")
    if isinstance(padding, str) and padding == "same":
        if stride != (1, 1) or any(d * (k - 1) % 2 for k, d in zip(window, dilation)):
            raise ShapeError(
                f'padding="same" needs stride 1 and odd windows, not stride {stride} and windows of {tuple(window)} '
                f"({user_site()})"
            )
        padding = tuple(d * (k - 1) // 2 for k, d in zip(window, dilation))
    padding = (0, 0) if isinstance(padding, str) and padding == "valid" else pair(padding, "padding")
    if min(*stride, *dilation, groups) < 1 or min(padding) < 0:
        raise ShapeError(
            f"stride, dilation and groups are at least 1 and padding at least 0, not stride={stride}, "
            f"dilation={dilation}, groups={groups}, padding={padding} ({user_site()})"
        )
    return {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


def _check_channels(what: str, x: Tensor, w: Tensor, needed: int, outputs: int, groups: int) -> None:
    if x.shape[-3] != needed or needed % groups or outputs % groups:
        raise ShapeError(
            f"{what}: filters {w.shape} with groups={groups} are for images of {needed} channels, and x has shape "
            f"{x.shape} with {x.shape[-3]} ({user_site()}): channels stand in axis −3, and groups must divide them"
        )


def _check_window(what: str, x: Tensor, window: Sequence[int], padding: Pair, dilation: Pair) -> None:
    if any(n + 2 * p < d * (k - 1) + 1 for n, k, p, d in zip(x.shape[-2:], window, padding, dilation)):
        raise ShapeError(
            f"{what}: a window of {tuple(window)} with dilation {dilation} does not fit into images of shape {x.shape} "
            f"with padding {padding} ({user_site()}): use a smaller window or more padding"
        )


def _flat_images(x: ArrayLike, w: ArrayLike, what: str) -> tuple[Tensor, Tensor]:
    """Signals and their filters as images of one row."""
    x, w = as_tensor(x), as_tensor(w)
    if x.ndim < 2 or w.ndim != 3:
        raise ShapeError(
            f"{what} needs signals (…, C, L) and filters of three axes, not {x.shape} and {w.shape} ({user_site()})"
        )
    return expand_dims(x, -2), expand_dims(w, -2)
