"""Properties of the derivatives, P2 to P7, each against an oracle that shares nothing with the rule under test."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinymeta.engine.tensor import Array
from tinymeta.testing.case import Case, ladder, settled
from tinymeta.testing.noise import wobble
from tinymeta.testing.oracle import complex_step, references
from tinymeta.testing.report import agree, dot
from tinymeta.testing.values import gradient_rounding

RTOL = 1e-12
Dot = tuple[float, float]  # a product, and the size of its terms
EPS32 = float(np.finfo(np.float32).eps)


def vjp_is_the_jacobian(case: Case) -> None:
    """P2: vᵀJ by the rule equals the Jacobian of the reference by complex steps; the whole Jacobian if it is small.

    A primitive without a rule must be constant between its jumps.
    """
    rng = case.rng
    gs = case.cotangents(rng)
    floats = [i for i, y in enumerate(case.values()) if y.dtype.kind == "f"]

    def reference(points: list[Array]) -> list[Array]:
        outputs = case.at(points).values(case.primitive.reference)
        return [outputs[i] for i in floats]

    size = sum(x.size for x in case.points)
    directions = _units(case) if size <= 12 else [case.directions(rng) for _ in range(3)]
    columns = [complex_step(reference, case.points, v) for v in directions]
    expected = [dot(gs, column) for column in columns]
    gradient = settled(ladder(case, gs, [])[0], case.points) if case.primitive.vjp is not None else None
    floor = 1e-14 * max([size for _, size in expected], default=0.0)
    for v, (b, scale) in zip(directions, expected):

        def along(points: list[Array], v: list[Array] = v) -> float:
            return dot(settled(ladder(case.at(points), gs, [])[0], points), v)[0]

        a = 0.0 if gradient is None else dot(gradient, v)[0]
        what = f"{case}: VJP against the complex step of the reference"
        _agree_to_rounding(a, b, RTOL * scale + floor, along if gradient else None, case.points, what)


def jvp_is_adjoint_to_vjp(case: Case) -> None:
    """P3: ⟨Jv, g⟩ = ⟨v, Jᵀg⟩, where Jv is the rule's own VJP: no oracle, no step, only the rule against itself."""
    rng = case.rng
    gs, other, v = case.cotangents(rng), case.cotangents(rng), case.directions(rng)

    def both(points: list[Array]) -> tuple[Dot, Dot]:
        there = case.at(points)
        jv = settled(ladder(there, other, [v])[1][len(v) :], other)
        return dot(jv, gs), dot(v, settled(ladder(there, gs, [])[0], points))

    _agree_with_each_other(both, case.points, f"{case}: <Jv, g> against <v, Jᵀg>")


def vjp_is_linear(case: Case) -> None:
    """P4: Jᵀ(ag + bh) = a Jᵀg + b Jᵀh; a cotangent of zero gives exactly zero; a cotangent's layout is no matter."""
    rng = case.rng
    gs, hs = case.cotangents(rng), case.cotangents(rng)

    def of(cotangents: Sequence[Array]) -> list[Array]:
        return settled(ladder(case, cotangents, [])[0], case.points)

    both = of([2.5 * g - 0.75 * h for g, h in zip(gs, hs)])
    for z, x, y in zip(both, of(gs), of(hs)):
        size = max(1.0, float(np.abs(x).max(initial=0)), float(np.abs(y).max(initial=0)))
        agree(z, 2.5 * x - 0.75 * y, 1e-13 * size, f"{case}: linearity in g")
    for z in of([np.zeros_like(g) for g in gs]):
        agree(z, np.zeros_like(z), 0.0, f"{case}: the zero cotangent")
    frozen = [np.array(g, order="F") for g in gs]
    for g in frozen:
        g.flags.writeable = False
    flat = [np.broadcast_to(np.float64(1.5), g.shape) for g in gs]
    for given, same in ((frozen, gs), (flat, [g.copy() for g in flat])):
        for z, y in zip(of(given), of(same)):
            agree(z, y, gradient_rounding(y), f"{case}: a read-only cotangent in another layout")


def second_and_third_order(case: Case) -> None:
    """P5: each rung of the ladder equals the complex step through the engine's own program for the rung below.

    The engine runs on references and complex numbers, so that no difference is taken. Both the inputs and
    the cotangents are moved: a rule must be right in how it depends on either.
    """
    rng = case.rng
    gs = case.cotangents(rng)
    first = case.directions(rng)
    second = [*case.directions(rng), *case.cotangents(rng)]
    z, d = [*case.points, *gs], [*case.directions(rng), *case.cotangents(rng)]
    n = len(case.points)
    rungs = ladder(case, gs, [first, second])
    for order, weights in ((2, first), (3, second)):

        def below(moved: list[Array], order: int = order) -> list[Array]:
            rung = ladder(case.at(moved[:n]), moved[n:], [first, second][: order - 2])[-1]
            return settled(rung, moved)

        with references():
            expected, scale = dot(weights, complex_step(below, z, d))
        found, also = dot(settled(rungs[order - 1], z), d)
        what = f"{case}: order {order} against the complex step through order {order - 1}"

        def rung(moved: list[Array], order: int = order) -> float:
            there = ladder(case.at(moved[:n]), moved[n:], [first, second][: order - 1])[-1]
            return dot(settled(there, moved), d)[0]

        _agree_to_rounding(found, expected, RTOL * max(scale, also), rung, z, what)


def hessian_is_symmetric(case: Case) -> None:
    """P6: uᵀHv = vᵀHu, and H(av + bu) = a Hv + b Hu."""
    rng = case.rng
    gs, u, v = case.cotangents(rng), case.directions(rng), case.directions(rng)

    def hessian_times(w: Sequence[Array], points: list[Array]) -> list[Array]:
        return settled(ladder(case.at(points), gs, [w])[1][: len(w)], points)

    def both(points: list[Array]) -> tuple[Dot, Dot]:
        return dot(u, hessian_times(v, points)), dot(v, hessian_times(u, points))

    _agree_with_each_other(both, case.points, f"{case}: uᵀHv against vᵀHu")
    for z, x, y in zip(*(hessian_times(w, case.points) for w in ([2.0 * a - 0.5 * b for a, b in zip(u, v)], u, v))):
        size = max(1.0, float(np.abs(x).max(initial=0)), float(np.abs(y).max(initial=0)))
        agree(z, 2.0 * x - 0.5 * y, RTOL * size, f"{case}: Hv is linear in v")


def gradients_keep_shape_and_dtype(case: Case) -> None:
    """P7: at orders 1 to 3 a gradient has its input's shape and dtype, and float32 agrees with float64."""
    rng = case.rng
    single = case.at([x.astype(np.float32) for x in case.points])
    double = case.at([x.astype(np.float64) for x in single.points])
    gs = single.cotangents(rng)
    ws = [single.directions(rng), [*single.directions(rng), *single.cotangents(rng)]]
    exact = ladder(double, [g.astype(float) for g in gs], [[w.astype(float) for w in row] for row in ws])
    n = sum(x.size for x in single.points)
    for order, (found, expected) in enumerate(zip(ladder(single, gs, ws), exact), 1):
        like = [*single.points, *gs]
        for g, h, x in zip(settled(found, like), settled(expected, like), like):
            what = f"{single}: gradient of order {order}"
            if g.dtype != x.dtype:
                raise AssertionError(f"{what}: dtype {g.dtype} for an input of {x.dtype}")
            size = max(1.0, float(np.abs(h).max(initial=0)))
            # A rung of order k has some k times as many operations, on numbers that the rung below has rounded.
            agree(g.astype(float), h, 8 * order**2 * EPS32 * max(1.0, n) ** 0.5 * size, what)
    mixed = case.at([x.astype(np.float32) if i % 2 else x for i, x in enumerate(case.points)])
    for found_in_mixed, x in zip(ladder(mixed, mixed.cotangents(rng), [])[0], mixed.points):
        if found_in_mixed.dtype != x.dtype:
            raise AssertionError(f"{mixed}: dtype {found_in_mixed.dtype} for an input of {x.dtype}")


def _agree_with_each_other(both: Callable[[list[Array]], tuple[Dot, Dot]], points: list[Array], what: str) -> None:
    """Two products that `both` computes at `points` are the same, to rounding."""
    (left, scale), (right, also) = both(points)

    def difference(moved: list[Array]) -> float:
        (left, _), (right, _) = both(moved)
        return left - right

    _agree_to_rounding(left, right, RTOL * max(scale, also), difference, points, what)


def _agree_to_rounding(
    found: float,
    expected: float,
    tolerance: float,
    program: Callable[[list[Array]], float] | None,
    points: list[Array],
    what: str,
) -> None:
    """`found`, which `program` computes at `points`, may be off by what roundings inside of it can do as well."""
    if program is not None and not abs(found - expected) <= tolerance:
        tolerance += float(wobble(lambda moved: [np.asarray(program(moved))], points)[0])
    agree(np.array(found), np.array(expected), tolerance, what)


def _units(case: Case) -> list[list[Array]]:
    """Every direction that changes one number (two that mirror each other, in a symmetric matrix)."""
    found = []
    for i, x in enumerate(case.points):
        for at in np.ndindex(x.shape):
            unit = [np.zeros_like(p) for p in case.points]
            unit[i][at] = 1.0
            found.append(case.projected(unit))
    return found
