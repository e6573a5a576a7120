"""Reptile (Nichol, Achiam & Schulman 2018): move towards what every task made of the weights.

    φ ← φ − ε (φ − φ̃)        φ̃: the weights after k inner steps on a task        (Algorithm 1)

Here φ − φ̃ is handed to the outer optimizer as if it were a gradient, as in the batched version
(Algorithm 2); with SGD(ε) outside the update is the one above. It is the gradient of ½‖φ − φ̃‖² with φ̃
held fixed, and that is how `towards` makes it. With Adam inside, φ holds its averages, too: see `carried.py`.

For two steps of size α on two minibatches, with gradients g₁, g₂ and Hessians H₁, H₂ of a task's losses,
in expectation over their order (§ 5.1):

    MAML            1·AvgGrad − 2α·AvgGradInner + O(α²)          AvgGrad      = E[g]
    first-order     1·AvgGrad − 1α·AvgGradInner + O(α²)          AvgGradInner = E[H₂ g₁]
    Reptile / α     2·AvgGrad − 1α·AvgGradInner + O(α²)

The second term makes the gradients of different minibatches agree, and no second derivative was taken for it.
"""

from __future__ import annotations

from typing import Any

from tinymeta.engine import tree
from tinymeta.engine.custom import custom_vjp
from tinymeta.engine.errors import UserError
from tinymeta.engine.structure import stop_gradient
from tinymeta.engine.tensor import Tensor
from tinymeta.ops.elementwise import square
from tinymeta.ops.reduce import sum


def towards(phi: Any, adapted: Any, value: Tensor) -> Tensor:
    """A scalar with the value of `value` and, with respect to `phi`, the gradient φ − φ̃."""
    pull: Any = 0.0
    for p, q in zip(tree.leaves(phi), tree.leaves(adapted)):
        pull = pull + 0.5 * sum(square(p - stop_gradient(q)))
    return stop_gradient(value) + (pull - stop_gradient(pull))  # type: ignore[no-any-return]


def _refuse(*_: Any) -> Any:
    raise UserError(
        "adapt(…, differentiate='reptile') returns constants, for Reptile's gradient is no derivative of the "
        "query loss: use tm.meta.query_loss or tm.meta.maml, which make it φ − adapted"
    )


# What Reptile adapted, as something that depends on `phi` in a way nobody may differentiate: better than a silent 0.
constant_of_phi = custom_vjp(lambda phi, adapted: adapted, _refuse)
