"""Products of what is seen through any views: a program reads operands as they lie, and reads the right numbers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tinymeta.compile.program.views import View
from tinymeta.compile.record import products

ORDERS = [list(itertools.permutations(range(n)))[::-1] for n in range(7)]
VIEWS = {
    "transposed": lambda x, k: tm.permute_dims(x, ORDERS[x.ndim][k % len(ORDERS[x.ndim])]),
    "turned round": lambda x, k: tm.flip(x, k % x.ndim),
    "every other": lambda x, k: x[(slice(None),) * (k % x.ndim) + (slice(k % 2, None, 1 + k % 2),)],
    "repeated": lambda x, k: tm.broadcast_to(x[None], (1 + k % 3, *x.shape)),
    "one more axis": lambda x, k: tm.expand_dims(x, k % (x.ndim + 1)),
    "in a row": lambda x, k: tm.reshape(x, (-1,)),
    "in two": lambda x, k: tm.reshape(x, (2, -1)) if x.size % 2 == 0 else x,
    "one of the rows": lambda x, k: x[-1] if x.ndim > 1 else x,
}
Chain = list[tuple[str, int]]
chains = st.lists(st.tuples(st.sampled_from(sorted(VIEWS)), st.integers(0, 11)), max_size=5)


def seen(x: Any, chain: Chain) -> Any:
    for name, k in chain:
        x = VIEWS[name](x, k)
    return tm.reshape(x, (-1, x.shape[-1])) if x.ndim > 2 else x


def product(left: Chain, right: Chain) -> Any:
    def of(a: Any, b: Any) -> Any:
        a, b = seen(a, left), seen(b, right)
        n = min(a.shape[-1], b.shape[0])
        return a[..., :n] @ b[:n]

    return of


def agree(f: Any, a: Any, b: Any) -> None:
    found = tm.compile(f)(a, b)  # a warning is an error in the suite
    for y, expected in zip(tm.tree.leaves(found), tm.tree.leaves(f(a, b)), strict=True):
        np.testing.assert_allclose(np.asarray(y), np.asarray(expected), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("pair", list(itertools.product(VIEWS, VIEWS)), ids=" and ".join)
def test_a_product_of_what_is_seen_through_two_views_is_the_eager_one(pair: tuple[str, str]) -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 4, 3))
    for k in range(4):
        chain = [(pair[0], k), (pair[1], k // 2)]
        agree(product(chain, []), a, b)
        agree(product([], chain), a, b)


@given(left=chains, right=chains, size=st.integers(1, 6))
def test_a_product_of_what_is_seen_through_many_views_is_too(left: Chain, right: Chain, size: int) -> None:
    rng = np.random.default_rng(size)
    a, b, f = rng.normal(size=(2, size)), rng.normal(size=(size, 3, 2)), product(left, right)
    agree(f, a, b)
    agree(tm.grad(lambda a, b: tm.sum(tm.sin(f(a, b))), argnums=(0, 1)), a, b)


def test_a_view_that_is_taken_for_a_transpose_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "Reshape", View)  # a view of any kind
    with pytest.warns(tm.CompileWarning, match="translate"):
        tm.compile(lambda x, v: x.T[::-1] @ v)(np.arange(12.0).reshape(4, 3), np.ones(4))
