"""Functions of square matrices, judged by NumPy, with derivatives of orders one to three and leading axes."""

import numpy as np
import pytest

import tinymeta as tm
from tests.ops.drawn_arrays import same, vmap_is_a_loop

RNG = np.random.default_rng(4)
A = RNG.normal(size=(2, 3, 3))
SPD = A @ A.mT + 2 * np.eye(3)
B = RNG.normal(size=(2, 3, 2))
FUNCTIONS = {
    "solve": lambda a: tm.solve(a, B[0]),
    "solve a vector": lambda a: tm.solve(a, B[0, :, 0]),
    "inv": tm.inv,
    "det": tm.det,
    "log |det|": lambda a: tm.slogdet(a)[1],
    "cholesky": tm.cholesky,
    "cholesky, upper": lambda a: tm.cholesky(a, upper=True),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_they_are_numpys(dtype):
    a, spd, b = A.astype(dtype), SPD.astype(dtype), B.astype(dtype)
    same(tm.solve(a, b), np.linalg.solve(a, b), operations=1)
    same(tm.solve(a[0], b[0, :, 0]), np.linalg.solve(a[0], b[0, :, 0]))
    same(tm.inv(a), np.linalg.inv(a))
    same(tm.det(a), np.linalg.det(a))
    for found, expected in zip(tm.slogdet(a), np.linalg.slogdet(a)):
        same(found, expected)
    same(tm.cholesky(spd), np.linalg.cholesky(spd), operations=10)
    same(tm.cholesky(spd, upper=True), np.linalg.cholesky(spd).mT, operations=10)


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_they_are_right_at_orders_one_to_three(f):
    tm.testing.check_grad(lambda a: tm.sin(f(a)), SPD, order=3, rtol=1e-8)


def test_solve_differentiates_its_right_hand_side():
    tm.testing.check_grad(lambda a, b: tm.sin(tm.solve(a, b)), SPD, B, order=3, elements=10, rtol=1e-8)


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_vmap_of_them_is_a_loop(f):
    vmap_is_a_loop(f, (SPD,), (0,))


def test_vmap_of_solve_shares_what_is_shared():
    vmap_is_a_loop(tm.solve, (SPD, B), (0, 0))
    vmap_is_a_loop(tm.solve, (SPD[0], B), (None, 0))
    vmap_is_a_loop(tm.solve, (SPD, B[0]), (0, None))


def test_cholesky_reads_the_symmetric_part_and_has_symmetric_gradients():
    lopsided = SPD[0] + np.triu(np.ones((3, 3)), 1) - np.tril(np.ones((3, 3)), -1)
    np.testing.assert_allclose(tm.cholesky(lopsided).numpy(), np.linalg.cholesky(SPD[0]), rtol=1e-14)
    g = tm.grad(lambda a: (tm.cholesky(a) * RNG.normal(size=(3, 3))).sum())(lopsided).numpy()
    assert np.array_equal(g, g.T)


def test_the_sign_of_a_determinant_has_no_gradient():
    assert not tm.grad(lambda a: tm.slogdet(a)[0].sum())(A).numpy().any()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: tm.inv(np.ones((2, 3))), ValueError, "square"),
        (lambda: tm.inv(np.ones((2, 2), int)), TypeError, "astype"),
        (lambda: tm.solve(np.eye(2), np.ones(3)), ValueError, "don't fit"),
        (lambda: tm.inv(np.zeros((2, 2))), np.linalg.LinAlgError, "Singular"),
        (lambda: tm.cholesky(-np.eye(2)), np.linalg.LinAlgError, "positive definite"),
    ],
)
def test_matrices_that_have_no_answer_are_explained(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "test_matrices.py" in str(caught.value)
