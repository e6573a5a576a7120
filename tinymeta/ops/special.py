"""The error function and the smooth activations made of it and of sigmoid."""

from __future__ import annotations

import math

import numpy as np
import tinymeta_kernels as kernels

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import reals
from tinymeta.engine.primitive import Primitive
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.ops.elementwise import exp, scale, sigmoid, square


class erf(Primitive):
    """y = 2/√π ∫₀ˣ e^(−t²) dt,   dy = 2/√π e^(−x²) dx."""

    kernel = staticmethod(kernels.erf)

    @staticmethod
    def reference(x: Array) -> Array:
        if not np.iscomplexobj(x):
            return np.vectorize(math.erf, otypes=[float])(x)  # type: ignore[no-any-return]
        # 2/√π e^(−x²) Σ 2ⁿ x^(2n+1)/(2n+1)!!  (Abramowitz & Stegun 7.1.6): all terms of one sign, for |x| ≤ 2.
        term = total = x
        for n in range(1, 80):
            term = term * (2 * x * x / (2 * n + 1))
            total = total + term
        y: Array = 2 / math.sqrt(math.pi) * np.exp(-x * x) * total
        return y

    domain, kinks = (reals(-2, 2),), ()  # beyond, the series loses more than 1e-12 of its derivative
    vjp = lambda g, y, x: scale(g, 2 / math.sqrt(math.pi) * exp(-square(x)))


def gelu(x: ArrayLike) -> Tensor:
    """x Φ(x), with Φ the distribution function of the standard normal (Hendrycks & Gimpel 2016, eq. 1), exact."""
    x = as_tensor(x)
    return x * (0.5 * (1 + erf(x * math.sqrt(0.5))))


def silu(x: ArrayLike) -> Tensor:
    """x sigmoid(x), also called swish (Elfwing et al. 2018, eq. 3)."""
    x = as_tensor(x)
    return x * sigmoid(x)
