"""The sweep: reverse-mode differentiation of what `bind` recorded.  (Read after `primitive.py`.)

From the outputs backwards, each node hands its cotangent to its inputs through its VJP rule. The rules are written in
Tensor operations, so the sweep is recorded like anything else and can be swept again: derivatives of any order.

Whatever is made while differentiating node `t` with cotangent `g` has order `max(t.order + 1, g.order)`, and `made_by`
names `t`. So the meta-gradient of MAML holds nodes of order 2, however many steps it takes, of first-order MAML none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymeta.engine.errors import ShapeError
from tinymeta.engine.primitive import bind, outputs_of, part
from tinymeta.engine.refusals import check_differentiable, check_followed
from tinymeta.engine.state import Opened, differentiating, inside, setting, state
from tinymeta.engine.structure import add, conform, cover, lift, today, zeros_like
from tinymeta.engine.tensor import Tensor
from tinymeta.engine.typing import Xs


def gradient(y: Tensor, xs: Xs) -> Xs:
    """dy/dxs for a scalar `y`: the tape level, for leaves made with `requires_grad=True`.

    `xs` is a Tensor or a sequence of them; so is the result, which is itself differentiable, and 0 where no path leads.

    Shapes: () with respect to xs (…) → theirs, and their dtypes.
    Raises: ShapeError if y is no scalar; TypeError if nothing follows x: `tm.gradient(tm.tensor(1.0), tm.tensor(2.0))`.

    >>> x = tm.tensor([1.0, 2.0], requires_grad=True)
    >>> tm.gradient((x * x).sum(), x).detach()
    tensor([2., 4.])
    """
    if y.shape != ():
        raise ShapeError(
            f"gradient needs a scalar and y has shape {y.shape}: reduce it with y.sum(), or see tm.vjp, tm.jacobian"
        )
    check_differentiable("gradient", y)
    targets = [xs] if isinstance(xs, Tensor) else list(xs)
    for x in targets:
        check_followed(x)
    grads = pull([y], [Tensor(np.ones_like(y.array), y.batch)], targets)
    return grads[0] if isinstance(xs, Tensor) else type(xs)(grads)  # type: ignore[return-value, call-arg]


def pull(ys: Sequence[Tensor], gs: Sequence[Tensor | None], xs: Sequence[Tensor]) -> list[Tensor]:
    """`sweep`, with zeros where no path leads."""
    return [zeros_like(x) if g is None else g for x, g in zip(xs, sweep(ys, gs, xs))]


def sweep(ys: Sequence[Tensor], gs: Sequence[Tensor | None], xs: Sequence[Tensor]) -> list[Tensor | None]:
    """Cotangents of `xs`, given those (`gs`, None for none) of `ys`; None where no path leads from `ys` to an `x`."""
    nodes = _between(ys, xs)
    for watcher in state.watchers:
        watcher.sweeping(nodes)
    cotangents: dict[int, Any] = {}
    opened = state.opened
    wanted = {x.id for x in xs}
    found: dict[int, Tensor] = {}
    before = state.order, state.maker
    try:
        for y, g in zip(ys, gs):
            if g is not None and y.id in nodes:
                state.opened = inside(opened, y.opened)
                _collect(cotangents, y, cover(conform(g, y, opened), today(y, opened)))
        for i in sorted(nodes, reverse=True):  # ids grow, so this is a topological order
            node = nodes.pop(i)
            g = cotangents.pop(i, None)
            if g is None:
                continue
            if i in wanted:
                found[i] = g
                if nodes.keys().isdisjoint([x.id for x in node.inputs]):
                    continue
            state.order = max(node.order + 1, *[h.order for h in (g if type(g) is list else (g,)) if h is not None])
            state.maker = i
            _differentiate(node, g, nodes, cotangents, opened)
    finally:
        state.order, state.maker, state.opened = *before, opened
    return [found.get(x.id) for x in xs]


def _between(ys: Sequence[Tensor], xs: Sequence[Tensor]) -> dict[int, Tensor]:
    """The nodes on a path from `xs` to `ys`, by id. No recursion: a record may be 20 000 deep."""
    oldest = min((x.id for x in xs), default=0)
    seen: dict[int, Tensor] = {}
    stack = list(ys)
    while stack:
        node = stack.pop()
        if node.id >= oldest and node.id not in seen and node.order <= state.highest:
            seen[node.id] = node
            stack.extend(node.inputs)
    on_path = {x.id for x in xs}
    for i in sorted(seen):
        if not on_path.isdisjoint([x.id for x in seen[i].inputs]):
            on_path.add(i)
    return {i: node for i, node in seen.items() if i in on_path}


def _differentiate(
    node: Tensor, g: Any, nodes: dict[int, Tensor], cotangents: dict[int, Any], opened: tuple[Opened, ...]
) -> None:
    """Apply the VJP rule of `node` and hand the results to its inputs. A sweep may stand inside of `vmap`s opened after
    `node` was made, and outside of others that are over: the rule runs as if the latter were inside of the former."""
    primitive: Any = node.primitive
    state.opened = opened if primitive.raw else inside(opened, node.opened)
    if primitive is part:
        parts = cotangents.setdefault(node.inputs[0].id, [None] * len(node.inputs[0].array))
        i = node.static["index"]
        parts[i] = g if parts[i] is None else bind(add, parts[i], g)
        return
    y: Any = node
    if isinstance(node.array, tuple):
        ys = outputs_of(node)
        y, g = ys if primitive.raw else tuple([today(one, opened) for one in ys]), tuple(g)
    elif opened:
        y = today(node, opened)
    inputs = [today(x, opened) for x in node.inputs] if opened and not primitive.raw else node.inputs
    if primitive.vjp is primitive.plain:
        found: Any = _through_plain(node, g, inputs, [x.id in nodes for x in node.inputs])
    else:
        found = primitive.vjp(g, y, *inputs, **node.static)
    entries = found if type(found) is tuple else (found,)
    around = state.opened
    for x, entry in zip(node.inputs, entries):
        if entry is not None and x.id in nodes:
            g = entry if isinstance(entry, Tensor) else entry()
            state.opened = g.opened
            g = conform(g, x, opened)
            state.opened = inside(opened, x.opened)
            _collect(cotangents, x, g)
            state.opened = around


def _through_plain(node: Tensor, g: Any, inputs: Sequence[Tensor], wanted: Sequence[bool]) -> tuple[Tensor | None, ...]:
    """The rule of an operation that declares no other: its plain form runs where it ran, and is swept."""
    primitive: Any = node.primitive
    with setting(order=node.order, maker=node.made_by), differentiating() as mark:
        leaves = [bind(lift, x, at=x.batch, rise=0) if follow else x for x, follow in zip(inputs, wanted)]
        for leaf, follow in zip(leaves, wanted):
            leaf.tracked |= mark * follow
        ys = primitive.plain(*leaves, **node.static)
    return tuple(sweep(ys, g, leaves) if type(ys) is tuple else sweep([ys], [g], leaves))


def _collect(cotangents: dict[int, Any], x: Tensor, g: Tensor) -> None:
    """Add `g` to the cotangent of `x`, out of place: nothing that a record holds is ever overwritten."""
    before = cotangents.get(x.id)
    if before is None:
        cotangents[x.id] = g
    else:
        order, state.order = state.order, max(before.order, g.order)  # the sweep puts it back after an error
        cotangents[x.id] = bind(add, before, g)
        state.order = order
    for watcher in state.watchers:
        watcher.collected(x, g, cotangents[x.id])
