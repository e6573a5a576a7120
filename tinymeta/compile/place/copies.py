"""Which arrays are copied before they are read, so that every loop can read them as they lie.

an argument        whose axes lie in another order than the tasks' loop wants (a convolution's filters): once, for
                   that loop; what runs outside of it reads the argument itself
a view             in front of a reshape that no strides show
a matrix           of a product, where the BLAS reads it badly: decided in `products.py`, product by product
"""

from __future__ import annotations

from collections.abc import Sequence

from tinymeta.compile.place.axes import Axes, axes_of
from tinymeta.compile.program.operations import Copy, Input
from tinymeta.compile.program.program import Builder, Node, Program, squeezed
from tinymeta.compile.program.views import Gather, Reshape
from tinymeta.compile.rewrite import equation
from tinymeta.compile.verify import checking


def with_copies(program: Program) -> tuple[Program, set[int]]:
    """The program with these copies, and the nodes that have to lie in row-major order because a reshape reads them."""
    axes = axes_of(program) if any(isinstance(node.op, Gather) for node in program.nodes) else None
    b = Builder()
    outside: list[int] = []  # each node as it is,
    inside: list[int] = []  # and as the loop over tasks reads it
    for i, node in enumerate(program.nodes):
        if node.op.view:
            for read in (outside, inside):
                read.append(_view(b, node, read[node.inputs[0]]))
            continue
        read = inside if axes and axes.along[i] else outside
        outside.append(b.copy(node, [read[x] for x in node.inputs]))
        inside.append(b.add(Copy(), outside[i]) if axes and _lies_badly(axes, i, node) else outside[i])
    copied = b.finished([outside[i] for i in program.results])
    if checking():
        equation.check(program, copied, {i: b.image[x] for i, x in enumerate(outside) if x in b.image})
    return copied, {n.inputs[0] for n in copied.nodes if _rearranges(copied, n, n.inputs)}


def _lies_badly(axes: Axes, i: int, node: Node) -> bool:
    """Whether a node is an argument of all tasks with its axes in another than the common order."""
    ranks = [r for r, n in zip(axes.rank[i], node.shape) if n != 1]
    return isinstance(node.op, Input) and axes.axis[i] is None and ranks != sorted(ranks)


def _view(b: Builder, node: Node, x: int) -> int:
    copied = _rearranges(b, node, (x,)) and b.nodes[x].op.view
    return b.copy(node, [b.add(Copy(), x) if copied else x])


def _rearranges(program: Program | Builder, node: Node, inputs: Sequence[int]) -> bool:
    """Whether a node is a reshape that moves more than axes of size 1: else it is a view whatever it sees."""
    return isinstance(node.op, Reshape) and squeezed(node.shape) != squeezed(program.nodes[inputs[0]].shape)
