"""What may be called by address, and how: found by trying it.

NumPy's inner loops branch on the steps between numbers, on the length of a run, on whether the result lies where an
operand does: vector code for some, plain code for others. Not every branch is right with steps that NumPy's own
iterator never hands over (in NumPy 2.1 to 2.4 ``negative`` is wrong for steps of 16 bytes between single numbers). So
a loop is called with no other steps than those with which it was tried, on this processor, in this process:

    the same loop and dtypes, exactly the same steps, the same operands in the result's place;
    runs of each length around the widths of vector code and of its unrolled forms;
    beginnings at several distances from a cache line;
    numbers of all kinds, no two neighbours alike, and nothing written beside the result;
    compared with NumPy's public function on neighbours.

What is not tried is what no branch of such a loop looks at: longer runs (the same body more often), other numbers.
A trial is one run of the machine and takes a fraction of a millisecond. To find out whether a file of answers is from
this NumPy, this processor and these settings would take as long, so there is none.
"""

from collections.abc import Callable
from functools import cache
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import as_strided

from . import addresses, loops, machine, products
from ._layout import Array, DType
from .addresses import Loop
from .special import LOOPS

__all__ = ["gemm", "holds", "loop"]

Dtypes = tuple[DType, ...]

LENGTHS = (*range(1, 36), *(k + d for k in (64, 96, 128, 256) for d in (-1, 0, 1, 2)))
LONGEST = max(LENGTHS) + 1  # odd, so that runs that follow each other begin everywhere in a cache line
BEGINNINGS = ((0, 0, 0), (1, 3, 6))  # of each operand, in numbers after a cache line
ULPS = 8  # between two results that are each right to 4 units in the last place, as NumPy's functions are
LANES = 16  # neighbours of a run that hold numbers, too
SIDES = (1, 3, 16, 33)  # of matrices
LARGE = (35, 101, 130)  # several panels, and sums in several parts
GAP = 3  # numbers between their rows
FAR = 1 << 40  # between the rows of a matrix that has only one


@cache
def loop(name: str, dtypes: Dtypes) -> Loop | None:
    """The loop of the NumPy ufunc `name` (or our own, in `loops.py`) for these dtypes (inputs, then result), or None
    where it isn't to be had."""
    if name == "power" and all(np.dtype(d).kind in "iu" for d in dtypes):
        return None  # it raises Python's errors
    found = _found(name, dtypes)
    neighbours = tuple(np.dtype(d).itemsize for d in dtypes)
    return found if holds(name, dtypes, neighbours, ()) else None


@cache
def holds(name: str, dtypes: Dtypes, strides: tuple[int, ...], in_place: tuple[int, ...]) -> bool:
    """Whether the loop is right with these strides (in bytes; of the inputs, then the result), where the inputs
    `in_place` lie where the result does. With stride 0, the result is the sum (maximum, …) of itself and a run."""
    found = _found(name, dtypes)
    if found is None or any(s % np.dtype(d).itemsize for s, d in zip(strides, dtypes)):
        return False
    steps = [s // np.dtype(d).itemsize for s, d in zip(strides, dtypes)]
    if steps[-1] == 0 and (in_place != (0,) or len(steps) != 3):
        return False
    with np.errstate(all="ignore"):
        return _right(found, name, dtypes, steps, in_place)


def _found(name: str, dtypes: Dtypes) -> Loop | None:
    """The loop of our own with this name, or NumPy's."""
    if name not in LOOPS:
        return addresses.loop(name, dtypes)
    chars = {np.dtype(d).char for d in dtypes}
    return Loop(loops.address(name, *chars), 0) if chars in ({"f"}, {"d"}) else None


def _right(found: Loop, name: str, dtypes: Dtypes, steps: list[int], in_place: tuple[int, ...]) -> bool:
    """Try runs of all lengths, from all beginnings, each with a result of its own."""
    ufunc: np.ufunc = getattr(np, name, np.positive)
    compute: Callable[..., Array] = LOOPS.get(name, ufunc)
    reduces = steps[-1] == 0
    lengths = np.repeat(LENGTHS, len(BEGINNINGS))
    which = np.arange(len(lengths)) % len(BEGINNINGS)
    out, results, places = _results(np.dtype(dtypes[-1]), steps[-1], len(lengths), reduces)
    before = _rows(results, len(lengths))
    operands = []
    for k, (dtype, step) in enumerate(zip(dtypes[:-1], steps)):
        if k in in_place:
            operands.append((out, before, places))
        else:
            numbers, runs, begins = _operand(np.dtype(dtype), step, k, reduces)
            operands.append((numbers, runs[which] if in_place else runs, begins[which]))
    given = [runs for _, runs, _ in operands]
    if reduces:
        totals = ufunc.accumulate(given[1], axis=1)[np.arange(len(lengths)), lengths - 1]
        expected = ufunc(before, totals[:, None])
    else:
        expected = compute(*given) if in_place else compute(*given)[which]
        expected = np.where(np.arange(LONGEST) < lengths[:, None], expected, before)
    code = np.zeros((len(lengths), 7 + 4 * len(steps)), np.int64)
    code[:, :6] = machine.LOOP, code.shape[1], *found, len(steps), 1
    code[:, 6] = lengths
    for k, (dtype, step, place) in enumerate(zip(dtypes, steps, [*(at for _, _, at in operands), places])):
        item = np.dtype(dtype).itemsize
        code[:, 7 + 4 * k], code[:, 8 + 4 * k], code[:, 10 + 4 * k] = k, place * item, step * item
    _run(code.reshape(-1), [*(numbers for numbers, _, _ in operands), out])
    return _agree(_rows(results, len(lengths)), expected)


def _operand(dtype: DType, step: int, k: int, whole: bool) -> tuple[Array, Array, Array]:
    """Numbers for operand k, copies of the runs among them from each of its beginnings, and where those lie."""
    width = max(1, abs(step))
    numbers = _aligned(dtype, LONGEST * width + LANES)
    at = np.array([begins[k] for begins in BEGINNINGS]) + (LONGEST - 1) * width * (step < 0)
    if width <= LANES:
        numbers[:] = _numbers(dtype, numbers.size, whole, k)
    else:
        near = as_strided(numbers, (LONGEST, LANES), (width * dtype.itemsize, dtype.itemsize))
        near[:] = _numbers(dtype, near.size, whole, k).reshape(near.shape)
    return numbers, numbers[at[:, None] + step * np.arange(LONGEST)], at


def _results(dtype: DType, step: int, count: int, whole: bool) -> tuple[Array, Array, Array]:
    """Memory for many results, what the results are of it (for `_rows`), and where they lie. Runs with a step stand in
    each other's gaps, so one that writes beside its own numbers spoils another's."""
    width, length = max(1, abs(step)), LONGEST if step else 1
    lanes = min(width, count)
    out = _aligned(dtype, -(-count // lanes) * length * width)
    results = out.reshape(-1, length, width)[:, :, :lanes]
    results[:] = _numbers(dtype, results.size, whole, 3).reshape(results.shape)
    group, lane = np.divmod(np.arange(count), lanes)
    at = group * length * width + lane + (length - 1) * width * (step < 0)
    return out, results[:, ::-1] if step < 0 else results, at


def _rows(results: Array, count: int) -> Array:
    """A copy of all results, one in each row."""
    groups, length, lanes = results.shape
    return np.array(results.transpose(0, 2, 1).reshape(groups * lanes, length)[:count])


def _numbers(dtype: DType, size: int, whole: bool, which: int = 0) -> Array:
    """Numbers of every kind; or small whole ones, whose sums are exact. Others for each operand."""
    return np.resize(_pool(dtype, whole)[1000 * which :], size)


@cache
def _pool(dtype: DType, whole: bool) -> Array:
    rng, size = np.random.default_rng(0), 8191
    if dtype.kind == "b":
        return rng.random(size) < 0.5
    if dtype.kind in "iu" or whole:
        return rng.integers(1 if dtype.kind in "iu" else -4, 9, size).astype(dtype)
    x = rng.uniform(-1, 1, size) + 1j * rng.uniform(-1, 1, size) if dtype.kind == "c" else rng.uniform(-1, 1, size)
    x[1::3] = rng.uniform(1, 5, x[1::3].size)
    x[2::6] = rng.integers(-2, 3, x[2::6].size)  # some are equal
    for k, special in enumerate((np.inf, np.nan, -np.inf)):
        x[7 + 5 * k :: 31] = special
    return x.astype(dtype)


def _agree(found: Array, expected: Array) -> bool:
    """Whether all numbers are equal, or as close as two good results of a function are."""
    alike = (found == expected) | ((found != found) & (expected != expected))
    if alike.all() or found.dtype.kind not in "fc":
        return bool(alike.all())
    x, y = found[~alike], expected[~alike]
    return bool((abs(x - y) <= ULPS * np.spacing(abs(y))).all())  # a NaN or an infinity makes this False


def _aligned(dtype: DType, size: int) -> Array:
    """Zeros that begin with a cache line."""
    raw = np.zeros(size * dtype.itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size * dtype.itemsize].view(dtype)


def _run(code: Array, memory: list[Array]) -> None:
    """Run instructions on these slots of memory."""
    base = np.array([x.ctypes.data for x in memory], np.int64)
    machine.run(code, np.array([0.0, 1.0]), base, 0, 1, 1, np.zeros(machine.WORK, np.int64))


@cache
def gemm(dtype: DType) -> int | None:
    """How the machine multiplies matrices: 0 for the product of ours, the address of the BLAS's, or None.

    The first of them that is right. Tried on matrices of several shapes, ordinary and transposed, with and without gaps
    between rows, added to the result or written over NaN; the rows of a matrix that has only one may be any distance
    apart.
    """
    tried = (0 if products.OWN else None, addresses.gemm(dtype))
    return next((address for address in tried if address is not None and _multiplies(address, dtype)), None)


def _multiplies(address: int, dtype: DType) -> bool:
    """Whether all numbers of the products are right."""
    item = np.dtype(dtype).itemsize
    cases = [
        (*t, *how, *sides)
        for t in product((0, 1), repeat=2)
        for how in ((0, 1), (GAP, 0))
        for sides in (*product(SIDES, repeat=3), LARGE)
    ]
    begins = np.cumsum([0, *(m * (n + gap) for _, _, gap, _, m, n, _ in cases)]).tolist()
    a, b = (_numbers(np.dtype(dtype), max(LARGE) * (max(LARGE) + GAP), True, k) for k in range(2))
    out = _numbers(np.dtype(dtype), begins[-1], True, 2)
    expected, code = out.copy(), []
    for (ta, tb, gap, beta, m, n, k), begin in zip(cases, begins):
        x, x_apart = _matrix(a, m, k, ta, gap)
        y, y_apart = _matrix(b, k, n, tb, gap)
        total, apart = _matrix(expected[begin:], m, n, 0, gap)
        if beta:
            total += x @ y
        else:
            total[:] = x @ y
            _matrix(out[begin:], m, n, 0, gap)[0][:] = np.nan
        code += [machine.GEMM, 29, address, item, 3, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 2, begin * item, 0, 0]
        code += [machine.TRANSPOSED if t else machine.ORDINARY for t in (ta, tb)]
        code += [m, n, k, x_apart, y_apart, apart, 1, beta]
    _run(np.array(code), [a, b, out])
    return np.array_equal(out, expected)


def _matrix(numbers: Array, rows: int, columns: int, transposed: int, gap: int) -> tuple[Array, int]:
    """A matrix among these numbers, and how far its rows are apart (its columns, if it lies transposed)."""
    if transposed:
        x, apart = _matrix(numbers, columns, rows, 0, gap)
        return x.T, apart
    apart = columns + gap
    return numbers[: rows * apart].reshape(rows, apart)[:, :columns], FAR if rows == 1 and gap else apart
