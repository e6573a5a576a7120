"""`adapt`: the inner loop that every algorithm here is made of.

    adapt(phi, support) → model, then a loss on the query.

What makes one algorithm differ from another is what `phi` is (initial weights, step sizes, the
weights of an update rule, the data) and how the result depends on it: the argument `differentiate`.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from tinymeta.engine import tree
from tinymeta.engine.structure import stop_gradient
from tinymeta.engine.transforms import grad
from tinymeta.optim.optimizer import Optimizer

Loss = Callable[[Any, Any], Any]
Only = str | tuple[str, ...] | Callable[[str], bool] | None


def adapt(
    loss: Loss,
    params: Any,
    support: Any,
    *,
    rule: Optimizer,
    steps: int,
    differentiate: str = "exact",
    only: Only = None,
    path: bool = False,
) -> Any:
    """Take `steps` steps of `rule` down `loss(params, support)`, as a function that can be differentiated.

    Parameters
    ----------
    loss
        `loss(params, support)`, a scalar. It may use anything else from around it, meta-parameters included.
    params
        Where to start: any pytree. It is not changed.
    support
        The task's examples, handed on to `loss`.
    rule
        The update rule: any optimizer of `tm.optim`, or anything with `init` and `update`.
    steps
        How many steps to take.
    differentiate
        `"exact"`: unroll; the gradient holds the second derivatives of `loss` (Finn et al. 2017, eq. 1).
        `"first_order"`: the inner gradients count as constants, so no second derivative is made (ibid. § 5.2).
    only
        Which leaves move, by path: a pattern such as `"head.*"`, several of them, or a predicate (ANIL).
    path
        Return the list of parameters after 0, 1, …, `steps` steps instead of the last ones (MAML++).
    """
    if differentiate not in ("exact", "first_order"):
        raise ValueError(f"differentiate is 'exact' or 'first_order', not {differentiate!r}")
    whole, moving = _parts(params, only)
    state = rule.init(moving)
    trail = [params]
    for _ in range(steps):
        if differentiate == "exact":
            grads = grad(lambda m: loss(whole(m), support))(moving)
        else:
            start = tree.map(stop_gradient, moving)
            grads = tree.map(stop_gradient, grad(lambda m: loss(whole(m), support))(start))
        moving, state = rule.update(grads, state, moving)
        trail.append(whole(moving))
    return trail if path else trail[-1]


def _parts(params: Any, only: Only) -> tuple[Callable[[Any], Any], Any]:
    """The leaves that move (a tree), and the function that puts them back among those that don't."""
    if only is None:
        return lambda moving: moving, params
    leaves, structure = tree.flatten(params)
    names = tree.paths(params)
    patterns = (only,) if isinstance(only, str) else only
    chosen = [p for p in names if (patterns(p) if callable(patterns) else any(fnmatchcase(p, q) for q in patterns))]
    if not chosen:
        raise ValueError(f"only={only!r} matches none of the parameters: {', '.join(names)}")

    def whole(moving: dict[str, Any]) -> Any:
        return tree.unflatten(structure, [moving.get(name, leaf) for name, leaf in zip(names, leaves)])

    return whole, {name: leaf for name, leaf in zip(names, leaves) if name in chosen}
