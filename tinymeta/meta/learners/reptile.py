"""Reptile (Nichol, Achiam & Schulman 2018): move towards what every task made of the weights.

    φ ← φ − ε (φ − φ̃)        φ̃: the weights after k inner steps on a task        (Algorithm 1)

Here φ − φ̃ is handed to the outer optimizer as if it were a gradient, as in the batched version
(Algorithm 2); with SGD(ε) outside the update is the one above. It is no derivative of the query loss, so nothing else
is to be had from it: `towards` refuses all others.

For two steps of size α on two minibatches, with gradients g₁, g₂ and Hessians H₁, H₂ of a task's losses,
in expectation over their order (§ 5.1):

    MAML            1·AvgGrad − 2α·AvgGradInner + O(α²)          AvgGrad      = E[g]
    first-order     1·AvgGrad − 1α·AvgGradInner + O(α²)          AvgGradInner = E[H₂ g₁]
    Reptile / α     2·AvgGrad − 1α·AvgGradInner + O(α²)

The second term makes the gradients of different minibatches agree, and no second derivative was taken for it.

An inner loop with Adam usually starts with an empty state, so that its first step has the same length for every
weight, whatever the gradient: g/√v̂ is ±1 there. What the tasks before have seen of the gradients' sizes is better
than nothing. Nichol et al.'s code keeps Adam's averages from task to task and puts only the weights back; here
they are part of φ (`Carried`), and Reptile moves them as it moves the weights: to the mean of what the tasks made of
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from tinymeta.engine import tree
from tinymeta.engine.errors import UserError, user_site
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Tree
from tinymeta.nn.module import Module
from tinymeta.ops.custom import custom_vjp
from tinymeta.optim.optimizer import Optimizer


def towards(phi: Tree, adapted: Tree, value: Tensor) -> Tensor:
    """A scalar with the value of `value` and, with respect to `phi`, the gradient φ − φ̃.

    It has no other derivative: not a second one, which would hold dφ̃/dφ, and none with respect to anything else that
    `adapted` and `value` depend on.
    """
    pulled: Tensor = _pulled(phi, adapted, _underived(value))
    return pulled


def _pull(g: Tensor, y: Tensor, phi: Tree, adapted: Tree, value: Tensor) -> tuple[Tree, ...]:
    away = _underived(tree.map(lambda p, q: p - q, phi, adapted))
    return tree.map(lambda d: g * d, away), None, g


def _refuse(*_: Tree) -> NoReturn:
    raise UserError(
        f"differentiate='reptile' has one derivative ({user_site()}): the gradient φ − φ̃ of tm.meta.query_loss and "
        "tm.meta.maml with respect to the φ that was adapted. It is no derivative of the query loss, so its own "
        "derivatives, and those with respect to anything else, mean nothing: take differentiate='exact', or detach()"
    )


# What nobody may differentiate: better than a silent 0.
_underived = custom_vjp(lambda x: x, _refuse)
constant_of_phi = custom_vjp(lambda phi, adapted: adapted, _refuse)
_pulled = custom_vjp(lambda phi, adapted, value: value, _pull)


class Carried(Module):
    """A model and the state of its rule; called, it is the model.

    Shapes: those of the model.

    >>> tm.meta.Carried(lambda x: 2 * x, state=None)(3.0)
    6.0
    """

    def __init__(self, model: Tree, state: Tree) -> None:
        self.model, self.state = model, state

    def __call__(self, *args: Any, **kwargs: Any) -> Tree:
        return self.model(*args, **kwargs)


@dataclass(frozen=True)
class Carrying:
    """The update rule of `Carried` models: `rule`, with its state among the parameters.

    Shapes: parameters `Carried` → the same.
    Source: the code of Nichol, Achiam & Schulman 2018, with the averages in φ.

    >>> rule = tm.meta.Carrying(tm.optim.Adam(0.1, b1=0.0))
    >>> start = rule.carried(tm.tensor(np.ones(2)))
    >>> loss = lambda theta, goal: ((theta.model - goal) ** 2).sum()
    >>> for _ in range(3):  # the tasks; a batch of several moves φ to the mean
    ...     start = tm.meta.adapt(loss, start, 0.0, rule=rule, steps=5, differentiate="reptile")
    >>> float(start.state.taken)
    15.0
    """

    rule: Optimizer

    def carried(self, model: Tree) -> Carried:
        """`model` with the state that the rule starts from."""
        return Carried(model, self.rule.init(model))

    def init(self, params: Carried) -> tuple[()]:
        return ()

    def update(self, grads: Carried, state: tuple[()], params: Carried) -> tuple[Carried, tuple[()]]:
        return Carried(*self.rule.update(grads.model, params.state, params.model)), ()
