"""What the tests of this folder share: arrays in every memory layout, NumPy as the judge, and vmap against a loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

import tinymeta as tm

Array = np.ndarray[Any, np.dtype[Any]]

dtypes = st.sampled_from([np.float32, np.float64])


@st.composite
def arrays(
    draw: st.DrawFn, shape: Any = None, dtype: Any = None, low: float = -2.0, high: float = 2.0, ties: bool = False
) -> Array:
    """Uniform numbers in any shape (sizes 0 and 1 included), both dtypes, any memory layout; `ties` repeats values."""
    shape = draw(array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)) if shape is None else shape
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    x = rng.uniform(low, high, shape)
    x = np.array(np.round(x) if ties else x, draw(dtypes) if dtype is None else dtype)
    layout = draw(st.sampled_from(["C", "F", "every second", "backwards", "read-only"]))
    if layout == "F":
        x = np.asfortranarray(x)
    if layout == "every second" and x.ndim:
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        wide[..., ::2] = x
        x = wide[..., ::2]
    if layout == "backwards" and x.ndim:
        x = np.ascontiguousarray(x[::-1])[::-1]
    if layout == "read-only":
        x.flags.writeable = False
    return x


def same(found: Any, expected: Any, operations: int = 1) -> None:
    """Shape, dtype and values agree, up to so many roundings, one after the other, at the size of the largest value."""
    expected = np.asarray(expected)
    found = found.numpy()
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    if expected.dtype.kind != "f":
        assert np.array_equal(found, expected)
        return
    finite = np.abs(expected[np.isfinite(expected)])
    tolerance = 4 * operations * np.finfo(expected.dtype).eps * finite.max(initial=np.finfo(expected.dtype).tiny)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance, equal_nan=True)


def running_sums(x: Array, axis: int, include_initial: bool) -> Array:
    """`np.cumulative_sum`, which NumPy 2.0 lacks."""
    sums = np.cumsum(x, axis)
    return np.insert(sums, 0, 0, axis) if include_initial else sums


def running_products(x: Array, axis: int, include_initial: bool) -> Array:
    """`np.cumulative_prod`, which NumPy 2.0 lacks."""
    products = np.cumprod(x, axis)
    return np.insert(products, 0, 1, axis) if include_initial else products


def vmap_is_a_loop(f: Callable[..., Any], args: Sequence[Any], in_axes: tuple[int | None, ...]) -> None:
    """`vmap(f)` and `vmap(grad(f²))` agree with loops over the examples, up to the order of sums."""

    def squares(*xs: Any) -> Any:
        return (f(*xs) ** 2).sum()

    floats = tuple(i for i, x in enumerate(args) if np.asarray(x).dtype.kind == "f")
    size = next(np.shape(x)[a] for x, a in zip(args, in_axes) if a is not None)
    rows = [[tm.tensor(x if a is None else np.take(x, k, a)) for x, a in zip(args, in_axes)] for k in range(size)]
    tensors = [tm.tensor(x) for x in args]
    values = tm.vmap(f, in_axes)(*tensors).numpy()
    np.testing.assert_allclose(values, np.stack([f(*row).numpy() for row in rows]), rtol=1e-12, atol=1e-13)
    mapped = tm.vmap(tm.grad(squares, floats), in_axes)(*tensors)
    looped = [tm.grad(squares, floats)(*row) for row in rows]
    for i, g in enumerate(mapped):
        np.testing.assert_allclose(g.numpy(), np.stack([one[i].numpy() for one in looped]), rtol=1e-11, atol=1e-12)
