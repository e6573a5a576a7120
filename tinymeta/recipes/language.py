"""A character model that learns a language from a few hundred characters of it, across languages.

A task is one language: the support set is some windows of its text, the query set others. The rival is what
everybody does: one model of all languages, fine-tuned. Both begin as that joint model. Then one is trained on as
before, for at least as much computing; the other is meta-trained, which learns where to start and how far to go: a
step size for every weight and step of an inner Adam (as Meta-SGD and MAML++ do for SGD). The meta-gradient is of
first order, so its cost is that of the inner steps themselves, and the loss counts before the first step, after it
and after the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Options, Tree
from tinymeta.meta.learners.metaadam import HABITS
from tinymeta.meta.learners.metasgd import WeightsAndSteps
from tinymeta.recipes.characters import CharacterModel, bits, bits_each, surprise, written
from tinymeta.recipes.comparison import Comparison
from tinymeta.recipes.recipe import Found, Recipe, Result, Run, Stage, after, by_steps, curves, key, user_mistakes
from tinymeta.tasks.episode import Array, Episode
from tinymeta.view import plots

SHOWN = (0, 1, 5, 10)  # inner steps in the table
BEFORE = 10  # iterations of joint training for each meta-iteration to come
INSTEAD = 6  # and for its rival instead of each: a meta-iteration takes five or six times as long
COMMON = 8000  # a character that is rarer than one in this many counts as unknown
WORTH_COMPILING = 50  # iterations: recording the inner steps takes as long as some of them
TITLES = {"meta-adam": "learned Adam", "meta-sgd": "Meta-SGD", "first-order": "first-order MAML"}
RATES = (0.003, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1)  # step sizes that fine-tuning by Adam chooses from
JOINT = "joint training, fine-tuned"


@dataclass(frozen=True)
class Config:
    iterations: int = key(300, "meta-iterations, after ten times as many of joint training", least=0)
    algorithm: str = key("meta-adam", "how to meta-train", choices=tuple(TITLES))
    tasks: int = key(100, "test tasks", least=2)
    source: str = key("auto", "where languages come from", choices=("auto", "texts", "invented"))
    meta_batch: int = key(4, "languages per iteration", least=1)
    length: int = key(24, "characters per window", least=1)
    shots: int = key(16, "windows to adapt on", least=1)
    query: int = key(8, "windows to judge by in training; twice as many in testing", least=1)
    steps: int = key(5, "inner steps in training", least=1)
    units: int = key(48, "of the recurrent layer", least=1)
    outer_lr: float = key(0.002, "Adam's step size in meta-training, falling to 0 on half a cosine", least=0)
    joint_lr: float = key(0.008, "Adam's step size in joint training, likewise", least=0)


@dataclass(frozen=True)
class Families:
    """The languages of training, of validation and of the test, over one vocabulary."""

    train: tm.tasks.Languages
    validation: tm.tasks.Languages
    test: tm.tasks.Languages

    @property
    def vocabulary(self) -> tm.tasks.Vocabulary:
        return self.train.vocabulary


def families(config: Config, run: Run) -> Families:
    with user_mistakes():
        if config.source == "texts" or (config.source == "auto" and run.data):
            texts = tm.tasks.load_languages(run.data)
        else:
            texts = tm.tasks.markov_languages(150)
        held_out = max(len(texts) // 10, 1), max(len(texts) // 5, 1)
        parts = tm.tasks.split_languages(texts, np.random.default_rng(0), *held_out)
        common = max(sum(map(len, parts[0].values())) // COMMON, 1)
        vocabulary = tm.tasks.Vocabulary.of(parts[0].values(), minimum=common)
        of = partial(tm.tasks.Languages, vocabulary=vocabulary, shots=config.shots, length=config.length)
        train, validation, test = (of(part, query=n * config.query) for part, n in zip(parts, (1, 2, 2)))
        return Families(train, validation, test)


def learner(config: Config, vocabulary: tm.tasks.Vocabulary) -> tm.meta.GradientLearner:
    common: Options = {
        "steps": config.steps,
        "test_steps": max(SHOWN),
        "network": partial(CharacterModel, vocabulary.size, config.units),
    }
    if config.algorithm == "meta-adam":
        return tm.meta.MetaAdam(tm.meta.classification, rate=0.015, **common)
    if config.algorithm == "meta-sgd":
        return tm.meta.MetaSGD(tm.meta.classification, alpha=(1.0, 1.0), differentiate="first_order", **common)
    rule = tm.optim.SGD(1.0)
    return tm.meta.MAML(tm.meta.classification, rule=rule, differentiate="first_order", **common)


def early_and_late(learning: tm.meta.GradientLearner, phi: Tree, episode: Episode) -> tm.Tensor:
    """One task's mean loss before the first step (on support and query alike), after it and after the last."""
    trail, loss = learning.path(phi, episode.support, learning.steps), learning.loss
    before = 0.5 * (loss(trail[0], episode.support) + loss(trail[0], episode.query))
    return (before + loss(trail[1], episode.query) + loss(trail[-1], episode.query)) / 3


def started_at(phi: Tree, theta: Tree) -> Any:
    """φ with the weights θ."""
    return phi._replace(theta=theta) if isinstance(phi, WeightsAndSteps) else theta


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    """Joint training, and both ways to go on from there."""
    languages = families(config, run)
    learning = learner(config, languages.vocabulary)
    rng = partial(np.random.default_rng, [run.seed, 1])

    def stage(objective: object, start: Tree, count: int, lr: float, seed: int = 0) -> Stage:
        rule = tm.optim.Adam(tm.optim.schedules.cosine(lr, max(count, 1)))
        how: Options = {"iterations": count, "seed": run.seed + seed, "compiled": count >= WORTH_COMPILING}
        return Stage.of(config, run, objective, languages.train, rule, start, **how)

    joint, often, longer = tm.meta.joint(learning.loss), BEFORE * config.iterations, INSTEAD * config.iterations
    yield "joint", stage(joint, learning.weights(rng()), often, config.joint_lr, BEFORE)
    yield "longer", stage(joint, found["joint"], longer, config.joint_lr / 2, INSTEAD)
    ours = tm.meta.over_tasks(partial(early_and_late, learning))
    yield "meta", stage(ours, started_at(learning.init(rng()), found["joint"]), config.iterations, config.outer_lr)


def measure(config: Config, run: Run, found: Found) -> Result:
    languages = families(config, run)
    learning = learner(config, languages.vocabulary)
    tune = languages.validation.sample(np.random.default_rng([run.seed, 3]), min(config.tasks, 25))
    test = languages.test.sample(run.rng("test"), config.tasks)
    comparison = Comparison(run.stage("tuning"), config.iterations)
    fine = comparison.tuned(JOINT, RATES, partial(fine_tuned, found["longer"]), tune, test, SHOWN)
    trail = tm.meta.evaluate(learning, tm.meta.on_query(bits), found["meta"], test)
    ours, rival = {k: trail[:, k] for k in SHOWN}, {k: outcome.found for k, outcome in fine.items()}
    title = f"joint training, then {TITLES[config.algorithm]}"
    rows = {title: ours, JOINT: rival, "difference, paired": {k: ours[k] - rival[k] for k in SHOWN}}
    metrics = {name: by_steps(row, "bits") for name, row in rows.items()}
    drawn = {name: {k: metrics[name][after(k)] for k in SHOWN} for name in (title, JOINT)}
    run.draw("bits.png", plots.step_curves, drawn, title="A language not trained on", ylabel="bits per character")
    samples, picture = sampled(
        config, run, learning.models(found["meta"], one(test.support)), one(test.query), languages
    )
    run.draw("surprise.png", surprise, *picture)
    rates = {f"rival, {after(k)}": f"Adam {fine[k].setting}" for k in SHOWN[1:]}
    return Result(told(config, run, languages) | rates | samples, metrics)


def fine_tuned(theta: Tree, rate: float, episodes: Episode) -> Array:
    """Bits per character on each task after 0 to 10 steps of Adam on all weights: (tasks, 11)."""
    how: Options = {"rule": tm.optim.Adam(rate, **HABITS), "steps": max(SHOWN)}
    return tm.meta.adaptation_curve(tm.meta.classification, tm.meta.on_query(bits), theta, episodes, **how)


def one(batch: Tree) -> Any:
    """The first task of a batch."""
    return tm.tree.map(lambda a: a[0], batch)


def sampled(config: Config, run: Run, trail: list[Any], query: Tree, languages: Families) -> tuple[dict[str, str], Any]:
    """What is written before and after adapting to a test language, and how both read pieces of it."""
    decode = languages.vocabulary.decode
    x, y = query
    texts = {"its own text": decode(y[0])}
    readings = {}
    for name, model in (("before", trail[0]), (f"after {after(max(SHOWN))}", trail[max(SHOWN)])):
        codes = written(model, int(x[0, 0]), 60, run.rng("writing"))
        texts[f"written {name}"] = decode(codes)
        readings[name] = bits_each(model, x, y)[:3]
    shown = {name: " ".join(text.split()) for name, text in texts.items()}
    return shown, ([decode(line) for line in y[:3]], readings)


def told(config: Config, run: Run, languages: Families) -> dict[str, object]:
    """The protocol in words."""
    counts = [len(family.texts) for family in (languages.train, languages.validation, languages.test)]
    texts = config.source == "texts" or (config.source == "auto" and run.data is not None)
    return {
        "languages": f"{'texts' if texts else 'invented'}, {counts[0]} to train on, {counts[1]} to tune on, "
        f"{counts[2]} to test on",
        "task": f"{config.shots} windows of {config.length} characters to adapt on, {2 * config.query} to judge by",
        "network": f"GRU of {config.units} units, {languages.vocabulary.size} symbols",
        "joint training": f"Adam {config.joint_lr} on half a cosine, {BEFORE * config.iterations} iterations; the "
        f"rival {INSTEAD * config.iterations} more, from {config.joint_lr / 2}, and its step size tuned for each "
        f"number of steps out of {len(RATES)}",
        "meta-training": f"Adam {config.outer_lr} on half a cosine, {config.iterations} iterations of "
        f"{config.meta_batch} languages, {after(config.steps)}, first order",
        "test tasks": config.tasks,
    }


draw = curves("Loss (meta: mean of before, after one and after all steps)")
recipe = Recipe.trained(Config, stages, measure, draw)
