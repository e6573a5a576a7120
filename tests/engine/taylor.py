"""An oracle that shares nothing with the engine: forward mode with truncated polynomials, in plain NumPy.

A `Jet` is a polynomial in infinitesimals whose coefficients are arrays: `t`, kept up to t³, for derivatives
of order 1 to 3 along a line, and as many others, each with square 0, as nested gradients ask for.
A function of a jet follows from its Taylor series at the constant part, which ends because the rest is nilpotent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np

from tinymeta.engine.tensor import Array

ORDER = 3
T = 0  # the infinitesimal that is kept up to t³
_fresh = count(1)
Powers = tuple[int, ...]  # the infinitesimals of a monomial, sorted, each as often as its power


class Jet:
    """Σ coefficient · monomial."""

    def __init__(self, parts: dict[Powers, Any]) -> None:
        self.parts = {p: np.asarray(x, float) for p, x in parts.items()}
        self.parts.setdefault((), np.zeros(()))

    @property
    def value(self) -> Array:
        return self.parts[()]

    @property
    def shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(*[x.shape for x in self.parts.values()])

    def linear(self, f: Callable[[Array], Array]) -> Jet:
        """A linear function of every coefficient, once they all have the same shape."""
        return Jet({p: f(np.broadcast_to(x, self.shape)) for p, x in self.parts.items()})

    def times(self, other: Any, multiply: Callable[[Array, Array], Array]) -> Jet:
        total: dict[Powers, Any] = {}
        for (p, x), (q, y) in ((a, b) for a in self.parts.items() for b in jet(other).parts.items()):
            powers = tuple(sorted(p + q))
            if all(powers.count(i) <= (ORDER if i == T else 1) for i in powers):
                total[powers] = total.get(powers, 0) + multiply(x, y)
        return Jet(total)

    def __add__(self, other: Any) -> Jet:
        other = jet(other)
        return Jet({p: self.parts.get(p, 0) + other.parts.get(p, 0) for p in self.parts | other.parts})

    def __mul__(self, other: Any) -> Jet:
        return self.times(other, np.multiply)

    def __matmul__(self, other: Any) -> Jet:
        return self.linear(np.asarray).times(jet(other).linear(np.asarray), np.matmul)

    def __neg__(self) -> Jet:
        return self * -1.0

    def __sub__(self, other: Any) -> Jet:
        return self + -jet(other)

    def __truediv__(self, other: Any) -> Jet:
        return self * series(jet(other), lambda x: (math.factorial(k) * (-1) ** k / x ** (k + 1) for k in count()))

    def __getitem__(self, key: Any) -> Jet:
        return self.linear(lambda x: x[key])

    def __gt__(self, other: Any) -> Array:
        greater: Array = self.value > jet(other).value
        return greater

    __radd__, __rmul__ = __add__, __mul__
    __array_ufunc__ = None


def jet(x: Any) -> Jet:
    return x if isinstance(x, Jet) else Jet({(): x})


def series(x: Jet, derivatives: Callable[[Array], Iterator[Array]]) -> Jet:
    """f(x₀ + n) = Σ f⁽ᵏ⁾(x₀) nᵏ/k!, until the nilpotent n is used up."""
    rest = Jet({p: v for p, v in x.parts.items() if p})
    total, power = Jet({}), jet(1.0)
    for k, d in enumerate(derivatives(x.value)):
        total = total + power * (d / math.factorial(k))
        power = power * rest
        if not any(v.any() for v in power.parts.values()):
            return total
    raise AssertionError("a nilpotent part that never ends")


def _polynomial(y: Array, slope: Sequence[float]) -> Iterator[Array]:
    """The derivatives of a y with y' = slope(y), a polynomial: each is a polynomial in y."""
    p = np.polynomial.Polynomial([0.0, 1.0])
    while True:
        yield p(y)
        p = p.deriv() * np.polynomial.Polynomial(list(slope))


def _cycle(*values: Array) -> Iterator[Array]:
    return (values[k % len(values)] for k in count())


class Jets:
    """The functions that the programs use, for jets."""

    exp = staticmethod(lambda x: series(x, lambda v: _cycle(np.exp(v))))
    sin = staticmethod(lambda x: series(x, lambda v: _cycle(np.sin(v), np.cos(v), -np.sin(v), -np.cos(v))))
    tanh = staticmethod(lambda x: series(x, lambda v: _polynomial(np.tanh(v), (1, 0, -1))))
    sigmoid = staticmethod(lambda x: series(x, lambda v: _polynomial(1 / (1 + np.exp(-v)), (0, 1, -1))))
    where = staticmethod(lambda c, a, b: jet(a) * c + jet(b) * ~c)
    sum = staticmethod(lambda x, axis, keepdims: x.linear(lambda v: np.sum(v, axis=axis, keepdims=keepdims)))
    reshape = staticmethod(lambda x, shape: x.linear(lambda v: v.reshape(shape)))
    transpose = staticmethod(lambda x: x.linear(np.transpose))
    flip = staticmethod(lambda x, axis: x.linear(lambda v: np.flip(v, axis)))
    detach = staticmethod(lambda x: jet(x.value))
    constant = staticmethod(jet)

    @staticmethod
    def sqrt(x: Jet) -> Jet:
        return series(x, lambda v: (math.prod(0.5 - i for i in range(k)) * v ** (0.5 - k) for k in count()))

    @staticmethod
    def convolve(x: Jet, w: Jet) -> Jet:
        """The sum over the window w of x, padded by one zero on every side, times w's entry."""
        padded = x.linear(lambda v: np.pad(v, 1))
        h, k = (n + 2 - m + 1 for n, m in zip(x.shape, w.shape))
        return sum((padded[i : i + h, j : j + k] * w[i, j] for i, j in np.ndindex(w.shape)), Jet({}))

    @staticmethod
    def concat(xs: Sequence[Jet], axis: int) -> Jet:
        powers = {p for x in xs for p in x.parts}
        full = [[np.broadcast_to(x.parts.get(p, np.zeros(())), x.shape) for x in xs] for p in powers]
        return Jet({p: np.concatenate(row, axis=axis) for p, row in zip(powers, full)})

    @staticmethod
    def grad(f: Callable[[Jet], Jet]) -> Callable[[Jet], Jet]:
        """One run per element, each with an infinitesimal of its own."""

        def gradient(x: Jet) -> Jet:
            slopes = []
            for at in np.ndindex(x.shape):
                unit, e = np.zeros(x.shape), next(_fresh)
                unit[at] = 1.0
                y = f(x + Jet({(e,): unit}))
                slopes.append(Jet({tuple(i for i in p if i != e): v for p, v in y.parts.items() if e in p}))
            return Jets.reshape(Jets.concat([Jets.reshape(s, (1,)) for s in slopes], 0), x.shape)

        return gradient

    @staticmethod
    def vmap(f: Callable[[Jet], Jet]) -> Callable[[Jet], Jet]:
        def looped(x: Jet) -> Jet:
            rows = [f(x[i]) for i in range(x.shape[0])]
            return Jets.concat([Jets.reshape(row, (1, *row.shape)) for row in rows], 0)

        return looped


def along(f: Callable[[Jet], Jet], x: Array, v: Array) -> list[float]:
    """The derivatives of t ↦ f(x + tv) at 0, of orders 0 to 3."""
    y = f(Jet({(): x, (T,): v}))
    return [math.factorial(k) * float(y.parts.get((T,) * k, 0.0)) for k in range(ORDER + 1)]
