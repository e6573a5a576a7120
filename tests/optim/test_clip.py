"""Clipping: no gradient longer than asked for, and none that was short enough changed."""

from __future__ import annotations

from functools import partial

import numpy as np

import tinymeta as tm


def test_a_long_gradient_is_shortened_to_the_limit_and_keeps_its_direction() -> None:
    grads = {"a": tm.tensor([3.0, 0.0]), "b": tm.tensor([[4.0]])}  # length 5
    clipped = tm.optim.clip_by_global_norm(grads, 1.0)
    np.testing.assert_allclose(clipped["a"].numpy(), [0.6, 0.0])
    np.testing.assert_allclose(clipped["b"].numpy(), [[0.8]])


def test_a_short_gradient_is_unchanged_to_the_bit() -> None:
    grads = [tm.tensor(np.array([0.1, 0.2], np.float32))]
    clipped = tm.optim.clip_by_global_norm(grads, 1.0)
    np.testing.assert_array_equal(clipped[0].numpy(), grads[0].numpy())
    assert clipped[0].dtype == np.float32


def test_the_norm_of_nothing_is_zero_with_gradient_zero() -> None:
    norm, slope = tm.value_and_grad(tm.optim.global_norm)(tm.tensor([0.0, 0.0]))
    assert float(norm) == 0.0
    np.testing.assert_array_equal(slope.numpy(), [0.0, 0.0])


def test_clipping_is_differentiable() -> None:
    tm.testing.check_grad(
        lambda g: tm.sum(tm.sin(tm.optim.clip_by_global_norm([g], 0.5)[0])), np.array([0.7, -0.4, 0.2]), order=2
    )


def test_clip_by_value_limits_every_entry() -> None:
    (clipped,) = tm.optim.clip_by_value([tm.tensor([-3.0, 0.5, 3.0])], 1.0)
    np.testing.assert_array_equal(clipped.numpy(), [-1.0, 0.5, 1.0])


def test_an_optimizer_can_be_made_to_see_clipped_gradients() -> None:
    optimizer = tm.optim.Clipped(tm.optim.SGD(1.0), partial(tm.optim.clip_by_global_norm, limit=1.0))
    p = tm.tensor([0.0, 0.0])
    p, _ = optimizer.update(tm.tensor([30.0, 40.0]), optimizer.init(p), p)
    np.testing.assert_allclose(p.numpy(), [-0.6, -0.8])
