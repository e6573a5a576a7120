"""Products of vectors, matrices and arrays, judged by NumPy, and their derivatives by the complex step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tests.ops.drawn_arrays import arrays, dtypes, same, vmap_is_a_loop

RNG = np.random.default_rng(3)
MATMUL = [
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 2)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (4, 3, 1)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
    ((4, 2, 0), (0, 3)),
    ((1, 1), (1, 1)),
]
EINSUM = {
    "ij,jk->ik": ((2, 3), (3, 4)),
    "ij,jk": ((2, 3), (3, 4)),
    "ij->ji": ((2, 3),),
    "ba": ((2, 3),),
    "ij->": ((2, 3),),
    "ii->i": ((3, 3),),
    "ii": ((3, 3),),
    "iij->j": ((2, 2, 3),),
    "iijj->ij": ((2, 2, 3, 3),),
    "bij,bjk->bik": ((2, 2, 3), (2, 3, 4)),
    "bij,bkj->bik": ((2, 2, 3), (2, 4, 3)),
    "ij,ij->": ((2, 3), (2, 3)),
    "ij,ji": ((2, 3), (3, 2)),
    "i,j->ij": ((2,), (3,)),
    "ij,kl->ljik": ((2, 3), (2, 2)),
    "ij,j->ij": ((2, 3), (3,)),
    "i,ij,j->": ((2,), (2, 3), (3,)),
    "ij,jk,kl->il": ((2, 3), (3, 4), (4, 2)),
    "ij,jk,ik->": ((2, 3), (3, 4), (2, 4)),
    "i,i,i->i": ((3,), (3,), (3,)),
    " i j , j k -> k i ": ((2, 3), (3, 4)),
    "...ij,...jk->...ik": ((5, 2, 3), (4, 5, 3, 2)),
    "...ij,...j": ((2, 1, 2, 3), (4, 3)),
    "i...->...": ((2, 3, 4),),
    "...i->i...": ((2, 3, 4),),
    "i...i->...": ((2, 3, 2),),
    "...,...": ((3,), (2, 3)),
    "ij,jk->ik with a broadcast axis": ((2, 1), (3, 4)),
}


def _letters(name):
    return name.split(" with")[0]


@pytest.mark.parametrize(("left", "right"), MATMUL)
@given(data=st.data(), dtype=dtypes)
def test_matmul_broadcasts_in_every_case_as_numpys(left, right, data, dtype):
    a, b = data.draw(arrays(left, dtype)), data.draw(arrays(right, dtype))
    same(tm.matmul(a, b), np.matmul(a, b), operations=8)
    same(tm.tensor(a) @ b, a @ b, operations=8)


@pytest.mark.parametrize(("left", "right"), MATMUL[:10])
def test_matmul_is_right_at_orders_one_to_three(left, right):
    a, b = RNG.normal(size=left), RNG.normal(size=right)
    tm.testing.check_grad(lambda p, q: tm.sin(p @ q), a, b, order=3, elements=6)


@pytest.mark.parametrize(("left", "right"), MATMUL[:10])
def test_vmap_of_matmul_is_a_loop_whichever_side_is_batched(left, right):
    a, b = RNG.normal(size=(3, *left)), RNG.normal(size=(3, *right))
    vmap_is_a_loop(tm.matmul, (a, b), (0, 0))
    vmap_is_a_loop(tm.matmul, (a[0], b), (None, 0))
    vmap_is_a_loop(tm.matmul, (a, b[0]), (0, None))


@pytest.mark.parametrize("name", EINSUM)
@given(data=st.data(), dtype=dtypes)
def test_einsum_is_numpys(name, data, dtype):
    xs = [data.draw(arrays(shape, dtype)) for shape in EINSUM[name]]
    same(tm.einsum(_letters(name), *xs), np.einsum(_letters(name), *xs), operations=60)


@pytest.mark.parametrize("name", EINSUM)
def test_einsum_is_right_at_orders_one_to_three(name):
    xs = [RNG.normal(size=shape) for shape in EINSUM[name]]
    tm.testing.check_grad(lambda *ts: tm.sin(tm.einsum(_letters(name), *ts)), *xs, order=3, elements=6)


@pytest.mark.parametrize("name", ["ij,jk->ik", "ii->i", "i,j->ij", "...ij,...jk->...ik", "ij,jk,kl->il"])
def test_vmap_of_einsum_is_a_loop(name):
    xs = [RNG.normal(size=(3, *shape)) for shape in EINSUM[name]]
    vmap_is_a_loop(lambda *ts: tm.einsum(name, *ts), xs, (0,) * len(xs))
    vmap_is_a_loop(lambda *ts: tm.einsum(name, *ts), [xs[0], *(x[0] for x in xs[1:])], (0, *[None] * (len(xs) - 1)))


@pytest.mark.parametrize("axes", [0, 1, 2, ((0,), (1,)), ((0, 2), (1, -1)), ((), ())])
def test_tensordot_is_numpys(axes):
    a, b = RNG.normal(size=(3, 2, 3)), RNG.normal(size=(2, 3, 3) if axes == 2 else (3, 3, 3))
    same(tm.tensordot(a, b, axes), np.tensordot(a, b, axes), operations=20)
    tm.testing.check_grad(lambda p, q: tm.sin(tm.tensordot(p, q, axes)), a, b, order=2, elements=8)


def test_outer_and_vecdot_are_numpys():
    a, b = RNG.normal(size=3), RNG.normal(size=3)
    same(tm.outer(a, b), np.outer(a, b))
    same(tm.vecdot(a, b), np.vecdot(a, b), operations=6)
    x, y = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(3, 1))
    same(tm.vecdot(x, y, axis=-2), np.vecdot(x, y, axis=-2), operations=6)
    tm.testing.check_grad(lambda p, q: tm.sin(tm.vecdot(p, q, axis=-2)), x, y, order=3, elements=8)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tm.matmul(np.ones((2, 3)), np.ones((2, 3))), "3 ≠ 2"),
        (lambda: tm.matmul(np.ones(3), np.ones(2)), "only"),
        (lambda: tm.matmul(np.ones((2, 2)), 1.0), "vectors or matrices"),
        (lambda: tm.matmul(np.ones((2, 2, 2)), np.ones((3, 2, 2))), "don't broadcast"),
        (lambda: tm.outer(np.ones((2, 2)), np.ones(2)), "two vectors"),
        (lambda: tm.vecdot(np.ones(2), np.ones(3)), "sizes differ"),
        (lambda: tm.vecdot(np.ones(2), np.ones(2), axis=0), "axis 0"),
        (lambda: tm.tensordot(np.ones((2, 3)), np.ones((2, 3)), 1), "don't pair up"),
        (lambda: tm.einsum("ij,jk->iz", np.ones((2, 3)), np.ones((3, 4))), "letters"),
        (lambda: tm.einsum("ij->ii", np.ones((2, 3))), "different"),
        (lambda: tm.einsum("...i->i", np.ones((2, 3))), "in the result"),
        (lambda: tm.einsum("ij", np.ones((2, 3)), np.ones((3, 4))), "describes 1 operands and got 2"),
        (lambda: tm.einsum("i,j", np.ones((2, 3)), np.ones(4)), "does not fit shape"),
        (lambda: tm.einsum("ij,kj", np.ones((2, 3)), np.ones((3, 4))), "sizes 3 and 4"),
        (lambda: tm.einsum("1j", np.ones((2, 3))), "letters"),
    ],
)
def test_operands_that_do_not_fit_are_explained(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert "test_products.py" in str(caught.value)
