"""`check_grad`: the derivatives of any function of Tensors against oracles that share nothing with its rules."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.state import USER
from tinymeta.engine.sweep import pull
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.testing.infinite import Infinite, infinite, not_finite
from tinymeta.testing.noise import ERROR, WIDE, moved, noisy, wobble
from tinymeta.testing.oracle import STEP, Function, complex_step, constants, extrapolated, references
from tinymeta.testing.purity import guarded, unchanged
from tinymeta.testing.report import table

EPS = 2.0**-52
Place = tuple[int, tuple[int, ...]]  # which argument, and where in it


def check_grad(
    f: Function, *args: Any, order: int = 2, rtol: float | None = None, seed: int = 0, elements: int = 200
) -> None:
    """Check the derivatives of a function, of every order up to `order`, against an oracle.

    The oracle for order n is a complex step through the engine's own derivative of order n − 1, with each
    kernel exchanged for its reference: exact to rounding (`tinymeta.testing.oracle`). Where `f` can't be
    computed with complex numbers (it has an operation of another library inside), or that differs, it is the
    extrapolated central difference. For orders above 1 the lower derivative is contracted with a random direction.

    Each number is compared by itself, however small it is beside the others: it may differ by `rtol` of its own
    size, by 64 ε of the largest for the same argument (kernels compute arrays, and cancel inside), and by as much
    as roundings on the way to it can move it (`tinymeta.testing.noise`). At a kink it may be
    the derivative of either side, or 0 if the function has its lowest or highest point there; where the
    derivative is infinite it is not compared.

    All this is done in float64. Of arguments in float32 or float16 the gradient in their own dtype is then held
    against that. `f` gets copies, and neither it nor any kernel may write into what it is given.

    Shapes: f: pytrees → a pytree, of any shapes.
    Raises: AssertionError with the worst elements (order, argument, index, both values, relative error, ulps), or with
    what was written to, or a gradient of another shape or dtype; TypeError for arguments without floats:
    `tm.testing.check_grad(tm.sin, 1)`.
    Source: Squire & Trapp 1998 for the complex step; Ridders 1982 for differences.

    Parameters
    ----------
    f
        A function of pytrees to a pytree, with the arguments to check it at, `args`. Their floating-point
        leaves are varied; the rest is held fixed.
    order
        The highest order to check.
    rtol
        What counts as a difference, relative to the derivative. By default 1e-9, and 1e-6 for differences.
    seed
        Of the random weights of the outputs and the directions.
    elements
        Every element of the arguments is checked up to this many; of more, a random choice of this many.

    Examples
    --------
    >>> tm.testing.check_grad(lambda x: tm.tanh(x) * x, np.array([0.3, -1.2]), order=3)
    """
    problem = _Problem(f, args, seed, order)
    for k in range(1, order + 1):
        problem.form(k)
        chosen = problem.chosen(elements)
        problem.against_oracles(k, chosen, rtol)
        if problem.narrow:
            problem.against_double(k, chosen, rtol)


class _Problem:
    """`check_grad`'s function as one of lists of arrays, and its random weights."""

    def __init__(self, f: Function, args: tuple[Any, ...], seed: int, order: int) -> None:
        self.f, self.seed = f, seed
        leaves, self.structure = tree.flatten(args)
        names = tree.paths(args)
        self.leaves: list[Any] = [_copied(leaf) for leaf in leaves]
        arrays = [x.array if isinstance(x, Tensor) else np.asarray(x) for x in self.leaves]
        self.places = [i for i, x in enumerate(arrays) if x.dtype.kind == "f"]
        self.points = [arrays[i] for i in self.places]
        self.names = [names[i] for i in self.places]
        self.fixed = [(arrays[i], f"argument {names[i]}") for i in range(len(arrays)) if i not in self.places]
        if not self.points:
            raise TypeError("check_grad found no floating-point argument: pass arrays of floats")
        self.double = [x.astype(float) for x in self.points]
        self.narrow = any(x.dtype != np.float64 for x in self.points)
        self.rng = np.random.default_rng(seed)
        self.infinite: dict[Place, Infinite] = {}  # of the order that is checked
        with guarded():
            outputs = [y.array for y in self.outputs(self.inputs([x.copy() for x in self.points]))]
        self.weights = [[self._weight(y) for y in outputs]]
        self.weights += [[self._weight(x) for x in self.points] for _ in range(order - 1)]

    def _weight(self, like: Array) -> Array:
        """Of size 0.5 to 1.5 and random sign; a multiple of 1/64, which every dtype holds."""
        signed: Array = self.rng.integers(32, 97, like.shape) / 64 * self.rng.choice((-1.0, 1.0), like.shape)
        return signed

    def inputs(self, points: Sequence[Array]) -> list[Tensor]:
        return [Tensor(np.asarray(x), 0, USER) for x in points]

    def outputs(self, xs: Sequence[Tensor]) -> list[Tensor]:
        leaves = list(self.leaves)
        for i, x in zip(self.places, xs):
            leaves[i] = x
        results = [as_tensor(y) for y in tree.leaves(self.f(*tree.unflatten(self.structure, leaves)))]
        return [y for y in results if y.dtype.kind in "fc"]

    def gradient(self, order: int, points: Sequence[Array]) -> list[Array]:
        """The gradient of order `order`, the lower ones being contracted with the weights."""
        xs = self.inputs(points)
        ys = self.outputs(xs)
        for weights in self.weights[:order]:
            ys = pull(ys, [Tensor(w.astype(y.dtype)) for w, y in zip(weights, ys)], xs)
        return [y.array for y in ys]

    def contracted(self, order: int, points: list[Array], place: Place | None = None) -> list[Array]:
        """The numbers whose sum has the gradient of order `order`; for that at `place`, without those that are infinite
        wherever it moves."""
        rung = self.gradient(order - 1, points) if order > 1 else [y.array for y in self.outputs(self.inputs(points))]
        found = [w * y for w, y in zip(self.weights[order - 1], rung)]
        if place not in self.infinite:
            return found
        return [np.where(still, 0, y) for still, y in zip(self.infinite[place].still, found)]

    def form(self, order: int) -> None:
        """Nothing is written to, and each gradient has the shape and dtype of its argument."""
        given = [x.copy() for x in self.points]
        arrays, names = [*given, *(x for x, _ in self.fixed)], [f"argument {name}" for name in self.names]
        before = [x.copy() for x in arrays]
        with guarded():
            found = self.gradient(order, given)
        who = f"the function, or its gradient of order {order},"
        unchanged(arrays, before, [*names, *(name for _, name in self.fixed)], who)
        for g, x, name in zip(found, self.points, names):
            if (g.shape, g.dtype) != (x.shape, x.dtype):
                raise AssertionError(
                    f"the derivative of order {order} for {name}, {x.dtype}{list(x.shape)}, is {g.dtype}{list(g.shape)}"
                )

    def chosen(self, elements: int) -> list[Place]:
        places = [(k, at) for k, x in enumerate(self.points) for at in np.ndindex(x.shape)]
        if len(places) > elements:
            places = [places[i] for i in sorted(self.rng.choice(len(places), elements, replace=False))]
        return places

    def against_oracles(self, order: int, chosen: Sequence[Place], rtol: float | None) -> None:
        """The gradient in float64, against the complex step; what differs from that, against differences."""
        found = _picked(self.gradient(order, self.double), chosen)
        f: Function = lambda points: self.contracted(order, points)
        self.infinite = {}
        if any(off.any() for off in not_finite(f, self.double)):
            self.infinite = {place: infinite(f, self.double, self._unit(place)) for place in chosen}
        stepped = self._complex_steps(order, chosen)
        oracle = "central difference" if stepped is None else "complex step"
        expected = np.full(len(chosen), np.nan) if stepped is None else stepped
        slack = 1e-9 if rtol is None else rtol
        floor = np.array([ERROR * EPS * size + 100 * STEP**2 for size in self._sizes(found, chosen)])
        wrong = _off(found, expected, slack * np.abs(expected) + floor)
        if not wrong.any():
            return
        rounding = floor + _picked(wobble(lambda points: self.gradient(order, points), self.double), chosen)
        wrong &= _off(found, expected, slack * np.abs(expected) + rounding)
        slack = max(1e-6, slack)
        kept: list[Array] = []
        with constants(kept, recording=True):
            self.contracted(order, self.double)
        for i in map(int, np.flatnonzero(wrong)):
            wrong[i], difference = self._disputed(order, chosen[i], found[i], expected[i], slack, rounding[i], kept)
            expected[i] = difference if np.isnan(expected[i]) else expected[i]
        self._report(order, found, expected, wrong, chosen, f"the {oracle} (seed {self.seed}, rtol {slack:g})")

    def _sizes(self, found: Array, chosen: Sequence[Place]) -> list[float]:
        """For each number, the largest derivative for the same argument: kernels compute whole arrays."""
        owners = np.array([k for k, _ in chosen])
        finite = np.where(np.isfinite(found), np.abs(found), 0.0)
        return [float(np.max(finite[owners == k])) for k in owners]

    def _complex_steps(self, order: int, chosen: Sequence[Place]) -> Array | None:
        try:
            with references(), warnings.catch_warnings(), np.errstate(all="ignore"):
                # NumPy warns when an imaginary part is lost: then the function is not computed with complex numbers.
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                return np.array([self._complex_step(order, place) for place in chosen])
        except (TypeError, ValueError, np.exceptions.ComplexWarning):
            return None

    def _doubt(self, order: int, place: Place, stepped: float) -> float:
        """How far roundings move the complex step itself, those inside of references, too.

        They come out anew when the points and all results are moved by some 4 ulps. What moves by more than
        roundings can, 1e-9 of the numbers that are differentiated, turns at a kink: that is no doubt. Less than
        ε of them, a reference that cancels inside can't see.
        """
        found = []
        for seed, share in ((seed, sign * 4 / WIDE) for seed in (1, 2, 3) for sign in (1, -1)):
            points = [moved(x, seed, share) for x in self.double]
            with references(), noisy(seed, share), np.errstate(all="ignore"):
                found.append(abs(self._complex_step(order, place, points=points) - stepped))
        doubt = ERROR / 4 * max(found)
        size = sum(float(np.sum(np.abs(y))) for y in self.contracted(order, self.double, place))
        return max(EPS * size, doubt if doubt <= 1e-9 * size else 0.0)

    def _complex_step(self, order: int, place: Place, step: float = STEP, points: list[Array] | None = None) -> float:
        points = self.double if points is None else points
        slopes = complex_step(lambda x: self.contracted(order, x, place), points, self._unit(place), step)
        return sum(float(np.sum(y)) for y in slopes)

    def _disputed(
        self, order: int, place: Place, found: float, stepped: float, rtol: float, rounding: float, kept: list[Array]
    ) -> tuple[bool, float]:
        """Whether differences, too, find the number wrong; and what they find."""

        if place in self.infinite and self.infinite[place].moves and not np.isnan(found):
            return False, stepped
        if np.isfinite(stepped) and abs(found - stepped) <= rounding + self._doubt(order, place, stepped):
            return False, stepped

        def f(points: list[Array]) -> list[Array]:
            with constants(kept, recording=False):
                return self.contracted(order, points, place)

        middle, left, right = (extrapolated(f, self.double, self._unit(place), side) for side in (0, -1, 1))

        def near(a: float, b: float, error: float) -> bool:
            return abs(a - b) <= rtol * abs(b) + error + rounding

        if (left.diverges or right.diverges) and not np.isnan(found):
            return bool(np.isinf(found) and found * middle.value < 0), middle.value
        if not np.isfinite(middle.error):  # the point is on the edge of where f is finite: one side alone has to do
            middle = min(left, right, key=lambda side: side.error)
        if not near(left.value, right.value, left.error + right.error) and np.isfinite(left.error + right.error):
            lowest = found == 0 and left.value * right.value < 0
            right_side = any(near(found, side.value, side.error) for side in (left, right))
            return not (lowest or right_side), left.value
        # The complex step is believed unless it hangs on its own size, or the difference excludes it.
        with references(), np.errstate(all="ignore"):
            again = self._complex_step(order, place, STEP / 1e6) if np.isfinite(stepped) else np.nan
        excluded = not near(again, stepped, 0.0) or not near(stepped, middle.value, middle.error)
        return not (excluded and near(found, middle.value, middle.error)), middle.value

    def _unit(self, place: Place) -> list[Array]:
        unit = [np.zeros(x.shape) for x in self.points]
        unit[place[0]][place[1]] = 1.0
        return unit

    def against_double(self, order: int, chosen: Sequence[Place], rtol: float | None) -> None:
        """The gradient in the arguments' own dtypes, against the one in float64, to the rounding of those dtypes."""
        exact = _picked(self.gradient(order, self.double), chosen)
        found = _picked(self.gradient(order, self.points), chosen)
        infos = [np.finfo(self.points[k].dtype) for k, _ in chosen]
        slack = np.array([ERROR * float(i.eps) if rtol is None else rtol for i in infos])
        # Below the normal numbers there is no relative accuracy; above the largest, infinity is right.
        sizes = self._sizes(exact, chosen)
        tolerance = slack * np.abs(exact) + [ERROR * float(i.eps) * s + 4 * float(i.tiny) for i, s in zip(infos, sizes)]
        exact = np.where(np.abs(exact) > [float(i.max) for i in infos], np.copysign(np.inf, exact), exact)
        wrong = _off(found, exact, tolerance)
        if not wrong.any():
            return
        rounding = wobble(lambda points: self.gradient(order, points), self.points, straight=False)
        wrong &= _off(found, exact, tolerance + _picked(rounding, chosen))
        dtypes = ", ".join(sorted({str(x.dtype) for x in self.points}))
        self._report(order, found, exact, wrong, chosen, f"that in float64, being in {dtypes} (seed {self.seed})")

    def _report(
        self, order: int, found: Array, expected: Array, wrong: Array, chosen: Sequence[Place], oracle: str
    ) -> None:
        if not wrong.any():
            return
        names = [f"{self.names[k]}{list(at) if at else ''}" for k, at in chosen]
        raise AssertionError(
            f"the derivative of order {order} differs from {oracle} in {np.count_nonzero(wrong)} of "
            f"{wrong.size} elements\n{table(found, expected, wrong, names=names)}"
        )


def _copied(leaf: object) -> Any:
    if isinstance(leaf, Tensor):
        return Tensor(np.array(leaf.detach().numpy()))
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


def _picked(arrays: Sequence[Array], chosen: Sequence[Place]) -> Array:
    return np.array([float(arrays[k][at]) for k, at in chosen])


def _off(found: Array, expected: Array, tolerance: Array) -> Array:
    """Where two numbers differ by more than the tolerance; a NaN differs from everything."""
    with np.errstate(all="ignore"):
        off: Array = ~((np.abs(found - expected) <= tolerance) | (found == expected))
    return off
