"""A mistake is one sentence that names the fix, eager and compiled alike, and no false number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.meta.core import mistakes

EPISODE = tm.tasks.Episode
TASKS, WAYS, WIDTH = 4, 3, 6


@dataclass(frozen=True)
class Tasks:
    """Classification tasks, spoiled by `spoil`."""

    spoil: Callable[[Any], Any] = lambda episodes: episodes

    def sample(self, rng: np.random.Generator, tasks: int) -> Any:
        x = rng.normal(size=(tasks, 2 * WAYS, WIDTH))
        y = np.tile(np.arange(WAYS), (tasks, 2))
        return self.spoil(EPISODE((x, y), (x + 0.1, y)))


def network(rng: np.random.Generator) -> Any:
    return tm.nn.MLP([WIDTH, 8, WAYS], rng=rng, dtype=np.float64)


MAML = tm.meta.MAML(network=network, rule=tm.optim.SGD(0.1))
PROTO = tm.meta.ProtoNet(ways=WAYS, network=network)
BATCHNORM = replace(MAML, network=lambda rng: tm.nn.Sequential(network(rng), tm.nn.BatchNorm(WAYS, dtype=np.float64)))


def fitted(tasks: Any = None, objective: Any = MAML, phi: Any = None, **options: Any) -> Any:
    phi = network(np.random.default_rng(0)) if phi is None else phi
    how = {"optimizer": tm.optim.Adam(0.01), "iterations": 2, "meta_batch": TASKS} | options
    return tm.meta.fit(objective, phi, Tasks() if tasks is None else tasks, **how)


def relabelled(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda e: EPISODE(*((x, f(y)) for x, y in e))


def arrays(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda e: EPISODE(*((f(x), f(y)) for x, y in e))


SPOILED: dict[str, tuple[Any, Any, str]] = {
    "labels from 1 on": (MAML, relabelled(lambda y: y + 1), "np.unique"),
    "labels of all classes": (PROTO, relabelled(lambda y: y + 20), "np.unique"),
    "negative labels": (PROTO, relabelled(lambda y: y - 1), "np.unique"),
    "more ways than the task has": (replace(PROTO, ways=WAYS + 1), lambda e: e, "fewer ways"),
    "no axis of tasks": (MAML, arrays(lambda a: a[0]), "leading axis of that many tasks"),
    "another number of tasks": (MAML, arrays(lambda a: a[:1]), "leading axis of that many tasks"),
    "as many examples as tasks, and no axis of tasks": (MAML, arrays(lambda a: a[0][:TASKS]), r"a\[None\]"),
    "no axis of features": (MAML, lambda e: EPISODE(*((x[..., 0], y) for x, y in e)), r"x\[\.\.\., None\]"),
    "more labels than examples": (MAML, lambda e: EPISODE(*((x[:, 1:], y) for x, y in e)), "as many examples"),
    "lists": (MAML, arrays(lambda a: a.tolist()), "make NumPy arrays of lists"),
    "a plain tuple": (MAML, tuple, r"tm\.tasks\.Episode\(support, query\)"),
    "a dict": (MAML, lambda e: e._asdict(), r"tm\.tasks\.Episode\(support, query\)"),
    "a single example to normalise": (BATCHNORM, arrays(lambda a: a[:, :1]), "Pass more examples"),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", SPOILED)
def test_spoiled_tasks_are_refused_in_a_sentence_that_names_the_fix(name: str, compiled: bool) -> None:
    objective, spoil, words = SPOILED[name]
    phi = objective.init(np.random.default_rng(0))
    with pytest.raises((ValueError, IndexError), match=words) as refusal:
        fitted(Tasks(spoil), objective, phi, compiled=compiled)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", [name for name in SPOILED if "label" in name and "examples" not in name])
def test_labels_that_go_wrong_later_are_seen_by_a_program_that_is_replayed(name: str) -> None:
    objective, spoil, words = SPOILED[name]
    seen = []

    def later(episodes: Any) -> Any:
        seen.append(episodes)
        return spoil(episodes) if len(seen) > 2 else episodes

    with pytest.raises((ValueError, IndexError), match=words):
        fitted(Tasks(later), objective, objective.init(np.random.default_rng(0)), compiled=True, iterations=4)
    assert len(seen) == 3


ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "no family": ({"tasks": [1]}, "sample"),
    "a class of optimizers": ({"optimizer": tm.optim.Adam}, r"tm\.optim\.SGD\(0\.01\)"),
    "a step size alone": ({"optimizer": 0.01}, r"tm\.optim\.SGD\(0\.01\)"),
    "no iterations": ({"iterations": -1}, "iterations must be a whole number"),
    "half an iteration": ({"iterations": 2.5}, "iterations must be a whole number"),
    "no tasks": ({"meta_batch": 0}, "meta_batch must be a whole number, 1 or more"),
    "an inner step size alone": ({"objective": replace(MAML, rule=0.1)}, "rule must be an optimizer"),
    "negative steps": ({"objective": replace(MAML, steps=-3)}, "steps must be a whole number"),
    "half a step": ({"objective": replace(MAML, steps=1.5)}, "steps must be a whole number"),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_cannot_be_asked_is_refused_in_a_sentence(name: str) -> None:
    options, words = ASKED[name]
    with pytest.raises(tm.UserError, match=words):
        fitted(**options)


def squares(phi: Any, episodes: Any) -> Any:
    return tm.mean(phi(tm.tensor(episodes.query[0])) ** 2)


NOTHING: dict[str, Any] = {
    "a constant": lambda phi, episodes: tm.tensor(1.0),
    "a number": lambda phi, episodes: 1.0,
    "a model of its own": lambda phi, episodes: squares(network(np.random.default_rng(1)), episodes),
    "a model cut from the record": lambda phi, e: squares(tm.tree.map(lambda p: p.detach(), phi), e),
    "phi rounded": lambda phi, e: squares(tm.tree.map(tm.round, phi), e),
    "phi behind stop_gradient": lambda phi, e: squares(tm.tree.map(tm.stop_gradient, phi), e),
}


@pytest.mark.parametrize(
    "optimizer", [tm.optim.Adam(0.1), tm.optim.AdamW(0.1, weight_decay=0.3)], ids=["adam", "adamw"]
)
@pytest.mark.parametrize("name", NOTHING)
def test_a_loss_that_ignores_phi_ends_the_training_in_its_first_step(name: str, optimizer: Any) -> None:
    with pytest.raises(tm.UserError, match="no slope in phi"):
        fitted(objective=NOTHING[name], optimizer=optimizer)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_gradient_of_exactly_zero_is_told(compiled: bool) -> None:
    flat = lambda phi, episodes: tm.sum(tm.relu(-phi["w"]))
    with pytest.warns(UserWarning, match="exactly 0 for all of phi"):
        fitted(objective=flat, phi={"w": np.ones(2)}, compiled=compiled)


def test_a_learning_rate_of_zero_is_no_loss_that_ignores_phi(recwarn: Any) -> None:
    fitted(optimizer=tm.optim.SGD(lambda step: 0.0 * step))
    assert not recwarn.list


def test_a_check_that_compares_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: a step is never taken for an idle one."""
    monkeypatch.setattr(mistakes, "_close", lambda a, b: False)
    phi = network(np.random.default_rng(0))
    after = fitted(objective=NOTHING["a constant"], phi=phi)
    assert all(np.array_equal(a, b) for a, b in zip(tm.tree.leaves(after), tm.tree.leaves(phi)))


@pytest.mark.parametrize("one", [False, True])
def test_a_measurement_refuses_tasks_without_their_axis(one: bool) -> None:
    episodes = arrays(lambda a: a[0] if one else a)(Tasks().sample(np.random.default_rng(0), 5))
    measure = lambda: tm.meta.evaluate(
        MAML, tm.meta.transductive(tm.nn.accuracy), MAML.init(np.random.default_rng(0)), episodes
    )
    if one:
        with pytest.raises(tm.UserError, match=r"a\[None\]"):
            measure()
    else:
        assert measure().shape == (5, 2)


def test_a_measurement_of_no_tasks_or_none_at_once_is_refused() -> None:
    episodes, phi = Tasks().sample(np.random.default_rng(0), 5), MAML.init(np.random.default_rng(0))
    score = tm.meta.transductive(tm.nn.accuracy)
    with pytest.raises(tm.UserError, match="at_once must be"):
        tm.meta.evaluate(MAML, score, phi, episodes, at_once=0)
    with pytest.raises(tm.UserError, match="number of tasks must be"):
        tm.meta.evaluate(MAML, score, phi, tm.tree.map(lambda a: a[:0], episodes))


SPREAD: dict[str, tuple[Callable[[Any, Any], Any], bool]] = {
    "all pairs": (lambda out, y: ((out - y) ** 2).mean(), True),
    "all pairs, the other way round": (lambda out, y: tm.abs(y - out).mean(), True),
    "one of each": (lambda out, y: ((out[..., 0] - y) ** 2).mean(), False),
    "pairs of targets, as in a ranking": (
        lambda out, y: ((out - out.mT) * (y[..., None] - y) - 1).mean(),
        False,
    ),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", SPREAD)
def test_targets_that_meet_the_predictions_of_all_examples_are_told(name: str, compiled: bool, recwarn: Any) -> None:
    loss, wrong = SPREAD[name]
    line = lambda rng: tm.nn.Linear(WIDTH, 1, rng=rng, dtype=np.float64)
    learner = tm.meta.MAML(lambda model, batch: loss(model(batch[0]), batch[1]), network=line, rule=tm.optim.SGD(0.01))
    tasks = Tasks(lambda e: EPISODE(*((x, x[..., 0]) for x, _ in e)))
    fitted(tasks, learner, line(np.random.default_rng(0)), compiled=compiled)
    assert [
        str(w.message).startswith("a prediction of shape (n, 1) minus a target of shape (n,)") for w in recwarn
    ] == ([True] * wrong)
