"""Learning from bad labels: 40 % are wrong, and a few clean examples say which examples to trust.

Plain training learns the wrong labels by heart. A robust loss gives up on what it finds hard, right or wrong. Ren et
al. (2018) weight each example by the gradient of the clean loss, Meta-Weight-Net (Shu et al. 2019) by a function of its
loss that is learned in the same way. Every repetition is an alphabet of its own; all are trained at once by `vmap`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.tensor import Array
from tinymeta.meta.reweight import WeightNet, clean_weights, weight_net_loss
from tinymeta.recipes.config import key
from tinymeta.recipes.recipe import Recipe
from tinymeta.recipes.report import Result, interval
from tinymeta.recipes.run import Run
from tinymeta.view import plots
from tinymeta.view.weights import weight_histograms

CLASSES = 10
RATES = (0.01, 0.03, 0.1)  # step sizes that every method chooses from
POWERS = (0.3, 0.5, 0.7, 0.9)  # and the robust loss's exponent
CHECKPOINTS = 6  # at which training may stop: each method chooses


@dataclass(frozen=True)
class Config:
    iterations: int = key(600, "training steps", least=0)
    tasks: int = key(12, "alphabets of ten characters, a repetition each", least=2)
    validation: int = key(4, "further alphabets, to choose step sizes on", least=1)
    flipped: float = key(0.4, "share of wrong labels", least=0)
    shots: int = key(60, "training examples per class, some with wrong labels", least=1)
    clean: int = key(5, "clean examples per class", least=1)
    query: int = key(40, "test examples per class, by other hands", least=1)
    batch: int = key(100, "examples per step", least=1)
    width: int = key(128, "hidden units", least=1)


class Data(NamedTuple):
    """Examples of many alphabets; every array has a leading axis for them. The pool holds the clean examples, too."""

    pool: tuple[Array, Array]
    wrong: Array  # which labels of the pool were flipped
    clean: tuple[Array, Array]
    test: tuple[Array, Array]


def data(config: Config, seed: int, alphabets: int) -> Data:
    hands = config.shots + config.clean + config.query
    classes = tm.tasks.glyphs(alphabets=alphabets * CLASSES, characters=1, hands=hands, seed=seed)
    images = (classes.images / np.float32(255)).reshape(alphabets, CLASSES, hands, -1)
    ends = np.cumsum([config.shots, config.clean])
    noisy, clean, test = (part.reshape(alphabets, -1, part.shape[-1]) for part in np.split(images, ends, axis=2))
    mean, std = noisy.mean(1, keepdims=True), noisy.std((1, 2), keepdims=True)
    noisy, clean, test = ((part - mean) / std for part in (noisy, clean, test))
    label = lambda x: np.tile(np.repeat(np.arange(CLASSES), x.shape[1] // CLASSES), (alphabets, 1))
    given = tm.tasks.flip_uniform(np.random.default_rng(seed), label(noisy), config.flipped, CLASSES)
    if __import__("os").environ.get("BG"): given = tm.tasks.flip_background(np.random.default_rng(seed), label(noisy), config.flipped, 0)
    pool = np.concatenate([noisy, clean], 1), np.concatenate([given, label(clean)], 1)
    wrong = np.concatenate([given != label(noisy), np.zeros(clean.shape[:2], bool)], 1)
    return Data(pool, wrong, (clean, label(clean)), (test, label(test)))


def each(model: tm.nn.MLP, batch: Any) -> tm.Tensor:
    return tm.nn.cross_entropy_each(model(batch[0]), batch[1])


def robust(model: tm.nn.MLP, batch: Any, power: float) -> tm.Tensor:
    """(1 − p^q)/q: cross-entropy as q → 0, mean absolute error at q = 1 (Zhang & Sabuncu 2018, eq. 6)."""
    return (1.0 - tm.exp(-power * each(model, batch))) * (1.0 / power)


class Method(NamedTuple):
    """How a batch of the pool, with a clean batch at hand, becomes weights on the losses `loss`.

    `phi` is what is meta-learned along with the model, if anything, and `learn` its loss.
    """

    weigh: Callable[[Any, Any, Any, Any, float], tm.Tensor]  # (phi, theta, noisy, clean, rate) → (n,)
    loss: Callable[[Any, Any], tm.Tensor] = each
    phi: Callable[[np.random.Generator], Any] = lambda rng: None
    learn: Callable[[Any, Any, Any, Any, float], tm.Tensor] | None = None
    pooled: bool = False


def alike(phi: Any, theta: Any, noisy: Any, clean: Any, rate: float) -> tm.Tensor:
    return tm.full((len(noisy[1]),), 1.0 / len(noisy[1]), dtype=np.float32)


METHODS = {
    "plain": Method(alike, pooled=True),
    **{f"robust {q}": Method(alike, lambda model, batch, q=q: robust(model, batch, q), pooled=True) for q in POWERS},
    "Ren et al.": Method(lambda phi, theta, noisy, clean, rate: clean_weights(each, theta, noisy, clean, rate)),
    "Meta-Weight-Net": Method(
        lambda phi, theta, noisy, clean, rate: phi.weights(each, theta, noisy),
        phi=lambda rng: WeightNet(100, rng=rng),
        learn=lambda phi, theta, noisy, clean, rate: weight_net_loss(phi, each, theta, noisy, clean, rate),
    ),
}


class State(NamedTuple):
    theta: Any
    taken: Any  # state of the model's optimizer
    phi: Any
    learned: Any  # state of phi's optimizer


def training(method: Method, rate: float) -> tuple[Callable[[Any, Any], State], Callable[..., Any]]:
    """The first state for a model and phi, and one step: `(state, noisy, clean) → (state, weights)`."""
    rule, phi_rule = tm.optim.SGD(rate, momentum=float(__import__("os").environ.get("MOM",".9"))), tm.optim.Adam(float(__import__("os").environ.get("PLR","1e-3")))

    def begin(theta: Any, phi: Any) -> State:
        return State(theta, rule.init(theta), phi, phi_rule.init(phi))

    def step(state: State, noisy: Any, clean: Any) -> tuple[State, tm.Tensor]:
        theta, taken, phi, learned = state
        if method.learn is not None:
            grads = tm.grad(method.learn)(phi, theta, noisy, clean, rate)
            phi, learned = phi_rule.update(grads, learned, phi)
        weights = method.weigh(phi, theta, noisy, clean, rate)
        grads = tm.grad(lambda theta: tm.sum(weights * method.loss(theta, noisy)))(theta)
        theta, taken = rule.update(grads, taken, theta)
        return State(theta, taken, phi, learned), weights

    return begin, step


class Outcome(NamedTuple):
    accuracy: Array  # (CHECKPOINTS, alphabets), per cent on the test examples
    weights: Array  # (alphabets, pool): the mean weight of each example over training


def fit(config: Config, run: Run, method: Method, rate: float, found: Data) -> Outcome:
    """Train a model on every alphabet, all at once."""
    (alphabets, pool), clean = found.wrong.shape, found.clean[1].shape[1]
    rng = run.rng("training")
    begin, step = training(method, rate)
    sizes = [found.pool[0].shape[-1], config.width, CLASSES]
    models = [tm.nn.MLP(sizes, rng=rng) for _ in range(alphabets)]
    state = tm.vmap(begin)(stacked(models), stacked([method.phi(rng) for _ in range(alphabets)]))
    step, score = tm.compile(tm.vmap(step)), tm.vmap(lambda model, test: tm.nn.accuracy(model(test[0]), test[1]))
    total, visits = np.zeros((2, alphabets, pool))
    rows, row = [], np.arange(alphabets)[:, None]
    marks = np.linspace(0, config.iterations, CHECKPOINTS + 1).astype(int)[1:]
    for i in range(max(config.iterations, 1)):
        some = rng.integers(pool if method.pooled else pool - clean, size=(alphabets, config.batch))
        sh=rng.integers(-2,3,2) if __import__("os").environ.get("SHIFT") else (0,0)
        move = lambda x: np.roll(x.reshape(*x.shape[:-1],28,28),sh,(-2,-1)).reshape(x.shape)
        state, weights = step(state, (move(found.pool[0][row, some]), found.pool[1][row, some]), (move(found.clean[0]),found.clean[1]))
        np.add.at(total, (row, some), weights.numpy())
        np.add.at(visits, (row, some), 1)
        rows += [100 * score(state.theta, found.test).numpy()] * int((marks == i + 1).sum())
    return Outcome(np.stack(rows), total / np.maximum(visits, 1))


def stacked(trees: list[Any]) -> Any:
    return tm.tree.map(lambda *leaves: np.stack([leaf.numpy() for leaf in leaves]), *trees)


def area(scores: Array, positive: Array) -> float:
    """The probability that a positive example scores above a negative one, ties counting half (AUC)."""
    order = np.unique(scores, return_inverse=True)[1]
    below = np.cumsum(np.bincount(order[~positive], minlength=order.max() + 1))
    ties = np.bincount(order[~positive], minlength=order.max() + 1)
    wins = below[order[positive]] - 0.5 * ties[order[positive]]
    return float(wins.mean() / (~positive).sum())
