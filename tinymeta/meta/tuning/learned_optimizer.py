"""Learned update rules: f(θ; φ), an optimizer that is a small network (Andrychowicz et al. 2016).

    θ_{t+1} = θ_t + g_t,     (g_t, h_{t+1}) = m(∇_t, h_t; φ)            (eq. 2 and 3: m is shared by all coordinates)
    min over φ of  Σ_t w_t f(θ_t)                                        (eq. 3)

φ is the network m. Each coordinate of θ is an example in its batch and has a state of its own, so a rule with two
thousand numbers trains a model of any size. The gradients ∇_t count as constants (the dashed edges of their figure 2),
which saves the second derivatives of f, and φ is trained on windows of a few steps: where a window begins, θ and h are
constants too (truncated back-propagation through time).

What the network sees of a coordinate (`seen`)

    log|∇|/p and sign ∇, or −1 and e^p ∇ where |∇| < e^−p                 (their appendix A, p = 10)
    ∇/√v̂, and m̂/√v̂ for a fast, a middling and a slow average m̂          (Lv, Jiang & Li 2017, § 4.1, for one average)
    tanh(0.7 log t − b), b = 1, 2, 3                                      the age, for rules with no memory of their own

and what it says are two directions and their sizes, one relative to the gradients' size √v̂ and one in their unit,

    θ_{t+1} = θ_t − scale · ((m̂/√v̂ + d) e^s + √v̂ d' e^s')

so that a network that says 0 is a rule that works.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.transforms import grad
from tinymeta.engine.typing import Tree, X
from tinymeta.meta.core.adapt import Loss, constant
from tinymeta.nn import init
from tinymeta.nn.layers import MLP, Linear
from tinymeta.nn.module import Module
from tinymeta.nn.recurrent import LSTMCell
from tinymeta.ops.elementwise import exp, log, square
from tinymeta.ops.logistic import tanh
from tinymeta.ops.select import abs, sign, where
from tinymeta.ops.shape import stack
from tinymeta.ops.tree import ravel
from tinymeta.optim.optimizer import Optimizer, bias, check_gradients, root, start

P = 10.0  # gradients below e^−P are told from 0 by their size
FAST_TO_SLOW = (0.5, 0.9, 0.99)  # decays of the averages m
SPREAD = 0.98  # decay of v
EPS = 1e-16  # in v: a gradient of 10⁻⁸ is as good as none
SEEN, SAID = 3 + len(FAST_TO_SLOW) + 3, 4  # numbers that the network sees of a coordinate, and says
SCALE, STRETCH = 0.03, 2.0  # of the steps, and of what the network says
FLOOR, LOST = 1e-6, 1e6  # losses below and above which a rule is not judged by


class RuleState(NamedTuple):
    taken: Tensor  # steps so far
    means: list[Tensor]  # averages of the gradient, (coordinates,)
    square: Tensor  # average of its square
    memory: Tree  # of the network, one row per coordinate


class LearnedRule(Module):
    """An optimizer whose update is computed by a network: a subclass says which, in `think`.

    Shapes: parameters any tree; `think` takes (coordinates, 9) and gives (coordinates, 4).
    Raises: ShapeError (by `update`; of a dtype DtypeError, of a tree ValueError) for gradients unlike the parameters.
    Source: Andrychowicz et al. 2016, eq. 2 and 3.

    >>> class SaysNothing(tm.meta.LearnedRule):
    ...     def think(self, seen, memory):
    ...         return seen[:, :4] * 0, memory
    >>> rule, theta = SaysNothing(), tm.tensor([1.0, 1.0])
    >>> rule.update(tm.tensor([5.0, -0.2]), rule.init(theta), theta)[0]  # a step of 0.03 along the signs
    tensor([0.97, 1.03])
    """

    def init(self, params: Tree) -> RuleState:
        zero = ravel(params)[0] * 0.0
        return RuleState(start(), [zero for _ in FAST_TO_SLOW], zero, self.blank(zero))

    def update(self, grads: Tree, state: RuleState, params: X) -> tuple[X, RuleState]:
        check_gradients(grads, params)
        g, _ = ravel(grads)
        count = state.taken + 1
        means = [b * m + (1 - b) * g for b, m in zip(FAST_TO_SLOW, state.means)]
        second = SPREAD * state.square + (1 - SPREAD) * square(g)
        size = root(second / bias(SPREAD, count, g.dtype) + EPS)
        relative = [m / bias(b, count, g.dtype) / size for b, m in zip(FAST_TO_SLOW, means)]
        age = log(count).astype(g.dtype) + g * 0
        times = [tanh(0.7 * age - b) for b in (1.0, 2.0, 3.0)]
        said, memory = self.think(stack([*log_and_sign(g), g / size, *relative, *times], -1), state.memory)
        d, s, absolute, bend = (STRETCH * said[..., k] for k in range(SAID))
        step = SCALE * ((relative[1] + d) * exp(s) + size * absolute * exp(bend))
        each = ravel(params)[1](step)
        return tree.map(lambda p, s: p - s, params, each), RuleState(count, means, second, memory)

    def blank(self, zero: Tensor) -> Tree:
        """The memory before the first step."""
        return None

    def think(self, seen: Tensor, memory: Tree) -> tuple[Tensor, Tree]:
        """From (coordinates, SEEN) and the memory to (coordinates, SAID) and the memory after it."""
        raise TypeError(f"{type(self).__name__} defines no think(seen, memory)")


class MLPRule(LearnedRule):
    """A learned rule without memory but the averages.

    Shapes: parameters any tree.
    Source: Metz et al. 2020.

    >>> rule, theta = tm.meta.MLPRule(np.random.default_rng(0)), tm.tensor(np.ones(3, np.float32))
    >>> rule.update(theta, rule.init(theta), theta)[0].shape
    (3,)
    """

    def __init__(self, rng: np.random.Generator, width: int = 32) -> None:
        self.network = MLP([SEEN, width, width, SAID], rng=rng, activation=tanh)
        self.network.head = Linear(width, SAID, rng=rng, weight_init=init.normal(0.01))

    def think(self, seen: Tensor, memory: Tree) -> tuple[Tensor, Tree]:
        return self.network(seen), memory


class LSTMRule(LearnedRule):
    """A learned rule with an LSTM, two layers of 20.

    Shapes: parameters any tree.
    Source: Andrychowicz et al. 2016, § 3.

    >>> rule, theta = tm.meta.LSTMRule(np.random.default_rng(0)), tm.tensor(np.ones(3, np.float32))
    >>> rule.update(theta, rule.init(theta), theta)[0].shape
    (3,)
    """

    def __init__(self, rng: np.random.Generator, width: int = 20, layers: int = 2) -> None:
        self.cells = [LSTMCell(SEEN if k == 0 else width, width, rng=rng) for k in range(layers)]
        self.head = Linear(width, SAID, rng=rng, weight_init=init.normal(0.01))

    def blank(self, zero: Tensor) -> Tree:
        rows = stack([zero] * self.cells[0].from_state.shape[0], -1)
        return [(rows, rows) for _ in self.cells]

    def think(self, seen: Tensor, memory: Tree) -> tuple[Tensor, Tree]:
        x, after = seen, []
        for cell, state in zip(self.cells, memory):
            after.append(cell(x, state))
            x = after[-1][0]
        return self.head(x), after


def log_and_sign(g: Tensor) -> tuple[Tensor, Tensor]:
    """A gradient as its order of magnitude and its sign, both within [−1, 1] (appendix A)."""
    large = abs(g) >= np.exp(-P)
    size = where(large, log(where(large, abs(g), 1)) / P, -1)
    return size, where(large, sign(g), float(np.exp(P)) * g)


def descend(rule: Optimizer, loss: Loss, params: X, state: Tree, data: Tree, steps: int) -> tuple[X, Tree, Tensor]:
    """`steps` steps of `rule`: the parameters and the state after them, and the losses after each.

    All of it may be differentiated in what `rule` is made of; the gradients of `loss` are constants.

    Shapes: params any tree → the same, the state, and (steps,).

    >>> loss, rule = lambda theta, goal: (theta - goal) ** 2, tm.optim.SGD(0.25)
    >>> theta = tm.tensor(0.0)
    >>> tm.meta.descend(rule, loss, theta, rule.init(theta), 1.0, steps=3)[2]
    tensor([0.25  , 0.0625, 0.0156])
    """
    losses = []
    for _ in range(steps):
        grads = grad(loss)(constant(params), data)
        params, state = rule.update(constant(grads), state, params)
        losses.append(loss(params, data))
    return params, state, stack(losses)


def window_loss(phi: LearnedRule, loss: Loss, params: Tree, data: Tree, *, warm: int, steps: int) -> Tensor:
    """The mean logarithm of the loss over `steps` steps that follow `warm` steps, whose result is a constant.

    The logarithm makes problems of all scales and all ages count alike. Where the rule has let the loss grow beyond
    `LOST`, there is nothing to learn from how.

    Shapes: phi a learned rule, params any tree → ().

    >>> loss, rule = lambda theta, goal: ((theta - goal) ** 2).mean(), tm.meta.MLPRule(np.random.default_rng(0))
    >>> tm.meta.window_loss(rule, loss, tm.tensor(np.zeros(3, np.float32)), 1.0, warm=2, steps=3).shape
    ()
    """
    state = phi.init(params)
    if warm:
        params, state, _ = descend(constant(phi), loss, params, state, data, warm)
    *_, losses = descend(phi, loss, constant(params), constant(state), data, steps)
    kept = losses < LOST
    judged: Tensor = where(kept, log(where(kept, losses, 1) + FLOOR), float(np.log(LOST))).mean()
    return judged


def rescaled(loss: Loss) -> Loss:
    """`loss` in other coordinates: the data are (data, c), and θ is what c ∘ θ was.

    Shapes: θ and c, trees of one structure → ().
    Source: Lv et al. 2017, § 4.2.

    >>> tm.meta.rescaled(lambda theta, goal: (theta - goal) ** 2)(tm.tensor(0.5), (3.0, 4.0))  # (4·0.5 − 3)²
    tensor(1.)
    """
    return lambda params, scaled: loss(tree.map(lambda p, c: p * c, params, scaled[1]), scaled[0])
