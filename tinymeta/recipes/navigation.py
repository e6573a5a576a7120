"""2-D navigation: a policy that walks to a hidden goal after one gradient step (Finn et al. 2017, § 5.3).

The reward alone tells where a task's goal is. A policy trained on all goals at once learns to stay in the middle;
one gradient step from there sets out in the right direction and stops too soon. MAML trains the policy for what it
becomes: each outer step is a trust-region step through the inner one. Meta-SGD (Li et al. 2017, § 4.3) also learns
the inner step sizes. How far away a goal is shows only to a policy that walks about before its step, and for that
the surrogate gives no credit: it takes the first trajectories as given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Options, Tree
from tinymeta.meta.learners.metasgd import WeightsAndSteps
from tinymeta.recipes.comparison import Comparison, best
from tinymeta.recipes.recipe import Found, Recipe, Result, Run, Stage, ahead, curves, interval, key, published
from tinymeta.view.style import COLOURS, INK, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEP = 0.1  # the longest move along an axis, and the unit of the policies' actions
RATES = (0.03, 0.1, 0.3, 1.0, 3.0)  # step sizes that the baselines may choose from
VALIDATION = 60  # tasks to choose them on
TITLES = {"maml": "MAML", "meta-sgd": "Meta-SGD"}


@dataclass(frozen=True)
class Config:
    iterations: int = key(100, "outer steps", least=0)
    algorithm: str = key("maml", "how to meta-train", choices=tuple(TITLES))
    tasks: int = key(600, "test tasks", least=2)
    meta_batch: int = key(20, "tasks per iteration", least=1)
    trajectories: int = key(20, "trajectories per task, before and after the inner step", least=1)
    start: str = key("fixed", "where trajectories start: at the origin, or anywhere", choices=("fixed", "random"))
    inner_lr: float = key(0.3, "inner step size; Meta-SGD starts from it")
    discount: float = key(0.99, "of the returns that policies are improved by")
    radius: float = key(0.01, "trust region of an outer step, in KL")
    widths: tuple[int, ...] = key((100, 100), "hidden layers", least=1)


def search(config: Config, learner: tm.meta.GradientLearner) -> tm.meta.PolicySearch:
    extent = 0.5 if config.start == "random" else 0.0
    where = tm.tasks.Navigation(step_size=STEP, start_extent=extent)
    return tm.meta.PolicySearch(where, learner, config.trajectories, config.discount, config.radius)


def learner(config: Config) -> tm.meta.GradientLearner:
    """What is meta-trained."""
    lr, loss = config.inner_lr, tm.meta.policy_gradient
    if config.algorithm == "meta-sgd":
        return tm.meta.MetaSGD(loss, alpha=(lr, lr), network=policy(config))
    return tm.meta.MAML(loss, rule=tm.optim.SGD(lr), network=policy(config))


def pretrainer(config: Config) -> tm.meta.GradientLearner:
    """The same policy, trained on all tasks without an inner step."""
    return replace(learner(replace(config, algorithm="maml")), steps=0)


def policy(config: Config) -> Tree:
    return lambda rng: tm.meta.GaussianPolicy([2, *config.widths, 2], rng=rng, scale=STEP)


def start(run: Run, learner: tm.meta.GradientLearner) -> Tree:
    """Where training begins: for every method the same policy."""
    return learner.init(np.random.default_rng([run.seed, 1]))


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    for name, learning in ((TITLES[config.algorithm], learner(config)), ("pre-trained", pretrainer(config))):
        fit = search(config, learning).fit
        budget: Options = {"iterations": config.iterations, "tasks": config.meta_batch, "seed": run.seed}
        yield name, Stage(start(run, learning), partial(fit, **budget))


def measure(config: Config, run: Run, found: Found) -> Result:
    title = TITLES[config.algorithm]
    # Every method takes its one step as Meta-SGD does, MAML and the baselines with one size for all weights.
    one_step = search(config, tm.meta.MetaSGD(tm.meta.policy_gradient))
    trained = found[title] if config.algorithm == "meta-sgd" else with_rate(found[title], config.inner_lr)
    baselines = {"pre-trained": found["pre-trained"], "random weights": start(run, pretrainer(config))}
    rates = tuned(config, run, one_step, baselines)
    methods = {title: trained} | {name: with_rate(theta, rates[name]) for name, theta in baselines.items()}
    returns = {name: one_step.returns(run.rng("test"), phi, config.tasks) for name, phi in methods.items()}
    metrics = {name: {"before": interval(r[:, 0]), "after 1 step": interval(r[:, 1])} for name, r in returns.items()}
    more = ahead({name: r[:, 1] for name, r in returns.items()}, title)
    metrics |= {name: {"after 1 step": difference} for name, difference in more.items()}
    metrics["straight to the goal, told where it is"] = {"before": interval(straight(config, run, one_step))}
    draw_paths(run, one_step, methods)
    return Result(
        protocol={
            "task": f"goals in [−0.5, 0.5]², {config.start} start, horizon 100, reward −distance, moves up to {STEP}",
            "policy": f"2-{'-'.join(map(str, config.widths))}-2 ReLU, Gaussian with one learned deviation per axis",
            "inner": f"1 step of policy gradient on {config.trajectories} trajectories, size {config.inner_lr}",
            "baselines' step": f"{', '.join(f'{name} {rate}' for name, rate in rates.items())}; "
            f"best of {', '.join(map(str, RATES))} on {VALIDATION} validation tasks",
            "outer": f"TRPO, radius {config.radius}, {config.iterations} iterations of {config.meta_batch} tasks",
            "test": f"{config.tasks} tasks, {config.trajectories} trajectories each, undiscounted return",
        },
        metrics=metrics,
        published={title: {"after 1 step": published("navigation", f"{config.start} start")[config.algorithm]}},
    )


def with_rate(theta: Tree, rate: float) -> WeightsAndSteps:
    return WeightsAndSteps(theta, tm.tree.full_like(theta, rate))


def tuned(config: Config, run: Run, one_step: tm.meta.PolicySearch, policies: dict[str, Tree]) -> dict[str, float]:
    """The one step size that serves each policy best on validation tasks."""
    comparison, tasks = Comparison(run.stage("tuning"), config.iterations), min(config.tasks, VALIDATION)
    after = lambda theta, rate: one_step.returns(run.rng("validation"), with_rate(theta, rate), tasks)[:, 1].mean()
    return {name: best(comparison.scores(name, RATES, partial(after, theta))) for name, theta in policies.items()}


def straight(config: Config, run: Run, one_step: tm.meta.PolicySearch) -> Any:
    """The return of walking straight to the goal, which nobody can who has to find it."""
    where, rng = one_step.environment, run.rng("test")
    goals = where.draw(rng, config.tasks)
    seen = tm.tasks.rollout(where, rng, goals, lambda position: goals[:, None] - position, config.trajectories)
    return seen.rewards.sum(-1).mean(-1)


def draw_paths(run: Run, one_step: tm.meta.PolicySearch, methods: dict[str, Tree]) -> None:
    """Four goals, three trajectories each, before and after one step."""
    goals = np.array([[0.4, 0.3], [-0.35, 0.4], [-0.3, -0.4], [0.45, -0.25]], np.float32)
    shown = {}
    for name, phi in methods.items():
        rng = run.rng("picture")
        before, after = one_step.before_and_after(rng, goals, phi)
        shown[name] = (before.observations[:, :3], after.observations[:, :3])
    run.draw("paths.png", paths, shown, goals)


@styled
def paths(methods: dict[str, tuple[Any, Any]], goals: Any) -> Figure:
    """Where policies went, (tasks, trajectories, steps, 2): a row before and one after adapting, a colour per task."""
    names, reach = list(methods), 1.15 * float(np.abs(goals).max()) + 0.1
    width, title = min(8.0, 2.7 * len(names)), "Three trajectories for each of four goals"
    size: Options = {"width": width, "height": 0.8 + 2 * width / len(names), "sharex": True, "sharey": True}
    figure, axes = panels(2, len(names), title=title, **size)
    for k, panel in enumerate(axes):
        adapted, name = k >= len(names), names[k % len(names)]
        for tracks, goal, colour in zip(methods[name][adapted], goals, COLOURS):
            for track in tracks:
                panel.plot(*track.T, color=colour, linewidth=0.8, alpha=0.7)
            panel.plot(*goal, "*", color=colour, markersize=13, markeredgecolor="white", zorder=3)
        panel.plot(0, 0, "o", color=INK, markersize=4, zorder=4)
        panel.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        panel.locator_params(nbins=4, steps=[1, 2, 5, 10])
        panel.set_title(f"{name}\n{'after one step' if adapted else 'before'}", fontsize=10, pad=5)
        panel.grid(visible=False)
    return figure


recipe = Recipe.trained(Config, stages, measure, curves("Return of the policies in training", "return"))
