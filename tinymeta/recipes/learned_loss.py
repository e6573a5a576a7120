"""A learned loss beside the task's own (ML³, Bechtle et al. 2021), on sinusoids.

Every task is a sine wave, ten points of it, and a network with fresh random weights: there is no initialisation to
learn, and what φ knows of sine waves can act through the gradients alone. The rival descends the mean squared error
itself, by SGD or Adam with step sizes tuned by grid on validation tasks, for every number of steps anew. The
learned loss is descended by SGD with one step size. Both are judged by the squared error on other points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Function, Options, Tree
from tinymeta.optim.optimizer import Optimizer
from tinymeta.recipes.recipe import Comparison, Found, Recipe, Result, Run, Stage, after, by_steps, key
from tinymeta.view import plots

TRAINED, OTHER = (1, 40, 40, 1), (1, 64, 64, 64, 1)
SHOWN = (1, 2, 5, 10, 20)  # steps in the table
RIVALS: dict[str, tuple[Callable[[Tree], Optimizer], Any]] = {
    "SGD": (lambda lr: tm.optim.SGD(lr), np.geomspace(0.001, 0.3, 12)),
    "Adam": (lambda lr: tm.optim.Adam(lr), np.geomspace(0.001, 0.3, 12)),
}
VALIDATION = 100  # tasks to tune the rivals on
CLIP = 10.0
BIAS = 0.3  # standard deviation of a fresh network's biases


@dataclass(frozen=True)
class Config:
    iterations: int = key(4000, "meta-iterations", least=0)
    tasks: int = key(600, "test tasks", least=2)
    meta_batch: int = key(25, "tasks per iteration", least=1)
    shots: int = key(10, "points to adapt on", least=1)
    steps: int = key(10, "inner steps in training", least=1)
    inner_lr: float = key(0.02, "inner step size", least=0)
    outer_lr: float = key(0.001, "Adam's step size outside, on half a cosine", least=0)


@dataclass(frozen=True)
class Waves:
    """Sine waves, each with a network of its own to start from."""

    shots: int
    query: int
    sizes: tuple[int, ...]

    def sample(self, rng: np.random.Generator, tasks: int) -> tm.meta.Problem:
        waves = tm.tasks.Sinusoids(self.shots, self.query).sample(rng, tasks)
        like = tm.nn.MLP(self.sizes, rng=rng)

        def drawn(p: Any) -> Any:
            """Glorot's normal weights for all tasks at once; biases that spread the kinks over the range of x."""
            scale = np.sqrt(2 / sum(p.shape)) if p.ndim == 2 else BIAS
            return (scale * rng.standard_normal((tasks, *p.shape))).astype(p.dtype)

        return tm.meta.Problem(tm.tree.map(drawn, like), waves.support, waves.query)


def measuring(rule: Callable[[Tree], Optimizer], learned: bool = False) -> Function:
    """A function of (φ, setting, problems): the squared error on the query set after 0 to 20 steps, (tasks, 21)."""

    def one(phi: Tree, setting: Tree, problem: tm.meta.Problem) -> Any:
        loss = phi if learned else tm.meta.regression
        how: Options = {"rule": rule(setting), "steps": max(SHOWN), "path": True}
        path = tm.meta.adapt(loss, problem.start, problem.support, **how)
        return tm.stack([tm.meta.regression(model, problem.query) for model in path])

    every = tm.compile(tm.vmap(one, in_axes=(None, None, 0)))

    def errors(phi: Tree, setting: float, problems: tm.meta.Problem) -> Any:
        parts = range(0, len(problems.query[0]), 50)
        with np.errstate(all="ignore"):  # a grid holds step sizes that diverge
            rows = [every(phi, np.float32(setting), tm.tree.map(lambda a, k=k: a[k : k + 50], problems)) for k in parts]
        return np.concatenate([row.numpy() for row in rows])

    return errors


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    rate = tm.optim.schedules.cosine(config.outer_lr, max(config.iterations, 1), config.outer_lr / 30)
    outer = tm.optim.Clipped(tm.optim.Adam(rate), partial(tm.optim.clip_by_global_norm, limit=CLIP))
    inner = tm.optim.SGD(config.inner_lr)
    loss = tm.meta.over_tasks(partial(tm.meta.shaped_loss, tm.meta.regression, rule=inner, steps=config.steps))
    start, family = tm.meta.LossNetwork(1, 1, rng=run.rng("loss network")), Waves(config.shots, config.shots, TRAINED)
    compiled = config.iterations >= 50  # recording takes longer than a few iterations
    yield "", Stage.of(config, run, loss, family, outer, start, compiled=compiled)


def measure(config: Config, run: Run, found: Found) -> Result:
    metrics: dict[str, Any] = {}
    learned, comparison = measuring(tm.optim.SGD, learned=True), Comparison(run.stage("tuning"), config.iterations)
    for sizes, where in ((TRAINED, ""), (OTHER, ", a deeper network")):
        family = Waves(config.shots, 100, sizes)
        problems = family.sample(run.rng(f"test{where}"), config.tasks)
        tuning = family.sample(run.rng(f"tuning{where}"), min(VALIDATION, config.tasks))
        rivals: dict[str, dict[int, Any]] = {}
        for name, (rule, grid) in RIVALS.items():
            title, errors = f"own loss, {name}{where}", partial(measuring(rule), None)
            tuned = comparison.tuned(title, grid, errors, tuning, problems, SHOWN)
            rivals[name] = {k: outcome.found for k, outcome in tuned.items()}
            metrics[title] = by_steps(rivals[name])
        curves = learned(found[""], config.inner_lr, problems)
        ours = {k: curves[:, k] for k in SHOWN}
        metrics[f"learned loss{where}"] = by_steps(ours)
        strongest = {k: min((errors[k] for errors in rivals.values()), key=np.mean) for k in SHOWN}
        metrics[f"learned minus best rival{where}"] = by_steps({k: ours[k] - strongest[k] for k in SHOWN})
    drawn = *(f"own loss, {name}" for name in RIVALS), "learned loss"
    shown = {name: {k: metrics[name][after(k)] for k in SHOWN} for name in drawn}
    how: Options = {"title": "Down a learned loss", "ylabel": "mean squared error", "log": True}
    run.draw("adaptation.png", plots.step_curves, shown, **how)
    draw_landscape(run, found[""])
    return Result(
        protocol={
            "tasks": "A sin(x − φ), x in [−5, 5]; fresh random weights for every task",
            "network": "1-40-40-1 ReLU in training; 1-64-64-64-1 as the deeper one",
            "support": config.shots,
            "learned loss": f"descended by SGD {config.inner_lr}; trained for the mean over {config.steps} steps",
            "own loss": "squared error; 12 step sizes each, tuned on validation tasks for each number of steps",
            "outer": f"Adam {config.outer_lr}, {config.iterations} iterations of {config.meta_batch} tasks",
            "test": f"{config.tasks} tasks, 100 points each",
        },
        metrics=metrics,
    )


def draw_landscape(run: Run, phi: Tree) -> None:
    """The slope of both losses in the prediction, for a point whose target is 1, at several x."""
    predictions = np.linspace(-5, 5, 81, dtype=np.float32)

    def slope(x: Any, predicted: Any) -> Any:
        ones = tm.tensor(np.ones((1, 1), np.float32))
        return tm.grad(lambda p: phi(lambda _: p.reshape((1, 1)), (ones * x, ones)))(predicted)

    at = (-4.0, -2.0, 0.0, 2.0, 4.0)
    slopes = {f"learned, x = {x:g}": tm.vmap(partial(slope, np.float32(x)))(predictions).numpy() for x in at}
    slopes["squared error"] = 2 * (predictions - 1)
    lines = {name: dict(zip(predictions, slope)) for name, slope in slopes.items()}
    how: Options = {"xlabel": "prediction", "ylabel": "slope of the loss", "marks": False}
    title = "What each loss says to a prediction whose target is 1"
    run.draw("landscape.png", plots.step_curves, lines, title=title, **how)


recipe = Recipe.trained(Config, stages, measure)
