"""Sinusoid regression: the smallest problem that shows what MAML is for (Finn et al. 2017, § 5.1).

A task is one sine wave, seen at a few points. A network trained on all waves at once learns their
mean, which is nearly 0; what has to be learned is a start from which a step fits any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.recipes.config import key
from tinymeta.recipes.recipe import Recipe
from tinymeta.recipes.report import Published, Result, interval
from tinymeta.recipes.run import Run
from tinymeta.view import plots

SHOWN = (0, 1, 5, 10)  # gradient steps in the table
INIT_STD = 0.01
TITLES = {"maml": "MAML", "first-order": "first-order MAML", "joint": "joint training"}


@dataclass(frozen=True)
class Config:
    iterations: int = key(15_000, "meta-iterations", least=0)
    algorithm: str = key("maml", "how to meta-train", choices=tuple(TITLES))
    family: str = key("maml", "whose curves: one frequency, or several", choices=("maml", "meta-sgd"))
    tasks: int = key(600, "test tasks", least=2)
    meta_batch: int = key(25, "tasks per iteration", least=1)
    shots: int = key(10, "points to adapt on", least=1)
    query: int = key(10, "points to judge by in training", least=1)
    steps: int = key(1, "inner steps in training", least=1)
    inner_lr: float = key(0.01, "inner step size")
    outer_lr: float = key(0.001, "Adam's step size outside")


def network(rng: np.random.Generator) -> tm.nn.MLP:
    """1-40-40-1 with ReLU and the paper's small first weights."""
    return tm.nn.MLP([1, 40, 40, 1], rng=rng, weight_init=tm.nn.init.truncated_normal(INIT_STD))


def loss(model: tm.nn.MLP, batch: Any) -> tm.Tensor:
    x, y = batch
    return tm.nn.mse_loss(model(x), y)


def curves(config: Config, query: int) -> tm.tasks.Sinusoids:
    if config.family == "meta-sgd":
        return tm.tasks.Sinusoids.meta_sgd(config.shots, query)
    return tm.tasks.Sinusoids(config.shots, query)


def learner(config: Config) -> tm.meta.MAML:
    kind = tm.meta.Joint if config.algorithm == "joint" else tm.meta.MAML
    return kind(
        loss,
        network=network,
        rule=tm.optim.SGD(config.inner_lr),
        steps=config.steps,
        test_steps=max(SHOWN),
        differentiate="first_order" if config.algorithm == "first-order" else "exact",
    )


def start(config: Config, run: Run) -> Any:
    """Where training begins, the same for every algorithm of a run."""
    return learner(config).init(np.random.default_rng([run.seed, 1]))


def meta_train(config: Config, run: Run) -> tm.nn.MLP:
    model: tm.nn.MLP = tm.meta.fit(
        learner(config),
        start(config, run),
        curves(config, config.query),
        optimizer=tm.optim.Adam(config.outer_lr),
        iterations=config.iterations,
        meta_batch=config.meta_batch,
        seed=run.seed,
        run=run,
    )
    return model


def errors(config: Config, run: Run, model: tm.nn.MLP) -> Any:
    """Mean squared error on 100 fresh points of each test task after 0 to 10 steps: shape (tasks, 11)."""
    episodes = curves(config, 100).sample(run.rng("test"), config.tasks)
    return tm.meta.evaluate(learner(config), tm.meta.on_query(loss), model, episodes)


def predictions(config: Config, model: tm.nn.MLP, support: Any, x: Any) -> dict[int, Any]:
    """What the network says at `x` after 0, 1 and 10 steps on one support set."""
    trail = learner(config).models(model, support)
    return {k: trail[k](x).numpy()[:, 0] for k in (0, 1, 10)}


def draw_adaptation(config: Config, run: Run, models: dict[str, tm.nn.MLP]) -> None:
    """One test task as every method sees it."""
    family, rng = curves(config, 1), run.rng("picture")
    functions = family.draw(rng, 1)
    support = tuple(a[0] for a in family.observe(rng, functions).support)
    x = np.linspace(-5, 5, 200, dtype=np.float32)[:, None]
    run.draw(
        "adaptation.png",
        plots.adaptation,
        x[:, 0],
        functions(x[None])[0, :, 0],
        (support[0][:, 0], support[1][:, 0]),
        {name: predictions(config, model, support, x) for name, model in models.items()},
        title=f"One sinusoid, {config.shots} points",
    )


def protocol(config: Config) -> dict[str, object]:
    return {
        "tasks": f"A sin({'ωx + φ' if config.family == 'meta-sgd' else 'x − φ'}), x in [−5, 5]",
        "network": "1-40-40-1 ReLU",
        "support": config.shots,
        "inner": f"SGD {config.inner_lr}, {config.steps} step{'s' * (config.steps > 1)}",
        "outer": f"Adam {config.outer_lr}, {config.iterations} iterations of {config.meta_batch} tasks",
        "test": f"{config.tasks} tasks, 100 points each",
    }


def row(curve: Any) -> dict[str, Any]:
    return {f"{k} step{'s' * (k != 1)}": interval(curve[:, k]) for k in SHOWN}


def train(config: Config, run: Run) -> Result:
    model = meta_train(config, run)
    run.draw("curves.png", plots.learning_curves, run.lines(), "loss", title=f"{TITLES[config.algorithm]} on sinusoids")
    draw_adaptation(config, run, {TITLES[config.algorithm]: model})
    return measure(config, run, model)


def evaluate(config: Config, run: Run) -> Result:
    return measure(config, run, tm.meta.trained(run.checkpoint, start(config, run)))


def measure(config: Config, run: Run, model: tm.nn.MLP) -> Result:
    name = TITLES[config.algorithm]
    published = {}
    if config.family == "meta-sgd" and config.algorithm == "maml" and config.shots in (5, 10, 20):
        figure = {5: Published(1.13, 0.18), 10: Published(0.85, 0.14), 20: Published(0.71, 0.12)}[config.shots]
        published = {
            name: {"1 step": Published(figure.mean, figure.half, "Li et al. 2017, Table 1, MAML, trained 5-shot")}
        }
    return Result(protocol=protocol(config), metrics={name: row(errors(config, run, model))}, published=published)


recipe = Recipe("sine", "weights from which a few gradient steps fit any sinusoid", Config, train, evaluate)
