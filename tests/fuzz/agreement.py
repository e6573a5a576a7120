"""What counts as agreement between a compiled function and the eager one.

Two orders of the same additions differ by rounding, and nobody knows by how much without knowing how the program
amplifies it. So the tolerance is measured. Where results in float64 differ by more than 10⁻⁹ of their size (float32:
10⁻⁴), the eager program is run again with other last bits in its inputs and in all that it computes (`noise.py`): what
that changes is noise, and a difference of the size of the noise is none. In float32 the error of both against the same
program in float64 decides instead, and float64 itself is compared, too: a fault of the program stands there as well.
What remains could be a kink (a ReLU whose input rounding has moved across 0): it is gone with other numbers, and a
fault is not.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pytest
from tinymeta_kernels import threads

import tinymeta as tm
from tests.compile.in_turn import InTurn
from tests.compile.margins import MARGINS
from tests.fuzz.layouts import laid_out
from tests.fuzz.noise import with_other_bits
from tinymeta.compile.place import assemble, axes, instructions, products, schedule
from tinymeta.compile.rewrite import all_turns
from tinymeta.compile.run import machine

TIGHT = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-4, np.dtype(np.float16): 2e-2}
FLOOR = 1e-3  # a leaf much smaller than the largest is compared with this share of it
LEAST = 1e-4  # and numbers smaller than this with this: what is 0 but for rounding has no size of its own
ROOM = 30.0  # how many times the noise is still noise: a few perturbations are a small sample
NOISES = 12  # of them: the sign of what is 0 but for rounding comes out the same in one of two
REDRAWS = 4


class Program(NamedTuple):
    """A function of pytrees, and its arguments (arrays and numbers) for the k-th call."""

    f: Callable[..., Any]
    arguments: Callable[[int], tuple[Any, ...]]


class Setting(NamedTuple):
    """How it is compiled and called."""

    factor: bool = True
    cores: str = "one"  # a key of `CORES`
    layouts: int = 0  # seed of how the arguments lie in memory; 0: in row-major order
    check: bool = False  # whether it checks itself, which puts numbers right: then a warning is what is wrong


class Refused(Exception):
    """Eager code refuses the program, so there is nothing to compare with."""


class Unlike(NamedTuple):
    """Where two results differ."""

    call: int
    leaf: int
    error: float
    found: str
    right: str

    def __str__(self) -> str:
        return f"call {self.call}, result {self.leaf}: {self.found}, right is {self.right} (error {self.error:.1g})"


def disagreement(build: Callable[[Any], Program], dtype: Any, setting: Setting) -> str:
    """What differs between the program compiled and eager, in words; "" if they agree.

    Parameters
    ----------
    build
        Makes the program for float32 or for float64. Both take the same numbers.
    dtype
        The one to compare in.
    """
    dtype = np.dtype(dtype)
    program = build(dtype)
    with np.errstate(all="ignore"), cores_as(setting.cores), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        compiled = compiled_as(program.f, setting)
        trouble = _compared(build, program, compiled, dtype, setting)
        words = [str(w.message) for w in said if "tm.compile" in str(w.message)]
    return trouble or (f"warns: {words[0]}" if words else "")


def compiled_as(f: Callable[..., Any], setting: Setting) -> Any:
    """The compiled function."""
    return tm.compile(f, factor=setting.factor, check=setting.check)


def _compared(
    build: Callable[[Any], Program], program: Program, compiled: Any, dtype: np.dtype[Any], setting: Setting
) -> str:
    calls = (0, 1, 0)
    right: dict[int, Any] = {0: results(program.f, program.arguments(0))}
    try:
        right[1] = results(program.f, program.arguments(1))
    except Refused as error:  # a check of values: the compiled function has to make it, too
        right[1] = error
    found: list[Any] = []
    for at, k in enumerate(calls):
        given = laid_out(program.arguments(k), setting.layouts + at if setting.layouts else 0)
        try:
            found.append(_leaves(compiled(*given)))
        except MemoryError as error:  # of the memory that a fuzzer may take, eager code leaves none for the program
            raise Refused(f"MemoryError: {error}") from error
        except Exception as error:
            if not isinstance(right[k], Refused):
                return f"call {at} raises {type(error).__name__}: {str(error)[:200]}"
            found.append(None)
        else:
            if isinstance(right[k], Refused):
                return f"call {at} gives a result, and eager code raises {right[k]}"
    for at, k in enumerate(calls):  # all calls are over: what a later one overwrote shows
        if found[at] is None:
            continue
        unlike = differences(at, found[at], right[k], TIGHT[dtype])
        if unlike and not _explained(build, program, compiled, dtype, setting, k, unlike, found[at], right[k]):
            return str(unlike[0])
    return ""


def _explained(
    build: Callable[[Any], Program],
    program: Program,
    compiled: Any,
    dtype: np.dtype[Any],
    setting: Setting,
    k: int,
    unlike: list[Unlike],
    found: list[Any],
    right: list[Any],
) -> bool:
    """Whether rounding can be the reason."""
    if any(np.isnan(u.error) for u in unlike):  # another shape or dtype
        return False
    if is_noise(program, dtype, k, found, right):
        return True
    if dtype != np.float64:
        wide = build(np.dtype(np.float64))
        as_wide = wide._replace(arguments=lambda k: widened(program.arguments(k)))
        again = compiled_as(wide.f, setting._replace(check=False))
        if _compared(lambda _: as_wide, as_wide, again, np.dtype(np.float64), setting):
            return False
        exact = results(wide.f, as_wide.arguments(k))
        if _nearer(found, right, exact):
            return True
    bad = 0
    for other in range(2, 2 + REDRAWS):
        try:
            truth = results(program.f, program.arguments(other))
        except Refused:
            continue
        try:
            given = laid_out(program.arguments(other), setting.layouts)
            more = _leaves(compiled(*given))
        except Exception:
            return False
        if differences(other, more, truth, TIGHT[dtype]) and not is_noise(program, dtype, other, more, truth):
            bad += 1
    return bad < (2 if dtype != np.float64 else 1)


def is_noise(program: Program, dtype: np.dtype[Any], k: int, found: list[Any], right: list[Any]) -> bool:
    """Whether other last bits make as large a difference."""
    noise, unlike = np.zeros(len(right)), errors(found, right)
    for seed in range(NOISES):
        try:
            near = _leaves(with_other_bits(program.f, program.arguments(k), seed))
        except tm.UserError:  # a checkpoint's, which finds other bits where it runs again
            continue
        noise = np.maximum(noise, errors(near, right))
        if np.all(unlike <= TIGHT[dtype] + ROOM * noise):
            return True
    return False


def _nearer(found: list[Any], right: list[Any], exact: list[Any]) -> bool:
    """Whether the compiled float32 is about as near to float64 as the eager one."""
    return bool(np.all(errors(found, exact) <= TIGHT[np.dtype(np.float32)] + ROOM * errors(right, exact)))


def results(f: Callable[..., Any], arguments: tuple[Any, ...]) -> list[Any]:
    """The leaves of what eager code makes of these arguments."""
    given = tm.tree.map(lambda x: tm.tensor(x) if isinstance(x, np.ndarray) else x, arguments)
    try:
        return _leaves(f(*given))
    except Exception as error:
        raise Refused(f"{type(error).__name__}: {str(error)[:300]}") from error


def _leaves(tree: Any) -> list[Any]:
    return [np.asarray(x) for x in tm.tree.leaves(tree)]


def differences(call: int, found: list[Any], right: list[Any], tolerance: float) -> list[Unlike]:
    """The results that differ by more than rounding usually makes."""
    if len(found) != len(right):
        return [Unlike(call, 0, np.nan, f"{len(found)} results", f"{len(right)}")]
    unlike = []
    for i, (a, b) in enumerate(zip(found, right)):
        if (a.shape, a.dtype) != (b.shape, b.dtype):
            unlike.append(Unlike(call, i, np.nan, f"{a.dtype}{list(a.shape)}", f"{b.dtype}{list(b.shape)}"))
    if unlike:
        return unlike
    for i, error in enumerate(errors(found, right)):
        if error > tolerance:
            a, b = found[i], right[i]
            at = int(np.argmax(np.abs(a.astype(float) - b.astype(float)).ravel())) if a.size else 0
            unlike.append(Unlike(call, i, float(error), *(f"{x.dtype}{list(x.shape)} {x.ravel()[at]}" for x in (a, b))))
    return unlike


def errors(found: list[Any], right: list[Any]) -> Any:
    """The largest difference of each result, in units of its own largest number (or of FLOOR times that of all)."""
    top = max((_size(b) for b in right), default=0.0)
    each = []
    for a, b in zip(found, right):
        if a.dtype.kind != "f":
            each.append(0.0 if np.array_equal(a, b) else np.inf)
            continue
        same = np.isfinite(b)
        if not np.array_equal(np.where(same, 0, a), np.where(same, 0, b), equal_nan=True):
            each.append(np.inf)
            continue
        a, b = np.where(same, a, 0).astype(float), np.where(same, b, 0).astype(float)
        scale = max(_size(b), FLOOR * top, LEAST)
        each.append(float(np.abs(a - b).max(initial=0)) / scale if np.isfinite(a).all() else np.inf)
    return np.array(each)


def _size(x: Any) -> float:
    if x.dtype.kind != "f":
        return 0.0
    finite = np.abs(x[np.isfinite(x)])
    return float(finite.max(initial=0))


def widened(arguments: Any) -> Any:
    """The same numbers in float64."""

    def one(x: Any) -> Any:
        a = np.asarray(x)
        if isinstance(x, (int, float)) or a.dtype != np.float32:
            return x
        return tm.Tensor(a.astype(float)) if isinstance(x, tm.Tensor) else a.astype(float)

    return tm.tree.map(one, arguments)


@contextmanager
def cores_as(name: str) -> Iterator[None]:
    """Run on these cores (`CORES`); on several, share even the smallest loop, and cut in tiles even the smallest
    array."""
    with pytest.MonkeyPatch.context() as patch:
        for (where, what), value in CORES[name].items():
            patch.setattr(where, what, value)
        yield


_TWO: dict[tuple[Any, str], Any] = {(threads, "count"): 2, (machine, "WORTH_SHARING"): 0, (schedule, "LONG"): 2}
_OTHERWISE: dict[tuple[Any, str], Any] = {  # what pays is decided otherwise, and is as right
    (assemble, "TILE"): 8,
    (schedule, "HEAVY"): 100,
    (all_turns, "STACK"): 0,
    (instructions, "SHORT"): 2,
    (products, "SLOW"): 0.1,
    (axes, "THIN"): 1,
}
CORES: dict[str, dict[tuple[Any, str], Any]] = {
    "one": {(threads, "count"): 1},
    "two": _TWO,
    "the first before the last": {**_TWO, (machine, "crew"): InTurn(False)},  # what one reads of another is wrong
    "the last before the first": {**_TWO, (machine, "crew"): InTurn(True), **MARGINS},  # every time, not now and then
    "a task at a time": {(threads, "count"): 1, (assemble, "CACHE"): 1, **MARGINS},
    "three, otherwise": {**_TWO, **_OTHERWISE, (threads, "count"): 3, (machine, "crew"): InTurn(True), **MARGINS},
}
