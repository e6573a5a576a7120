"""The primitives of convolution: three, each of whose derivatives is made of the other two.

The sum over windows is bilinear in the image x and the filters w. Write ⟨g, conv(x, w)⟩ for it as a
trilinear form in (g, x, w): fixing two of the three gives the three primitives below, and to
differentiate any of them is to fix another two. So convolution is closed under differentiation, at
every order, with no rule beyond these.
"""

from __future__ import annotations

from typing import Any

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


def _windows(x: Array, i: int, j: int, out: Pair, stride: Pair, padding: Pair, dilation: Pair) -> tuple[Any, ...]:
    """Where, in an image padded by `padding`, the element (i, j) of every window lies."""
    starts = (i * dilation[0], j * dilation[1])
    return (..., *(slice(a, a + s * (n - 1) + 1, s) for a, s, n in zip(starts, stride, out)))


class conv2d_images(Primitive):
    """y[n,o,a,b] = Σ_{c,i,j} x[n, c, a·s − p + i·d, b·s − p + j·d] w[o,c,i,j]   (cross-correlation)."""

    kernel = staticmethod(kernels.conv2d)

    @staticmethod
    def reference(x: Array, w: Array, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
        size = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(x.shape[-2:], w.shape[-2:], stride, padding, dilation)
        ]
        x = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(p, p) for p in padding])
        x = x.reshape(*x.shape[:-3], groups, -1, *x.shape[-2:])
        w = w.reshape(*w.shape[:-4], groups, -1, *w.shape[-3:])
        y = sum(
            np.einsum(
                "...ngcab,...goc->...ngoab",
                x[_windows(x, i, j, (size[0], size[1]), stride, padding, dilation)],
                w[..., i, j],
            )
            for i in range(w.shape[-2])
            for j in range(w.shape[-1])
        )
        return np.reshape(y, (*np.shape(y)[:-4], -1, *size))

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
    def reference(g: Array, w: Array, size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
        out = (g.shape[-2], g.shape[-1])
        g = g.reshape(*g.shape[:-3], groups, -1, *out)
        w = w.reshape(*w.shape[:-4], groups, -1, *w.shape[-3:])
        lead = np.broadcast_shapes(g.shape[:-5], w.shape[:-5])
        padded = [n + 2 * p for n, p in zip(size, padding)]
        x = np.zeros((*lead, *g.shape[-5:-3], w.shape[-3], *padded), np.result_type(g, w))
        for i in range(w.shape[-2]):
            for j in range(w.shape[-1]):
                term = np.einsum("...ngoab,...goc->...ngcab", g, w[..., i, j])
                x[_windows(x, i, j, out, stride, padding, dilation)] += term
        x = x[..., padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]]
        return x.reshape(*x.shape[:-4], -1, *size)

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
    def reference(x: Array, g: Array, size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
        out = (g.shape[-2], g.shape[-1])
        x = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(p, p) for p in padding])
        x = x.reshape(*x.shape[:-3], groups, -1, *x.shape[-2:])
        g = g.reshape(*g.shape[:-3], groups, -1, *out)
        rows = [
            [
                np.einsum("...ngoab,...ngcab->...goc", g, x[_windows(x, i, j, out, stride, padding, dilation)])
                for j in range(size[1])
            ]
            for i in range(size[0])
        ]
        w = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
        return w.reshape(*w.shape[:-5], -1, *w.shape[-3:])

    domain, kinks = _two, ()
    samples = (
        Sample(((2, 2, 4, 4), (2, 3, 2, 3)), _plain | {"size": (3, 2)}),
        Sample(((1, 4, 5, 4), (1, 2, 3, 4)), _rich | {"size": (2, 3)}),
    )
    vjp = lambda h, w, x, g, size, **how: (
        lambda: bind(conv2d_input, g, h, size=x.shape[-2:], **how),
        lambda: bind(conv2d_images, x, h, **how),
    )
