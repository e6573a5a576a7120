"""Properties of the values: P1 the reference, P8 memory layouts, P9 purity. (The numbers are those of the protocol.)"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinymeta.engine.errors import DtypeError
from tinymeta.engine.state import USER
from tinymeta.engine.sweep import pull
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.testing.case import Case, ladder, settled
from tinymeta.testing.purity import guarded, unchanged
from tinymeta.testing.report import agree, identical

SPECIAL = (-np.inf, -1.0, -0.0, 0.0, 1.0, np.inf, np.nan)


def kernel_is_reference(case: Case) -> None:
    """P1: the kernel computes what the reference computes, to the rounding of its sums; other outputs exactly.

    An elementwise primitive of one input does so at ±∞, ±1, ±0 and NaN too. In float32 and float16 the kernel's
    results have that dtype, and are those of the reference in float64.
    """
    expected = case.values(case.primitive.reference)
    _same_values(case, case.values(), expected, expected)
    for dtype in (np.float32, np.float16) if case.variables else ():
        narrow = case.at([x.astype(dtype) for x in case.points])
        wide = narrow.at([x.astype(float) for x in narrow.points]).values(case.primitive.reference)
        chosen = "dtype" in case.static  # then the user says which dtype comes out
        due = [r.astype(dtype) if r.dtype == np.float64 and not chosen else r for r in wide]
        try:
            found = narrow.values()
        except DtypeError:  # the matrix functions refuse float16
            continue
        _same_values(narrow, found, due, wide)
    if not case.primitive.samples and len(case.arrays) == 1 and case.variables and not np.isnan(case.arrays[0]).any():
        with np.errstate(all="ignore"):
            special = case.at([np.array(SPECIAL)])
            expected = special.values(case.primitive.reference)
            _same_values(special, special.values(), expected, expected)


def _same_values(case: Case, found: list[Array], due: list[Array], exact: list[Array]) -> None:
    """`found` has the dtypes of `due`, and the numbers `exact` to the rounding of these dtypes."""
    if len(found) != len(due):
        raise AssertionError(f"{case}: {len(found)} outputs, and the reference has {len(due)}")
    for y, r, e, tolerance in zip(found, due, exact, rounding(case, due)):
        if y.dtype != r.dtype:
            raise AssertionError(f"{case}: the kernel gives {y.dtype} where {r.dtype} is due")
        agree(y, e, tolerance, f"{case}: kernel against reference")


def rounding(case: Case, outputs: list[Array]) -> list[Array | float]:
    """How far two right ways to compute the outputs may be apart.

    An elementwise function is right to 4 ulps (of 1, where it cancels). A sum of n terms is right to
    4 ε (1 + log₂ n) Σ|terms|, and the reference of the inputs' absolute values gives Σ|terms|. A matrix
    function multiplies its inputs' rounding by their condition number, once for the matrix and once
    for its inverse.
    """
    if not case.variables:
        return [0.0] * len(outputs)
    kinds = [case.domain(i) for i in case.variables]
    factor = 1.0 if not case.primitive.samples else 1 + np.log2(max(2, sum(x.size for x in case.points)))
    condition = max([d.high / d.low for d in kinds if d.kind in ("spd", "invertible")], default=0.0)
    with np.errstate(all="ignore"):
        bounds = outputs if condition else case.at([np.abs(x) for x in case.points]).values(case.primitive.reference)
    found: list[Array | float] = []
    for y, bound in zip(outputs, bounds):
        if y.dtype.kind not in "fc":
            found.append(0.0)
            continue
        finite = [np.where(np.isfinite(v), np.abs(v), 1.0) for v in (y, bound)]
        size = np.maximum(1.0, np.maximum(*finite))
        found.append(4 * float(np.finfo(y.dtype).eps) * factor * size * max(1.0, condition**2))
    return found


def layout_does_not_matter(case: Case) -> None:
    """P8: C, Fortran, strided, reversed, stride-0 and read-only inputs give the same values and gradients.

    Bit for bit where numbers are only moved. Where they are computed, NumPy takes another loop for another
    layout (with vectors or without, up to 4 ulps off each) and BLAS another order of its sums: two right
    results are twice their rounding apart.
    """
    gs = case.cotangents(case.rng)
    for i, x in enumerate(case.arrays):
        for name, view, copy in layouts(x, constant=case.domain(i).kind in ("real", "bool", "index")):
            what = f"{case}: input {i} {name}"
            runs = []
            for array in (view, copy):
                arrays = [*case.arrays[:i], array, *case.arrays[i + 1 :]]
                runs.append(Case(case.primitive, tuple(arrays), case.static, case.batch, case.seed))
            found, expected = runs[0].values(), runs[1].values()
            exact = _moves(runs[1], expected)
            for y, r, tolerance in zip(found, expected, rounding(runs[1], expected)):
                agree(y, r, 0.0 if exact else 2 * tolerance, what)
            if gs and case.variables and case.primitive.vjp is not None:
                for g, h in zip(*(settled(ladder(run, gs, [])[0], run.points) for run in runs)):
                    agree(g, h, gradient_rounding(h), f"{what}, gradient")


def gradient_rounding(gradient: Array) -> float:
    """How far apart two right runs of one rule may be: 50 operations, each off by 4 ulps of the largest, twice."""
    return 2 * 4 * 50 * float(np.finfo(gradient.dtype).eps) * max(1.0, float(np.abs(gradient).max(initial=0)))


def layouts(x: Array, constant: bool = True) -> Iterator[tuple[str, Array, Array]]:
    """Name, an array in that memory layout, and a C-contiguous one of the same values."""
    copy = np.array(x, order="C")
    yield "in Fortran order", np.array(x, order="F"), copy
    wide = np.repeat(x, 2, axis=-1) if x.ndim else x
    yield "strided", wide[..., ::2] if x.ndim else x, copy
    turned = np.array(np.flip(x), order="C")
    yield "reversed", np.flip(turned), copy
    if x.ndim > 1:
        yield "with its first axis reversed", np.array(x[::-1], order="C")[::-1], copy
    frozen = copy.copy()
    frozen.flags.writeable = False
    yield "read-only", frozen, copy
    if constant and x.ndim and x.size:
        row = np.broadcast_to(copy[..., :1], x.shape)
        yield "with stride 0", row, row.copy()


def nothing_is_written_to(case: Case) -> None:
    """P9: inputs, outputs and cotangents keep their bits, no gradient lives in an input's memory, runs repeat."""
    with guarded():
        case.values()
        gs = case.cotangents(case.rng)
        ws = [case.directions(case.rng), [*case.directions(case.rng), *gs]]
        given = [*case.arrays, *gs, *(w for row in ws for w in row)]
        before = [x.copy() for x in given]
        orders = ws if gs and case.variables and case.primitive.vjp is not None else None
        runs = []
        for _ in range(2):
            outputs = case.run(inputs := case.leaves())
            kept = [y.array.copy() for y in outputs]
            if orders:
                ys = [y for y in outputs if y.dtype.kind == "f"]
                pull(ys, [Tensor(g, y.batch, USER) for g, y in zip(gs, ys)], inputs)
            rungs = ladder(case, gs, orders) if orders else []
            runs.append([*kept, *(g.array for rung in rungs for g in rung)])
            unchanged(given, before, ["an input or cotangent"] * len(given), f"{case}: the primitive or its rule")
            unchanged([y.array for y in outputs], kept, ["its output"] * len(kept), f"{case}: the rule")
            if any(np.may_share_memory(g.array, x) for rung in rungs for g in rung for x in case.arrays):
                raise AssertionError(f"{case}: a gradient shares its memory with an input")
    for first, second in zip(*runs):
        identical(second, first, f"{case}: a second run differs")


def _moves(case: Case, outputs: list[Array]) -> bool:
    """Whether the primitive only moves numbers about: all that comes out went in, or is 0."""
    inputs = np.concatenate([np.ravel(x).astype(float) for x in case.arrays] or [np.empty(0)])
    known = np.concatenate([inputs, [0.0]])
    return all(bool(np.isin(y, known).all()) for y in outputs)
