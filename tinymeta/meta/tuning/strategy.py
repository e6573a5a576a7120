"""A strategy network: it reads a task's features, picks and adjusts the update rule (Rice 1976, task by task).

    c_ℓ = features of the task and of layer ℓ, from the support set alone                      (`features`)
    π_ℓ, s_ℓ = choice(φ₀ + trust · network(c_ℓ; φ))   a mixture over the rules, and a log step size for each
    θ_ℓ ← θ_ℓ − Σ_r π_ℓr e^{s_ℓr} u_ℓr                where u_r is what rule r would do                (`learn`)
    min over φ of  E_tasks [ log L_query(θ_T) ]

φ₀ is the best choice for everything, learned before (`Mixture`). What the network says beside it counts as far as data
like the task's were met in training: on those of another kind a network's word is arbitrary, and mostly worse than φ₀.

Whatever φ says, nothing overflows: a step size stays within a factor e^REACH of where it begins, what a rule would
do has a root mean square of at most 1, and so T steps move the weights of a layer by no more than T·e^{max s} in the
root mean square. With step sizes unbounded most trainings end in tasks that diverged, whose features and gradients are
no numbers.

The choice is soft, a mixture that φ's gradient flows through, or hard: of the terms π_r e^{s_r} u_r the one that moves
the layer most, alone, so that a network trained on mixtures is where training on hard choices can begin. (π alone would
not do: a mixture also switches a rule off by a small step size.) A choice is made anew every few steps, from what the
features are by then. Features are constants to φ's gradient; the gradients ∇L inside the rules are not: the
second-order terms are there.

Rice asked which algorithm suits which problem; the mixture of update rules under one network's control is that
question made differentiable, like the learned rules of Andrychowicz et al. (2016) but with rules a reader knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.structure import stop_gradient
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.transforms import grad
from tinymeta.engine.tree import Structure
from tinymeta.engine.typing import Tree
from tinymeta.nn.layers import Linear
from tinymeta.nn.module import Module
from tinymeta.ops.derivatives import hvp
from tinymeta.ops.draws import vmap
from tinymeta.ops.elementwise import exp, log, square
from tinymeta.ops.linalg import tensordot
from tinymeta.ops.logistic import tanh
from tinymeta.ops.reduce import mean
from tinymeta.ops.select import clip, maximum, minimum, sign, where
from tinymeta.ops.shape import concat, stack
from tinymeta.ops.softmax import softmax
from tinymeta.ops.tree import dot
from tinymeta.optim.optimizer import root

Each = Callable[[Tree, Tree], Tensor]  # (model, batch) → the loss of every example, (n,)
Choice = tuple[Tensor, Tensor]  # π and s of every leaf: (leaves, RULES) each

RULES = ("SGD", "momentum", "Adam", "RMSProp", "sign", "evolution search")
RATES = (0.05, 0.03, 0.03, 0.02, 0.02, 0.05)  # where the step sizes begin
PRIOR = (0.0, 0.0, 2.0, 0.0, 0.0, 0.0)  # where log π begins, up to a constant: most of it is Adam
MOMENTUM, FIRST, SECOND = 0.9, 0.9, 0.99  # decays
EPS = 1e-8
REACH = 2.5  # of log step sizes, either way
SEEN = 4.0  # the largest size of a feature
NEAR, FAR = 2.0, 1e4  # distances: where trust is a half, and where it ends
LEAST = 0.005  # the least standard deviation of a family's data
SIGMA = 0.05  # of the evolution search's trials
GLOBAL, LOCAL, SET = 5, 3, 5  # features of the task, of a leaf, and of an example


class Memory(NamedTuple):
    """What the rules remember, one entry per leaf."""

    momentum: list[Tree]
    first: list[Tree]
    second: list[Tree]


class Mixture(Module):
    """φ₀: one mixture and one set of step sizes for all tasks and leaves, learned, but blind to features."""

    def __init__(self) -> None:
        self.said = Tensor(np.zeros(2 * len(RULES), np.float32))

    def __call__(self, task: Tensor, leaves: Tensor, examples: Tensor) -> Choice:
        """Features of the task (GLOBAL,), of its leaves (leaves, LOCAL) and examples (n, SET) change nothing."""
        return choice(self.said + 0 * leaves[:, :1])


class StrategyNet(Module):
    """φ: a deep set over the support examples (Zaheer et al. 2017), and a network that picks.

    Its last layer begins at 0: the choice is the mixture's until features are found to pay.

    Parameters
    ----------
    mixture
        φ₀, which stays as it is.
    known
        Of the families that it is trained on, from `known(…)`.
    """

    def __init__(self, rng: np.random.Generator, mixture: Mixture, known: Tensor, width: int = 32) -> None:
        self.mixture, self.known = mixture, known
        self.example = Linear(SET, width, rng=rng)
        self.hidden = Linear(GLOBAL + LOCAL + width, width, rng=rng)
        self.head = Tensor(np.zeros((width, 2 * len(RULES)), np.float32))

    def __call__(self, task: Tensor, leaves: Tensor, examples: Tensor) -> Choice:
        """From features of the task (GLOBAL,), of its leaves (leaves, LOCAL) and examples (n, SET) to a choice."""
        trust = self.trust(examples)
        task, leaves, examples = (clip(x, -SEEN, SEEN) for x in (task, leaves, examples))
        shared = concat([task, mean(tanh(self.example(examples)), 0)])
        rows = stack([concat([shared, leaves[k]]) for k in range(leaves.shape[0])])
        return choice(stop_gradient(self.mixture.said) + trust * (tanh(self.hidden(rows)) @ self.head))

    def trust(self, examples: Tensor) -> Tensor:
        """From 1 for data that lie as close to a known family's mean as its own, to 0 for those that are far from all.

        The distance is in its standard deviations, a root mean square over what `summary` says.
        """
        centre, spread = stop_gradient(self.known)[:, 0], stop_gradient(self.known)[:, 1]
        distance = mean(square((summary(examples[:, 1:]) - centre) / spread), -1).min() / NEAR**2
        return 1 / (1 + square(square(minimum(distance, FAR))))


def known(supports: Sequence[Tree]) -> Tensor:
    """Mean and standard deviation of each family's `summary`, from support sets of many tasks: (families, 2, 8)."""
    found = [vmap(lambda support: summary(described(support)))(support) for support in supports]
    return stack([stack([mean(x, 0), root(mean(square(x - mean(x, 0)), 0)) + LEAST]) for x in found])


def summary(examples: Tensor) -> Tensor:
    """Mean and standard deviation over examples of what describes each of them, (n, 4) → (8,)."""
    centre = mean(examples, 0)
    return concat([centre, root(mean(square(examples - centre), 0))])


def choice(said: Tensor) -> Choice:
    """π and s from what was said of both, (leaves, 2 RULES): any numbers."""
    weights = softmax(said[:, : len(RULES)] + np.array(PRIOR, np.float32), -1)
    return weights, REACH * tanh(said[:, len(RULES) :]) + np.log(np.array(RATES, np.float32))


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
        moves = [bounded(stack([*several, found])) for several, found in zip(single, evolution(loss, leaves, noise))]
        if t % every == 0 and hard:
            weights = stack([only_largest(w, r, move) for w, r, move in zip(weights, rates, moves)])
        if t % every == 0:
            made.append(weights)
        leaves = [p - tensordot(w * exp(r), move, 1) for p, w, r, move in zip(leaves, weights, rates, moves)]
    return tree.unflatten(structure, leaves), stack(made)


def bounded(moves: Tensor) -> Tensor:
    """What the rules would subtract from a leaf, (RULES, …), each shortened to a root mean square of 1 if it is longer.

    It is a rule's own step, in another length: for plain gradients this is clipping (Pascanu et al. 2013).
    """
    flat = moves.reshape((len(RULES), -1))
    size = root(mean(square(flat), -1, keepdims=True))
    shortened: Tensor = (flat / maximum(size, 1.0)).reshape(moves.shape)
    return shortened


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
    examples = concat([_log(losses)[:, None], described(support).astype(level.dtype)], -1)
    return stack(task), stack(rows), examples


def described(support: Tree) -> Tensor:
    """Mean and root mean square of the numbers in each example's x, and in its y: (n, 4)."""
    x, y = (a.reshape((a.shape[0], -1)).astype(np.float32) for a in support)
    return stack([mean(x, -1), root(mean(square(x), -1)), mean(y, -1), root(mean(square(y), -1))], -1)


def _log(x: Tensor) -> Tensor:
    """log x in units of a factor of 50, from 10⁻⁸ on."""
    return log(x + EPS) / 4


def _signed_log(x: Tensor) -> Tensor:
    return sign(x) * log(1 + x * sign(x)) / 4
