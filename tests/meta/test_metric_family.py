"""What the metric and the black-box learners compute, against their papers' equations in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.learners import LEARNERS, WAYS, episodes, start


def task() -> tm.tasks.Episode:
    return next(tm.tasks.unstack(episodes(tasks=1, shots=2, query=3)))


def embedded(name: str) -> tuple[Any, Any, Any, Any]:
    """The learner's outputs on a task's queries, and the embeddings and labels that they must come from."""
    learner = LEARNERS[name]
    phi, (x, labels), (queries, _) = start(learner), task().support, task().query
    outputs = learner.learn(phi, (x, labels))(queries).numpy()
    embed = phi.embed if name == "relation" else phi
    return outputs, embed(x).numpy(), labels, embed(queries).numpy()


def test_prototypes_are_means_and_logits_minus_squared_distances() -> None:
    outputs, support, labels, queries = embedded("protonet")
    prototypes = np.stack([support[labels == k].mean(0) for k in range(WAYS)])  # eq. 1
    distances = ((queries[:, None] - prototypes) ** 2).sum(-1)  # eq. 2
    np.testing.assert_allclose(outputs, -distances, atol=1e-12)


def test_a_matching_network_gives_the_attention_weighted_vote() -> None:
    outputs, support, labels, queries = embedded("matching")
    cosine = (queries @ support.T) / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(support, axis=1)
    attention = np.exp(cosine) / np.exp(cosine).sum(1, keepdims=True)
    vote = attention @ np.eye(WAYS)[labels]  # eq. 1
    np.testing.assert_allclose(tm.nn.softmax(outputs).numpy(), vote, rtol=1e-6)  # 1e-8 is added to each length


def test_a_relation_network_compares_each_query_with_the_sum_of_each_class() -> None:
    outputs, support, labels, queries = embedded("relation")
    compare = start(LEARNERS["relation"]).compare
    for j, q in enumerate(queries):
        for k in range(WAYS):
            pair = np.concatenate([support[labels == k].sum(0), q])  # eq. 1: C(f(x_k), f(x_j))
            assert outputs[j, k] == pytest.approx(float(compare(pair[None])[0, 0]), rel=1e-12)


def test_the_relation_loss_is_the_squared_error_of_the_scores() -> None:
    learner, (x, labels) = LEARNERS["relation"], task().query
    model = learner.learn(start(learner), task().support)
    scores = 1 / (1 + np.exp(-model(x).numpy()))
    expected = ((scores - np.eye(WAYS)[labels]) ** 2).mean()  # eq. 2
    assert float(learner.loss(model, (x, labels))) == pytest.approx(expected, rel=1e-12)


def test_relations_of_feature_maps_are_compared_channel_by_channel() -> None:
    rng = np.random.default_rng(0)
    embed = tm.nn.Conv2d(1, 2, 3, rng=rng, dtype=np.float64)
    compare = tm.nn.Sequential(
        tm.nn.Conv2d(4, 1, 2, rng=rng, dtype=np.float64), lambda maps: maps.reshape((len(maps), -1))
    )
    images = rng.normal(size=(2, 1, 4, 4))
    learner = tm.meta.RelationNet(ways=2)
    outputs = learner.learn(tm.meta.Relation(embed, compare), (images, np.array([1, 0])))(images[:1])
    maps = embed(images)
    for k, i in ((0, 1), (1, 0)):
        expected = compare(tm.concat([maps[i : i + 1], maps[:1]], 1))
        assert float(outputs[0, k]) == pytest.approx(float(expected[0, 0]), rel=1e-12)


def test_an_in_context_learner_answers_each_query_on_its_own() -> None:
    learner = LEARNERS["in-context"]
    model = learner.learn(start(learner), task().support)
    x = task().query[0]
    np.testing.assert_allclose(model(x).numpy()[4:5], model(x[4:5]).numpy(), rtol=1e-12)


def test_an_in_context_learner_reads_its_labels() -> None:
    learner, (x, labels) = LEARNERS["in-context"], task().support
    phi, query = start(learner), task().query[0]
    renamed = learner.learn(phi, (x, (labels + 1) % WAYS))(query).numpy()
    assert np.abs(renamed - learner.learn(phi, (x, labels))(query).numpy()).max() > 1e-3


def test_an_in_context_learner_does_regression_with_targets_as_they_are() -> None:
    rng = np.random.default_rng(0)
    reader = tm.meta.Reader(lambda x: x, 1, 1, 1, rng=rng, width=8, heads=2, layers=1, dtype=np.float64)
    learner = tm.meta.InContext(tm.meta.regression)
    batch = tm.tasks.Sinusoids(4, 4, dtype=np.float64).sample(rng, 2)
    assert np.isfinite(float(learner(reader, batch)))


def test_labels_beyond_the_ways_are_an_error() -> None:
    learner = tm.meta.ProtoNet(ways=2, network=LEARNERS["protonet"].network)
    with pytest.raises(IndexError, match="2 classes"):
        learner(start(learner), episodes())


def test_a_learner_without_a_network_says_what_to_pass() -> None:
    with pytest.raises(tm.UserError, match="network="):
        tm.meta.ProtoNet().init(np.random.default_rng(0))
