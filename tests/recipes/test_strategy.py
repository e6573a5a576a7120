"""The strategy recipe: what its objective's gradient is, and that tests are on data of their own."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.meta.tuning.strategy import Mixture
from tinymeta.recipes import strategy


def test_every_task_counts_in_the_gradient_by_a_vector_of_at_most_1() -> None:
    every = strategy.problems(np.random.default_rng(0))
    kinds = {name: every.kinds[name] for name in ("sinusoids", "quadratics")}
    batch = strategy.Problems(kinds).sample(np.random.default_rng(1), 3)
    config, phi, longest = strategy.Config(steps=4), Mixture(), 0.0
    phi.said = tm.tensor(np.full(phi.said.shape, 1.0, np.float32))  # long steps, whose gradients are long
    value, grads = tm.value_and_grad(partial(strategy.objective, kinds, config, False))(phi, batch)
    scores, slopes = [], []
    for name, kind in kinds.items():
        for k in range(3):
            score, slope = tm.value_and_grad(
                lambda phi, *task, kind=kind: strategy.remaining(kind, config, phi, False, *task)[0]
            )(phi, *tm.tree.map(lambda a, k=k: a[k], batch[name]))
            found = slope.said.numpy().astype(np.float64)
            scores.append(float(score))
            longest = max(longest, float(np.linalg.norm(found)))
            slopes.append(found / max(1.0, np.linalg.norm(found)))
    assert longest > 1.5
    # Sums of a few hundred float32 numbers of either sign, in another order.
    bound = 1e3 * np.finfo(np.float32).eps
    assert float(value) == pytest.approx(np.mean(scores), abs=bound * np.abs(scores).max())
    np.testing.assert_allclose(grads.said.numpy(), np.mean(slopes, 0), atol=bound)


def largest(theta: Any) -> Any:
    """Of the arrays of a model the largest, which is not all zeros."""
    return max((leaf.numpy() for leaf in tm.tree.leaves(theta)), key=lambda a: a.size)


def test_no_character_and_no_first_weights_are_met_again() -> None:
    def drawn(seed: int) -> tuple[set[bytes], set[bytes]]:
        rng = np.random.default_rng(seed)
        every = strategy.problems(rng)
        family: Any = every.kinds["characters"].family
        images = {image.tobytes() for hands in family.classes.images for image in hands}
        batches = [every.sample(rng, 3) for _ in range(2)]
        thetas = [theta for batch in batches for theta, _, _ in batch.values()]
        weights = {task.tobytes() for theta in thetas for task in largest(theta)}
        assert len(weights) == 2 * 3 * len(every.kinds)
        return images, weights

    (images, weights), (others, other_weights) = drawn(0), drawn(1)
    assert not images & others and not weights & other_weights
