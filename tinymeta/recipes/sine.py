"""Sinusoid regression: the smallest problem that shows what MAML is for (Finn et al. 2017, § 5.1).

A task is one sine wave, seen at a few points. A network trained on all waves at once learns their
mean, which is nearly 0; what has to be learned is a start from which a step fits any of them, or a network that reads
the points and answers without any step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Tree
from tinymeta.recipes.protocols import CONTEXT, Protocol
from tinymeta.recipes.recipe import Found, Published, Recipe, Result, Run, Stage, by_steps, curves, key, published
from tinymeta.view import plots

SHOWN = (0, 1, 5, 10)  # gradient steps in the table
INIT_STD = 0.01
METHOD = partial(Protocol, inner_lr=0.01, test_steps=max(SHOWN), meta_batch=25)
CLAMP = 10.0  # CAVIA's authors bring meta-gradients into [−10, 10] (arguments.py of their code); so does iMAML here
ALGORITHMS = {
    "maml": METHOD("MAML"),
    "first-order": METHOD("first-order MAML"),
    "joint": METHOD("joint training"),
    "reptile": METHOD("Reptile", steps=5, inner_lr=0.02, outer="sgd", outer_lr=1.0, schedule="linear"),
    "anil": METHOD("ANIL"),
    "meta-sgd": METHOD("Meta-SGD"),
    "maml++": METHOD("MAML++", steps=5, schedule="cosine"),
    "cavia": METHOD("CAVIA", inner_lr=1.0, clip=CLAMP),
    # Its gradient does not see the inner steps: nothing in it asks for curvature that plain descent can bear, and plain
    # descent diverged after a thousand iterations where Adam inside did not.
    "implicit": METHOD("iMAML", steps=10, inner="adam", inner_lr=0.02, damping=20.0, clip=CLAMP),
    "in-context": METHOD("in-context learner", steps=0, test_steps=0, outer_lr=0.003, schedule="cosine"),
}


NETWORKS = {"reptile": "1-64-64-1 tanh", "in-context": "three layers of attention, 64 wide, four heads"}


def network(rng: np.random.Generator, inputs: int = 1) -> tm.nn.MLP:
    """1-40-40-1 with ReLU and the paper's small first weights."""
    return tm.nn.MLP([inputs, 40, 40, 1], rng=rng, weight_init=tm.nn.init.truncated_normal(INIT_STD))


def reptile_network(rng: np.random.Generator) -> tm.nn.MLP:
    """1-64-64-1 with tanh, as in the program that J. Schulman published with Reptile; the paper itself has ReLU."""
    return tm.nn.MLP([1, 64, 64, 1], rng=rng, activation=tm.tanh, weight_init=tm.nn.init.glorot_uniform)


def reader(rng: np.random.Generator) -> tm.meta.Reader:
    """Attention to the points, in three layers."""
    return tm.meta.Reader(as_it_is, 1, 1, 1, rng=rng)


def as_it_is(x: Tree) -> Tree:
    return x


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


def settled(config: Config) -> Protocol:
    """How the algorithm is run: by its habits where the config says 0."""
    return ALGORITHMS[config.algorithm].asked(config)


def waves(config: Config, query: int, shots: int = 0) -> tm.tasks.Sinusoids:
    """The distribution of tasks; `shots` is the training's where none are given."""
    family = tm.tasks.Sinusoids.meta_sgd if config.family == "meta-sgd" else tm.tasks.Sinusoids
    return family(shots or config.shots, query)


def learner(config: Config) -> tm.meta.Learner:
    """The learner that a config asks for."""
    if config.algorithm == "in-context":
        return tm.meta.InContext(tm.meta.regression, network=reader)
    draw = {"reptile": reptile_network, "cavia": partial(network, inputs=1 + CONTEXT)}.get(config.algorithm, network)
    return settled(config).learner(config.algorithm, tm.meta.regression, config.iterations, network=draw)


def stage(config: Config, run: Run) -> Stage:
    """One training; every algorithm of a run that has the same network starts from the same weights."""
    outer = settled(config).outer_rule(config.iterations)
    return Stage.of(config, run, learner(config), waves(config, config.query), outer, compiled=config.compiled)


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    yield "", stage(config, run)


def errors(config: Config, run: Run, phi: Tree, shots: int = 0) -> Any:
    """Mean squared error on 100 fresh points of each test task after 0, 1, … steps: (tasks, 11), or (tasks, 1)."""
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
        panels[ALGORITHMS[algorithm].title] = {
            k: trail[k](tm.tensor(x)).numpy()[:, 0] for k in (0, 1, 10) if k < len(trail)
        }
    truth, points = functions(x[None])[0, :, 0], (support[0][:, 0], support[1][:, 0])
    title = f"One sinusoid, {config.shots} points"
    run.draw("adaptation.png", plots.adaptation, x[:, 0], truth, points, panels, title=title)


def draw(config: Config, run: Run, found: Found) -> None:
    curves(f"{settled(config).title} on sinusoids")(config, run, found)
    draw_adaptation(config, run, {config.algorithm: found[""]})


def protocol(config: Config) -> dict[str, object]:
    plan = settled(config)
    return {
        "tasks": f"A sin({'ωx + φ' if config.family == 'meta-sgd' else 'x − φ'}), x in [−5, 5]",
        "network": NETWORKS.get(config.algorithm, "1-40-40-1 ReLU"),
        "support": config.shots,
        "inner": plan.inside(config.algorithm),
        "outer": plan.outside(config.iterations),
        "test": f"{config.tasks} tasks, 100 points each",
    }


def measure(config: Config, run: Run, found: Found) -> Result:
    metrics: dict[str, Any] = {}
    figures: dict[str, Any] = {}
    for shots in config.test_shots or (config.shots,):
        name = f"{settled(config).title}, {shots} points"
        metrics[name] = row(errors(config, run, found[""], shots))
        figure = beside(config, shots)
        if figure is not None:
            figures[name] = {"1 step": figure}
    return Result(protocol(config), metrics, figures)


def row(errors: Any) -> dict[str, Any]:
    return by_steps({k: errors[:, k] for k in SHOWN if k < errors.shape[1]})


def beside(config: Config, shots: int) -> Published | None:
    """The figure for the same tasks, points and number of steps, if there is one."""
    case = f"{config.family} curves, {config.algorithm}, {config.shots} points"
    return published("sine", case).get(str(shots)) if settled(config).steps == 1 else None


recipe = Recipe.trained(Config, stages, measure, draw)
