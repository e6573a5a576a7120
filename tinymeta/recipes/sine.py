"""Sinusoid regression: the smallest problem that shows what MAML is for (Finn et al. 2017, § 5.1).

A task is one sine wave, seen at a few points. A network trained on all waves at once learns their
mean, which is nearly 0; what has to be learned is a start from which a step fits any of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.recipes.config import key
from tinymeta.recipes.recipe import Recipe
from tinymeta.recipes.report import Published, Result, interval
from tinymeta.recipes.run import Run
from tinymeta.view import plots

SHOWN = (0, 1, 5, 10)  # gradient steps in the table
INIT_STD = 0.01
CONTEXT = 5  # numbers that CAVIA adapts
# iMAML's gradient does not see the inner steps: nothing in it asks for curvature that plain descent can bear, and plain
# descent diverged after a thousand iterations where Adam inside did not.
IMPLICIT = tm.meta.Implicit(2.0, cg=5, damping=20.0)
CLAMP = 10.0  # CAVIA's authors bring meta-gradients into [−10, 10] (arguments.py of their code); so does iMAML here


class Habits(NamedTuple):
    """What an algorithm is run with where the user says nothing."""

    title: str
    inner_lr: float = 0.01
    steps: int = 1
    outer_lr: float = 0.001


ALGORITHMS = {
    "maml": Habits("MAML"),
    "first-order": Habits("first-order MAML"),
    "joint": Habits("joint training"),
    "reptile": Habits("Reptile", inner_lr=0.02, steps=5, outer_lr=1.0),
    "anil": Habits("ANIL"),
    "meta-sgd": Habits("Meta-SGD"),
    "maml++": Habits("MAML++", steps=5),
    "cavia": Habits("CAVIA", inner_lr=1.0),
    "implicit": Habits("iMAML", inner_lr=0.02, steps=10),
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


def title(config: Config) -> str:
    return ALGORITHMS[config.algorithm].title


def settled(config: Config) -> Config:
    """The config with the algorithm's habits where it says 0."""
    habits = ALGORITHMS[config.algorithm]
    chosen = {name: getattr(config, name) or getattr(habits, name) for name in ("steps", "inner_lr", "outer_lr")}
    return replace(config, **chosen)


def network(rng: np.random.Generator, inputs: int = 1) -> tm.nn.MLP:
    """1-40-40-1 with ReLU and the paper's small first weights."""
    return tm.nn.MLP([inputs, 40, 40, 1], rng=rng, weight_init=tm.nn.init.truncated_normal(INIT_STD))


def reptile_network(rng: np.random.Generator) -> tm.nn.MLP:
    """1-64-64-1 with tanh, as in the program that J. Schulman published with Reptile; the paper itself has ReLU."""
    return tm.nn.MLP([1, 64, 64, 1], rng=rng, activation=tm.tanh, weight_init=tm.nn.init.glorot_uniform)


def curves(config: Config, query: int, shots: int = 0) -> tm.tasks.Sinusoids:
    """The distribution of tasks; `shots` is the training's where none are given."""
    family = tm.tasks.Sinusoids.meta_sgd if config.family == "meta-sgd" else tm.tasks.Sinusoids
    return family(shots or config.shots, query)


def learner(config: Config) -> tm.meta.GradientLearner:
    """The learner that a config asks for."""
    config = settled(config)
    algorithm, lr = config.algorithm, config.inner_lr
    common: dict[str, Any] = {"steps": config.steps, "test_steps": max(SHOWN), "network": network}
    if algorithm == "meta-sgd":
        return tm.meta.MetaSGD(tm.meta.regression, **common)
    if algorithm == "maml++":
        return tm.meta.MAMLPlusPlus(tm.meta.regression, alpha=lr, multi_step=config.iterations // 10, **common)
    common["rule"] = tm.optim.SGD(lr)
    if algorithm == "cavia":
        common["network"] = partial(network, inputs=1 + CONTEXT)
        return tm.meta.CAVIA(tm.meta.regression, context=CONTEXT, **common)
    if algorithm == "reptile":
        common["network"] = reptile_network
        return tm.meta.MAML(tm.meta.regression, differentiate="reptile", **common)
    if algorithm == "implicit":
        common["rule"] = tm.optim.Adam(lr)
        return tm.meta.MAML(tm.meta.regression, differentiate=IMPLICIT, **common)
    if algorithm == "first-order":
        return tm.meta.MAML(tm.meta.regression, differentiate="first_order", **common)
    return {"maml": tm.meta.MAML, "anil": tm.meta.ANIL, "joint": tm.meta.Joint}[algorithm](tm.meta.regression, **common)


def outer_rule(config: Config) -> tm.optim.Optimizer:
    lr, iterations = settled(config).outer_lr, config.iterations
    if config.algorithm == "reptile":
        return tm.optim.SGD(tm.optim.schedules.linear(lr, 0.0, max(iterations, 1)))
    if config.algorithm == "maml++":
        return tm.optim.Adam(tm.optim.schedules.cosine(lr, max(iterations, 1), lr / 100))
    if config.algorithm in ("cavia", "implicit"):
        return tm.optim.Clipped(tm.optim.Adam(lr), partial(tm.optim.clip_by_value, limit=CLAMP))
    return tm.optim.Adam(lr)


def start(config: Config, run: Run) -> Any:
    """Where training begins, the same for every algorithm of a run."""
    return learner(config).init(np.random.default_rng([run.seed, 1]))


def meta_train(config: Config, run: Run) -> Any:
    """The meta-parameters that a run ends with."""
    return tm.meta.fit(
        learner(config),
        start(config, run),
        curves(config, config.query),
        optimizer=outer_rule(config),
        iterations=config.iterations,
        meta_batch=config.meta_batch,
        seed=run.seed,
        run=run,
        compiled=config.compiled,
    )


def errors(config: Config, run: Run, phi: Any, shots: int = 0) -> Any:
    """Mean squared error on 100 fresh points of each test task after 0 to 10 steps: shape (tasks, 11)."""
    episodes = curves(config, 100, shots).sample(run.rng("test"), config.tasks)
    return tm.meta.evaluate(learner(config), tm.meta.on_query(tm.meta.regression), phi, episodes)


def predictions(config: Config, phi: Any, support: Any, x: Any) -> dict[int, Any]:
    """What the learner says at `x` after 0, 1 and 10 steps on one support set."""
    trail = learner(config).models(phi, support)
    return {k: trail[k](tm.tensor(x)).numpy()[:, 0] for k in (0, 1, 10)}


def draw_adaptation(config: Config, run: Run, methods: dict[str, Any]) -> None:
    """One test task as several algorithms see it: `methods` has the meta-parameters of each."""
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
        {
            ALGORITHMS[name].title: predictions(replace(config, algorithm=name), phi, support, x)
            for name, phi in methods.items()
        },
        title=f"One sinusoid, {config.shots} points",
    )


def protocol(config: Config) -> dict[str, object]:
    config = settled(config)
    return {
        "tasks": f"A sin({'ωx + φ' if config.family == 'meta-sgd' else 'x − φ'}), x in [−5, 5]",
        "network": "1-64-64-1 tanh" if config.algorithm == "reptile" else "1-40-40-1 ReLU",
        "support": config.shots,
        "inner": f"{inner(config)}, {config.steps} step{'s' * (config.steps > 1)}",
        "outer": f"{outer(config)}, {config.iterations} iterations of {config.meta_batch} tasks",
        "test": f"{config.tasks} tasks, 100 points each",
    }


def inner(config: Config) -> str:
    """The inner rule in words."""
    return {
        "meta-sgd": "learned step sizes, from 0.005 to 0.1 at first",
        "maml++": f"learned step sizes per layer and step, {config.inner_lr} at first",
        "cavia": f"SGD {config.inner_lr} on {CONTEXT} context parameters",
        "implicit": f"Adam {config.inner_lr}, λ = {IMPLICIT.lam}, {IMPLICIT.cg} conjugate gradient iterations "
        f"damped by {IMPLICIT.damping}",
    }.get(config.algorithm, f"SGD {config.inner_lr}")


def outer(config: Config) -> str:
    """The outer rule in words."""
    return {
        "reptile": f"SGD {config.outer_lr} falling to 0",
        "maml++": f"Adam {config.outer_lr} on half a cosine",
        **dict.fromkeys(("cavia", "implicit"), f"Adam {config.outer_lr}, gradients clipped to ±{CLAMP:g}"),
    }.get(config.algorithm, f"Adam {config.outer_lr}")


def row(curve: Any) -> dict[str, Any]:
    return {f"{k} step{'s' * (k != 1)}": interval(curve[:, k]) for k in SHOWN}


def train(config: Config, run: Run) -> Result:
    phi = meta_train(config, run)
    run.draw("curves.png", plots.learning_curves, run.lines(), "loss", title=f"{title(config)} on sinusoids")
    draw_adaptation(config, run, {config.algorithm: phi})
    return measure(config, run, phi)


def evaluate(config: Config, run: Run) -> Result:
    return measure(config, run, tm.meta.trained(run.checkpoint, start(config, run)))


def measure(config: Config, run: Run, phi: Any) -> Result:
    metrics: dict[str, Any] = {}
    figures: dict[str, Any] = {}
    for shots in config.test_shots or (config.shots,):
        name = f"{title(config)}, {shots} points"
        metrics[name] = row(errors(config, run, phi, shots))
        figure = published(config, shots)
        if figure is not None:
            figures[name] = {"1 step": figure}
    return Result(protocol=protocol(config), metrics=metrics, published=figures)


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


recipe = Recipe("sine", "weights from which a few gradient steps fit any sinusoid", Config, train, evaluate)
