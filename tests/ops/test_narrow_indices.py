"""Indices of any integer type address the elements that NumPy addresses, however large the array is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.ops import index

DTYPES = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
SIZES = [1, 3, 100, 200, 300]


@st.composite
def keys(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """A shape, and a key of integer arrays of any types, slices and integers for it."""
    shape = tuple(draw(st.lists(st.sampled_from(SIZES), min_size=1, max_size=2)))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    key: list[Any] = []
    for n in shape:
        dtype = draw(st.sampled_from(DTYPES))
        high = min(n, np.iinfo(dtype).max + 1)
        low = -min(n, -np.iinfo(dtype).min) if draw(st.booleans()) else 0
        key.append(draw(st.sampled_from([rng.integers(low, high, 3).astype(dtype), slice(None, None, -2), n - 1])))
    return shape, tuple(key)


@given(drawn=keys())
def test_indexing_and_its_adjoints_are_those_of_numpy(drawn: Any) -> None:
    shape, key = drawn
    x = np.arange(float(np.prod(shape))).reshape(shape)
    right = x[key]
    assert np.array_equal(tm.tensor(x)[key].numpy(), right)
    g = np.random.default_rng(0).integers(1, 9, right.shape).astype(float)  # sums of small integers are exact
    added = np.zeros(shape)
    np.add.at(added, key, g)
    assert np.array_equal(tm.grad(lambda x: tm.sum(x[key] * g))(x).numpy(), added)
    assert np.array_equal(tm.index_add(np.zeros(shape), key, g).numpy(), added)
    written = x.copy()
    written[key] = g
    assert np.array_equal(tm.index_set(x, key, g).numpy(), written)


@given(dtype=st.sampled_from(DTYPES), n=st.sampled_from(SIZES), seed=st.integers(0, 99))
def test_functions_that_take_indices_take_any_integers(dtype: Any, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, i = rng.normal(size=(n, n)), rng.integers(0, min(n, np.iinfo(dtype).max + 1), (2, n)).astype(dtype)
    wide = i.astype(np.int64)
    assert np.array_equal(tm.take(x, i, axis=1).numpy(), np.take(x, wide, 1))
    assert np.array_equal(tm.take_along_axis(x, i, axis=0).numpy(), np.take_along_axis(x, wide, 0))
    assert np.array_equal(
        tm.vmap(lambda a, k: a[k])(x[:2], i).numpy() if n > 1 else 0, x[[[0], [1]], wide] if n > 1 else 0
    )
    assert np.array_equal(tm.nn.one_hot(i, n).numpy(), np.eye(n)[wide])
    assert np.array_equal(tm.nn.embedding(x, i).numpy(), x[wide])
    logits = rng.normal(size=(2, n, n))
    assert tm.nn.cross_entropy(logits, i).item() == tm.nn.cross_entropy(logits, wide).item()


@given(dtype=st.sampled_from(DTYPES), seed=st.integers(0, 99))
def test_of_several_values_for_one_element_the_last_is_written(dtype: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, key, values = (
        rng.normal(size=(3, 4)),
        (rng.integers(0, 3, 6).astype(dtype), rng.integers(0, 4, 6).astype(dtype)),
        rng.normal(size=6),
    )
    right = x.copy()
    right[key] = values
    assert np.array_equal(tm.index_set(x, key, values).numpy(), right)
    many = tm.vmap(lambda x, v: tm.index_set(x, key, v))(np.stack([x, -x]), np.stack([values, -values]))
    assert np.array_equal(many.numpy(), np.stack([right, -right]))
    each = tm.vmap(lambda i, j: tm.index_set(x, (i, j), 9.0))(*key)
    for k, found in enumerate(each.numpy()):
        one = x.copy()
        one[key[0][k], key[1][k]] = 9.0
        assert np.array_equal(found, one)
    of_values = tm.grad(lambda v: tm.sum(tm.index_set(x, key, v) * np.arange(12.0).reshape(3, 4)))(values).numpy()
    for k in range(6):
        overwritten = any(key[0][k] == key[0][m] and key[1][k] == key[1][m] for m in range(k + 1, 6))
        assert of_values[k] == (0 if overwritten else 4.0 * int(key[0][k]) + int(key[1][k]))


def test_slices_take_any_integers_as_bounds() -> None:
    x, n = np.arange(5.0), tm.argmax(tm.tensor([0.0, 1.0, 9.0]))
    for bound in (n, np.int8(2), np.uint64(2), np.array(2)):
        assert tm.tensor(x)[:bound].tolist() == [0, 1] and tm.tensor(x)[bound::bound].tolist() == [2, 4]
    with pytest.raises(TypeError):
        tm.tensor(x)[: tm.tensor(1.5)]


def test_an_index_beyond_the_largest_integer_is_refused() -> None:
    with pytest.raises(IndexError, match="larger than any array"):
        tm.tensor(np.arange(3.0))[np.array([2**64 - 1], np.uint64)]


def test_flat_indices_in_a_narrow_type_are_caught(monkeypatch: Any) -> None:
    monkeypatch.setattr(index, "integers", lambda indices, what: tm.Tensor(np.asarray(indices)))
    with pytest.raises((AssertionError, OverflowError, ValueError)):
        x, i = np.arange(40000.0).reshape(200, 200), np.array([150, 3], np.uint8)
        assert np.array_equal(tm.tensor(x)[i, i].numpy(), x[i, i])
