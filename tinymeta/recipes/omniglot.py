"""Few-shot characters: classify new characters from a few drawings of each, by any algorithm of the package.

`protocols.py` holds how each algorithm was run by its authors, and those are the defaults: a key that is 0 or
"auto" takes what stands there. Only the number of iterations is ours.

Networks that normalise with the statistics of the batch at hand let the query examples see each other where
they are classified all at once (transductive). The report gives both numbers: that one, and one query image at
a time (inductive), which is what a user with one new image gets. The metric learners here normalise every image
by itself (group norm instead of their authors' batch norm, whose running averages this framework does without),
so for them the two are one number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Options, Tree
from tinymeta.recipes import fewshot
from tinymeta.recipes.protocols import PROTOCOLS, SCHEDULES, Protocol, protocol
from tinymeta.recipes.recipe import Found, Recipe, Result, Run, Stage, curves, interval, key, published, user_mistakes


@dataclass(frozen=True)
class Config:
    iterations: int = key(2000, "meta-iterations (MAML's paper: 60,000)", least=0)
    algorithm: str = key("maml", "how to meta-train", choices=tuple(PROTOCOLS))
    network: str = key("mlp", "fully connected, or four convolutions", choices=("mlp", "conv"))
    source: str = key("auto", "where characters come from", choices=("auto", "omniglot", "glyphs"))
    split: str = key("auto", "which characters are for testing", choices=("auto", "random", "vinyals", "background"))
    ways: int = key(5, "classes per task", least=2)
    shots: int = key(1, "examples per class to adapt on", least=1)
    train_ways: int = key(0, "classes per task in training; 0: the protocol's", least=0)
    query: int = key(0, "examples per class to judge by in training; 0: the protocol's", least=0)
    test_query: int = key(1, "examples per class to judge by in testing", least=1)
    steps: int = key(0, "inner steps in training; 0: the protocol's", least=0)
    test_steps: int = key(0, "inner steps in testing; 0: the protocol's", least=0)
    inner: str = key("auto", "rule of the inner loop", choices=("auto", "sgd", "adam"))
    outer: str = key("auto", "rule of the outer loop", choices=("auto", "sgd", "adam"))
    inner_lr: float = key(0.0, "inner step size; 0: the protocol's", least=0)
    inner_eps: float = key(0.0, "ε of Adam in the inner loop; 0: the protocol's", least=0)
    outer_lr: float = key(0.0, "outer step size; 0: the protocol's", least=0)
    schedule: str = key("auto", "how the outer step size falls", choices=("auto", *SCHEDULES))
    meta_batch: int = key(0, "tasks per iteration; 0: the protocol's", least=0)
    tasks: int = key(600, "test tasks", least=2)
    compiled: bool = key(True, "record a training step once and replay it; no: compute it anew every time")


def settled(config: Config) -> Protocol:
    """The algorithm's protocol with the user's wishes in it."""
    return protocol(config.algorithm, config.ways).asked(config)


def division(config: Config, run: Run) -> str:
    """The split: generated characters have the random one only."""
    if fewshot.source(config, run) == "glyphs":
        if config.split not in ("auto", "random"):
            raise UserError(f"split={config.split} is one of Omniglot's: generated characters have split=random only")
        return "random"
    return settled(config).split


def families(config: Config, run: Run) -> tuple[tm.tasks.FewShotImages, tm.tasks.FewShotImages]:
    """The distributions of training and of test tasks; rotations count as classes in both, as in MAML's code."""
    plan = settled(config)
    with user_mistakes():
        if fewshot.source(config, run) == "glyphs":
            classes = fewshot.invented(alphabets=30, characters=20, hands=20)
            parts = tm.tasks.split(classes, "random", np.random.default_rng(0), sizes=(440, 40, 120))
        else:
            classes = tm.tasks.load_omniglot(run.data)
            division_: Any = division(config, run)
            parts = tm.tasks.split(classes, division_, np.random.default_rng(0), data=run.data)
        shape = (plan.train_ways or config.ways, plan.train_shots or config.shots, plan.query)
        draw = partial(tm.tasks.FewShotImages, rotations=True, flatten=config.network == "mlp")
        return draw(parts.train, *shape), draw(parts.test, config.ways, config.shots, config.test_query)


METRIC: dict[str, Callable[..., tm.meta.Learner]] = {
    "protonet": tm.meta.ProtoNet,
    "matching": tm.meta.MatchingNet,
    "relation": tm.meta.RelationNet,
}


def learner(config: Config, testing: bool = False) -> tm.meta.Learner:
    """The learner that a config asks for, as it is trained or as it is tested."""
    plan, algorithm, ways = settled(config), config.algorithm, config.ways
    if algorithm in METRIC:
        draw: Any = partial(compared if algorithm == "relation" else network, plan, config.network)
        return METRIC[algorithm](ways=ways if testing else plan.train_ways or ways, network=draw)
    if plan.train_ways not in (0, ways):
        reads = "an in-context learner reads as many classes as it was trained with"
        what = reads if algorithm == "in-context" else f"{plan.title} has an output for each class of training"
        raise UserError(f"{what}: leave train_ways out")
    if algorithm == "in-context":
        return tm.meta.InContext(ways=ways, network=partial(reader, plan, config.network, ways))
    how: Options = {"network": partial(network, plan, config.network, outputs=ways)}
    if algorithm == "reptile":  # every step of training on another part of the support set
        rule = tm.meta.Carrying(plan.inner_rule(algorithm))
        how = {"rule": rule, "parts": 1 if testing else plan.steps, "network": partial(carried, rule, how["network"])}
    return plan.learner(algorithm, tm.meta.classification, config.iterations, **how)


def carried(rule: tm.meta.Carrying, draw: Any, rng: np.random.Generator) -> tm.meta.Carried:
    return rule.carried(draw(rng))


def network(plan: Protocol, kind: str, rng: np.random.Generator, outputs: int | None = None) -> Tree:
    """A classifier with `outputs`, or an embedding of 64 features."""
    if kind == "conv":
        return fewshot.convnet(rng, outputs, pool=plan.pool, norm=plan.norm)
    return fewshot.mlp(rng, outputs or fewshot.CHANNELS, norm=outputs is not None)


def compared(plan: Protocol, kind: str, rng: np.random.Generator) -> tm.meta.Relation:
    if kind == "conv":
        return fewshot.relation(rng, plan.norm)
    width = fewshot.CHANNELS
    return tm.meta.Relation(network(plan, kind, rng), tm.nn.MLP([2 * width, width, 1], rng=rng))


def reader(plan: Protocol, kind: str, ways: int, rng: np.random.Generator) -> tm.meta.Reader:
    return tm.meta.Reader(network(plan, kind, rng), fewshot.CHANNELS, ways, ways, rng=rng)


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    plan, learning, (training, _) = settled(config), learner(config), families(config, run)
    how: Options = {"meta_batch": plan.meta_batch, "compiled": config.compiled}
    yield "", Stage.of(config, run, learning, training, plan.outer_rule(config.iterations), **how)


def draw(config: Config, run: Run, found: Found) -> None:
    curves(f"{settled(config).title}: loss on the query set")(config, run, found)


def measure(config: Config, run: Run, found: Found) -> Result:
    phi = found[""]
    plan, tested = settled(config), learner(config, testing=True)
    episodes = families(config, run)[1].sample(run.rng("test"), config.tasks)
    metrics: dict[str, Any] = {}
    figures: dict[str, Any] = {}
    for kind in (tm.meta.transductive, tm.meta.inductive):
        name = f"{plan.title}, {kind.__name__}"
        if kind is tm.meta.transductive and fewshot.alone(phi):
            continue
        metrics[name] = fewshot.accuracies(tested, phi, episodes, kind)
        there = published("omniglot", f"{config.network}, {config.algorithm}, {kind.__name__}")
        task = f"{config.ways}-way {config.shots}-shot"
        if task in there and fewshot.source(config, run) == "omniglot":
            figures[name] = {list(metrics[name])[-1]: there[task]}
    nearest = interval(100 * fewshot.nearest_neighbour(episodes), "%")
    metrics["nearest neighbour in pixels"] = {next(iter(fewshot.columns(tested))): nearest}
    return Result(protocol=told(config, run), metrics=metrics, published=figures)


def told(config: Config, run: Run) -> dict[str, object]:
    """The protocol in words."""
    plan = settled(config)
    training = (plan.train_ways or config.ways, plan.train_shots or config.shots, plan.query)
    carries = ", its averages carried from task to task" * (config.algorithm == "reptile")
    conv = f"4 × 3×3×64, {'pooling' if plan.pool else 'stride 2'}, {plan.norm} norm"
    return {
        "characters": f"{fewshot.source(config, run)}, {division(config, run)} split, rotations as classes",
        "task": f"{config.ways}-way {config.shots}-shot, {config.test_query} query image per class",
        "training": "{}-way {}-shot, {} query images per class".format(*training),
        "network": conv if config.network == "conv" else "784-256-128-64-64, batch norm where it has a head",
        "inner": plan.inside(config.algorithm) + carries,
        "outer": plan.outside(config.iterations),
        "test tasks": config.tasks,
    }


recipe = Recipe.trained(Config, stages, measure, draw)
