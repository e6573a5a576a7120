"""Properties at single points: P10 kinks, and P11 the branch that `where` does not take."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from tinymeta.engine.domain import Kink
from tinymeta.engine.primitive import Primitive, bind, outputs_of
from tinymeta.engine.state import USER
from tinymeta.engine.sweep import pull
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.ops.select import where
from tinymeta.testing.case import Case
from tinymeta.testing.report import agree, identical
from tinymeta.testing.values import gradient_rounding

POISON = (0.0, -1.0, np.inf, -np.inf, np.nan)


class Sides(NamedTuple):
    """The derivatives of fᵏ of order k along one input, f being the primitive: from the left, from the right, taken."""

    left: float
    right: float
    taken: float


def kinks_take_one_side(primitive: type[Primitive]) -> None:
    """P10: at a kink f has the declared derivative, f² the second derivative of the same branch, f³ the third.

    Each branch is straight, f = t·(x − at) + f(at). So the derivatives of fᵏ that mix k inputs are k! times
    the product of the declared ones; halves from a tie that was split would multiply to something else.
    Both one-sided derivatives are checked to be what nearby points have, and the declared one to be among them.
    """
    for kink in primitive.kinks:
        taken = _flat(kink.takes)
        for order in (1, 2, 3):
            found = _derivatives(primitive, kink, _flat(kink.at), order)
            expected = _power(taken, order)
            identical(found, expected, f"{primitive.__name__} at its kink {kink.at}, order {order}")
        for i, order in itertools.product(range(taken.size), (1, 2, 3)):
            sides = one_sided(primitive, kink, i, order)
            if sides.taken not in (sides.left, sides.right):
                raise AssertionError(f"{primitive.__name__} at its kink {kink.at}, input {i}, takes no side: {sides}")
        jumps = [one_sided(primitive, kink, i, 1) for i in range(taken.size)]
        if all(sides.left == sides.right for sides in jumps):
            raise AssertionError(f"{primitive.__name__} declares a kink at {kink.at}, and its derivative does not jump")


def one_sided(primitive: type[Primitive], kink: Kink, i: int, order: int) -> Sides:
    """The derivative of order k along number `i` of the inputs, of (f − f(at))ᵏ, on both sides of a kink and at it."""
    at = _flat(kink.at)
    found = []
    for shift in (-1.0, 1.0, 0.0):
        moved = at.copy()
        moved[i] += shift * 2.0**-10
        found.append(float(_derivatives(primitive, kink, moved, order)[(i,) * order]))
    return Sides(*found)


def _derivatives(primitive: type[Primitive], kink: Kink, at: Array, order: int) -> Array:
    """All the derivatives of order k of (f − c)ᵏ with respect to the numbers `at`, c being the value there."""
    shapes = [np.shape(x) for x in kink.at]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    xs = [Tensor(part.reshape(shape).copy(), 0, USER) for part, shape in zip(np.split(at, ends[:-1]), shapes)]
    base = outputs_of(bind(primitive, *xs, **kink.static))[0]
    excess = base - base.array.sum()  # a lone output, so the number itself
    y = excess
    for _ in range(order - 1):
        y = y * excess
    return _sweeps(y, xs, order)


def _sweeps(y: Tensor, xs: list[Tensor], order: int) -> Array:
    rows = pull([y], [Tensor(np.ones_like(y.array))], xs)
    if order == 1:
        return np.concatenate([np.ravel(row.array) for row in rows])
    found = []
    for row in rows:
        for place in np.ndindex(row.shape):
            unit = np.zeros(row.shape)
            unit[place] = 1.0
            found.append(_sweeps((row * unit).sum(), xs, order - 1))
    return np.stack(found)


def _power(taken: Array, order: int) -> Array:
    product = np.ones(())
    for k in range(1, order + 1):
        product = k * np.multiply.outer(product, taken)
    return product


def _flat(values: tuple[float | tuple[float, ...], ...]) -> Array:
    return np.concatenate([np.ravel(np.asarray(v, float)) for v in values])


def where_keeps_out_the_other_branch(case: Case) -> None:
    """P11: in where(c, f(x), 0) the gradients of x where c is false are exactly 0 at orders 1 to 3.

    The others have the gradients that they have alone, to rounding: a NaN beside them may send NumPy's loop
    another way. `x` is set to 0, −1, ±∞ and NaN where c is false.
    """
    if case.primitive.samples or not case.variables or case.values()[0].dtype.kind != "f":
        return
    rng = case.rng
    shape = np.broadcast_shapes(*[x.shape for x in case.arrays])
    taken = rng.random(shape) < 0.5
    for poison in POISON:
        good = [np.broadcast_to(x, shape).copy() for x in case.arrays]
        bad = [np.where(taken, x, poison) if x.dtype.kind == "f" else x for x in good]
        g, *ws = (rng.uniform(0.5, 1.5, size=shape) for _ in range(3))
        with np.errstate(all="ignore"):
            rungs = [_chosen(case, inputs, taken, g, ws) for inputs in (bad, good)]
        for order, (found, clean) in enumerate(zip(*rungs), 1):
            what = f"{case}: where({poison} in the other branch), order {order}"
            for h, expected in zip(found, clean):
                agree(h[~taken], np.zeros(h[~taken].shape), 0.0, what)
                agree(h[taken], expected[taken], gradient_rounding(expected[taken]), what)


def _chosen(case: Case, inputs: list[Array], taken: Array, g: Array, ws: list[Array]) -> list[list[Array]]:
    """Gradients of orders 1 to 3 of Σ g·where(taken, f(inputs), 0)."""
    leaves = [Tensor(x, 0, USER if x.dtype.kind == "f" else 0) for x in inputs]
    xs = [leaf for leaf in leaves if leaf.tracked]
    y = bind(where, Tensor(taken), case.run(leaves)[0], Tensor(np.zeros(())))
    rungs = [pull([y], [Tensor(g)], xs)]
    for w in ws:
        rungs.append(pull(rungs[-1], [Tensor(w) for _ in xs], xs))
    return [[h.array for h in rung] for rung in rungs]
