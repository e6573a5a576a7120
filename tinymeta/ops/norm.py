"""Normalisation with the statistics of the batch, the layer or the group at hand.

Three fused primitives: `normalize`, its adjoint, and the adjoint of that. What a derivative needs
besides inputs and output, the inverse standard deviation, is an output of its own, so second
derivatives see it vary. From the third order on the rule is that of the plain form.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import tinymeta_kernels as kernels

from tinymeta.engine.domain import Sample, reals
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.options import whole
from tinymeta.engine.primitive import Primitive, bind, outputs_of
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.typing import Cotangents
from tinymeta.ops.elementwise import sqrt, square
from tinymeta.ops.reduce import mean, sum
from tinymeta.ops.shape import astype, floats, reshape
from tinymeta.ops.widen import real, squarable

Axes = tuple[int, ...]
Given = tuple[Tensor | None, Tensor | None]  # the cotangents of two outputs

_any = reals(-2, 2)


def _mean(x: Tensor, axes: Axes) -> Tensor:
    return mean(x, axes, keepdims=True)


def _without(g: Tensor, y: Tensor, axes: Axes) -> Tensor:
    """g less its parts along 1 and y, which a normalisation loses."""
    return g - _mean(g, axes) - y * _mean(g * y, axes)


class normalize(Primitive):
    """y = (x − mean x)·s and s = 1/√(var x + eps);   dx ← s(gy − mean gy − y mean(gy y)) − gs s² y/m, m entries."""

    kernel = staticmethod(kernels.normalize)

    @staticmethod
    def plain(x: Tensor, axes: Axes, eps: float) -> tuple[Tensor, Tensor]:
        centred = x - _mean(x, axes)
        s = 1 / sqrt(_mean(centred * centred, axes) + eps)
        return centred * s, s

    domain, kinks = (_any,), ()
    samples = (Sample(((3, 2, 2),), {"axes": (-3, -1), "eps": 0.1}), Sample(((2, 3),), {"axes": (-1,), "eps": 0.1}))

    @staticmethod
    def vjp(g: Given, out: tuple[Tensor, Tensor], x: Tensor, axes: Axes, eps: float) -> Tensor | None:
        (gy, gs), (y, s) = g, out
        count = math.prod(x.shape[a] for a in axes)
        gx = None if gy is None else bind(normalize_input, gy, y, s, axes=axes)
        if gs is None:
            return gx
        from_s = gs * square(s) * y * (-1 / count)
        return from_s if gx is None else gx + from_s


class normalize_input(Primitive):
    """x = s(g − mean g − y mean(g y)): symmetric in (g, h), so its own adjoint with respect to g."""

    kernel = staticmethod(kernels.normalize_input)
    plain = lambda g, y, s, axes: s * _without(g, y, axes)
    domain, kinks, broadcasts = (_any, _any, reals(0.5, 2)), (), False
    samples = (
        Sample(((3, 2, 2), (3, 2, 2), (1, 2, 1)), {"axes": (-3, -1)}),
        Sample(((2, 3), (2, 3), (2, 1)), {"axes": (-1,)}),
    )

    @staticmethod
    def vjp(h: Tensor, x: Tensor, g: Tensor, y: Tensor, s: Tensor, axes: Axes) -> Cotangents:
        @cache
        def of_y_and_s() -> tuple[Tensor, ...]:
            return outputs_of(bind(normalize_input_grad, h, g, y, s, axes=axes))

        return lambda: bind(normalize_input, h, y, s, axes=axes), lambda: of_y_and_s()[0], lambda: of_y_and_s()[1]


class normalize_input_grad(Primitive):
    """gy = −s(h mean(g y) + g mean(h y)),   gs = Σ h(g − mean g − y mean(g y)): symmetric in g and h."""

    kernel = staticmethod(kernels.normalize_input_grad)

    @staticmethod
    def plain(h: Tensor, g: Tensor, y: Tensor, s: Tensor, axes: Axes) -> tuple[Tensor, Tensor]:
        both = h * _mean(g * y, axes) + g * _mean(h * y, axes)
        return -s * both, sum(h * _without(g, y, axes), axes, keepdims=True)

    domain, kinks, broadcasts = (_any, _any, _any, reals(0.5, 2)), (), False
    samples = (
        Sample(((3, 2, 2), (3, 2, 2), (3, 2, 2), (1, 2, 1)), {"axes": (-3, -1)}),
        Sample(((2, 3), (2, 3), (2, 3), (2, 1)), {"axes": (-1,)}),
    )


def batch_norm(
    x: ArrayLike, weight: ArrayLike | None = None, bias: ArrayLike | None = None, eps: float | Tensor = 1e-5
) -> Tensor:
    """weight·(x − mean)/√(var + eps) + bias for each channel, over all the other axes.

    Shapes: (N, C, …) → the same; weight and bias (C,), None for 1 and 0.
    Raises: ShapeError for statistics of one number each: `tm.batch_norm([[1.0, 2.0]])`, or a weight that doesn't fit;
    DtypeError of integers: `tm.batch_norm([[1], [2]])`.
    Source: Ioffe & Szegedy 2015, algorithm 1.

    Parameters
    ----------
    x
        Channels are axis 1 for three axes or more, as in (N, C, H, W); else the last, as in (N, C).
    eps
        Added to the (biased) variance.

    Examples
    --------
    >>> tm.batch_norm([[1.0, 10.0], [3.0, 30.0]], eps=0.0)
    tensor([[-1., -1.],
            [ 1.,  1.]])
    """
    x, weight, bias = _operands("batch_norm", x, weight, bias)
    channel = 1 if x.ndim > 2 else x.ndim - 1
    axes = tuple(i - x.ndim for i in range(x.ndim) if i != channel)
    shape = tuple(n if i == channel else 1 for i, n in enumerate(x.shape)) if channel < x.ndim - 1 else None
    _check("batch_norm", x, x.shape[channel : channel + 1], weight, bias)
    if not axes:
        raise ShapeError(f"batch_norm needs a batch to normalise over and got shape {x.shape} ({user_site()})")
    return _affine(_normalized("batch_norm", x, axes, eps), weight, bias, shape)


def layer_norm(
    x: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float | Tensor = 1e-5,
    axes: int = 1,
) -> Tensor:
    """weight·(x − mean)/√(var + eps) + bias over the last `axes` axes of each example.

    Shapes: (…, n) → the same; weight and bias (n,), or of the last `axes` axes; None for 1 and 0.
    Raises: ShapeError for statistics of one number each, or a weight that doesn't fit: `tm.layer_norm([[1.0], [2.0]])`;
    DtypeError of integers: `tm.layer_norm([1, 2])`.
    Source: Ba et al. 2016, eq. 3–4.

    >>> tm.layer_norm([[1.0, 3.0], [10.0, 30.0]], eps=0.0)
    tensor([[-1.,  1.],
            [-1.,  1.]])
    """
    x, weight, bias = _operands("layer_norm", x, weight, bias)
    axes = whole(axes, "axes")
    if not 1 <= axes <= x.ndim:
        raise ShapeError(f"layer_norm can't normalise the last {axes} axes of shape {x.shape} ({user_site()})")
    _check("layer_norm", x, x.shape[-axes:], weight, bias)
    return _affine(_normalized("layer_norm", x, tuple(range(-axes, 0)), eps), weight, bias, None)


def group_norm(
    x: ArrayLike,
    groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float | Tensor = 1e-5,
) -> Tensor:
    """Each example's channels normalised in `groups` groups; `groups=C` is instance norm.

    Shapes: (N, C, …) → the same; weight and bias (C,), None for 1 and 0.
    Raises: ShapeError where the groups don't divide the channels: `tm.group_norm([[1.0, 2.0, 3.0]], 2)`; DtypeError of
    integers: `tm.group_norm([[1, 2]], 1)`.
    Source: Wu & He 2018, eq. 1–4.

    >>> tm.group_norm([[1.0, 3.0, 10.0, 30.0]], 2, eps=0.0)
    tensor([[-1.,  1., -1.,  1.]])
    """
    x, weight, bias = _operands("group_norm", x, weight, bias)
    groups = whole(groups, "groups")
    if x.ndim < 2 or groups < 1 or x.shape[1] % groups:
        raise ShapeError(f"group_norm can't put the channels (axis 1) of {x.shape} in {groups} groups ({user_site()})")
    _check("group_norm", x, x.shape[1:2], weight, bias)
    grouped = reshape(x, (x.shape[0], groups, math.prod(x.shape[1:]) // groups))
    y = reshape(_normalized("group_norm", grouped, (-1,), eps), x.shape)
    return _affine(y, weight, bias, (x.shape[1], *(1,) * (x.ndim - 2)))


def _normalized(what: str, x: Tensor, axes: Axes, eps: float | Tensor) -> Tensor:
    if math.prod(x.shape[a] for a in axes) == 1:
        raise ShapeError(
            f"{what} of shape {x.shape} takes mean and variance of one number each ({user_site()}): x − mean is 0 for "
            "every x, so the result would not depend on it. Pass more examples, or leave the layer out"
        )
    if x.dtype == np.float16:
        return astype(_normalized(what, squarable(x), axes, eps), np.float16)
    if not isinstance(eps, Tensor):
        return outputs_of(bind(normalize, x, axes=axes, eps=eps))[0]
    centred = x - mean(x, axes, keepdims=True)  # in operations that are differentiated in eps, too
    return centred / sqrt(mean(square(centred), axes, keepdims=True) + eps.astype(x.dtype))


def _operands(
    what: str, x: ArrayLike, weight: ArrayLike | None, bias: ArrayLike | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    given = iter([real(what, t) for t in floats(what, *[t for t in (x, weight, bias) if t is not None])])
    return next(given), None if weight is None else next(given), None if bias is None else next(given)


def _check(what: str, x: Tensor, shape: tuple[int, ...], weight: Tensor | None, bias: Tensor | None) -> None:
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t.shape != shape:
            raise ShapeError(
                f"{what}: the {name} of shape {t.shape} does not fit x of shape {x.shape}, which needs {shape} "
                f"({user_site()})"
            )


def _affine(y: Tensor, weight: Tensor | None, bias: Tensor | None, shape: tuple[int, ...] | None) -> Tensor:
    """weight·y + bias, with both in `shape` (None: as they are)."""
    if weight is not None:
        y = y * (weight if shape is None else reshape(weight, shape))
    if bias is not None:
        y = y + (bias if shape is None else reshape(bias, shape))
    return y
