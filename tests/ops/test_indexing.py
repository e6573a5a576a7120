"""Indexing with every kind of key, judged by NumPy; its adjoint, judged by `np.add.at`; and taking along an axis."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, basic_indices, integer_array_indices

import tinymeta as tm
from tests.ops.drawn_arrays import arrays, same, vmap_is_a_loop

RNG = np.random.default_rng(1)
X = RNG.normal(size=(3, 4, 5))
I, J = np.array([0, -1, 2]), np.array([[1], [-2]])
MASK = X[:, :, 0] > 0
KEYS = {
    "ints": (1, -2),
    "backwards with a stride": np.s_[::-1, 1:3, ::2],
    "new axes": (None, 0, ..., None),
    "one array": I,
    "one array on a later axis": (slice(None), I),
    "a list": [0, 1],
    "an empty list": ([],),
    "a range": range(2),
    "a NumPy integer": np.int64(2),
    "a 0-d array": (np.array(1), slice(None), [0, 0]),
    "two arrays side by side": (slice(None), J, I),
    "two arrays that broadcast": (J, I),
    "two arrays apart": (I, slice(None), I),
    "two arrays apart that broadcast": (J, slice(None), I),
    "two arrays apart by a new axis": (I, None, I),
    "an int and an array apart": (0, slice(None), I),
    "an int and an array side by side": (0, I),
    "an array and an int": (I, 0),
    "an array, an ellipsis, an array": (None, I, ..., I),
    "three arrays": (I, I, I),
    "a mask of two axes": MASK,
    "a mask and an int": (MASK, 0),
    "a mask on later axes": (slice(None), X[0] > 0),
    "a mask of everything": X > 0,
    "a mask of one axis apart from an array": (np.array([True, False, True]), slice(None), [0, 1]),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_every_kind_of_key_reads_what_numpy_reads(key):
    same(tm.tensor(X)[key], X[key])


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_the_gradient_of_reading_adds_up_as_often_as_an_element_was_read(key):
    expected = np.zeros_like(X)
    np.add.at(expected, key, 3 * X[key] ** 2)
    g = tm.grad(lambda t: (t[key] ** 3).sum())(X)
    np.testing.assert_allclose(g.numpy(), expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_index_add_is_numpys_add_at(key):
    values = RNG.normal(size=X[key].shape)
    expected = X.copy()
    np.add.at(expected, key, values)
    np.testing.assert_allclose(tm.index_add(X, key, values).numpy(), expected, rtol=1e-14, atol=1e-15)


@given(data=st.data())
def test_basic_keys_that_hypothesis_finds_read_what_numpy_reads(data):
    x = data.draw(arrays())
    key = data.draw(basic_indices(x.shape, allow_newaxis=True))
    same(tm.tensor(x)[key], x[key])


@given(data=st.data(), shape=array_shapes(min_dims=1, max_dims=3, max_side=4))
def test_integer_arrays_that_hypothesis_finds_read_what_numpy_reads(data, shape):
    x = data.draw(arrays(shape))
    key = data.draw(integer_array_indices(shape))
    same(tm.tensor(x)[key], x[key])


@pytest.mark.parametrize("key", [np.s_[1:, ::2], I, (J, I), (I, slice(None), I), MASK])
def test_indexing_is_right_at_orders_one_to_three(key):
    tm.testing.check_grad(lambda t: tm.sin(t[key]), X, order=3, elements=40)


def test_index_add_and_set_differentiate_array_and_values():
    values = RNG.normal(size=(3, 5))
    for f in (tm.index_add, tm.index_set):
        tm.testing.check_grad(lambda t, v, f=f: tm.sin(f(t, np.s_[:, 1], v) * t), X, values, order=2, elements=30)


def test_index_set_is_numpys_assignment_and_leaves_the_original():
    expected = X.copy()
    expected[1:, 2] = 7
    t = tm.tensor(X)
    same(tm.index_set(t, np.s_[1:, 2], 7), expected)
    same(t, X)
    assert tm.index_add(np.zeros(3, np.int64), [0, 0, 2], 1).tolist() == [2, 0, 1]


IN_AXES = [(0, 0, 0), (None, 0, 0), (0, None, None), (None, 0, None)]


@pytest.mark.parametrize("in_axes", IN_AXES)
@pytest.mark.parametrize(
    "f",
    [
        lambda x, i, j: x[i, j],
        lambda x, i, j: x[i],
        lambda x, i, j: x[:, j],
        lambda x, i, j: x[i][:, j],
        lambda x, i, j: tm.take(x, tm.stack([i, j]), 1),
        lambda x, i, j: tm.index_add(x, (i, j), tm.sin(x[i, j])),
        lambda x, i, j: tm.take_along_axis(x, i[:, None], 0),
        lambda x, i, j: tm.take_along_axis(x, tm.stack([i, j]), 1),
    ],
)
def test_vmap_of_indexing_is_a_loop_whichever_side_is_batched(f, in_axes):
    x, i, j = RNG.normal(size=(3, 2, 4)), RNG.integers(0, 2, (3, 2)), RNG.integers(-2, 2, (3, 2))
    args = [a if axis is not None else a[0] for a, axis in zip((x, i, j), in_axes)]
    vmap_is_a_loop(f, args, in_axes)


def test_take_is_numpys_for_indices_of_any_shape():
    for axis in (-3, -2, -1, 0, 1, 2):
        same(tm.take(X, J, axis), np.take(X, J, axis))


@given(data=st.data(), axis=st.integers(-2, 1))
def test_taking_along_an_axis_is_numpys(data, axis):
    x = data.draw(arrays((3, 4), ties=True))
    index = RNG.integers(-3, 3, (2, 4) if axis in (0, -2) else (3, 5))
    same(tm.take_along_axis(x, index, axis), np.take_along_axis(x, index, axis))
    same(tm.take_along_axis(x, index[:1, :1], axis), np.take_along_axis(x, index[:1, :1], axis))


@given(data=st.data(), axis=st.integers(-2, 1), descending=st.booleans())
def test_sorting_is_stable_in_both_directions(data, axis, descending):
    x = data.draw(arrays((4, 5), ties=True))
    rank = -x if descending else x
    same(tm.argsort(x, axis, descending=descending), np.argsort(rank, axis, kind="stable"))
    same(tm.sort(x, axis, descending=descending), np.take_along_axis(x, np.argsort(rank, axis, kind="stable"), axis))


@given(x=arrays((3, 4), ties=True), k=st.integers(0, 4))
def test_topk_is_the_beginning_of_a_descending_sort(x, k):
    values, indices = tm.topk(x, k)
    same(indices, np.argsort(-x, -1, kind="stable")[:, :k])
    same(values, np.take_along_axis(x, np.argsort(-x, -1, kind="stable")[:, :k], -1))
    columns, rows = tm.topk(x, min(k, 3), axis=0)
    assert columns.shape == rows.shape == (min(k, 3), 4)


def test_sorting_returns_each_gradient_to_its_element_and_ties_to_the_first():
    weights = np.array([1.0, 10.0, 100.0, 1000.0])
    x = np.array([1.0, 1.0, 0.0, 2.0])
    assert tm.grad(lambda t: (tm.sort(t) * weights).sum())(x).tolist() == [10.0, 100.0, 1.0, 1000.0]
    assert tm.grad(lambda t: tm.topk(t, 2)[0].sum())(x).tolist() == [1.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("f", [tm.sort, lambda t: tm.topk(t, 2)[0], lambda t: tm.take_along_axis(t, I[None], 1)])
def test_sorting_and_taking_are_right_at_orders_one_to_three(f):
    tm.testing.check_grad(lambda t: tm.sin(f(t)), X[:, :, 0], order=3)
    vmap_is_a_loop(f, (X,), (2,))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda t: t[3], IndexError, "index 3 is out of range for axis 0"),
        (lambda t: t[0, 0, 0, 0], ValueError, "4 indices"),
        (lambda t: t[..., ...], ValueError, r"2 '\.\.\.'"),
        (lambda t: t[[0, 3]], IndexError, "out of bounds"),
        (lambda t: t[[0, 3], [0, 0]], IndexError, "outside"),
        (lambda t: t[[0, 1], [0, 1, 2]], ValueError, "don't broadcast"),
        (lambda t: t[1.0], TypeError, "integers, slices"),
        (lambda t: t[np.array([0.0])], TypeError, "integers"),
        (lambda t: t[np.ones((2, 4), bool)], ValueError, "mask of shape"),
        (lambda t: tm.vmap(lambda x: x[x > 0])(t), ValueError, r"tm\.where"),
        (lambda t: tm.take(t, [0.5]), TypeError, "take needs integers"),
        (lambda t: tm.take_along_axis(t, np.zeros((2, 2), int)), ValueError, "tm.take"),
        (lambda t: tm.topk(t, 9), ValueError, "no 9 elements"),
    ],
)
def test_a_wrong_key_is_explained_with_the_users_line(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call(tm.tensor(X))
    assert "test_indexing.py" in str(caught.value)


@pytest.mark.parametrize("bad", [-3, 2])
@pytest.mark.parametrize("place", [0, 1])
def test_of_several_index_arrays_each_has_to_lie_within_its_axis_at_both_ends(place, bad):
    x, indices = np.arange(4.0).reshape(2, 2), [np.array([0, 1]), np.array([-2, 1])]
    assert tm.tensor(x)[tuple(indices)].tolist() == x[tuple(indices)].tolist()
    indices[place] = np.array([0, bad])
    with pytest.raises(IndexError, match=f"{bad}"):
        tm.tensor(x)[tuple(indices)]
