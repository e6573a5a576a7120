"""Complex numbers: what NumPy has by the same name is NumPy's or an error, and what has two meanings is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta import ops

OTHERS = {"gradient", "trace"}  # of another meaning there
NAMES = [n for n in ops.__all__ if (hasattr(np, n) or hasattr(np.linalg, n)) and n not in OTHERS]
SHAPES: list[list[tuple[int, ...]]] = [[(3,)], [(2, 3)], [(3, 3)], [(3,), (3,)], [(2, 3), (2, 3)], [(3, 3), (3, 3)]]


def of_numpy(name: str) -> Callable[..., Any]:
    return getattr(np, name, None) or getattr(np.linalg, name)  # type: ignore[no-any-return]


def drawn(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Few different real and imaginary parts, so that some are equal."""
    return rng.integers(-2, 3, shape) + 1j * rng.integers(-2, 3, shape) + np.eye(3)[: shape[0]] * (shape == (3, 3))


def listed(y: Any) -> list[Any]:
    """One array, or the arrays of a tuple."""
    return [np.asarray(x) for x in y] if isinstance(y, (tuple, list)) else [np.asarray(y)]


@pytest.mark.parametrize("name", NAMES)
def test_complex_numbers_give_what_numpy_gives_or_an_error(name: str) -> None:
    rng = np.random.default_rng(0)
    for f in (getattr(tm, name), tm.compile(getattr(tm, name))):
        for shapes in SHAPES * 5:
            agrees(f, of_numpy(name), [drawn(rng, shape) for shape in shapes])


def agrees(f: Callable[..., Any], of_numpy: Callable[..., Any], args: list[Any]) -> None:
    with np.errstate(all="ignore"):
        try:
            right = listed(of_numpy(*args))
        except (TypeError, ValueError, IndexError, np.linalg.LinAlgError):
            return
        try:
            found = listed(f(*args))
        except (TypeError, ValueError, IndexError, np.linalg.LinAlgError) as error:
            assert len(str(error).split()) > 5
            return
    for y, expected in zip(found, right, strict=True):
        assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


Z, W = np.array([[1 + 2j, 1 - 1j], [0.5j, 3.0]]), np.array([[2 - 1j, 1j], [1.0, 1 + 1j]])
AMBIGUOUS: dict[str, Callable[[], Any]] = {
    "which is conjugated, along an axis": lambda: tm.vecdot(Z, W),
    "which is conjugated, in trees": lambda: tm.tree.dot({"a": Z}, {"a": W}),
    "the square of an error": lambda: tm.nn.mse_loss(Z, W),
    "a divergence": lambda: tm.nn.kl_div(Z, W),
    "the variance in a layer": lambda: tm.nn.layer_norm(Z),
    "the variance in a batch": lambda: tm.nn.batch_norm(Z),
    "the variance in a group": lambda: tm.nn.group_norm(Z, 1),
    "the largest in a window": lambda: tm.nn.max_pool2d(Z),
    "the symmetric part": lambda: tm.cholesky(W @ W.conj().T + np.eye(2)),
    "the square of a gradient": lambda: tm.optim.Adam(0.1).update(Z, tm.optim.Adam(0.1).init(Z), Z),
    "which is the gradient": lambda: tm.optim.SGD(0.1).update(Z, tm.optim.SGD(0.1).init(Z), Z),
}


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_what_would_have_two_meanings_is_refused(what: str) -> None:
    for f in (AMBIGUOUS[what], tm.compile(AMBIGUOUS[what])):
        with pytest.raises(TypeError, match=r"takes real numbers and got complex128 of shape \(2, 2\)"):
            f()
