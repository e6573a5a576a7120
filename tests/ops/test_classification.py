"""The softmax family, labels as vectors, and tables of vectors."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tests.ops.drawn_arrays import arrays, same, vmap_is_a_loop

RNG = np.random.default_rng(8)


@given(x=arrays((2, 3, 4), low=-5, high=5), axis=st.integers(-3, 2))
def test_softmax_and_its_logarithm_are_their_formula(x, axis):
    e = np.exp(x)
    y = e / e.sum(axis, keepdims=True)
    same(tm.softmax(x, axis), y, operations=20)
    same(tm.log_softmax(x, axis), np.log(y), operations=20)


@pytest.mark.parametrize("f", [tm.softmax, tm.log_softmax, tm.logsumexp])
@pytest.mark.parametrize("axis", [0, -1])
def test_the_softmax_family_is_right_at_orders_one_to_three_and_under_vmap(f, axis):
    x = RNG.normal(size=(2, 3, 3))
    tm.testing.check_grad(lambda t: tm.sin(f(t, axis)), x[0], order=3)
    vmap_is_a_loop(lambda t: f(t, axis), (x,), (0,))


def test_where_logits_are_not_finite_a_compiled_loss_and_its_gradient_are_the_eager_ones():
    numbers = [np.inf, -np.inf, np.nan, 0.0, 1.0, 88.0, -700.0]
    label = np.array([0])
    for f in (tm.nn.cross_entropy, tm.grad(tm.nn.cross_entropy)):
        for dtype in (np.float32, np.float64):
            compiled = tm.compile(lambda z, f=f: f(z, label))
            for row in itertools.product(numbers, repeat=3):
                z = np.array([row], dtype)
                with np.errstate(all="ignore"):
                    found, eager = compiled(z).numpy(), f(z, label).numpy()
                np.testing.assert_allclose(found, eager, rtol=16 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


def test_softmax_of_huge_and_infinite_numbers_is_finite():
    with np.errstate(over="raise", invalid="raise"):
        assert tm.softmax(np.array([1e4, 0.0, -np.inf])).tolist() == [1.0, 0.0, 0.0]
        assert tm.log_softmax(np.array([1e4, 0.0])).tolist() == [0.0, -1e4]
        g = tm.grad(lambda t: (tm.softmax(t) ** 2).sum())(np.array([0.0, -np.inf, 0.0]))
        assert g.tolist() == [0.0, 0.0, 0.0]


def test_one_hot_is_a_row_of_the_identity():
    labels = np.array([[0, 2], [1, 1]])
    same(tm.one_hot(labels, 3), np.eye(3)[labels])
    same(tm.one_hot(labels, 3, np.float32), np.eye(3, dtype=np.float32)[labels])
    same(tm.vmap(lambda row: tm.one_hot(row, 3))(labels), np.eye(3)[labels])


def test_embedding_reads_rows_and_adds_up_their_gradients():
    table, ids = RNG.normal(size=(4, 2)), np.array([[3, 0], [3, 3]])
    same(tm.embedding(table, ids), table[ids])
    g = tm.grad(lambda t: tm.embedding(t, ids).sum())(table)
    assert g.tolist() == [[1, 1], [0, 0], [0, 0], [3, 3]]
    tm.testing.check_grad(lambda t: tm.sin(tm.embedding(t, ids)), table, order=3)
    vmap_is_a_loop(tm.embedding, (table, ids), (None, 0))
    vmap_is_a_loop(tm.embedding, (np.stack([table, -table]), ids), (0, 0))
    vmap_is_a_loop(tm.embedding, (np.stack([table, -table]), ids), (0, None))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: tm.one_hot([0, 3], 3), IndexError, "labels from 0 to 3 for 3 classes"),
        (lambda: tm.one_hot([-1], 3), IndexError, "labels from -1"),
        (lambda: tm.one_hot([0.5], 3), TypeError, "integers"),
        (lambda: tm.embedding(np.ones(3), [0]), ValueError, "table"),
        (lambda: tm.embedding(np.ones((3, 2)), [3]), IndexError, "out of bounds"),
        (lambda: tm.softmax(np.ones(3), 1), ValueError, "axis 1"),
    ],
)
def test_labels_out_of_range_are_explained(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "test_classification.py" in str(caught.value)
