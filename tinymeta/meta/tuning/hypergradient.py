"""Hypergradients: step sizes, and whatever else a rule is set by, tuned by their own gradient.

A rule of optimization is set by φ: a step size, a decay. Its step θ' = U(θ, ∇f(θ); φ) depends on φ, so the loss after
it does, and there are two ways to descend that loss in φ.

Online (Baydin, Cornish, Martínez Rubio, Schmidt & Wood 2018, § 3), while training goes on, one step back:

    h = ∂f(θ')/∂φ = ∇f(θ') · ∂U(θ, ∇f(θ); φ)/∂φ            for SGD, −∇f(θ')·∇f(θ) (their eq. 4 and 5)
    φ ← φ − β h                                            before the next step is taken

`Hypergradient` does this to any rule: ∂U/∂φ is a Jacobian-vector product, not a formula per rule as in algorithms 4
to 6. It costs one copy of the parameters for each hyperparameter, and one step is as far as it looks: of what a smaller
step now gains a thousand steps later it knows nothing (Wu et al. 2018 call this the short-horizon bias).

Unrolled (Maclaurin, Duvenaud & Adams 2015), through the whole of training:

    φ ← φ − β ∂f_valid(θ_T)/∂φ                             where θ_T has been trained T steps by U(·; φ)

is `adapt` with φ in its rule. It looks T steps ahead and may ask for what only held-out examples can tell (a weight
decay), and it costs T steps of memory and several trainings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Tree, X
from tinymeta.meta.core.adapt import Loss, adapt
from tinymeta.ops.derivatives import jvp
from tinymeta.ops.elementwise import exp
from tinymeta.ops.select import where
from tinymeta.ops.tree import dot, zeros_like
from tinymeta.optim.optimizer import Optimizer, check_gradients, root

Rule = Callable[[Tree], Optimizer]  # from hyperparameters, a tree of scalars, to an optimizer


class HypergradientState(NamedTuple):
    phi: Tree  # the hyperparameters in force
    rule: Tree  # the state of the rule that they set
    slopes: list[Tree]  # ∂θ/∂φₖ of the last step: a tree like the parameters for each hyperparameter


class Hypergradient:
    """An optimizer that tunes another one's hyperparameters while it runs (Baydin et al. 2018).

    Shapes: parameters any tree; hyperparameters a tree of numbers.
    Raises: ShapeError (by `update`; of a dtype DtypeError, of a tree ValueError) for gradients unlike the parameters.
    Source: Baydin et al. 2018, § 3.

    Parameters
    ----------
    rule
        `rule(phi)`, an optimizer: `lambda phi: tm.optim.SGD(phi["lr"])`.
    start
        The hyperparameters before the first step, a tree of numbers.
    beta
        The step size of the step size.
    relative
        False: φ ← φ − β h, the paper's rule, where β has to suit the scale of the loss. True: φ ← φ exp(−β cos), with
        the cosine of the angle between ∇f(θ') and ∂U/∂φ in place of h: φ stays positive, β has no unit (0.1 doubles
        a step size in seven steps at the quickest), and a start that is wrong by decades matters little.

    Examples
    --------
    Two steps down θ²/2 from 1 with step size 0.1: the gradients are 1 and 0.9, so h = −0.9 and the step size grows.

    >>> optimizer = tm.meta.Hypergradient(lambda phi: tm.optim.SGD(phi), 0.1, beta=0.01, relative=False)
    >>> theta = tm.tensor(1.0)
    >>> state = optimizer.init(theta)
    >>> for _ in range(2):
    ...     theta, state = optimizer.update(theta, state, theta)
    >>> round(float(state.phi), 6)  # 0.1 + 0.01·0.9
    0.109
    """

    def __init__(self, rule: Rule, start: Tree, beta: float = 0.1, relative: bool = True) -> None:
        self.rule, self.start, self.beta, self.relative = rule, start, beta, relative

    def init(self, params: Tree) -> HypergradientState:
        dtype = as_tensor(tree.leaves(params)[0]).dtype
        phi = tree.map(lambda value: as_tensor(value).astype(dtype), self.start)
        return HypergradientState(phi, self.rule(phi).init(params), [zeros_like(params) for _ in tree.leaves(phi)])

    def update(self, grads: Tree, state: HypergradientState, params: X) -> tuple[X, HypergradientState]:
        check_gradients(grads, params)
        values, structure = tree.flatten(state.phi)
        phi = tree.unflatten(structure, [self._tuned(v, grads, slope) for v, slope in zip(values, state.slopes)])

        def stepped(phi: Tree) -> Tree:
            return self.rule(phi).update(grads, state.rule, params)[0]

        slopes = [jvp(stepped, (phi,), (unit,))[1] for unit in _units(phi)]
        params, rule = self.rule(phi).update(grads, state.rule, params)
        return params, HypergradientState(phi, rule, slopes)

    def _tuned(self, value: Tensor, grads: Tree, slope: Tree) -> Tensor:
        h = dot(grads, slope)
        if not self.relative:
            return value - self.beta * h
        size = root(dot(grads, grads)) * root(dot(slope, slope))
        return value * exp(-self.beta * h / where(size > 0, size, 1))


class Problem(NamedTuple):
    """One training: where it starts, what it trains on, and what it is judged by.

    Shapes: start any tree, support and query whatever the loss takes.

    >>> tm.meta.Problem(start=0.0, support=1.0, query=1.0)
    Problem(start=0.0, support=1.0, query=1.0)
    """

    start: Tree
    support: Tree
    query: Tree


def unrolled(loss: Loss, rule: Rule, steps: int, phi: Tree, problem: Problem) -> Tree:
    """The query loss after `steps` steps of `rule(phi)`, to be differentiated in `phi`.

    Shapes: phi any tree → ().
    Raises: ValueError as `adapt` does.
    Source: Maclaurin, Duvenaud & Adams 2015.

    >>> loss, problem = lambda theta, goal: (theta - goal) ** 2, tm.meta.Problem(0.0, 1.0, 1.0)
    >>> tuned = lambda lr: tm.meta.unrolled(loss, lambda lr: tm.optim.SGD(lr), 1, lr, problem)
    >>> float(tuned(0.25)), float(tm.grad(tuned)(0.25))  # (1 − 2 lr)², and its slope
    (0.25, -2.0)
    """
    return loss(adapt(loss, problem.start, problem.support, rule=rule(phi), steps=steps), problem.query)


def _units(phi: Tree) -> list[Tree]:
    """Trees like `phi` with a 1 for one of its numbers and 0 for the others."""
    values, structure = tree.flatten(phi)
    ones = np.eye(len(values), dtype=values[0].dtype)
    return [tree.unflatten(structure, list(row)) for row in ones]
