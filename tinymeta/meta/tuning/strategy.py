"""A strategy network: it reads a task's features, picks and adjusts the update rule (Rice 1976, task by task).

    c_ℓ = features of the task and of layer ℓ, from the support set alone                      (`features`)
    π_ℓ, s_ℓ = network(c_ℓ; φ)                        a mixture over the rules, and a log step size for each
    θ_ℓ ← θ_ℓ − Σ_r π_ℓr e^{s_ℓr} u_ℓr                where u_r is what rule r would do                (`learn`)
    min over φ of  E_tasks [ log L_query(θ_T) ]

The choice is soft, a mixture that φ's gradient flows through, or hard: of the terms π_r e^{s_r} u_r the one that moves
the layer most, alone, so that a network trained on mixtures is where training on hard choices can begin. (π alone would
not do: a mixture also switches a rule off by a small step size.) A choice is made anew every few steps, from what the
features are by then. Features are constants to φ's gradient; the gradients ∇L inside the rules are not: the
second-order terms are there.

Rice asked which algorithm suits which problem; the mixture of update rules under one network's control is that
question made differentiable, like the learned rules of Andrychowicz et al. (2016) but with rules a reader knows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.structure import stop_gradient
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.transforms import grad
from tinymeta.engine.tree import Structure
from tinymeta.engine.typing import Tree
from tinymeta.nn.layers import MLP, Linear
from tinymeta.nn.module import Module
from tinymeta.ops.derivatives import hvp
from tinymeta.ops.elementwise import exp, log, square
from tinymeta.ops.linalg import tensordot
from tinymeta.ops.logistic import tanh
from tinymeta.ops.reduce import mean
from tinymeta.ops.select import sign, where
from tinymeta.ops.shape import concat, stack
from tinymeta.ops.softmax import softmax
from tinymeta.ops.tree import dot
from tinymeta.optim.optimizer import root

Each = Callable[[Tree, Tree], Tensor]  # (model, batch) → the loss of every example, (n,)
Choice = tuple[Tensor, Tensor]  # π and s of every leaf: (leaves, RULES) each

RULES = ("SGD", "momentum", "Adam", "RMSProp", "sign", "evolution search")
RATES = (0.1, 0.05, 0.03, 0.02, 0.02, 0.1)  # where the step sizes begin
MOMENTUM, FIRST, SECOND = 0.9, 0.9, 0.99  # decays
EPS = 1e-8
REACH = 2.0  # of the network's word on log step sizes
SIGMA = 0.05  # of the evolution search's trials
GLOBAL, LOCAL, SET = 5, 3, 5  # features of the task, of a leaf, and of an example


class Memory(NamedTuple):
    """What the rules remember, one entry per leaf."""

    momentum: list[Tree]
    first: list[Tree]
    second: list[Tree]


class StrategyNet(Module):
    """φ: a deep set over the support examples (Zaheer et al. 2017), and a network that picks."""

    def __init__(self, rng: np.random.Generator, width: int = 32) -> None:
        self.example = Linear(SET, width, rng=rng)
        self.pick = MLP([GLOBAL + LOCAL + width, width, 2 * len(RULES)], rng=rng, activation=tanh)
        self.rates = Tensor(np.log(np.array(RATES, np.float32)))

    def __call__(self, task: Tensor, leaves: Tensor, examples: Tensor) -> Choice:
        """From features of the task (GLOBAL,), of its leaves (leaves, LOCAL) and examples (n, SET) to a choice."""
        embedding = mean(tanh(self.example(examples)), 0)
        shared = concat([task, embedding])
        rows = stack([concat([shared, leaves[k]]) for k in range(leaves.shape[0])])
        said = self.pick(rows)
        return softmax(said[:, : len(RULES)], -1), self.rates + REACH * said[:, len(RULES) :]


def fixed(weights: Tensor, log_rate: Tensor) -> Callable[..., Choice]:
    """One mixture (RULES,) and one log step size for all leaves and tasks: what a strategy has to beat."""

    def choose(task: Tensor, leaves: Tensor, examples: Tensor) -> Choice:
        zero = leaves[:, :1] * 0
        return zero + weights, zero + log_rate + weights * 0

    return choose


def learn(
    choose: Callable[..., Choice],
    each: Each,
    theta: Tree,
    support: Tree,
    trials: ArrayLike,
    steps: int,
    every: int,
    hard: bool = False,
) -> tuple[Tree, Tensor]:
    """`theta` after `steps` steps on the support set, and the choices made: (choices, leaves, RULES).

    Parameters
    ----------
    choose
        From features to a choice: a `StrategyNet`, or `fixed(…)`.
    each
        The loss of every example.
    theta
        The model, a pytree.
    trials
        Standard normal numbers for the evolution search: a tree like `theta` with an axis of trials in front.
    every
        A new choice is made every so many steps.
    hard
        Take one rule for each leaf, the one whose term is largest, instead of all.
    """
    leaves, structure = tree.flatten(theta)
    noise = tree.leaves(trials)
    loss = lambda given: mean(each(tree.unflatten(structure, given), support))
    memory = Memory(*([leaf * 0 for leaf in leaves] for _ in Memory._fields))
    made = []
    weights = rates = leaves[0]  # until they are chosen, at once
    for t in range(steps):
        grads = grad(loss)(leaves)
        if t % every == 0:
            seen = features(each, structure, leaves, grads, support, t / steps)
            weights, rates = choose(*(stop_gradient(x) for x in seen))
        single, memory = directions(grads, memory, t)
        moves = [stack([*several, found]) for several, found in zip(single, evolution(loss, leaves, noise))]
        if t % every == 0 and hard:
            weights = stack([only_largest(w, r, move) for w, r, move in zip(weights, rates, moves)])
        if t % every == 0:
            made.append(weights)
        leaves = [p - tensordot(w * exp(r), move, 1) for p, w, r, move in zip(leaves, weights, rates, moves)]
    return tree.unflatten(structure, leaves), stack(made)


def only_largest(weights: Tensor, rates: Tensor, moves: Tensor) -> Tensor:
    """The weights (RULES,) of one leaf with all but that of the largest term set to 0."""
    size = weights * exp(rates) * root(mean(square(moves.reshape((len(RULES), -1))), -1))
    return where(size >= size.max(), weights, 0)


def directions(grads: list[Tensor], memory: Memory, t: int) -> tuple[list[list[Tensor]], Memory]:
    """What SGD, momentum, Adam, RMSProp and sign descent would subtract, at step size 1, from each leaf in step t."""
    memory = Memory(
        [MOMENTUM * m + g for m, g in zip(memory.momentum, grads)],
        [FIRST * m + (1 - FIRST) * g for m, g in zip(memory.first, grads)],
        [SECOND * v + (1 - SECOND) * square(g) for v, g in zip(memory.second, grads)],
    )
    moves = []
    for g, m, first, second in zip(grads, *memory):
        size = root(second / (1 - SECOND ** (t + 1))) + EPS
        moves.append([g, m, first / (1 - FIRST ** (t + 1)) / size, g / size, sign(g)])
    return moves, memory


def evolution(loss: Callable[[Tree], Tensor], leaves: list[Tensor], noise: list[Tensor]) -> list[Tensor]:
    """The gradient as an evolution strategy finds it, from losses alone (Salimans et al. 2017, § 2.1, in pairs)."""
    found = [leaf * 0 for leaf in leaves]
    trials = noise[0].shape[0]
    for k in range(trials):
        there, back = (loss([p + side * e[k] for p, e in zip(leaves, noise)]) for side in (SIGMA, -SIGMA))
        slope = (there - back) / (2 * SIGMA * trials)
        found = [total + slope * e[k] for total, e in zip(found, noise)]
    return found


def features(
    each: Each, structure: Structure, leaves: list[Tensor], grads: list[Tensor], support: Tree, progress: float
) -> tuple[Tensor, Tensor, Tensor]:
    """What the network sees: of the task (GLOBAL,), of every leaf (leaves, LOCAL), of every example (n, SET).

    The curvature along the gradient, gᵀHg / gᵀg, comes from one Hessian-vector product.
    """
    loss = lambda given: mean(each(tree.unflatten(structure, given), support))
    losses = each(tree.unflatten(structure, leaves), support)
    gg = dot(grads, grads) + EPS
    curvature = dot(grads, hvp(loss, leaves, grads)) / gg
    level, spread = mean(losses), root(mean(square(losses - mean(losses))))
    task = [_log(level), _log(spread), 0.5 * _log(gg), _signed_log(curvature), level * 0 + progress]
    rows = [
        stack([0.5 * _log(mean(square(g))), 0.5 * _log(mean(square(p))), level * 0 + np.log(p.size) / 4])
        for g, p in zip(grads, leaves)
    ]
    x, y = (a.reshape((losses.shape[0], -1)).astype(level.dtype) for a in support)
    examples = [_log(losses), mean(x, -1), root(mean(square(x), -1)), mean(y, -1), root(mean(square(y), -1))]
    return stack(task), stack(rows), stack(examples, -1)


def _log(x: Tensor) -> Tensor:
    """log x in units of a factor of 50, from 10⁻⁸ on."""
    return log(x + EPS) / 4


def _signed_log(x: Tensor) -> Tensor:
    return sign(x) * log(1 + x * sign(x))
