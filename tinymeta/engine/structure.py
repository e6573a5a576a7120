"""The few operations that the engine itself needs: to add cotangents, undo broadcasting, and move `vmap`'s axes.

Axes are negative numbers throughout, so hidden leading axes never matter. The static argument `rise` says by how much
an operation changes the number of hidden axes. Each rule relies on one promise of the sweep: it sums what a rule
returns over the axes that the input lacks. So broadcasting needs no rule of its own: its adjoint is `g` as it stands.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tinymeta.engine.domain import Sample, reals
from tinymeta.engine.errors import DtypeError, user_site
from tinymeta.engine.long_sums import is_long
from tinymeta.engine.primitive import Primitive, bind
from tinymeta.engine.state import Opened, inside, shared, state
from tinymeta.engine.tensor import Array, Tensor


class add(Primitive):
    """y = a + b,   dy = da + db.

    Shapes: a, b → what they broadcast to, or a ShapeError.

    >>> tm.add([1.0, 2.0], 10.0)
    tensor([11., 12.])
    """

    kernel = reference = np.add
    domain, kinks = (reals(-2, 2), reals(-2, 2)), ()
    vjp = lambda g, y, a, b: (g, g)


class astype(Primitive):
    """The same numbers in another dtype."""

    kernel = staticmethod(lambda x, dtype: x.astype(dtype))
    reference = staticmethod(lambda x, dtype: x.astype(np.result_type(x, dtype) if x.dtype.kind == "c" else dtype))
    domain, kinks = (reals(-2, 2),), ()
    samples = (Sample(((2, 3),), {"dtype": np.dtype(float)}),)
    vjp = lambda g, y, x, dtype: g if x.dtype.kind in "fc" else None  # the sweep gives it the input's dtype


class stop_gradient(Primitive):
    """y = x, a constant for every differentiation.

    Shapes: any → the same.

    >>> float(tm.grad(lambda x: x * tm.stop_gradient(x))(3.0))
    3.0
    """

    kernel = staticmethod(lambda x: x)
    # A complex step must not pass either; but inside a rule it does, so that a rule that stops one is found out.
    reference = staticmethod(lambda x: np.real(x) if state.maker is None else x)
    domain, kinks = (reals(-2, 2),), ()
    vjp = None


def _total(x: Array, axes: Iterable[int]) -> Array:
    """An oracle for sums over axes: Einstein's notation, in which the axes to sum are those that the result lacks."""
    letters = list(range(x.ndim))
    gone = {a % x.ndim for a in axes}
    return np.asarray(np.einsum(x, letters, [i for i in letters if i not in gone]))


def _refilled(x: Array, shape: tuple[int, ...]) -> Array:
    """An oracle for reshaping: one number after the other in row-major order."""
    y = np.empty(shape, x.dtype)
    for at, value in zip(np.ndindex(shape), x.flat):
        y[at] = value
    return y


class sum_to(Primitive):
    """Sum over `axes`, then drop leading axes so that the visible shape is `shape`: undoes broadcasting."""

    @staticmethod
    def kernel(x: Array, axes: tuple[int, ...], shape: tuple[int, ...], ndim: int) -> Array:
        total: Array = np.add.reduce(x, axis=axes, keepdims=True)
        return total.reshape(x.shape[: x.ndim - ndim] + shape)

    reference = staticmethod(lambda x, axes, shape, ndim: _refilled(_total(x, axes), x.shape[: x.ndim - ndim] + shape))
    domain, kinks = (reals(-2, 2),), ()
    samples = (
        Sample(((2, 3, 2),), {"axes": (-3, -1), "shape": (3, 1), "ndim": 3}),
        Sample(((2, 3),), {"axes": (-2,), "shape": (1, 3), "ndim": 2}),
    )
    vjp = lambda g, y, x, axes, shape, ndim: broadcast(g, x.shape)


class broadcast_to(Primitive):
    """Repeat along new or size-1 axes without a copy; `x` has as many visible axes as `shape`."""

    kernel = staticmethod(lambda x, shape: np.broadcast_to(x, x.shape[: x.ndim - len(shape)] + shape))
    reference = staticmethod(lambda x, shape: x + np.zeros(x.shape[: x.ndim - len(shape)] + shape, x.dtype))
    domain, kinks = (reals(-2, 2),), ()
    samples = (Sample(((3, 1),), {"shape": (3, 2)}), Sample(((1, 2, 1),), {"shape": (3, 2, 2)}))
    vjp = lambda g, y, x, shape: g


class reshape(Primitive):
    """The same numbers in row-major order, in another shape; `ndim` is the input's visible rank."""

    kernel = staticmethod(lambda x, shape, ndim: x.reshape(x.shape[: x.ndim - ndim] + shape))
    reference = staticmethod(lambda x, shape, ndim: _refilled(x, x.shape[: x.ndim - ndim] + shape))
    domain, kinks = (reals(-2, 2),), ()
    samples = (Sample(((2, 3),), {"shape": (3, 1, 2), "ndim": 2}), Sample(((),), {"shape": (1,), "ndim": 0}))
    vjp = lambda g, y, x, shape, ndim: bind(reshape, g, shape=x.shape, ndim=len(shape))


class lift(Primitive):
    """`rise` more hidden axes of size 1: the same value for every example of a `vmap`. A leaf of `grad` starts here."""

    kernel = staticmethod(lambda x, at, rise: x[(slice(None),) * at + (None,) * rise] if rise else x)
    reference = staticmethod(lambda x, at, rise: np.expand_dims(x, tuple(range(at, at + rise))))
    domain, kinks, broadcasts, hides = (reals(-2, 2),), (), False, True
    samples = (Sample(((2, 3),), {"at": 0, "rise": 1}), Sample(((2, 3),), {"at": 1, "rise": 2}, batch=1))
    vjp = lambda g, y, x, at, rise: g


class spread(Primitive):
    """Repeat along hidden axes until their sizes are `sizes`."""

    @staticmethod
    def kernel(x: Array, at: int, sizes: tuple[int, ...], rise: int) -> Array:
        x = x[(slice(None),) * at + (None,) * rise]
        n = len(sizes)  # where x is repeated already, by an outer `vmap`, `sizes` may still say 1
        return np.broadcast_to(x, np.broadcast_shapes(x.shape[:n], sizes) + x.shape[n:])

    reference = staticmethod(
        lambda x, at, sizes, rise: (
            np.expand_dims(x, tuple(range(at, at + rise)))
            + np.zeros(sizes + (1,) * (x.ndim + rise - len(sizes)), x.dtype)
        )
    )
    domain, kinks, broadcasts, hides = (reals(-2, 2),), (), False, True
    samples = (
        Sample(((3,),), {"at": 0, "sizes": (2,), "rise": 1}),
        Sample(((1, 3),), {"at": 1, "sizes": (2, 2), "rise": 1}, batch=1),
        Sample(((2, 3),), {"at": 1, "sizes": (1, 2), "rise": 1}, batch=1),
    )
    vjp = lambda g, y, x, at, sizes, rise: g


class sum_tasks(Primitive):
    """Sum over the hidden axes from `at` on: how a cotangent meets a value that all examples share."""

    kernel = staticmethod(lambda x, at, rise: np.add.reduce(x, axis=tuple(range(at, at - rise))))
    reference = staticmethod(lambda x, at, rise: _total(x, range(at, at - rise)))
    domain, kinks, broadcasts, hides = (reals(-2, 2),), (), False, True
    samples = (Sample(((2, 3),), {"at": 0, "rise": -1}, batch=1), Sample(((2, 2, 3),), {"at": 1, "rise": -1}, batch=2))
    vjp = lambda g, y, x, at, rise: bind(spread, g, at=g.batch, sizes=x.array.shape[: x.batch], rise=x.batch - g.batch)


class enter(Primitive):
    """Visible axis `axis` becomes the innermost hidden one: the way into `vmap`."""

    @staticmethod
    def kernel(x: Array, axis: int, at: int, rise: int) -> Array:
        return np.moveaxis(x, axis, at)[(slice(None),) * at + (None,) * (rise - 1)]

    reference = staticmethod(
        lambda x, axis, at, rise: np.expand_dims(
            np.stack([x.take(i, axis) for i in range(x.shape[axis])], at), tuple(range(at, at + rise - 1))
        )
    )
    domain, kinks, broadcasts, hides = (reals(-2, 2),), (), False, True
    samples = (
        Sample(((3, 2),), {"axis": -1, "at": 0, "rise": 2}),
        Sample(((2, 3, 2),), {"axis": -2, "at": 1, "rise": 1}, batch=1),
    )

    @staticmethod
    def vjp(g: Tensor, y: Tensor, x: Tensor, axis: int, at: int, rise: int) -> Tensor:
        last = y.batch - 1
        if last < len(y.opened) and not y.opened[last].over:
            raise TypeError(
                f"a gradient inside vmap ({user_site()}) with respect to a value that this vmap took apart: take it "
                "with respect to the function's own argument, or outside of vmap"
            )
        return bind(leave, g, axis=axis, at=last, size=y.array.shape[last], rise=-1)


class leave(Primitive):
    """The innermost hidden axis, at position `at`, becomes visible axis `axis`: the way out of `vmap`."""

    @staticmethod
    def kernel(x: Array, axis: int, at: int, size: int, rise: int) -> Array:
        return np.moveaxis(np.broadcast_to(x, x.shape[:at] + (size,) + x.shape[at + 1 :]), at, axis)

    reference = staticmethod(
        lambda x, axis, at, size, rise: np.stack([x.take(i % x.shape[at], at) for i in range(size)], axis)
    )
    domain, kinks, broadcasts, hides = (reals(-2, 2),), (), False, True
    samples = (
        Sample(((3, 2),), {"axis": -1, "at": 0, "size": 3, "rise": -1}, batch=1),
        Sample(((2, 1, 2),), {"axis": -2, "at": 1, "size": 3, "rise": -1}, batch=2),
    )
    vjp = lambda g, y, x, axis, at, size, rise: bind(enter, g, axis=axis, at=g.batch, rise=x.batch - g.batch)


class widen(Primitive):
    """`rise` hidden axes of size 1 at `at`, in front of the last `tail` ones: room for `vmap`s opened since."""

    kernel = staticmethod(lambda x, at, rise, tail: x[(slice(None),) * at + (None,) * rise])
    reference = staticmethod(lambda x, at, rise, tail: np.expand_dims(x, tuple(range(at, at + rise))))
    domain, kinks, broadcasts, aligns, hides = (reals(-2, 2),), (), False, False, True
    samples = (Sample(((2, 3),), {"at": 0, "rise": 1, "tail": 1}, batch=1),)

    @staticmethod
    def vjp(g: Tensor, y: Tensor, x: Tensor, at: int, rise: int, tail: int) -> Tensor:
        at, n = x.batch - tail, g.batch - x.batch  # the others among them are open still
        if n:
            g = bind(narrow, g, at=at, rise=-n, tail=tail)
            g.opened = state.opened[:at] + state.opened[at + n :]
        return g


class narrow(Primitive):
    """Sum over −`rise` hidden axes from `at` on, in front of the last `tail` ones: undoes `widen`."""

    kernel = staticmethod(lambda x, at, rise, tail: np.add.reduce(x, axis=tuple(range(at, at - rise))))
    reference = staticmethod(lambda x, at, rise, tail: _total(x, range(at, at - rise)))
    domain, kinks, broadcasts, aligns, hides = (reals(-2, 2),), (), False, False, True
    samples = (Sample(((2, 2, 3),), {"at": 0, "rise": -1, "tail": 1}, batch=2),)

    @staticmethod
    def vjp(g: Tensor, y: Tensor, x: Tensor, at: int, rise: int, tail: int) -> Tensor:
        g = _widened(g, g.batch - tail, -rise, tail, x.opened)
        return bind(spread, g, at=g.batch, sizes=x.array.shape[: x.batch], rise=0)


def _widened(x: Tensor, at: int, rise: int, tail: int, opened: tuple[Opened, ...]) -> Tensor:
    x = bind(widen, x, at=at, rise=rise, tail=tail)
    x.opened = opened
    return x


def today(x: Tensor, opened: tuple[Opened, ...]) -> Tensor:
    """`x` as a sweep inside of the `vmap`s `opened` uses it: their hidden axes first, then those of `vmap`s now over.
    If `x` was made before some of them were opened, hidden axes that it has of others must make room."""
    n = shared(x.opened, opened)
    if x.batch <= n or n == len(opened):
        return x
    return _widened(x, n, len(opened) - n, x.batch - n, inside(opened, x.opened))


def zeros_like(x: Tensor) -> Tensor:
    return Tensor(np.zeros_like(x.array), x.batch)


def broadcast(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`x` repeated to the visible shape `shape`."""
    if x.shape == shape:
        return x
    if x.ndim < len(shape):
        x = bind(reshape, x, shape=(1,) * (len(shape) - x.ndim) + x.shape, ndim=x.ndim)
    return bind(broadcast_to, x, shape=shape) if x.shape != shape else x


def conform(g: Tensor, x: Tensor, opened: tuple[Opened, ...]) -> Tensor:
    """A cotangent brought to its input's terms: summed over the axes that `x` lacks, in the dtype of `x`. Hidden axes
    of the `vmap`s around the sweep (`opened`) stay: each example has its own gradient, also of what they share."""
    have, need = g.array, x.array
    if g.batch == x.batch and have.shape == need.shape and have.dtype == need.dtype:
        return g
    over = max(x.batch - shared(x.opened, opened), 0)
    keep = len(opened) + over
    if g.batch > keep:
        g = bind(sum_tasks, g, at=keep, rise=keep - g.batch)
    elif g.batch < keep and over:
        g = bind(lift, g, at=g.batch, rise=keep - g.batch)
    shape, want = g.shape, x.shape
    if shape != want:
        lead = len(shape) - len(want)
        axes = tuple(i - len(shape) for i in range(len(shape)) if i < lead or shape[i] != want[i - lead])
        g = bind(astype, g, dtype=np.dtype(float)) if is_long(g, axes) else g
        g = bind(sum_to, g, axes=axes, shape=want, ndim=len(shape))
    if g.array.dtype != x.array.dtype:
        if g.dtype.kind == "c" and x.dtype.kind == "f":
            raise DtypeError(
                f"a gradient with respect to {x.dtype} passes through complex numbers ({user_site()}), which have none "
                "here: compute with real and imaginary parts as Tensors of their own"
            )
        g = bind(astype, g, dtype=x.array.dtype)
    return g


def cover(g: Tensor, y: Tensor) -> Tensor:
    """A cotangent that starts a sweep, repeated over the hidden axes of the `y` that it belongs to."""
    need = y.array.shape[: y.batch] + (1,) * (g.batch - y.batch)
    if g.array.shape[: g.batch] == need:
        return g
    if g.batch < y.batch:
        g = bind(lift, g, at=g.batch, rise=y.batch - g.batch)
    sizes = np.broadcast_shapes(g.array.shape[: g.batch], need)
    return bind(spread, g, at=g.batch, sizes=sizes, rise=0)
