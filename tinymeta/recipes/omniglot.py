"""Few-shot characters: classify new characters from one drawing of each (Finn et al. 2017, § 5.2).

The network is the paper's fully connected one, 784-256-128-64-64-ways with batch norm and ReLU. It
normalises with the statistics of the batch at hand, so a query set that is classified all at once
lends every example a look at the others (transductive). The report therefore gives both numbers: the
paper's way, and one query image at a time (inductive), which is what a user with one new image gets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.recipes.config import key, user_mistakes
from tinymeta.recipes.recipe import Recipe
from tinymeta.recipes.report import Published, Result, interval
from tinymeta.recipes.run import Run
from tinymeta.view import plots

INNER_LR = {"sgd": 0.4, "adam": 0.005}
OUTER_LR = {"sgd": 0.1, "adam": 0.001}
RULES: dict[str, Any] = {"sgd": tm.optim.SGD, "adam": tm.optim.Adam}
PUBLISHED = {1: Published(89.7, 1.1, "Finn et al. 2017, Table 1, MAML, no conv"), 5: Published(97.5, 0.6, "the same")}


@dataclass(frozen=True)
class Config:
    iterations: int = key(2000, "meta-iterations (the paper: 60,000)", least=0)
    source: str = key("auto", "where characters come from", choices=("auto", "omniglot", "glyphs"))
    split: str = key("random", "which characters are for testing", choices=("random", "vinyals", "background"))
    ways: int = key(5, "classes per task", least=2)
    shots: int = key(1, "examples per class to adapt on", least=1)
    query: int = key(1, "examples per class to judge by", least=1)
    steps: int = key(1, "inner steps in training", least=1)
    test_steps: int = key(3, "inner steps in testing", least=1)
    first_order: bool = key(False, "drop the second derivatives")
    inner: str = key("sgd", "rule of the inner loop", choices=("sgd", "adam"))
    outer: str = key("adam", "rule of the outer loop", choices=("sgd", "adam"))
    inner_lr: float = key(0.0, "inner step size; 0: 0.4 for sgd, 0.005 for adam", least=0)
    outer_lr: float = key(0.0, "outer step size; 0: 0.1 for sgd, 0.001 for adam", least=0)
    meta_batch: int = key(32, "tasks per iteration", least=1)
    tasks: int = key(600, "test tasks", least=2)


def source(config: Config, run: Run) -> str:
    if config.source == "omniglot" and run.data is None:
        raise UserError("source=omniglot needs the drawings: name their folder with --data or TINYMETA_DATA")
    return config.source if config.source != "auto" else "omniglot" if run.data else "glyphs"


def families(config: Config, run: Run) -> tuple[tm.tasks.FewShotImages, tm.tasks.FewShotImages]:
    """The distributions of training and of test tasks; rotations count as classes in both, as in the paper's code."""
    with user_mistakes():
        if source(config, run) == "glyphs":
            classes = tm.tasks.glyphs(alphabets=30, characters=20, hands=20)
            parts = tm.tasks.split(classes, "random", np.random.default_rng(0), sizes=(440, 40, 120))
        else:
            classes = tm.tasks.load_omniglot(run.data)
            parts = tm.tasks.split(classes, config.split, np.random.default_rng(0), data=run.data)  # type: ignore[arg-type]
        shape = (config.ways, config.shots, config.query)
        return (
            tm.tasks.FewShotImages(parts.train, *shape, rotations=True),
            tm.tasks.FewShotImages(parts.test, *shape, rotations=True),
        )


def learner(config: Config) -> tm.meta.MAML:
    return tm.meta.MAML(
        loss,
        network=lambda rng: tm.nn.MLP([784, 256, 128, 64, 64, config.ways], rng=rng, norm=True),
        rule=inner_rule(config),
        steps=config.steps,
        test_steps=config.test_steps,
        differentiate="first_order" if config.first_order else "exact",
    )


def start(config: Config, run: Run) -> Any:
    return learner(config).init(np.random.default_rng([run.seed, 1]))


def loss(model: tm.nn.MLP, batch: Any) -> tm.Tensor:
    x, labels = batch
    return tm.nn.cross_entropy(model(x), labels)


def inner_rule(config: Config) -> Any:
    return RULES[config.inner](config.inner_lr or INNER_LR[config.inner])


def train(config: Config, run: Run) -> Result:
    training, _ = families(config, run)
    model = tm.meta.fit(
        learner(config),
        start(config, run),
        training,
        optimizer=RULES[config.outer](config.outer_lr or OUTER_LR[config.outer]),
        iterations=config.iterations,
        meta_batch=config.meta_batch,
        seed=run.seed,
        run=run,
    )
    run.draw("curves.png", plots.learning_curves, run.lines(), "loss", title="Query loss after one step")
    return measure(config, run, model)


def evaluate(config: Config, run: Run) -> Result:
    return measure(config, run, tm.meta.trained(run.checkpoint, start(config, run)))


def nearest_neighbour(episodes: tm.tasks.Episode) -> Any:
    """Accuracy per task of giving each query image the label of the closest support image in pixels."""
    (xs, ys), (xq, yq) = episodes
    distance = (xq**2).sum(-1)[..., None] + (xs**2).sum(-1)[:, None] - 2 * xq @ np.swapaxes(xs, -1, -2)
    guess = np.take_along_axis(ys, distance.argmin(-1), -1)
    return (guess == yq).mean(-1)


def measure(config: Config, run: Run, model: tm.nn.MLP) -> Result:
    _, testing = families(config, run)
    episodes = testing.sample(run.rng("test"), config.tasks)
    where = source(config, run)
    metrics: dict[str, Any] = {}
    name = "first-order MAML" if config.first_order else "MAML"
    shown = sorted({0, config.steps, config.test_steps})
    for kind in (tm.meta.transductive, tm.meta.inductive):
        curve = tm.meta.evaluate(learner(config), kind(tm.nn.accuracy), model, episodes)
        metrics[f"{name}, {kind.__name__}"] = {
            f"{k} step{'s' * (k != 1)}": interval(100 * curve[:, k], "%") for k in shown
        }
    metrics["nearest neighbour in pixels"] = {"0 steps": interval(100 * nearest_neighbour(episodes), "%")}
    published = {}
    if where == "omniglot" and config.ways == 5 and config.shots in PUBLISHED:
        published = {f"{name}, transductive": {f"{config.test_steps} steps": PUBLISHED[config.shots]}}
    return Result(
        protocol={
            "characters": f"{where}, {config.split} split, rotations as classes",
            "task": f"{config.ways}-way {config.shots}-shot, {config.query} query image per class",
            "network": "784-256-128-64-64 with batch norm",
            "inner": f"{config.inner} {config.inner_lr or INNER_LR[config.inner]}, {config.steps} step",
            "outer": f"{config.outer} {config.outer_lr or OUTER_LR[config.outer]}, "
            f"{config.iterations} iterations of {config.meta_batch} tasks",
            "test tasks": config.tasks,
        },
        metrics=metrics,
        published=published,
    )


recipe = Recipe("omniglot", "a classifier that learns new characters from one drawing each", Config, train, evaluate)
