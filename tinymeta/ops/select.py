"""Operations that choose: `where`, and the functions with a kink.

A kink has one side, the same at all orders, written in the declaration. Splitting the gradient
of a tie in halves would make second derivatives wrong: the halves multiply.
"""

from __future__ import annotations

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.domain import Domain, Kink, reals
from tinymeta.engine.primitive import Primitive
from tinymeta.engine.tensor import ArrayLike, Tensor

_any = (reals(-2, 2),)
_two = (reals(-2, 2), reals(-2, 2))


class where(Primitive):
    """y = a where c, else b;   the cotangent goes to the branch taken, and 0 to the other.

    A NaN or ∞ of the branch not taken stays out of the gradient, at every order.

    Shapes: c, a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.where([True], [1, 2], [1, 2, 3])`.

    >>> tm.where([True, False], [1.0, 2.0], 0.0)
    tensor([1., 0.])
    >>> float(tm.grad(lambda x: tm.where(x > 0, tm.log(x), x))(-1.0))
    1.0
    """

    kernel = reference = np.where
    domain, kinks = (Domain(0, 1, "bool"), *_two), ()
    vjp = lambda g, y, c, a, b: (None, lambda: where(c, g, 0), lambda: where(c, 0, g))


class relu(Primitive):
    """y = max(x, 0),   dy = [x > 0] dx: at 0 the derivative is 0.

    Shapes: any → the same.

    >>> tm.relu([-1.0, 0.0, 2.0])
    tensor([0., 0., 2.])
    """

    kernel = staticmethod(lambda x: np.maximum(x, np.zeros((), x.dtype)))
    plain = lambda x: maximum(0, x)
    domain, kinks = _any, (Kink((0.0,), (0.0,), "left, the constant branch"),)
    vjp = lambda g, y, x: where(x > 0, g, 0)


class abs(Primitive):
    """y = |x|,   dy = −dx where x < 0, else dx.

    Shapes: any → the same.

    >>> tm.abs([-1.5, 2.0])
    tensor([1.5, 2. ])
    """

    kernel = np.abs
    reference = staticmethod(lambda x: np.where(np.real(x) < 0, -x, x))
    domain, kinks = _any, (Kink((0.0,), (1.0,), "right, the rising branch"),)
    vjp = lambda g, y, x: where(x < 0, -g, g)


class maximum(Primitive):
    """y = a where a ≥ b, else b (NaN if either is). Of two equal ones the first has the gradient.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.maximum([1, 2], [1, 2, 3])`.

    >>> tm.maximum([1.0, 5.0], 3.0)
    tensor([3., 5.])
    """

    kernel = np.maximum
    reference = staticmethod(lambda a, b: np.where(np.real(a) >= np.real(b), a, b))
    domain, kinks = _two, (Kink((0.5, 0.5), (1.0, 0.0), "the first argument"),)
    vjp = lambda g, y, a, b: (lambda: where(a >= b, g, 0), lambda: where(a >= b, 0, g))


class minimum(Primitive):
    """y = a where a ≤ b, else b (NaN if either is). Of two equal ones the first has the gradient.

    Shapes: a, b → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.minimum([1, 2], [1, 2, 3])`.

    >>> tm.minimum([1.0, 5.0], 3.0)
    tensor([1., 3.])
    """

    kernel = np.minimum
    reference = staticmethod(lambda a, b: np.where(np.real(a) <= np.real(b), a, b))
    domain, kinks = _two, (Kink((0.5, 0.5), (1.0, 0.0), "the first argument"),)
    vjp = lambda g, y, a, b: (lambda: where(a <= b, g, 0), lambda: where(a <= b, 0, g))


class sign(Primitive):
    """y = −1, 0 or 1. It is constant between its jumps, so it has no gradient.

    Shapes: any → the same.

    >>> tm.sign([-2.5, 0.0, 3.0])
    tensor([-1.,  0.,  1.])
    """

    kernel = np.sign
    reference = staticmethod(lambda x: np.sign(np.real(x)))
    domain, kinks = _any, ()
    vjp = None


def clip(x: ArrayLike, low: ArrayLike | None = None, high: ArrayLike | None = None) -> Tensor:
    """`x` limited to [low, high]; either may be None. At a limit the gradient is that of `x`.

    Shapes: x, low, high → what they broadcast to.
    Raises: ShapeError where they don't broadcast: `tm.clip([1, 2], [1, 2, 3])`.

    >>> tm.clip([-3.0, 0.5, 3.0], -1, 1)
    tensor([-1. ,  0.5,  1. ])
    """
    if low is not None:
        x = maximum(x, low)
    if high is not None:
        x = minimum(x, high)
    return as_tensor(x)
