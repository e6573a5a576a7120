"""Measuring: one number per task and stage; transductive and inductive; the same for every learner."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.learners import LEARNERS, episodes, normalised_network, start

ACCURACY = tm.meta.transductive(tm.nn.accuracy)


@pytest.mark.parametrize("name", LEARNERS)
def test_there_is_a_number_for_every_task_and_stage(name: str) -> None:
    learner = LEARNERS[name]
    if isinstance(learner, tm.meta.GradientLearner):
        learner = replace(learner, test_steps=2)
    batch, phi = episodes(tasks=5), start(learner)
    stages = 3 if isinstance(learner, tm.meta.GradientLearner) else 1
    for measure in (ACCURACY, tm.meta.inductive(tm.nn.accuracy)):
        rates = tm.meta.evaluate(learner, measure, phi, batch, at_once=2)
        assert rates.shape == (5, stages)
        assert ((rates >= 0) & (rates <= 1)).all()


def test_tasks_measured_in_several_parts_give_the_same_numbers() -> None:
    learner, batch = LEARNERS["maml, 3 steps"], episodes(tasks=7)
    phi, measure = start(learner), tm.meta.on_query(LEARNERS["maml, 3 steps"].loss)
    together, in_parts = (tm.meta.evaluate(learner, measure, phi, batch, at_once=n) for n in (7, 3))
    np.testing.assert_allclose(in_parts, together, rtol=1e-12)


def test_a_stage_is_the_query_loss_after_as_many_steps() -> None:
    learner, batch = LEARNERS["maml, 3 steps"], episodes(tasks=3)
    phi = start(learner)
    curve = tm.meta.evaluate(learner, tm.meta.on_query(learner.loss), phi, batch)
    for steps in range(4):
        expected = tm.meta.maml(learner.loss, rule=learner.rule, steps=steps)(phi, batch)
        assert curve[:, steps].mean() == pytest.approx(float(expected), rel=1e-12)


def test_the_curve_of_a_bare_loss_is_that_of_its_learner() -> None:
    learner, batch = LEARNERS["maml, 3 steps"], episodes(tasks=3)
    phi, measure = start(learner), tm.meta.on_query(learner.loss)
    bare = tm.meta.adaptation_curve(learner.loss, measure, phi, batch, rule=learner.rule, steps=3)
    np.testing.assert_array_equal(bare, tm.meta.evaluate(learner, measure, phi, batch))


def outputs(measure: Any, query: Any) -> Any:
    """What a normalised model answers to a query set, as the measure lets it see it."""
    model = normalised_network(np.random.default_rng(0))
    support = np.random.default_rng(1).normal(size=(6, 2))
    seen: list[Any] = []
    measure(lambda answers, y: seen.append(answers) or tm.sum(answers))(model, (support, None), (query, None))
    return seen[0].numpy()


def test_inductive_answers_do_not_depend_on_the_other_queries() -> None:
    query = np.random.default_rng(2).normal(size=(4, 2))
    changed = query.copy()
    changed[1:] *= 5
    for measure, alone in ((tm.meta.inductive, True), (tm.meta.transductive, False)):
        same = np.allclose(outputs(measure, query)[0], outputs(measure, changed)[0], rtol=1e-12)
        assert same == alone


def test_an_inductive_answer_normalises_with_the_support_set() -> None:
    model, support = normalised_network(np.random.default_rng(0)), np.random.default_rng(1).normal(size=(6, 2))
    query = np.random.default_rng(2).normal(size=(3, 2))
    answers = tm.meta.one_by_one(model, support)(query).numpy()
    for answer, x in zip(answers, query):
        np.testing.assert_allclose(answer, model(np.concatenate([support, x[None]])).numpy()[-1], rtol=1e-12)
