"""2-D navigation: a policy that walks to a hidden goal after one gradient step (Finn et al. 2017, § 5.3).

The reward alone tells where a task's goal is. A policy trained on all goals at once learns to stay in the middle,
and one gradient step from there does not lead far. MAML trains the policy for what it becomes: each outer step
is a trust-region step through the inner one. Meta-SGD (Li et al. 2017, § 4.3) also learns the inner step sizes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.meta.policy import GaussianPolicy, policy_gradient, steps
from tinymeta.meta.policy_search import PolicySearch
from tinymeta.recipes.config import key
from tinymeta.recipes.recipe import Recipe
from tinymeta.recipes.report import Published, Result, interval
from tinymeta.recipes.run import Run
from tinymeta.view import plots
from tinymeta.view.paths import paths

STEP = 0.1  # the longest move along an axis, and the unit of the policies' actions
RATES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # step sizes that the pre-trained policy may choose from
SOURCE = "Li et al. 2017, 2D navigation"
PUBLISHED = {
    "fixed": {"MAML": Published(-9.12, 0.66, SOURCE), "Meta-SGD": Published(-8.64, 0.68, SOURCE)},
    "random": {"MAML": Published(-10.71, 0.76, SOURCE), "Meta-SGD": Published(-10.15, 0.62, SOURCE)},
}


@dataclass(frozen=True)
class Config:
    iterations: int = key(100, "outer steps", least=0)
    tasks: int = key(600, "test tasks", least=2)
    meta_batch: int = key(20, "tasks per iteration", least=1)
    trajectories: int = key(20, "trajectories per task, before and after the inner step", least=1)
    start: str = key("fixed", "where trajectories start: at the origin, or anywhere", choices=("fixed", "random"))
    inner_lr: float = key(0.1, "inner step size; Meta-SGD starts from it")
    discount: float = key(0.99, "of the returns that policies are improved by")
    radius: float = key(0.01, "trust region of an outer step, in KL")
    widths: tuple[int, ...] = key((100, 100), "hidden layers", least=1)


def environment(config: Config) -> tm.tasks.Navigation:
    return tm.tasks.Navigation(step_size=STEP, start_extent=0.5 if config.start == "random" else 0.0)


def searches(config: Config) -> dict[str, PolicySearch]:
    """What is compared. The pre-trained policy takes no inner step in training."""
    rate = config.inner_lr
    learners = {
        "MAML": tm.meta.MAML(policy_gradient, rule=tm.optim.SGD(rate)),
        "Meta-SGD": tm.meta.MetaSGD(policy_gradient, alpha=(rate, rate)),
        "pre-trained": tm.meta.MAML(policy_gradient, rule=tm.optim.SGD(rate), steps=0),
    }
    where, how = environment(config), (config.trajectories, config.discount, config.radius)
    return {name: PolicySearch(where, learner, *how) for name, learner in learners.items()}


def start(config: Config, run: Run, search: PolicySearch) -> Any:
    """The first meta-parameters: for every method the same policy."""
    draw = lambda rng: GaussianPolicy([2, *config.widths, 2], rng=rng, scale=STEP)
    return replace(search.learner, network=draw).init(np.random.default_rng([run.seed, 1]))


def train(config: Config, run: Run) -> Result:
    found = {}
    for name, search in searches(config).items():
        stage = run.stage(name)
        found[name] = search.fit(
            start(config, run, search),
            iterations=config.iterations,
            tasks=config.meta_batch,
            seed=run.seed,
            run=stage,
        )
    run.draw("curves.png", plots.learning_curves, run.lines(), "return", title="Return after the inner step")
    return measure(config, run, found)


def evaluate(config: Config, run: Run) -> Result:
    load = lambda name, search: tm.meta.trained(run.stage(name).checkpoint, start(config, run, search))
    return measure(config, run, {name: load(name, search) for name, search in searches(config).items()})


def tuned(config: Config, run: Run, search: PolicySearch, policy: Any) -> tuple[PolicySearch, float]:
    """The pre-trained policy with the one step size that serves it best on validation tasks."""
    tasks = min(config.tasks, 100)
    options = {rate: adapting(search, rate) for rate in RATES}
    score = {r: option.returns(run.rng("validation"), policy, tasks)[:, 1].mean() for r, option in options.items()}
    best = max(score, key=lambda rate: float(score[rate]))
    return options[best], best


def adapting(search: PolicySearch, rate: float) -> PolicySearch:
    """`search` with one inner step of size `rate`."""
    return replace(search, learner=tm.meta.MAML(policy_gradient, rule=tm.optim.SGD(rate)))


def straight(config: Config, run: Run) -> Any:
    """The return of walking straight to the goal, which nobody can who has to find it."""
    where, rng = environment(config), run.rng("test")
    goals = where.draw(rng, config.tasks)
    seen = tm.tasks.rollout(where, rng, goals, lambda position: goals[:, None] - position, config.trajectories)
    return seen.rewards.sum(-1).mean(-1)


def draw_paths(run: Run, methods: dict[str, tuple[PolicySearch, Any]]) -> None:
    """Four goals, three trajectories each, before and after one step on `trajectories` of them."""
    goals = np.array([[0.4, 0.3], [-0.35, 0.4], [-0.3, -0.4], [0.45, -0.25]], np.float32)
    shown = {}
    for name, (search, phi) in methods.items():
        rng = run.rng("picture")
        before = search.act(rng, goals, search.first(phi))
        after = search.act(rng, goals, search.learned(phi, steps(before, search.discount)), adapted=True)
        shown[name] = (before.observations[:, :3], after.observations[:, :3])
    run.draw("paths.png", paths, shown, goals, title="Three trajectories for each of four goals")


def measure(config: Config, run: Run, found: dict[str, Any]) -> Result:
    methods = {name: (search, found[name]) for name, search in searches(config).items()}
    best, rate = tuned(config, run, *methods["pre-trained"])
    methods["pre-trained"] = (best, found["pre-trained"])
    metrics = {}
    for name, (search, phi) in methods.items():
        returns = search.returns(run.rng("test"), phi, config.tasks)
        metrics[name] = {"before": interval(returns[:, 0]), "after 1 step": interval(returns[:, 1])}
    metrics["straight to the goal"] = {"before": interval(straight(config, run))}
    draw_paths(run, methods)
    return Result(
        protocol={
            "task": f"goals in [−0.5, 0.5]², {config.start} start, horizon 100, reward −distance, moves up to {STEP}",
            "policy": f"2-{'-'.join(map(str, config.widths))}-2 ReLU, Gaussian with one learned deviation per axis",
            "inner": f"1 step of policy gradient on {config.trajectories} trajectories, size {config.inner_lr}; "
            f"pre-trained: {rate}, best of {', '.join(map(str, RATES))} on validation tasks",
            "outer": f"TRPO, radius {config.radius}, {config.iterations} iterations of {config.meta_batch} tasks",
            "test": f"{config.tasks} tasks, {config.trajectories} trajectories each, undiscounted return",
        },
        metrics=metrics,
        published={name: {"after 1 step": figure} for name, figure in PUBLISHED[config.start].items()},
    )


recipe = Recipe("navigation", "a policy that finds a hidden goal after one gradient step", Config, train, evaluate)
