"""Chains of operations that every network runs, as one primitive each: one pass over memory, and one record.

`relu(x @ w + b)`, its adjoint's mask, the cross-entropy of each row and its adjoint. Each says in `plain` what it is
in other operations; the rules below are the derivatives of that, written in these four again.
"""

from __future__ import annotations

import numpy as np
import tinymeta_kernels as kernels

from tinymeta.engine.domain import Domain, Sample, reals
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.structure import stop_gradient
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import Cotangents
from tinymeta.ops.elementwise import exp
from tinymeta.ops.linalg import matmul
from tinymeta.ops.logic import equal
from tinymeta.ops.reduce import sum
from tinymeta.ops.select import relu, where
from tinymeta.ops.shape import expand_dims
from tinymeta.ops.softmax import balanced, log_softmax, softmax

SMALL = 2000  # up to this many numbers NumPy's passes take less time than calling a kernel


class linear_relu(Primitive):
    """y = max(x w + b, 0) for the rows of x;   dy = [y > 0] (dx w + x dw + db)."""

    @staticmethod
    def kernel(x: Array, w: Array, b: Array) -> Array:
        if x.size // max(x.shape[-1], 1) * w.shape[-1] > SMALL:
            return kernels.linear_relu(x, w, b)
        y: Array = x @ w + b[..., None, :]
        return np.maximum(y, 0, out=y)

    plain = lambda x, w, b: relu(matmul(x, w) + expand_dims(b, -2))
    domain, kinks, broadcasts = (reals(-2, 2),), (), False
    samples = (Sample(((3, 2), (2, 4), (4,)), {}), Sample(((1, 3), (3, 2), (2,)), {}))

    @staticmethod
    def vjp(g: Tensor, y: Tensor, x: Tensor, w: Tensor, b: Tensor) -> Cotangents:
        d = bind(relu_input, g, stop_gradient(y))
        return lambda: matmul(d, w.mT), lambda: matmul(x.mT, d), lambda: sum(d, -2)


class relu_input(Primitive):
    """x = g where y > 0, else 0: the adjoint of y = max(x, 0)."""

    kernel = staticmethod(lambda g, y: (kernels.relu_input if y.size > SMALL else _where_positive)(g, y))
    plain = lambda g, y: where(y > 0, g, 0)
    domain, kinks = (reals(-2, 2), reals(-2, 2)), ()
    vjp = lambda h, x, g, y: (bind(relu_input, h, stop_gradient(y)), None)  # where y > 0 changes with no input


def _where_positive(g: Array, y: Array) -> Array:
    return np.where(y > 0, g, g.dtype.type(0))


class cross_entropy_rows(Primitive):
    """ℓ = log Σ eᶻ − z[label],   dℓ = Σ (softmax z − [label]) dz."""

    kernel = staticmethod(kernels.softmax_cross_entropy)
    plain = lambda z, labels: -sum(where(_chosen(z, labels), log_softmax(z), 0), -1)
    domain, kinks, broadcasts = (reals(-3, 3), Domain(0, 2, "index")), (), False
    samples = (Sample(((2, 3), (2,)), {}), Sample(((3,), ()), {}))
    vjp = lambda g, y, z, labels: (bind(cross_entropy_input, g, z, labels), None)


class cross_entropy_input(Primitive):
    """x = (softmax z − [label]) g,   dx = (softmax z − [label]) dg + g d softmax z."""

    @staticmethod
    def kernel(g: Array, z: Array, labels: Array) -> Array:
        return kernels.softmax_cross_entropy_grad(z, labels, g)

    @staticmethod
    def plain(g: Tensor, z: Tensor, labels: Tensor) -> Tensor:
        p = exp(log_softmax(z))  # of the logarithm, which the loss has found already
        return balanced(p - where(_chosen(z, labels), np.ones((), z.dtype), 0), p, -1) * expand_dims(g, -1)

    domain, kinks, broadcasts = (reals(-2, 2), reals(-3, 3), Domain(0, 2, "index")), (), False
    samples = (Sample(((2,), (2, 3), (2,)), {}), Sample(((), (3,), ()), {}))

    @staticmethod
    def vjp(h: Tensor, x: Tensor, g: Tensor, z: Tensor, labels: Tensor) -> Cotangents:
        p = softmax(z)

        def of_z() -> Tensor:
            weighted = p * (h * expand_dims(g, -1))
            return balanced(weighted - p * sum(weighted, -1, keepdims=True), p, -1)

        def slope() -> Tensor:
            return bind(cross_entropy_input, Tensor(np.ones(g.array.shape, g.dtype), g.batch), z, labels)

        return lambda: sum(h * slope(), -1), of_z, None


def _chosen(z: Tensor, labels: Tensor) -> Tensor:
    """True at the label of each row."""
    return equal(expand_dims(labels, -1), np.arange(z.shape[-1]))
