"""Learning from bad labels: 40 % are wrong, and a few clean examples say which examples to trust.

Plain training learns wrong labels by heart. A robust loss gives up on what it finds hard, right or wrong. Ren et al.
(2018) weight each example by the gradient of the clean loss; Meta-Weight-Net (Shu et al. 2019) by a function of its
loss, which is learned through the same gradient. The simplest rival trains plainly, and on the clean examples alone in
the end. Labels are flipped in the two ways of Ren et al.: to any other class,
and to one background class. A repetition is ten characters of its own; all repetitions train at once under `vmap`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Array, Function, Options, Tree
from tinymeta.meta.tuning.reweight import WeightNet, clean_weights, weight_net_loss
from tinymeta.recipes import flipped
from tinymeta.recipes.flipped import CLASSES, PIXELS, SHIFT, SIDE
from tinymeta.recipes.recipe import Comparison, Interval, Recipe, Result, Run, ahead, interval, key
from tinymeta.view import plots

RATES = (0.01, 0.03)  # step sizes that every method chooses from
POWERS = (0.3, 0.5, 0.7)  # and the exponents that the robust loss does
LAST = (0.2, 0.4, 0.6)  # and the share of its steps that plain training does, to take on the clean examples alone
NET_RATES = (0.001, 0.003)  # and Adam's step sizes that Meta-Weight-Net does
WARMUP = 300  # steps until they are reached: the losses of an untrained model say nothing about labels
MOMENTUM = 0.9


@dataclass(frozen=True)
class Config:
    iterations: int = key(1200, "training steps", least=1)
    tasks: int = key(8, "repetitions, ten characters each", least=2)
    validation: int = key(2, "further repetitions, to choose step sizes on", least=1)
    flipped: float = key(0.4, "share of flipped labels", least=0)
    shots: int = key(200, "training examples per class, some with wrong labels", least=1)
    clean: int = key(10, "clean examples per class", least=1)
    query: int = key(40, "test examples per class, drawn by other hands", least=1)
    batch: int = key(100, "examples per step", least=1)
    width: int = key(128, "hidden units", least=1)


def each(model: tm.nn.MLP, batch: Tree) -> tm.Tensor:
    return tm.nn.cross_entropy_each(model(batch[0]), batch[1])


def robust(power: float) -> Callable[[Tree, Tree], tm.Tensor]:
    """(1 − p^q)/q: cross-entropy as q → 0, mean absolute error at q = 1 (Zhang & Sabuncu 2018, eq. 6)."""
    return lambda model, batch: (1.0 - tm.exp(-power * each(model, batch))) * (1.0 / power)


def alike(phi: Tree, theta: Tree, noisy: Tree, clean: Tree) -> tm.Tensor:
    return tm.full((len(noisy[1]),), 1.0 / len(noisy[1]), dtype=np.float32)


class Method(NamedTuple):
    """How a batch becomes weights on its losses; `phi` is learned along with the model by the loss `learn`, if any."""

    weigh: Callable[[Any, Any, Any, Any], tm.Tensor]  # (phi, theta, noisy, clean) → (n,)
    loss: Callable[[Tree, Tree], tm.Tensor] = each
    phi: Callable[[np.random.Generator], Tree] = lambda rng: None
    learn: Callable[[Any, Any, Any, Any, Any], tm.Tensor] | None = None
    learn_rate: float = 0.0  # Adam's step size for phi
    last: float = 0.0  # share of the steps, the last ones, that are on the clean examples alone


VARIANTS = {
    "plain training": {"": Method(alike)},
    "plain, then clean alone": {f", last {last:.0%}": Method(alike, last=last) for last in LAST},
    "robust loss": {f", q = {q}": Method(alike, robust(q)) for q in POWERS},
    "Ren et al.": {"": Method(lambda _, theta, noisy, clean: clean_weights(each, theta, noisy, clean))},
    "Meta-Weight-Net": {
        f", net {lr}": Method(
            lambda net, theta, noisy, clean: net.weights(each, theta, noisy),
            phi=lambda rng: WeightNet(100, rng=rng),
            learn=lambda net, theta, noisy, clean, rate: weight_net_loss(net, each, theta, noisy, clean, rate),
            learn_rate=lr,
        )
        for lr in NET_RATES
    },
}


class State(NamedTuple):
    theta: Tree
    taken: Any  # state of the model's optimizer
    phi: Tree
    learned: Any  # state of phi's optimizer


@cache
def training(method: Method) -> tuple[Callable[..., State], Function]:
    """For all repetitions at once: the first state, and a step `(state, noisy, clean, rate) → (state, weights)`."""
    phi_rule = tm.optim.Adam(tm.optim.schedules.linear(0.0, method.learn_rate, WARMUP))

    def begin(theta: Tree, phi: Tree) -> State:
        return State(theta, tm.optim.SGD(0.0, MOMENTUM).init(theta), phi, phi_rule.init(phi))

    def step(state: State, noisy: Tree, clean: Tree, rate: Tree) -> tuple[State, tm.Tensor]:
        theta, taken, phi, learned = state
        if method.learn is not None:
            grads = tm.grad(method.learn)(phi, theta, noisy, clean, rate)
            phi, learned = phi_rule.update(grads, learned, phi)
        weights = method.weigh(phi, theta, noisy, clean)
        grads = tm.grad(lambda theta: tm.sum(weights * method.loss(theta, noisy)))(theta)
        theta, taken = tm.optim.SGD(rate, MOMENTUM).update(grads, taken, theta)
        return State(theta, taken, phi, learned), weights

    return tm.vmap(begin), tm.compile(tm.vmap(step, in_axes=(0, 0, 0, None)))


class Setting(NamedTuple):
    method: Method
    label: str  # of the variant
    rate: float
    flips: str


class Trained(NamedTuple):
    accuracy: Array  # (STOPS, repetitions), per cent of the test examples
    weights: Array  # (repetitions, noisy): mean weight of every noisy example in training


def fit(config: Config, run: Run, how: Setting, data: dict[str, flipped.Data]) -> Trained:
    """Train a model in every repetition, all at once."""
    found = data[how.flips]
    count, row = found.pool[1].shape, np.arange(len(found.wrong))[:, None]
    rng, phi_rng = run.rng("training"), run.rng("phi")  # all methods see the same networks and batches
    begin, step = training(how.method)
    phi = tm.tree.stack([how.method.phi(phi_rng) for _ in row])
    total, visits = np.zeros(count), np.zeros(count)

    def weighed(state: State, lesson: Tree, clean: Tree, some: Array | None) -> State:
        state, weights = step(state, lesson, clean, np.float32(how.rate))
        if some is not None:
            np.add.at(total, (row, some), weights.numpy())
            np.add.at(visits, (row, some), 1)
        return state

    state = begin(flipped.networks(rng, len(row), config.width), phi)
    _, right = flipped.trained(rng, config, found, state, weighed, how.method.last)
    return Trained(right, (total / np.maximum(visits, 1))[:, : found.wrong.shape[1]])


def train(config: Config, run: Run) -> Result:
    repetitions, each_class = (config.validation, config.tasks), (config.shots, config.clean, config.query)
    rngs = {flips: run.rng(flips) for flips in flipped.FLIPS}
    validation, test = flipped.divided(run.seed, repetitions, each_class, config.flipped, rngs)
    outcomes = Comparison(run, config.iterations).of(
        {
            f"{name}, flipped to {flips}": {
                f"{name}{label}, rate {rate}, flipped to {flips}": Setting(method, label, rate, flips)
                for label, method in variants.items()
                for rate in RATES
            }
            for flips in flipped.FLIPS
            for name, variants in VARIANTS.items()
        },
        partial(fit, config, run),
        like=Trained._make(np.zeros(2)),
        score=lambda trained: trained.accuracy.mean(1),
        validation=validation,
        test=test,
    )
    metrics: dict[str, dict[str, Interval]] = {name: {} for name in VARIANTS}
    chosen, shown = {}, {}
    for title, (how, stage, found) in outcomes.items():
        line, wrong = metrics[title.partition(", flipped")[0]], test[how.flips].wrong
        line[f"accuracy, flipped to {how.flips}"] = interval(found.accuracy[stage], "%")
        if title.startswith(("Ren et al.", "Meta-Weight-Net")):
            areas = [separation(w, bad) for w, bad in zip(found.weights, wrong)]
            line[f"AUC, flipped to {how.flips}"] = interval(areas)
            shown[title] = found.weights, wrong
        chosen[f"chosen for {title}"] = f"rate {how.rate}{how.label}, {flipped.stop(stage, config.iterations)} steps"
    for flips in flipped.FLIPS:
        end = f", flipped to {flips}"
        right = {title.removesuffix(end): o.found.accuracy[o.stage] for title, o in outcomes.items() if end in title}
        for name, more in ahead(right, "Ren et al.", "%").items():
            metrics.setdefault(name, {})[f"accuracy{end}"] = more
    draw_weights(run, shown)
    return Result(
        protocol={
            "data": f"{CLASSES} characters of generated alphabets in {SIDE}×{SIDE} pixels, {config.shots} images each, "
            f"{100 * config.flipped:g} % of the labels flipped; {config.clean} clean images each",
            "clean images": "all methods train on them, too; two of them are judged by them",
            "network": f"{PIXELS}-{config.width}-{CLASSES} ReLU; batches of {config.batch}, shifted by {SHIFT} pixel",
            "optimizer": f"SGD, momentum {MOMENTUM}, at most {config.iterations} steps",
            "tuned": f"rate of {RATES}, when to stop, the robust loss's q of {POWERS}, the share of {LAST}, "
            f"and the net's rate of {NET_RATES} after a warm-up, on {config.validation} other repetitions",
            **chosen,
            "AUC": "probability that a right label weighs more than a wrong one",
            "test": f"{config.tasks} repetitions, {config.query} images per class by other hands",
        },
        metrics=metrics,
    )


def draw_weights(run: Run, methods: dict[str, tuple[Array, Array]]) -> None:
    """By method, how many of the examples with a right and with a wrong label weigh no more than so much."""
    share, views = np.linspace(0, 1, 200), {}
    for name, (weights, wrong) in methods.items():
        parts = {"label right": weights[~wrong], "label wrong": weights[wrong]}
        below = {label: np.quantile(part / weights.mean(), share) for label, part in parts.items() if part.size}
        views[name] = {label: dict(zip(weight, share)) for label, weight in below.items()}
    how: Options = {"xlabel": "weight (1: an equal share)", "ylabel": "share of the examples", "across": 2}
    run.draw("weights.png", plots.curve_panels, views, title="What the learner trusts", **how)


def separation(weights: Array, wrong: Array) -> float:
    """The probability that a right example weighs more than a wrong one, ties counting half (AUC)."""
    rank = np.unique(weights, return_inverse=True)[1]
    ties = np.bincount(rank[wrong], minlength=rank.max() + 1)
    lighter = np.cumsum(ties) - 0.5 * ties
    return float(lighter[rank[~wrong]].mean() / max(wrong.sum(), 1))


recipe = Recipe(Config, train)
