"""Chains of operations that every network runs, as one primitive each: one pass over memory, and one record.

`relu(x @ w + b)`, its adjoint's mask, the cross-entropy of each row and its adjoint. Their rules are Tensor operations
again, so any order of derivative is right. Eager code uses them; where somebody looks on (a tracer, `compile`, NaN
mode) layers and losses show the plain operations instead, which compute the same.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tinymeta_kernels as kernels

from tinymeta.engine.domain import Domain, Sample, reals
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.state import state
from tinymeta.engine.structure import stop_gradient
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.ops.reduce import sum
from tinymeta.ops.softmax import balanced, softmax

SMALL = 2000  # up to this many numbers NumPy's passes take less time than calling a kernel


def unwatched(*xs: Tensor) -> bool:
    """Whether a chain may run as one primitive: nobody looks on, and no dtype has to change on the way."""
    return not state.watchers and len({x.dtype for x in xs}) == 1


def _rows(x: Array, lead: int) -> Array:
    """The last `lead` axes before the last one as a single axis."""
    hidden = x.shape[: x.ndim - 1 - lead]
    middle = x.shape[len(hidden) : -1]
    return x.reshape(*hidden, math.prod(middle), x.shape[-1])


def _where_positive(g: Array, y: Array) -> Array:
    return np.where(y > 0, g, g.dtype.type(0))


class linear_relu(Primitive):
    """y = max(x w + b, 0), x with `lead` axes in front of its features;   dy = [y > 0] (dx w + x dw + db)."""

    @staticmethod
    def kernel(x: Array, w: Array, b: Array, lead: int) -> Array:
        rows = _rows(x, lead)
        if rows.size // max(rows.shape[-1], 1) * w.shape[-1] > SMALL:
            y = kernels.linear_relu(rows, w, b)
        else:
            y = rows @ w + b[..., None, :]
            np.maximum(y, 0, out=y)
        return y.reshape(*y.shape[:-2], *x.shape[x.ndim - 1 - lead : -1], y.shape[-1])

    @staticmethod
    def reference(x: Array, w: Array, b: Array, lead: int) -> Array:
        z = _rows(x, lead) @ w + b[..., None, :]
        y: Array = np.where(z.real <= 0, 0, z)
        return y.reshape(*y.shape[:-2], *x.shape[x.ndim - 1 - lead : -1], y.shape[-1])

    domain, kinks, broadcasts = (reals(-2, 2),), (), False
    samples = (
        Sample(((3, 2), (2, 4), (4,)), {"lead": 1}),
        Sample(((2,), (2, 3), (3,)), {"lead": 0}),
        Sample(((2, 1, 3), (3, 2), (2,)), {"lead": 2}),
    )

    @staticmethod
    def vjp(g: Tensor, y: Tensor, x: Tensor, w: Tensor, b: Tensor, lead: int) -> Any:
        d = bind(relu_input, g, stop_gradient(y))

        def rows(t: Tensor) -> Tensor:
            return t.reshape((math.prod(t.shape[:-1]), t.shape[-1]))  # type: ignore[no-any-return]

        return (
            lambda: d @ w.mT,
            lambda: rows(x).mT @ rows(d),
            lambda: sum(d, tuple(range(lead))) if lead else d,
        )


class relu_input(Primitive):
    """x = g where y > 0, else 0: the adjoint of y = max(x, 0)."""

    kernel = staticmethod(lambda g, y: (kernels.relu_input if y.size > SMALL else _where_positive)(g, y))
    reference = staticmethod(lambda g, y: np.where(np.real(y) > 0, g, 0))
    domain, kinks = (reals(-2, 2), reals(-2, 2)), ()
    vjp = lambda h, x, g, y: (bind(relu_input, h, stop_gradient(y)), None)  # where y > 0 changes with no input


class cross_entropy_rows(Primitive):
    """ℓ = log Σ eᶻ − z[label],   dℓ = Σ (softmax z − [label]) dz."""

    kernel = staticmethod(kernels.softmax_cross_entropy)

    @staticmethod
    def reference(z: Array, labels: Array) -> Array:
        chosen = labels.real[..., None] == np.arange(z.shape[-1])
        y: Array = np.log(np.sum(np.exp(z), -1)) - np.sum(np.where(chosen, z, 0), -1)
        return y

    domain, kinks, broadcasts = (reals(-3, 3), Domain(0, 2, "index")), (), False
    samples = (Sample(((2, 3), (2,)), {}), Sample(((3,), ()), {}))
    vjp = lambda g, y, z, labels: (bind(cross_entropy_input, g, z, labels), None)


class cross_entropy_input(Primitive):
    """x = (softmax z − [label]) g,   dx = (softmax z − [label]) dg + g d softmax z."""

    @staticmethod
    def kernel(g: Array, z: Array, labels: Array) -> Array:
        return kernels.softmax_cross_entropy_grad(z, labels, g)

    @staticmethod
    def reference(g: Array, z: Array, labels: Array) -> Array:
        chosen = labels.real[..., None] == np.arange(z.shape[-1])
        p = np.exp(z) / np.sum(np.exp(z), -1, keepdims=True)
        x: Array = (p - chosen) * g[..., None]
        return x

    domain, kinks, broadcasts = (reals(-2, 2), reals(-3, 3), Domain(0, 2, "index")), (), False
    samples = (Sample(((2,), (2, 3), (2,)), {}), Sample(((), (3,), ()), {}))

    @staticmethod
    def vjp(h: Tensor, x: Tensor, g: Tensor, z: Tensor, labels: Tensor) -> Any:
        p = softmax(z)

        def of_z() -> Tensor:
            weighted = p * (h * g.expand_dims(-1))
            return balanced(weighted - p * sum(weighted, -1, keepdims=True), p, -1)

        def slope() -> Tensor:
            return bind(cross_entropy_input, Tensor(np.ones(g.data.shape, g.dtype), g.batch), z, labels)  # type: ignore[no-any-return]

        return lambda: sum(h * slope(), -1), of_z, None
