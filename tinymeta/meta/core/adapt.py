"""`adapt`: the inner loop that every gradient-based algorithm here is made of.

    adapt(phi, support) → model, then a loss on the query.

What makes one algorithm differ from another is what `phi` is (initial weights, step sizes, the
weights of an update rule, the data) and how the result depends on it: the argument `differentiate`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from tinymeta.engine import tree
from tinymeta.engine.errors import user_site
from tinymeta.engine.options import counted
from tinymeta.engine.structure import stop_gradient
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.transforms import grad
from tinymeta.engine.typing import Tree
from tinymeta.meta.learners.implicit import Implicit, implicit_dependence, proximal
from tinymeta.meta.learners.reptile import constant_of_phi
from tinymeta.optim.optimizer import Optimizer, check_rule

Loss = Callable[[Tree, Tree], Tensor]
Only = str | tuple[str, ...] | Callable[[str], bool] | None
Differentiate = str | Implicit


def adapt(
    loss: Loss,
    params: Tree,
    support: Tree,
    *,
    rule: Optimizer,
    steps: int,
    differentiate: Differentiate = "exact",
    only: Only = None,
    parts: int = 1,
    path: bool = False,
) -> Tree:
    """Take `steps` steps of `rule` down `loss(params, support)`, as a function that can be differentiated.

    Shapes: params any tree → the same, or `steps` + 1 of them with `path`.
    Raises: ValueError for another word than these four, a pattern that matches no leaf, a rule that is no optimizer, or
    steps that are no whole number:
    `tm.meta.adapt(None, 1.0, None, rule=tm.optim.SGD(0.1), steps=1, differentiate="second_order")`.
    Source: Finn et al. 2017; Rajeswaran et al. 2019; Nichol et al. 2018.

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
        How the result depends on `params` and on whatever `loss` and `rule` are made of.

        - `"exact"`: through every step; the gradient holds the second derivatives of `loss` (Finn et al. 2017).
        - `"first_order"`: the inner gradients count as constants, so no second derivative is made (ibid. § 5.2).
        - `"implicit"`, or `Implicit(lam, cg, damping)`: the steps descend `loss` + λ/2 ‖θ − params‖², and the result
          depends on everything as the minimum of that does (Rajeswaran et al. 2019); no step is kept in memory.
        - `"reptile"`: the result is a constant. What gives the outer loss the gradient `params` − result is
          `query_loss` (and so `tm.meta.maml`); differentiating the result itself is an error that says so.
    only
        Which leaves move, by path: a pattern such as `"head.*"`, several of them, or a predicate (ANIL).
    parts
        Into how many minibatches to divide the support set, one for each step in turn: example i is in part
        i mod `parts`, so that examples laid out class by class give parts with equally many of each class.
    path
        Return the list of parameters after 0, 1, …, `steps` steps instead of the last ones (MAML++).

    Examples
    --------
    Two steps of size 1/4 down (θ − 1)², from 0. Each halves the distance to 1, so the result depends on the start
    by a factor of 1/4; first-order MAML takes that factor for 1.

    >>> def adapted(start, differentiate):
    ...     loss = lambda theta, goal: (theta - goal) ** 2
    ...     return tm.meta.adapt(loss, start, 1.0, rule=tm.optim.SGD(0.25), steps=2, differentiate=differentiate)
    >>> float(adapted(0.0, "exact"))
    0.75
    >>> [float(tm.grad(adapted)(0.0, how)) for how in ("exact", "first_order")]
    [0.25, 1.0]
    """
    how = Implicit() if differentiate == "implicit" else differentiate
    if isinstance(how, str) and how not in ("exact", "first_order", "reptile"):
        raise ValueError(
            "differentiate is 'exact', 'first_order', 'implicit', 'reptile' or tm.meta.Implicit(lam, cg), "
            f"not {differentiate!r} ({user_site()})"
        )
    check_rule("rule", rule)
    steps = counted(steps, "steps")
    whole, moving = _parts(params, only)
    examples = [tree.map(lambda a, k=k: a[k::parts], support) for k in range(parts)] if parts > 1 else [support]

    def inner(m: Tree, batch: Tree) -> Tensor:
        return loss(whole(m), batch)

    dependent: Callable[[Tree], Tree]
    if isinstance(how, Implicit):
        regularised = proximal(inner, constant(moving), how.lam)
        points = _descend(regularised, constant(moving), examples, rule, steps, _constant_slope)
        dependent = partial(implicit_dependence, lambda m: inner(m, support), moving, how=how)
    elif how == "reptile":
        points = _descend(inner, constant(moving), examples, rule, steps, _slope_at_a_constant)
        dependent = partial(constant_of_phi, moving)
    else:
        points = _descend(inner, moving, examples, rule, steps, grad if how == "exact" else _constant_slope)
        dependent = lambda m: m
    trail = deque(points, maxlen=None if path else 1)
    return [whole(dependent(m)) for m in trail] if path else whole(dependent(trail[-1]))


def _descend(
    inner: Loss, moving: Tree, examples: list[Tree], rule: Optimizer, steps: int, slope: Callable[[Loss], Loss]
) -> Iterator[Tree]:
    """`moving` after 0, 1, …, `steps` steps of `rule` along `slope(inner)`, each forgotten when the next is there."""
    yield moving
    state = rule.init(moving)
    for k in range(steps):
        moving, state = rule.update(slope(inner)(moving, examples[k % len(examples)]), state, moving)
        yield moving


def _slope_at_a_constant(inner: Loss) -> Loss:
    """`grad(inner)`, which depends on whatever `inner` is made of, but not on where it is taken."""
    return lambda m, batch: grad(inner)(constant(m), batch)


def _constant_slope(inner: Loss) -> Loss:
    """`grad(inner)`, whose result is a constant."""
    return lambda m, batch: constant(_slope_at_a_constant(inner)(m, batch))


def constant(params: Tree) -> Tree:
    """A tree as it is, with no derivative."""
    return tree.map(stop_gradient, params)


def _parts(params: Tree, only: Only) -> tuple[Callable[[Tree], Tree], Tree]:
    """The function that puts the moving leaves back among those that stay, and the moving ones (a tree)."""
    if only is None:
        return lambda moving: moving, params
    leaves, structure = tree.flatten(params)
    names = tree.paths(params)
    patterns = (only,) if isinstance(only, str) else only
    chosen = [p for p in names if (patterns(p) if callable(patterns) else any(fnmatchcase(p, q) for q in patterns))]
    if not chosen:
        raise ValueError(f"only={only!r} matches none of the parameters: {', '.join(names)} ({user_site()})")

    def whole(moving: dict[str, Any]) -> Tree:
        return tree.unflatten(structure, [moving.get(name, leaf) for name, leaf in zip(names, leaves)])

    return whole, {name: leaf for name, leaf in zip(names, leaves) if name in chosen}
