"""What a failed comparison says: where, both numbers, and how far apart they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinymeta.engine.tensor import Array


def agree(found: Array, expected: Array, tolerance: Array | float, what: object) -> None:
    """Raise an AssertionError that names the worst element unless |found − expected| ≤ tolerance everywhere."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        raise AssertionError(f"{what}: shape {found.shape} where {expected.shape} is due")
    wrong = _wrong(found, expected, tolerance)
    if wrong.any():
        count = f"{np.count_nonzero(wrong)} of {wrong.size} elements differ"
        raise AssertionError(f"{what}: {count}\n{table(found, expected, wrong)}")


def identical(found: Array, expected: Array, what: object) -> None:
    """Raise an AssertionError unless the two arrays are equal in dtype, shape and every bit (NaN equals NaN)."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.dtype != expected.dtype:
        raise AssertionError(f"{what}: dtype {found.dtype} where {expected.dtype} is due")
    agree(found, expected, 0.0, what)


def table(found: Array, expected: Array, wrong: Array, names: Sequence[str] | None = None, rows: int = 5) -> str:
    """The worst elements, one to a line: where, both values, relative error, distance in ulps."""
    distance = np.where(wrong, ulps(found, expected), -1.0)
    lines = [f"{'where':>16}  {'found':>24}  {'expected':>24}  {'rel. error':>10}  {'ulps':>9}"]
    for flat in np.argsort(-distance, axis=None)[: min(rows, np.count_nonzero(wrong))]:
        at = tuple(int(i) for i in np.unravel_index(flat, wrong.shape))
        name = names[flat] if names else str(at)
        a, b = found[at], expected[at]
        with np.errstate(all="ignore"):
            relative = np.abs(np.subtract(a, b, dtype=np.result_type(a, b, float)) / np.maximum(np.abs(a), np.abs(b)))
        lines.append(f"{name:>16}  {a!s:>24}  {b!s:>24}  {relative:10.2g}  {distance[at]:9.3g}")
    return "\n".join(lines)


def ulps(found: Array, expected: Array) -> Array:
    """|found − expected| in units in the last place of the larger; infinite where only one is finite."""
    dtype = np.result_type(found, expected, np.float32)
    a, b = found.astype(dtype), expected.astype(dtype)
    with np.errstate(all="ignore"):
        size = np.maximum(np.maximum(np.abs(a), np.abs(b)), np.finfo(dtype).tiny)
        distance: Array = np.abs(a - b) / np.spacing(size)
    return np.where(np.isfinite(distance), distance, np.inf)


def dot(left: Sequence[Array], right: Sequence[Array]) -> tuple[float, float]:
    """⟨left, right⟩ over lists of arrays, and Σ|left·right|, to which its rounding error is proportional."""
    terms = [np.asarray(a, float) * np.asarray(b, float) for a, b in zip(left, right)]
    return float(sum(t.sum() for t in terms)), float(sum(np.abs(t).sum() for t in terms))


def _wrong(found: Array, expected: Array, tolerance: Array | float) -> Array:
    with np.errstate(all="ignore"):
        near = np.abs(np.subtract(found, expected, dtype=np.result_type(found, expected, float))) <= tolerance
    wrong: Array = ~(near | (found == expected) | ((found != found) & (expected != expected)))
    return wrong
