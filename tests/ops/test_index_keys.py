"""Index keys drawn at random, every kind of entry beside every other, against NumPy: values, gradients and writing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tinymeta as tm

ARRAYS = [np.int32, np.int64]


@st.composite
def keys(draw):
    """An array and a key that NumPy takes: integers, slices, None, `...`, arrays of any integer dtype, masks."""
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    shape = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 150]), min_size=1, max_size=4)))
    shape = shape if np.prod(shape) < 5000 else shape[:2]
    arrays = draw(st.sampled_from([(), (2,), (1,), (2, 1), (2, 3)]))
    key, axis, dots = [], 0, False
    while axis < len(shape):
        n = shape[axis]
        kind = draw(st.sampled_from(["int", "slice", "None", "array", "array", "mask", "...", "stop"]))
        if kind == "int":
            key.append(draw(st.sampled_from([int, np.int64, tm.tensor]))(int(rng.integers(-n, n))))
        elif kind == "slice":
            start, stop = (None if rng.random() < 0.3 else int(rng.integers(-n - 1, n + 1)) for _ in range(2))
            step = int(rng.choice([-2, -1, 1, 2]))
            as_is = draw(st.booleans())
            key.append(slice(*[t if t is None or as_is else tm.tensor(t) for t in (start, stop, step)]))
        elif kind == "array":
            dtype = np.dtype(draw(st.sampled_from(ARRAYS)))
            high = min(n, np.iinfo(dtype).max + 1)
            low = -min(n, -np.iinfo(dtype).min) if dtype.kind == "i" and rng.random() < 0.5 else 0
            key.append(rng.integers(low, high, arrays[draw(st.integers(0, len(arrays))) :]).astype(dtype))
        elif kind == "mask" and not any(isinstance(k, np.ndarray) for k in key):
            key.append(rng.random(n) < 0.6)
        elif kind == "...":
            if dots:
                break
            dots = True
        if kind == "stop":
            break
        if kind in ("None", "..."):
            key.append(None if kind == "None" else ...)
        elif kind != "mask" or key and isinstance(key[-1], np.ndarray) and key[-1].dtype == bool:
            axis += 1
        if len(key) > 6 or (dots and draw(st.booleans())):
            break
    return rng.normal(size=shape), tuple(key)


def _numpys(key):
    plain = lambda t: int(t) if isinstance(t, tm.Tensor) else t
    return tuple(slice(*map(plain, (k.start, k.stop, k.step))) if isinstance(k, slice) else plain(k) for k in key)


def _taken(x, key):
    try:
        return x[_numpys(key)]
    except IndexError:
        return None


@settings(max_examples=200)
@given(drawn=keys())
def test_a_key_takes_adds_and_sets_what_numpys_does(drawn):
    x, key = drawn
    expected = _taken(x, key)
    assume(expected is not None)  # arrays that don't broadcast, or more indices than axes
    same_key(lambda x, key: tm.tensor(x)[key], x, key)
    g = np.arange(1.0, expected.size + 1).reshape(expected.shape)
    sums, written = np.zeros(x.shape), x.copy()
    np.add.at(sums, _numpys(key), g)
    written[_numpys(key)] = g
    np.testing.assert_array_equal(tm.grad(lambda x: (x[key] * g).sum())(x).numpy(), sums)
    np.testing.assert_allclose(tm.index_add(x, key, g).numpy(), x + sums, rtol=1e-14, atol=1e-14)
    np.testing.assert_array_equal(tm.index_set(x, key, g).numpy(), written)


def same_key(taken, x, key):
    found, expected = np.asarray(taken(x, key)), x[_numpys(key)]
    assert found.shape == expected.shape, key
    np.testing.assert_array_equal(found, expected)


def test_the_check_sees_axes_in_the_wrong_place():
    x = np.arange(24.0).reshape(2, 3, 4)
    key = (None, 1, ..., [0, 0])
    same_key(lambda x, key: tm.tensor(x)[key], x, key)
    with pytest.raises(AssertionError):
        same_key(lambda x, key: tm.tensor(x)[key[0], key[1], :, key[3]].permute_dims((1, 0, 2)), x, key)


def test_of_several_values_for_one_element_the_last_stays_and_has_the_gradient():
    x, v = np.zeros(3), np.array([5.0, 7.0, 9.0])
    key = [1, 1, 2]
    write = lambda x, v: tm.index_set(x, key, v)
    assert write(x, v).tolist() == [0.0, 7.0, 9.0]
    gx, gv = tm.grad(lambda x, v: (write(x, v) * np.array([1.0, 10.0, 100.0])).sum(), (0, 1))(x, v)
    assert (gx.tolist(), gv.tolist()) == ([1.0, 0.0, 0.0], [0.0, 10.0, 100.0])
    assert np.isfinite(write(x, np.array([np.nan, 7.0, 9.0])).numpy()).all()  # the NaN is overwritten
    tm.testing.check_grad(lambda x, v: tm.sin(write(x, v) * 0.3), x, v, order=2)


def test_setting_twice_keeps_the_last_under_vmap_and_compiled():
    x, keys, v = np.zeros((2, 3)), np.array([[1, 1], [0, 2]]), np.array([[5.0, 7.0], [5.0, 7.0]])
    mapped = tm.vmap(tm.index_set)
    for f in (mapped, tm.compile(mapped)):
        assert f(x, keys, v).tolist() == [[0.0, 7.0, 0.0], [5.0, 0.0, 7.0]]
    gradient = tm.compile(tm.grad(lambda v: (mapped(x, keys, v) ** 2).sum()))
    assert gradient(v).tolist() == [[0.0, 14.0], [10.0, 14.0]]


def test_a_slice_takes_tensors_for_its_bounds():
    x, n = tm.tensor(np.arange(6.0)), tm.argmax(np.array([0.0, 1.0, 9.0]))
    assert x[:n].tolist() == [0.0, 1.0]
    assert x[n:][::n].tolist() == [2.0, 4.0]
    assert x.reshape((2, 3))[0, np.int64(1) : tm.tensor(3)].tolist() == [1.0, 2.0]
    assert tm.index_set(x, slice(n), 9.0).tolist() == [9.0, 9.0, 2.0, 3.0, 4.0, 5.0]
    with pytest.raises(TypeError, match="bounds of a slice"):
        x[: tm.tensor(1.5)]
