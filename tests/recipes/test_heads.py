"""Heads on features: each is what it says, for many tasks at once, and a run chooses among them by validation."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.recipes.pictures import CLASSES
from tinymeta.engine.errors import UserError
from tinymeta.recipes import answering, handmade, heads
from tinymeta.recipes.answering import Answering
from tinymeta.recipes.heads import EXACT, STRENGTH, Tasks

WAYS, SHOTS, WIDTH = 4, 3, 6


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Support features, labels and query features of five tasks."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.repeat(np.arange(WAYS), SHOTS), (5, 1))
    return rng.normal(size=(5, WAYS * SHOTS, WIDTH)), labels, rng.normal(size=(5, 7, WIDTH))


@pytest.mark.parametrize("name", ["nearest neighbour", "class means"])
def test_distances_are_those_of_a_loop(name: str, drawn: Any) -> None:
    xs, ys, xq = drawn
    found = heads.HEADS[name](xs, ys, xq, WAYS)
    for t in range(5):
        for q in range(7):
            for k in range(WAYS):
                mine = xs[t, ys[t] == k]
                points = mine if name == "nearest neighbour" else mine.mean(0)[None]
                least = min(((xq[t, q] - point) ** 2).sum() for point in points)
                np.testing.assert_allclose(-found[t, q, k], least, rtol=1e-12)  # sums of six squares


def test_logistic_regression_is_at_its_optimum(drawn: Any) -> None:
    """Nesterov leaves at most EXACT (f₀ − f* + λ/2 ‖W*‖²) ≤ 2 EXACT ln K, and ‖∇‖² is at most 2 (½ + λ) times that."""
    xs, ys, _ = drawn
    logits = heads.logistic(xs, ys, xs, WAYS)
    n = xs.shape[1]
    x = xs - xs.mean(1, keepdims=True)
    x /= np.sqrt((x**2).sum((1, 2), keepdims=True) / n)
    w = np.linalg.pinv(x) @ logits  # in the span of the examples
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    gradient = np.swapaxes(x, -1, -2) @ (p - (ys[..., None] == np.arange(WAYS))) / n + STRENGTH * w
    most = np.sqrt(2 * (0.5 + STRENGTH) * 2 * EXACT * np.log(WAYS))
    assert (np.linalg.norm(gradient, axis=(1, 2)) < most).all()
    assert (np.linalg.norm(w, axis=(1, 2)) > 10 * most).all()  # so that zeros would be noticed


def test_logistic_regression_knows_neither_scale_nor_place(drawn: Any) -> None:
    xs, ys, xq = drawn
    moved = heads.logistic(100 * xs + 7, ys, 100 * xq + 7, WAYS)
    # 16 digits, of which the shift takes at most two, and each of some hundred steps may add a rounding
    np.testing.assert_allclose(moved, heads.logistic(xs, ys, xq, WAYS), rtol=0, atol=1e-9)


def test_tasks_by_number_are_those_that_a_family_draws() -> None:
    family = tm.tasks.FewShotImages(CLASSES.select(range(7)), ways=3, shots=2, query=1, flatten=False)
    (xs, ys), (xq, yq) = family.sample(np.random.default_rng(5), 4)
    pictures, tasks = heads.drawn(family, np.random.default_rng(5), 4)
    shaped = heads.shaped(pictures)
    np.testing.assert_array_equal(shaped[tasks.support], xs)
    np.testing.assert_array_equal(shaped[tasks.query], xq)
    np.testing.assert_array_equal(tasks.labels, ys)
    np.testing.assert_array_equal(tasks.answers, yq)


def test_places_are_compared_as_the_learner_does() -> None:
    rng = np.random.default_rng(0)
    phi = tm.meta.LocalMatcher(lambda x: x, 2, 3, rng=rng)
    x = rng.normal(size=(9, 2, 3, 3)).astype(np.float32)
    tasks = Tasks(np.array([[0, 1, 2, 3]]), np.array([[0, 0, 1, 1]]), np.array([[4, 5, 6]]), np.array([[0, 1, 0]]))
    features = tm.tree.map(tm.Tensor.numpy, phi.places(x))
    asked = Answering(phi, answering.PLACES)
    model = tm.meta.LocalMatching(ways=2).learn(phi, (x[:4], np.array([0, 0, 1, 1])))
    np.testing.assert_allclose(asked.scores(features, tasks)[0], model(x[4:7]).numpy(), rtol=1e-4)  # float32 sums
    itself = Tasks(np.array([[0, 1]]), np.array([[0, 1]]), np.array([[0, 1]]), np.array([[0, 1]]))
    apart = asked.distances(features, itself)[0]
    assert np.diagonal(apart).max() < 1e-3 < apart[0, 1]  # nothing is nearer to a picture than itself


def test_the_head_that_validation_finds_best_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that sees nothing leaves the pixels, and one that sees all needs nothing beside it."""
    monkeypatch.setattr(handmade, "can_see_edges", lambda: False)
    family = tm.tasks.FewShotImages(CLASSES, ways=4, shots=2, query=2, flatten=False)
    blind = lambda x: tm.zeros((len(x), 3))
    found = answering.chosen(blind, answering.CHOICES, family, np.random.default_rng(0))
    assert found.head == "joint" and len(found.scales) == 2
    assert answering.chosen(blind, ["prototypes"], family, np.random.default_rng(0)).head == "prototypes"


def test_edges_are_looked_at_where_scikit_image_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def hog(image: np.ndarray, **how: Any) -> np.ndarray:
        asked.append((image.shape, how["channel_axis"]))
        return image.reshape(-1)[:5]

    monkeypatch.setitem(sys.modules, "skimage", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "skimage.feature", SimpleNamespace(hog=hog))
    handmade.can_see_edges.cache_clear()
    colour = np.random.default_rng(0).integers(0, 256, (4, 3, 16, 16)).astype(np.uint8)
    assert handmade.can_see_edges()
    assert handmade.edges_and_colours(colour).shape == (4, 5 + 3 * handmade.SHADES)
    assert handmade.edges_and_colours(colour[:, 0]).shape == (4, 5)
    assert asked == [((3, 16, 16), 0)] * 4 + [((16, 16), None)] * 4
    np.testing.assert_allclose(handmade.colours(colour).reshape(4, -1, 3).sum(1), 1)
    monkeypatch.undo()
    handmade.can_see_edges.cache_clear()


def test_a_head_with_edges_says_what_it_lacks_without_scikit_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handmade, "can_see_edges", lambda: False)
    asked = Answering(lambda x: tm.zeros((len(x), 3)), "joint", (1.0, 1.0, 1.0))
    with pytest.raises(UserError, match="needs scikit-image"):
        asked.features(np.zeros((2, 16, 16), np.uint8))
    family = tm.tasks.FewShotImages(CLASSES, ways=4, shots=2, query=2, flatten=False)
    with pytest.raises(UserError, match="needs scikit-image"):
        answering.chosen(asked.phi, ["edges"], family, np.random.default_rng(0))


@pytest.mark.parametrize("said", ['{"heads": {}}', '{"heads": {"": {"head": "joint", "scales": [-1.0]}}}', "[]"])
def test_damaged_heads_are_told(tmp_path: Path, said: str) -> None:
    (tmp_path / answering.FILE).write_text(said)
    with pytest.raises(UserError, match="is damaged"):
        answering.kept(SimpleNamespace(folder=tmp_path), "", None)  # type: ignore[arg-type]
