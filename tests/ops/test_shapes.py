"""Operations that move numbers about, judged by NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tests.ops.drawn_arrays import arrays, same, vmap_is_a_loop

RNG = np.random.default_rng(2)
X = RNG.normal(size=(2, 3, 4))
PAIRS = {
    "reshape": (lambda x: tm.reshape(x, (4, 6)), lambda x: x.reshape(4, 6)),
    "reshape with a rest": (lambda x: x.reshape(3, -1), lambda x: x.reshape(3, -1)),
    "reshape to a line": (lambda x: tm.reshape(x, -1), lambda x: x.reshape(-1)),
    "permute": (lambda x: tm.permute_dims(x, (2, 0, -2)), lambda x: x.transpose(2, 0, 1)),
    "T": (lambda x: x.T, lambda x: x.T),
    "mT": (lambda x: x.mT, lambda x: x.mT),
    "moveaxis": (lambda x: tm.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1)),
    "moveaxis of several": (lambda x: tm.moveaxis(x, (0, 1), (-1, 0)), lambda x: np.moveaxis(x, (0, 1), (-1, 0))),
    "expand": (lambda x: tm.expand_dims(x, -2), lambda x: np.expand_dims(x, -2)),
    "squeeze": (lambda x: tm.squeeze(x[:1, :, :1]), lambda x: x[:1, :, :1].squeeze()),
    "squeeze one": (lambda x: tm.squeeze(x[:1, :, :1], 0), lambda x: x[:1, :, :1].squeeze(0)),
    "broadcast": (lambda x: tm.broadcast_to(x[:, :1], (5, 2, 3, 4)), lambda x: np.broadcast_to(x[:, :1], (5, 2, 3, 4))),
    "concat": (lambda x: tm.concat([x, x[:, :1]], 1), lambda x: np.concatenate([x, x[:, :1]], 1)),
    "stack": (lambda x: tm.stack([x, 2 * x], -1), lambda x: np.stack([x, 2 * x], -1)),
    "stack of a stack": (lambda x: tm.stack(tm.unstack(x, 1), 1), lambda x: x),
    "split": (lambda x: tm.split(x, 2, -1)[1], lambda x: np.split(x, 2, -1)[1]),
    "split at": (lambda x: tm.split(x, [1, 3], 2)[1], lambda x: np.split(x, [1, 3], 2)[1]),
    "flip": (tm.flip, np.flip),
    "flip one": (lambda x: tm.flip(x, 1), lambda x: np.flip(x, 1)),
    "roll flat": (lambda x: tm.roll(x, 5), lambda x: np.roll(x, 5)),
    "roll": (lambda x: tm.roll(x, -2, 2), lambda x: np.roll(x, -2, 2)),
    "roll several": (lambda x: tm.roll(x, (1, -7), (0, 2)), lambda x: np.roll(x, (1, -7), (0, 2))),
    "tile": (lambda x: tm.tile(x, (2, 1, 3)), lambda x: np.tile(x, (2, 1, 3))),
    "tile with new axes": (lambda x: tm.tile(x, (3, 1, 2, 1, 1)), lambda x: np.tile(x, (3, 1, 2, 1, 1))),
    "tile fewer": (lambda x: tm.tile(x, 2), lambda x: np.tile(x, 2)),
    "repeat": (lambda x: tm.repeat(x, 3, 1), lambda x: np.repeat(x, 3, 1)),
    "repeat flat": (lambda x: tm.repeat(x, 2), lambda x: np.repeat(x, 2)),
    "repeat each": (lambda x: tm.repeat(x, [0, 2, 1], 1), lambda x: np.repeat(x, [0, 2, 1], 1)),
    "pad": (lambda x: tm.pad(x, 1, 7.0), lambda x: np.pad(x, 1, constant_values=7.0)),
    "pad pairs": (lambda x: tm.pad(x, ((0, 1), (2, 0), (0, 0))), lambda x: np.pad(x, ((0, 1), (2, 0), (0, 0)))),
    "tril": (lambda x: tm.tril(x, 1), lambda x: np.tril(x, 1)),
    "triu": (lambda x: tm.triu(x, -1), lambda x: np.triu(x, -1)),
    "diagonal": (lambda x: tm.diagonal(x, 1), lambda x: np.diagonal(x, 1, -2, -1)),
    "diagonal below": (lambda x: tm.diagonal(x, -1, (0, 2)), lambda x: np.diagonal(x, -1, 0, 2)),
    "matrix_trace": (tm.matrix_trace, lambda x: np.trace(x, 0, -2, -1)),
    "astype": (lambda x: tm.astype(x, np.float64), lambda x: x.astype(np.float64)),
}


@pytest.mark.parametrize(("f", "of_numpy"), PAIRS.values(), ids=PAIRS.keys())
@given(data=st.data())
def test_it_moves_numbers_as_numpy_does(f, of_numpy, data):
    x = data.draw(arrays((2, 3, 4)))
    same(f(tm.tensor(x)), of_numpy(x), operations=4)


@pytest.mark.parametrize("f", [pair[0] for pair in PAIRS.values()], ids=PAIRS.keys())
def test_it_is_right_at_orders_one_to_three(f):
    tm.testing.check_grad(lambda t: tm.sin(f(t)), X, order=3, elements=8)


@pytest.mark.parametrize("f", [pair[0] for pair in PAIRS.values()], ids=PAIRS.keys())
def test_vmap_of_it_is_a_loop(f):
    vmap_is_a_loop(f, (RNG.normal(size=(2, 2, 3, 4)),), (1,))


@given(x=arrays(), times=st.integers(0, 3), width=st.integers(0, 2))
def test_arrays_without_elements_and_without_axes_are_no_exception(x, times, width):
    t = tm.tensor(x)
    same(tm.tile(t, times), np.tile(x, times))
    same(tm.repeat(t, times), np.repeat(x, times))
    same(tm.pad(t, width), np.pad(x, width))
    same(tm.flip(t), np.flip(x))
    same(tm.roll(t, times), np.roll(x, times))
    same(tm.reshape(t, (x.size, 1)), x.reshape(x.size, 1))
    same(tm.concat([t.reshape(-1), t.reshape(-1)]), np.concatenate([x.ravel(), x.ravel()]))


def test_concat_and_stack_differentiate_each_array_under_vmap_with_some_of_them_shared():
    a, b = RNG.normal(size=(3, 2)), RNG.normal(size=4)
    vmap_is_a_loop(lambda p, q: tm.concat([p, q, p]), (a, b), (0, None))
    vmap_is_a_loop(lambda p, q: tm.stack([p, q[:2]]), (a, b), (0, None))


def test_arrays_of_two_dtypes_join_in_the_wider_one():
    assert tm.concat([np.ones(1, np.float32), np.ones(1)]).dtype == np.float64
    assert tm.stack([np.ones(2, np.float32), np.ones(2, np.float32)]).dtype == np.float32


def test_new_arrays_are_numpys():
    same(tm.zeros((2, 0)), np.zeros((2, 0)))
    same(tm.ones(3, np.float32), np.ones(3, np.float32))
    same(tm.full((2,), 7), np.full(2, 7))
    same(tm.arange(5), np.arange(5))
    same(tm.arange(1, 2, 0.25), np.arange(1, 2, 0.25))
    same(tm.linspace(0, 1, 5, endpoint=False), np.linspace(0, 1, 5, endpoint=False))
    same(tm.eye(2, 3, 1), np.eye(2, 3, 1))
    x = np.ones((2, 3), np.float32)
    same(tm.zeros_like(x), np.zeros_like(x))
    same(tm.ones_like(x, dtype=int), np.ones_like(x, dtype=int))
    same(tm.full_like(x, 0.5), np.full_like(x, 0.5))


def test_what_is_like_a_value_is_no_function_of_it():
    assert tm.grad(lambda t: (t * tm.ones_like(t) + tm.zeros_like(t)).sum())(X).tolist() == np.ones_like(X).tolist()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: tm.reshape(x, (5, 5)), "can't fit 24 elements"),
        (lambda x: tm.reshape(x, (-1, -1)), "can't fit"),
        (lambda x: tm.permute_dims(x, (0, 1)), "each axis"),
        (lambda x: tm.squeeze(x, 0), "size 1"),
        (lambda x: tm.expand_dims(x, 5), "new axis at 5"),
        (lambda x: tm.broadcast_to(x, (2, 3, 5)), "does not broadcast"),
        (lambda x: tm.concat([x, x[0]]), "agree elsewhere"),
        (lambda x: tm.stack([x, x[:, :1]]), "one shape"),
        (lambda x: tm.stack([]), "at least one"),
        (lambda x: tm.split(x, 2, 1), "equal parts"),
        (lambda x: tm.roll(x, (1, 2), 0), "a shift for each axis"),
        (lambda x: tm.repeat(x, [1, 2], 1), "a count for each"),
        (lambda x: tm.pad(x, -1), "negative"),
        (lambda x: tm.pad(x, ((1, 1), (1, 1))), "a width"),
        (lambda x: tm.tril(x[0, 0]), "matrices"),
        (lambda x: tm.matrix_transpose(x[0, 0]), "two axes"),
    ],
)
def test_shapes_that_do_not_go_together_are_explained(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call(tm.tensor(X))
    assert "test_shapes.py" in str(caught.value)
