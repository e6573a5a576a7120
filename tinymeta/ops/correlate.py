"""The primitives of convolution: three, each of whose derivatives is made of the other two.

The sum over windows is bilinear in the image x and the filters w. Write ⟨g, conv(x, w)⟩ for it as a
trilinear form in (g, x, w): fixing two of the three gives the three primitives below, and to
differentiate any of them is to fix another two. So convolution is closed under differentiation, at
every order, with no rule beyond these.
"""

from __future__ import annotations

import math

import numpy as np
import tinymeta_kernels as kernels

from tinymeta.engine.domain import Sample, reals
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import Array
from tinymeta.engine.typing import Static

Pair = tuple[int, int]

_two = (reals(-1, 1), reals(-1, 1))
_plain: Static = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
_rich: Static = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}


class conv2d_images(Primitive):
    """y[n,o,a,b] = Σ_{c,i,j} x[n, c, a·s − p + i·d, b·s − p + j·d] w[o,c,i,j]   (cross-correlation)."""

    kernel = staticmethod(kernels.conv2d)

    @staticmethod
    def reference(x: Array, w: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
        x = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(p, p) for p in padding])
        extent = [d * (k - 1) + 1 for k, d in zip(w.shape[-2:], dilation)]
        seen = np.lib.stride_tricks.sliding_window_view(x, extent, axis=(-2, -1))
        seen = seen[..., :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
        seen = seen.reshape(*seen.shape[:-5], groups, -1, *seen.shape[-4:])
        w = w.reshape(*w.shape[:-4], groups, -1, *w.shape[-3:])
        y = np.einsum("...ngcabij,...gocij->...ngoab", seen, w)
        return np.reshape(y, (*y.shape[:-4], -1, *y.shape[-2:]))

    domain, kinks = _two, ()
    samples = (
        Sample(((2, 2, 4, 4), (3, 2, 3, 2)), _plain),
        Sample(((1, 4, 5, 4), (2, 2, 2, 3)), _rich),
    )
    vjp = lambda g, y, x, w, **how: (
        lambda: bind(conv2d_input, g, w, size=x.shape[-2:], **how),
        lambda: bind(conv2d_weight, x, g, size=w.shape[-2:], **how),
    )


class conv2d_input(Primitive):
    """The x that conv2d reads, from its cotangent g: x[…, a·s − p + i·d, …] += g[n,o,a,b] w[o,c,i,j]."""

    kernel = staticmethod(kernels.conv2d_input)

    @staticmethod
    def reference(g: Array, w: Array, size: Pair, groups: int, **how: Pair) -> Array:
        shape = (w.shape[-3] * groups, *size)
        n = math.prod(shape)
        columns = conv2d_images.reference(np.eye(n).reshape(n, *shape), w, groups=groups, **how)  # of a matrix
        x = g.reshape(*g.shape[:-3], -1) @ columns.reshape(*columns.shape[:-3], -1).mT
        return np.reshape(x, (*x.shape[:-1], *shape))

    domain, kinks = _two, ()
    samples = (
        Sample(((2, 3, 2, 3), (3, 2, 3, 2)), _plain | {"size": (4, 4)}),
        Sample(((1, 2, 3, 4), (2, 2, 2, 3)), _rich | {"size": (5, 4)}),
    )
    vjp = lambda h, x, g, w, size, **how: (
        lambda: bind(conv2d_images, h, w, **how),
        lambda: bind(conv2d_weight, h, g, size=w.shape[-2:], **how),
    )


class conv2d_weight(Primitive):
    """The w that conv2d reads, from its cotangent g: w[o,c,i,j] = Σ_{n,a,b} g[n,o,a,b] x[n, c, a·s − p + i·d, …]."""

    kernel = staticmethod(kernels.conv2d_weight)

    @staticmethod
    def reference(x: Array, g: Array, size: Pair, groups: int, **how: Pair) -> Array:
        shape = (x.shape[-3] // groups, *size)
        n = math.prod(shape)
        units = np.tile(np.eye(n), (groups, 1)).reshape(groups * n, *shape)  # each filter of one 1
        seen = conv2d_images.reference(x, units, groups=groups, **how)
        parts = (t.reshape(*t.shape[:-3], groups, -1, *t.shape[-2:]) for t in (g, seen))
        w = np.einsum("...ngoab,...ngkab->...gok", *parts)
        return np.reshape(w, (*w.shape[:-3], -1, *shape))

    domain, kinks = _two, ()
    samples = (
        Sample(((2, 2, 4, 4), (2, 3, 2, 3)), _plain | {"size": (3, 2)}),
        Sample(((1, 4, 5, 4), (1, 2, 3, 4)), _rich | {"size": (2, 3)}),
    )
    vjp = lambda h, w, x, g, size, **how: (
        lambda: bind(conv2d_input, g, h, size=x.shape[-2:], **how),
        lambda: bind(conv2d_images, x, h, **how),
    )
