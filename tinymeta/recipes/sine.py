"""Sinusoid regression: the smallest problem that shows what MAML is for (Finn et al. 2017, § 5.1).

A task is one sine wave, seen at a few points. A network trained on all waves at once learns their
mean, which is nearly 0; what has to be learned is a start from which a step fits any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.recipes.recipe import Found, Published, Recipe, Result, Run, Stage, by_steps, curves, key
from tinymeta.view import plots

SHOWN = (0, 1, 5, 10)  # gradient steps in the table
INIT_STD = 0.01
CONTEXT = 5  # numbers that CAVIA adapts
# iMAML's gradient does not see the inner steps: nothing in it asks for curvature that plain descent can bear, and plain
# descent diverged after a thousand iterations where Adam inside did not.
IMPLICIT = tm.meta.Implicit(2.0, cg=5, damping=20.0)
CLAMP = 10.0  # CAVIA's authors bring meta-gradients into [−10, 10] (arguments.py of their code); so does iMAML here


def network(rng: np.random.Generator, inputs: int = 1) -> tm.nn.MLP:
    """1-40-40-1 with ReLU and the paper's small first weights."""
    return tm.nn.MLP([inputs, 40, 40, 1], rng=rng, weight_init=tm.nn.init.truncated_normal(INIT_STD))


def reptile_network(rng: np.random.Generator) -> tm.nn.MLP:
    """1-64-64-1 with tanh, as in the program that J. Schulman published with Reptile; the paper itself has ReLU."""
    return tm.nn.MLP([1, 64, 64, 1], rng=rng, activation=tm.tanh, weight_init=tm.nn.init.glorot_uniform)


def clamped(config: Config) -> tm.optim.Optimizer:
    return tm.optim.Clipped(tm.optim.Adam(config.outer_lr), partial(tm.optim.clip_by_value, limit=CLAMP))


class Method(NamedTuple):
    """An algorithm, and what it is run with where the user says nothing; `inside` and `outside` say it in words."""

    title: str
    learner: Callable[..., Any] = tm.meta.MAML
    inner_lr: float = 0.01
    steps: int = 1
    outer_lr: float = 0.001
    options: Callable[[Config], dict[str, Any]] = lambda config: {"rule": tm.optim.SGD(config.inner_lr)}
    inside: str = "SGD {inner_lr}"
    outer: Callable[[Config], tm.optim.Optimizer] = lambda config: tm.optim.Adam(config.outer_lr)
    outside: str = "Adam {outer_lr}"
    network: Callable[[np.random.Generator], tm.nn.MLP] = network
    layers: str = "1-40-40-1 ReLU"


ALGORITHMS = {
    "maml": Method("MAML"),
    "first-order": Method("first-order MAML", partial(tm.meta.MAML, differentiate="first_order")),
    "joint": Method("joint training", tm.meta.Joint),
    "reptile": Method(
        "Reptile",
        partial(tm.meta.MAML, differentiate="reptile"),
        inner_lr=0.02,
        steps=5,
        outer_lr=1.0,
        outer=lambda config: tm.optim.SGD(tm.optim.schedules.linear(config.outer_lr, 0.0, max(config.iterations, 1))),
        outside="SGD {outer_lr} falling to 0",
        network=reptile_network,
        layers="1-64-64-1 tanh",
    ),
    "anil": Method("ANIL", tm.meta.ANIL),
    "meta-sgd": Method(
        "Meta-SGD",
        tm.meta.MetaSGD,
        options=lambda config: {},
        inside="learned step sizes, from 0.005 to 0.1 at first",
    ),
    "maml++": Method(
        "MAML++",
        tm.meta.MAMLPlusPlus,
        steps=5,
        options=lambda config: {"alpha": config.inner_lr, "multi_step": config.iterations // 10},
        inside="learned step sizes per layer and step, {inner_lr} at first",
        outer=lambda config: tm.optim.Adam(
            tm.optim.schedules.cosine(config.outer_lr, max(config.iterations, 1), config.outer_lr / 100)
        ),
        outside="Adam {outer_lr} on half a cosine",
    ),
    "cavia": Method(
        "CAVIA",
        partial(tm.meta.CAVIA, context=CONTEXT),
        inner_lr=1.0,
        inside=f"SGD {{inner_lr}} on {CONTEXT} context parameters",
        outer=clamped,
        outside=f"Adam {{outer_lr}}, gradients clipped to ±{CLAMP:g}",
        network=partial(network, inputs=1 + CONTEXT),
    ),
    "implicit": Method(
        "iMAML",
        partial(tm.meta.MAML, differentiate=IMPLICIT),
        inner_lr=0.02,
        steps=10,
        options=lambda config: {"rule": tm.optim.Adam(config.inner_lr)},
        inside=f"Adam {{inner_lr}}, λ = {IMPLICIT.lam}, {IMPLICIT.cg} conjugate gradient iterations damped by "
        f"{IMPLICIT.damping}",
        outer=clamped,
        outside=f"Adam {{outer_lr}}, gradients clipped to ±{CLAMP:g}",
    ),
}

# (points in training, points in testing) → mean squared error after one step (Li et al. 2017, Table 1). The first row
# and the last column agree with summaries of the paper; the other figures had no second source.
LI = "Li et al. 2017, Table 1, 60,000 iterations"
PUBLISHED = {
    "maml": {
        (5, 5): (1.13, 0.18), (5, 10): (0.85, 0.14), (5, 20): (0.71, 0.12),
        (10, 5): (1.17, 0.16), (10, 10): (0.77, 0.11), (10, 20): (0.56, 0.08),
        (20, 5): (1.29, 0.20), (20, 10): (0.76, 0.12), (20, 20): (0.48, 0.08),
    },
    "meta-sgd": {
        (5, 5): (0.90, 0.16), (5, 10): (0.63, 0.12), (5, 20): (0.50, 0.10),
        (10, 5): (0.88, 0.14), (10, 10): (0.53, 0.09), (10, 20): (0.35, 0.06),
        (20, 5): (1.01, 0.17), (20, 10): (0.54, 0.08), (20, 20): (0.31, 0.05),
    },
}  # fmt: skip
ZINTGRAF = "Zintgraf et al. 2019, Table 1, 50,000 iterations"  # no second source


@dataclass(frozen=True)
class Config:
    iterations: int = key(15_000, "meta-iterations", least=0)
    algorithm: str = key("maml", "how to meta-train", choices=tuple(ALGORITHMS))
    family: str = key("maml", "whose curves: one frequency, or several", choices=("maml", "meta-sgd"))
    tasks: int = key(600, "test tasks", least=2)
    meta_batch: int = key(25, "tasks per iteration", least=1)
    shots: int = key(10, "points to adapt on in training", least=1)
    test_shots: tuple[int, ...] = key((), "points to adapt on in testing, one or several counts; none: shots", least=1)
    query: int = key(10, "points to judge by in training", least=1)
    steps: int = key(0, "inner steps in training; 0: the algorithm's", least=0)
    inner_lr: float = key(0.0, "inner step size; 0: the algorithm's", least=0)
    outer_lr: float = key(0.0, "outer step size; 0: the algorithm's", least=0)
    compiled: bool = key(True, "record a training step once and replay it; no: compute it anew every time")


def method(config: Config) -> Method:
    return ALGORITHMS[config.algorithm]


def settled(config: Config) -> Config:
    """The config with the algorithm's habits where it says 0."""
    names = "steps", "inner_lr", "outer_lr"
    return replace(config, **{name: getattr(config, name) or getattr(method(config), name) for name in names})


def waves(config: Config, query: int, shots: int = 0) -> tm.tasks.Sinusoids:
    """The distribution of tasks; `shots` is the training's where none are given."""
    family = tm.tasks.Sinusoids.meta_sgd if config.family == "meta-sgd" else tm.tasks.Sinusoids
    return family(shots or config.shots, query)


def learner(config: Config) -> tm.meta.GradientLearner:
    """The learner that a config asks for."""
    config, algorithm = settled(config), method(config)
    how = {"steps": config.steps, "test_steps": max(SHOWN), "network": algorithm.network, **algorithm.options(config)}
    return algorithm.learner(tm.meta.regression, **how)  # type: ignore[no-any-return]


def stage(config: Config, run: Run) -> Stage:
    """One training; every algorithm of a run that has the same network starts from the same weights."""
    outer = method(config).outer(settled(config))
    return Stage.of(config, run, learner(config), waves(config, config.query), outer, compiled=config.compiled)


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    yield "", stage(config, run)


def errors(config: Config, run: Run, phi: Any, shots: int = 0) -> Any:
    """Mean squared error on 100 fresh points of each test task after 0 to 10 steps: shape (tasks, 11)."""
    episodes = waves(config, 100, shots).sample(run.rng("test"), config.tasks)
    return tm.meta.evaluate(learner(config), tm.meta.on_query(tm.meta.regression), phi, episodes)


def draw_adaptation(config: Config, run: Run, found: Found) -> None:
    """One test task as several algorithms see it, after 0, 1 and 10 steps: `found` has the meta-parameters of each."""
    family, rng = waves(config, 1), run.rng("picture")
    functions = family.draw(rng, 1)
    support = tuple(a[0] for a in family.observe(rng, functions).support)
    x = np.linspace(-5, 5, 200, dtype=np.float32)[:, None]
    panels = {}
    for algorithm, phi in found.items():
        trail = learner(replace(config, algorithm=algorithm)).models(phi, support)
        panels[ALGORITHMS[algorithm].title] = {k: trail[k](tm.tensor(x)).numpy()[:, 0] for k in (0, 1, 10)}
    truth, points = functions(x[None])[0, :, 0], (support[0][:, 0], support[1][:, 0])
    title = f"One sinusoid, {config.shots} points"
    run.draw("adaptation.png", plots.adaptation, x[:, 0], truth, points, panels, title=title)


def draw(config: Config, run: Run, found: Found) -> None:
    curves(f"{method(config).title} on sinusoids")(config, run, found)
    draw_adaptation(config, run, {config.algorithm: found[""]})


def protocol(config: Config) -> dict[str, object]:
    config, algorithm = settled(config), method(config)
    inside, outside = (s.format(**vars(config)) for s in (algorithm.inside, algorithm.outside))
    return {
        "tasks": f"A sin({'ωx + φ' if config.family == 'meta-sgd' else 'x − φ'}), x in [−5, 5]",
        "network": algorithm.layers,
        "support": config.shots,
        "inner": f"{inside}, {config.steps} step{'s' * (config.steps > 1)}",
        "outer": f"{outside}, {config.iterations} iterations of {config.meta_batch} tasks",
        "test": f"{config.tasks} tasks, 100 points each",
    }


def measure(config: Config, run: Run, found: Found) -> Result:
    metrics: dict[str, Any] = {}
    figures: dict[str, Any] = {}
    for shots in config.test_shots or (config.shots,):
        name = f"{method(config).title}, {shots} points"
        metrics[name] = row(errors(config, run, found[""], shots))
        figure = published(config, shots)
        if figure is not None:
            figures[name] = {"1 step": figure}
    return Result(protocol=protocol(config), metrics=metrics, published=figures)


def row(errors: Any) -> dict[str, Any]:
    return by_steps({k: errors[:, k] for k in SHOWN})


def published(config: Config, shots: int) -> Published | None:
    """The figure for the same tasks, points and number of steps, if there is one."""
    if settled(config).steps != 1:
        return None
    if config.family == "meta-sgd":
        figure = PUBLISHED.get(config.algorithm, {}).get((config.shots, shots))
        return Published(*figure, f"{LI}, trained with {config.shots} points") if figure else None
    if config.algorithm == "cavia" and (config.shots, shots) == (10, 10):
        return Published(0.19, source=ZINTGRAF)
    return None


recipe = Recipe.trained(Config, stages, measure, draw)
