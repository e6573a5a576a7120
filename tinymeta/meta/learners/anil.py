"""ANIL, "almost no inner loop" (Raghu, Raghu, Bengio & Vinyals 2020, § 4): in a task only the head moves.

    θ' = (θ_body,  θ_head − α ∇_head L_support(θ))

Body and head are both learned outside, by the meta-gradient. MAML's body hardly moves in the inner loop
anyway (ibid. § 3), and without it a step and its second derivatives cost next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tinymeta.meta.core.adapt import Only
from tinymeta.meta.learners.maml import MAML


@dataclass(frozen=True)
class ANIL(MAML):
    """MAML whose inner loop moves the leaves that `only` names: the head of `tm.nn.MLP` and `tm.nn.ConvNet4`."""

    only: Only = field(default="head.*", kw_only=True)
