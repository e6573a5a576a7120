"""Every primitive, compiled, gives what it gives eagerly in any dtype: values, dtype, or the same error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.engine.primitive import Primitive
from tinymeta.testing.case import random_case
from tinymeta.testing.transforms import user_function

DTYPES: list[Any] = [bool, "i1", "u1", "i2", "i4", "i8", "u8", "f2", "f4", "f8", np.longdouble, "c8", "c16"]
PLUMBING = {"loop", "part", "unrecorded"}  # without numbers of their own
TRIED = [p for p in Primitive.registry.values() if p.__module__.startswith("tinymeta.") and p.__name__ not in PLUMBING]


def outcome(f: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """The arrays that come, or the class of the error."""
    try:
        with np.errstate(all="ignore"):
            return [np.asarray(y) for y in tm.tree.leaves(f(*arguments))]
    except Exception as error:
        return type(error)


def agree(found: Any, expected: Any, what: object) -> None:
    """The same error, or equal dtypes and values that differ by the rounding of a few sums."""
    if isinstance(found, type) or isinstance(expected, type):
        assert found is expected, what
        return
    for x, y in zip(found, expected, strict=True):
        assert (x.dtype, x.shape) == (y.dtype, y.shape), what
        if y.dtype.kind not in "fc":
            np.testing.assert_array_equal(x, y, err_msg=str(what))
            continue
        bound = 32 * float(np.finfo(y.dtype).eps)  # samples have at most 24 numbers; sums of that many, in any order
        scale = float(np.abs(y[np.isfinite(y)]).max(initial=0))
        np.testing.assert_allclose(x, y, rtol=bound, atol=bound * scale, err_msg=str(what))


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.parametrize("primitive", TRIED, ids=lambda p: p.__name__)
def test_a_primitive_compiled_in_any_dtype_is_the_eager_one(primitive: type[Primitive]) -> None:
    for seed in range(max(1, len(primitive.samples))):
        case = random_case(primitive, seed)
        if case.batch or "rise" in case.static or not case.arrays:
            continue  # what moves hidden axes is below the functions that a user compiles
        f = user_function(case)
        for dtype in DTYPES:
            first = [x.astype(dtype) if x.dtype.kind == "f" else x for x in case.arrays]
            second = [x[::-1] if x.ndim and x.dtype.kind != "i" else x for x in first]
            compiled = tm.compile(f)
            for arguments in (first, second):
                agree(outcome(compiled, arguments), outcome(f, arguments), (np.dtype(dtype), case))


WEAK: dict[str, Callable[[Any, Any], Any]] = {
    "a * x": lambda x, a: a * x,
    "x // a": lambda x, a: x // a,
    "a % 2 * x": lambda x, a: a % 2 * x,
    "a // 2 * x": lambda x, a: a // 2 * x,
    "-a * x": lambda x, a: -a * x,
    "abs(-a) * x": lambda x, a: abs(-a) * x,
    "+a - x": lambda x, a: +a - x,
    "(a * a + 1) * x": lambda x, a: (a * a + 1) * x,
    "x ** a": lambda x, a: x**a,
    "x < a": lambda x, a: x < a,
    "mask * a": lambda x, a: (x > 0) * a,
    "maximum": lambda x, a: tm.maximum(a, x),
    "where": lambda x, a: tm.where(x > 0, a, x),
    "where, two numbers": lambda x, a: tm.where(x > 0, 1, a),
    "subtract": lambda x, a: tm.subtract(a, x),
    "clip": lambda x, a: tm.clip(x, -a, a),
    "pow": lambda x, a: tm.pow(a, x),
    "minimum of numbers": lambda x, a: tm.minimum(x, tm.maximum(a, 1)),
    "sqrt": lambda x, a: tm.sqrt(a) * x,
}
NUMBERS = [0.5, 2, 2.0, 300, -1, 1j, np.float64(0.5), np.float32(0.5), np.int32(2)]


@pytest.mark.parametrize("f", WEAK.values(), ids=WEAK)
def test_a_python_number_is_as_weak_in_functions_as_in_operators(f: Callable[[Any, Any], Any]) -> None:
    for dtype in DTYPES:
        x = np.array([0, 1, 1]).astype(dtype)
        for a in NUMBERS:
            found, expected = outcome(tm.compile(f), (x, a)), outcome(lambda x, a: f(tm.tensor(x), a), (x, a))
            if isinstance(found, type) and isinstance(expected, type):
                continue  # Python and NumPy refuse complex numbers with classes of their own
            agree(found, expected, (np.dtype(dtype), a))


def test_a_number_that_a_narrow_integer_cannot_hold_is_an_error_in_every_call() -> None:
    f = tm.compile(lambda x, n: x + n)
    x = np.array([1, 2], np.uint8)
    assert f(x, 3).tolist() == [4, 5] and f(x, 3).dtype == np.uint8
    for n in (300, -1):
        with pytest.raises(OverflowError):
            f(x, n)
        with pytest.raises(OverflowError):
            tm.tensor(x) + n


def test_integers_beyond_64_bits_are_part_of_the_program() -> None:
    f = tm.compile(lambda x, n: x * (n // 2**70))
    assert f(np.ones(2), 2**70).tolist() == [1, 1]
    assert f(np.ones(2), 2**71).tolist() == [2, 2]
