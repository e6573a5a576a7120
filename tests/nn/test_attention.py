"""Attention against its equation, with heads and masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_attention_is_a_softmax_weighted_mean_of_values() -> None:
    q, k, v = rng().normal(size=(3, 4)), rng().normal(size=(5, 4)), rng().normal(size=(5, 2))
    np.testing.assert_allclose(tm.nn.attention(q, k, v).numpy(), softmax(q @ k.T / 2) @ v, rtol=1e-13)


def test_a_masked_key_has_no_say_and_gets_no_gradient() -> None:
    q, k, v = rng().normal(size=(3, 4)), rng().normal(size=(5, 4)), rng().normal(size=(5, 2))
    mask = np.array([True, True, True, False, True])
    kept = [0, 1, 2, 4]
    np.testing.assert_allclose(
        tm.nn.attention(q, k, v, mask).numpy(), tm.nn.attention(q, k[kept], v[kept]).numpy(), rtol=1e-13
    )
    gk, gv = tm.grad(lambda k, v: tm.sum(tm.nn.attention(q, k, v, mask)), argnums=(0, 1))(k, v)
    assert (gk.numpy()[3] == 0).all() and (gv.numpy()[3] == 0).all()
    assert np.isfinite(gk.numpy()).all()


def test_heads_attend_in_their_own_parts_of_the_width() -> None:
    layer = tm.nn.MultiHeadAttention(6, 3, rng=rng(), dtype=np.float64)
    x, memory = rng().normal(size=(4, 6)), rng().normal(size=(5, 6))
    q, k, v = (f(a).numpy() for f, a in ((layer.query, x), (layer.key, memory), (layer.value, memory)))
    heads = [softmax(q[:, h : h + 2] @ k[:, h : h + 2].T / np.sqrt(2)) @ v[:, h : h + 2] for h in (0, 2, 4)]
    np.testing.assert_allclose(layer(x, memory).numpy(), layer.out(np.hstack(heads)).numpy(), rtol=1e-12)


def test_a_row_that_looks_back_only_does_not_see_what_comes() -> None:
    layer = tm.nn.MultiHeadAttention(4, 2, rng=rng(), dtype=np.float64)
    x = rng().normal(size=(5, 4))
    changed = x.copy()
    changed[3:] += 1
    past = np.tril(np.ones((5, 5), bool))
    np.testing.assert_array_equal(layer(x, mask=past).numpy()[:3], layer(changed, mask=past).numpy()[:3])


def test_a_batch_of_sequences_is_attended_one_by_one() -> None:
    layer = tm.nn.MultiHeadAttention(4, 2, rng=rng(), dtype=np.float64)
    x = rng().normal(size=(3, 5, 4))
    np.testing.assert_allclose(layer(x).numpy()[1], layer(x[1]).numpy(), rtol=1e-12)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="5 into 2 heads"):
        tm.nn.MultiHeadAttention(5, 2, rng=rng())


@pytest.mark.parametrize("mask", [np.array([[0.0, -1e9], [0.0, 0.0]]), np.array([[1, 0], [1, 1]])])
def test_a_mask_of_numbers_is_refused_for_it_may_mean_either_of_two_things(mask: np.ndarray) -> None:
    x = np.ones((2, 3))
    with pytest.raises(TypeError, match="in booleans"):
        tm.nn.attention(x, x, x, mask)


def test_no_heads_and_a_lone_row_are_refused() -> None:
    with pytest.raises(ValueError, match="can't split"):
        tm.nn.MultiHeadAttention(4, 0, rng=np.random.default_rng(0))
    layer = tm.nn.MultiHeadAttention(4, 2, rng=np.random.default_rng(0))
    for rows, memory in ((np.ones(4), np.ones((3, 4))), (np.ones((3, 4)), np.ones(4))):
        with pytest.raises(ValueError, match="attention joins rows"):
            layer(rows, memory)


def test_one_head_is_attention_to_the_whole_width() -> None:
    layer, x = tm.nn.MultiHeadAttention(4, 1, rng=rng(), dtype=np.float64), rng().normal(size=(3, 4))
    q, k, v = (part(x) for part in (layer.query, layer.key, layer.value))
    np.testing.assert_allclose(layer(x).numpy(), layer.out(tm.nn.attention(q, k, v)).numpy(), rtol=1e-14)
