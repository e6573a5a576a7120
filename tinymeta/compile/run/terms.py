"""How large the terms of a program's last sums are: what rounding is relative to where they cancel.

A sum of n terms is off by about ε Σ|terms|: each addition rounds a partial sum, and these grow as √n where signs are
random. Each term is off by √c roundings of its own, for a chain of c operations before it. So two runs of a result that
comes of sums and differences of such terms are apart by

    |a − b|  ≤  4 ε √(1 + c/n) · max Σ|terms|

and for a result that is 0 but for rounding (the gradient of a bias in front of a normalisation) one more plain run
tells whether it is right.
"""

from __future__ import annotations

import numpy as np

from tinymeta.compile.program.operations import Contract, Copy, Operation, Reduce, Ufunc
from tinymeta.compile.program.program import Node, Program

_OF_POSITIVE: dict[Operation, Operation] = {Ufunc(np.subtract): Ufunc(np.add), Ufunc(np.negative): Ufunc(np.positive)}


def in_terms(program: Program) -> tuple[Program, list[bool]]:
    """The program that gives Σ|terms| for each number of the results, and then the results; and which nodes of the
    given one are last sums."""
    last = _last_sums(program)
    nodes = list(program.nodes)
    positive: dict[int, int] = {}  # a last sum, or a term → the same of positive terms

    def added(op: Operation, inputs: tuple[int, ...], like: Node) -> int:
        nodes.append(like._replace(op=op, inputs=inputs))
        return len(nodes) - 1

    for i, node in enumerate(program.nodes):
        if last[i]:
            for x in node.inputs:
                if x not in positive:
                    positive[x] = added(Ufunc(np.absolute), (x,), nodes[x]._replace(value=None))
            positive[i] = added(_OF_POSITIVE.get(node.op, node.op), tuple(positive[x] for x in node.inputs), node)
    return Program(nodes, (*(positive.get(i, i) for i in program.results), *program.results)), last


def _last_sums(program: Program) -> list[bool]:
    """Which nodes only add up for a result: sums of arrays, and in front of them sums over axes, or one product."""
    last = [False] * len(program.nodes)
    axes = [False] * len(program.nodes)  # whether only sums over axes may stand in front of it
    for i in program.results:
        last[i] = _adds(program, i, False)
    for i in reversed(range(len(last))):
        node = program.nodes[i]
        if last[i] and not isinstance(node.op, Contract):
            for x in node.inputs:
                axes[x] = axes[x] or axes[i] or isinstance(node.op, Reduce)
                last[x] = last[x] or _adds(program, x, axes[x])
    return last


def _adds(program: Program, i: int, axes: bool) -> bool:
    """Whether node i only adds its inputs up, sees them in another way, or multiplies them by a constant."""
    node = program.nodes[i]
    if node.dtype is None or node.dtype.kind != "f" or node.value is not None:
        return False
    if isinstance(node.op, Reduce):
        return node.op.adds
    if node.op in (Ufunc(np.multiply), Ufunc(np.divide)):
        return any(program.nodes[x].value is not None for x in node.inputs[node.op == Ufunc(np.divide) :])
    if getattr(node.op, "signs", ()) or isinstance(node.op, Contract):
        return not axes
    return node.op.view or isinstance(node.op, Copy)
