"""MAML on linear regression, where everything can be written down.

For the mean squared error of a linear model the Hessian H of the support loss does not depend on the
parameters, so k inner steps of size α give

    θ' = θ − α Σ (I − αH)ʲ g(θ)          and the exact meta-gradient is   (I − αH)ᵏ ∇L_query(θ')

of which first-order MAML keeps ∇L_query(θ') and drops the rest: the Hessian part, −αk H∇L + …. The
recipe trains with the engine's meta-gradient, then lays it beside this closed form for 1 to 5 steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Tree
from tinymeta.recipes.recipe import Found, Recipe, Result, Run, Stage, after, curves, interval, key

Params = dict[str, Any]


@dataclass(frozen=True)
class Config:
    iterations: int = key(2000, "meta-iterations", least=0)
    tasks: int = key(600, "test tasks", least=2)
    meta_batch: int = key(25, "tasks per iteration", least=1)
    shots: int = key(10, "points to adapt on", least=1)
    features: int = key(3, "length of x", least=1)
    steps: int = key(1, "inner steps", least=1)
    inner_lr: float = key(0.05, "inner step size")
    outer_lr: float = key(0.01, "Adam's step size outside")


def predict(params: Params, x: object) -> tm.Tensor:
    """x w + b for x of shape (…, features)."""
    prediction: tm.Tensor = x @ params["w"] + params["b"]
    return prediction


def loss(params: Params, batch: Tree) -> tm.Tensor:
    x, y = batch
    return tm.nn.mse_loss(predict(params, x), y)


def closed_form(params: Params, episode: tm.tasks.Episode, steps: int, lr: float) -> tuple[Any, Any]:
    """(first-order part, Hessian part) of the meta-gradient for one task, as vectors (w, b).

    Written with NumPy alone: nothing here is differentiated.
    """
    (xs, ys), (xq, yq) = [(np.c_[x, np.ones(len(x))], y[:, 0]) for x, y in episode]
    theta = np.r_[np.asarray(params["w"])[:, 0], np.asarray(params["b"])]
    hessian = 2 / len(xs) * xs.T @ xs
    for _ in range(steps):
        theta = theta - lr * 2 / len(xs) * xs.T @ (xs @ theta - ys)
    first_order = 2 / len(xq) * xq.T @ (xq @ theta - yq)
    exact = np.linalg.matrix_power(np.eye(len(theta)) - lr * hessian, steps) @ first_order
    return first_order, exact - first_order


def objective(config: Config, steps: int, differentiate: str) -> Any:
    return tm.meta.maml(loss, rule=tm.optim.SGD(config.inner_lr), steps=steps, differentiate=differentiate)


def family(config: Config) -> tm.tasks.LinearRegressions:
    return tm.tasks.LinearRegressions(
        config.shots, config.shots, config.features, mean=1.0, bias=0.5, weight=0.5, noise=0.1, dtype=np.float64
    )


def start(config: Config) -> Params:
    return {"w": tm.tensor(np.zeros((config.features, 1))), "b": tm.tensor(np.zeros(1))}


def stages(config: Config, run: Run, found: Found) -> Iterator[tuple[str, Stage]]:
    learning, outer = objective(config, config.steps, "exact"), tm.optim.Adam(config.outer_lr)
    yield "", Stage.of(config, run, learning, family(config), outer, start(config), compiled=False)


def measure(config: Config, run: Run, found: Found) -> Result:
    return Result(
        protocol={
            "tasks": f"y = x·w + b, {config.features} features, float64",
            "support": config.shots,
            "query": config.shots,
            "inner": f"SGD {config.inner_lr}, {config.steps} step",
            "outer": f"Adam {config.outer_lr}, {config.iterations} iterations of {config.meta_batch} tasks",
            "test tasks": config.tasks,
        },
        metrics={
            **errors(config, run, {"learned start": found[""], "start at 0": start(config)}),
            **meta_gradients(config, run),
        },
    )


def errors(config: Config, run: Run, starts: dict[str, Params]) -> dict[str, Any]:
    """Mean squared error on fresh tasks before and after adapting, from each start."""
    episodes = family(config).sample(run.rng("test"), config.tasks)
    rule = tm.optim.SGD(config.inner_lr)
    rows: dict[str, Any] = {}
    for name, begin in starts.items():
        curve = tm.meta.adaptation_curve(loss, tm.meta.on_query(loss), begin, episodes, rule=rule, steps=5)
        rows |= {f"error, {name}, {k} steps": interval(curve[:, k]) for k in (0, 5)}
    return rows


def meta_gradients(config: Config, run: Run) -> dict[str, Any]:
    """The engine's meta-gradient beside the closed form, for one to five inner steps at a random point."""
    rng = run.rng("gradients")
    params = {"w": tm.tensor(rng.normal(size=(config.features, 1))), "b": tm.tensor(rng.normal(size=1))}
    episodes = family(config).sample(rng, config.meta_batch)
    rows = {}
    for steps in range(1, 6):
        parts = [closed_form(params, e, steps, config.inner_lr) for e in tm.tasks.unstack(episodes)]
        first_order, hessian = (np.mean([p[i] for p in parts], axis=0) for i in (0, 1))
        exact = vector(tm.grad(objective(config, steps, "exact"))(params, episodes))
        dropped = vector(tm.grad(objective(config, steps, "first_order"))(params, episodes))
        scale = np.abs(first_order + hessian).max()
        rows[f"meta-gradient, {after(steps).replace(' ', ' inner ')}"] = {
            "|first-order part|": float(np.linalg.norm(first_order)),
            "|Hessian part|": float(np.linalg.norm(hessian)),
            "error of exact": float(np.abs(exact - first_order - hessian).max() / scale),
            "error of first-order": float(np.abs(dropped - first_order).max() / scale),
        }
    return rows


def vector(grads: Params) -> Any:
    return np.r_[grads["w"].numpy()[:, 0], grads["b"].numpy()]


recipe = Recipe.trained(Config, stages, measure, curves("Linear regression, learned to learn"))
