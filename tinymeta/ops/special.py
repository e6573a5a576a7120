"""The error function, the normal distribution, and the smooth activations made of it and of the logistic function.

In the tail where 1 + erf x would be a difference of nearly equal numbers, erfc has its own small ones.
"""

from __future__ import annotations

import math

import numpy as np
import tinymeta_kernels as kernels
from tinymeta_kernels.special import bell
from tinymeta_kernels.special import normal_cdf as of_normal

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Sample, reals
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.ops.elementwise import scale
from tinymeta.ops.logistic import sigmoid


class gaussian(Primitive):
    """y = e^(−rate·x²),   dy = −2·rate·x·y dx."""

    @staticmethod
    def kernel(x: Array, rate: float) -> Array:
        return gaussian.reference(x, rate) if x.dtype.kind == "c" else bell(x, rate)

    reference = staticmethod(lambda x, rate: np.exp(-rate * x * x))
    domain, kinks = (reals(-2, 2),), ()
    samples = (Sample(((2, 3),), {"rate": 1.0}), Sample(((),), {"rate": 0.5}))
    vjp = lambda g, y, x, rate: scale(g, (-2 * rate) * x * y)


def _erf(x: Array) -> Array:
    """By Python's own for real numbers, by its series for complex ones."""
    if not np.iscomplexobj(x):
        return np.vectorize(math.erf, otypes=[float])(x)  # type: ignore[no-any-return]
    # 2/√π e^(−x²) Σ 2ⁿ x^(2n+1)/(2n+1)!!  (Abramowitz & Stegun 7.1.6): all terms of one sign, for |x| ≤ 2.
    term = total = x
    for n in range(1, 80):
        term = term * (2 * x * x / (2 * n + 1))
        total = total + term
    y: Array = 2 / math.sqrt(math.pi) * np.exp(-x * x) * total
    return y


def _bell(x: Tensor, rate: float, height: float) -> Tensor:
    y = bind(gaussian, x, rate=rate)
    return y * height


class erf(Primitive):
    """y = 2/√π ∫₀ˣ e^(−t²) dt,   dy = 2/√π e^(−x²) dx.

    Shapes: any → the same.

    >>> tm.erf([0.0, 1.0])
    tensor([0.    , 0.8427])
    """

    kernel = staticmethod(kernels.erf)
    reference = staticmethod(_erf)
    domain, kinks = (reals(-2, 2),), ()  # beyond, the series loses more than 1e-12 of its derivative
    vjp = lambda g, y, x: scale(g, _bell(x, 1.0, 2 / math.sqrt(math.pi)))


class erfc(Primitive):
    """y = 1 − erf x, small and exact for large x,   dy = −2/√π e^(−x²) dx.

    Shapes: any → the same.

    >>> f"{tm.erfc(10.0).item():.3e}"
    '2.088e-45'
    """

    kernel = staticmethod(kernels.erfc)
    reference = staticmethod(lambda x: 1 - _erf(x))
    domain, kinks = (reals(-2, 2),), ()
    vjp = lambda g, y, x: scale(g, _bell(x, 1.0, -2 / math.sqrt(math.pi)))


class normal_cdf(Primitive):
    """y = Φ(x) = ½ erfc(−x/√2), the standard normal's distribution function,   dy = e^(−x²/2)/√(2π) dx.

    Shapes: any → the same.

    >>> tm.normal_cdf([-1.96, 0.0, 1.96])
    tensor([0.025, 0.5  , 0.975])
    """

    @staticmethod
    def kernel(x: Array) -> Array:
        return normal_cdf.reference(x) if x.dtype.kind == "c" else of_normal(x)

    reference = staticmethod(lambda x: 0.5 + 0.5 * _erf(x * math.sqrt(0.5)))
    domain, kinks = (reals(-2, 2),), ()
    vjp = lambda g, y, x: scale(g, _bell(x, 0.5, 1 / math.sqrt(2 * math.pi)))


def gelu(x: ArrayLike) -> Tensor:
    """x Φ(x), with Φ the distribution function of the standard normal, exact.

    Shapes: any → the same.
    Source: Hendrycks & Gimpel 2016, eq. 1.

    >>> tm.gelu([-1.0, 0.0, 1.0])
    tensor([-0.1587,  0.    ,  0.8413])
    """
    x = as_tensor(x)
    return x * normal_cdf(x)


def silu(x: ArrayLike) -> Tensor:
    """x σ(x), also called swish.

    Shapes: any → the same.
    Source: Elfwing et al. 2018, eq. 3.

    >>> tm.silu([-1.0, 0.0, 1.0])
    tensor([-0.2689,  0.    ,  0.7311])
    """
    x = as_tensor(x)
    return x * sigmoid(x)
