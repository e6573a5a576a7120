"""Products as contractions: which axes of two arrays meet, whatever their order in memory."""

from __future__ import annotations

from tinymeta.compile.program.operations import Contract
from tinymeta.compile.program.program import Builder, squeezed
from tinymeta.compile.program.views import Permute, Reshape


def product(b: Builder, letters_of_x: str, x: int, letters_of_y: str, y: int, out: str) -> int:
    """Σ x·y over the letters that `out` lacks; an axis of size 1 goes with any size of its letter.

    Axes of size 1 have no letter in the contraction, so a matrix shared by all tasks has none for the tasks, and
    whatever broadcasts needs no copy.
    """
    size: dict[str, int] = {}
    given: list[tuple[str, int]] = []
    for letters, operand in ((letters_of_x, x), (letters_of_y, y)):
        shape = b.nodes[operand].shape
        size.update((i, n) for i, n in zip(letters, shape) if size.get(i, 1) == 1)
        given.append(("".join(i for i, n in zip(letters, shape) if n != 1), b.reshape(operand, squeezed(shape))))
    found = contract(b, *given[0], *given[1], "".join(i for i in out if size[i] != 1))
    return b.reshape(found, tuple(size[i] for i in out))


def matmul(b: Builder, x: int, y: int) -> int:
    """A product over the last two axes of arrays of one rank."""
    lead = "".join(chr(ord("A") + i) for i in range(len(b.nodes[x].shape) - 2))
    return product(b, lead + "mk", x, lead + "kn", y, lead + "mn")


def contract(b: Builder, la: str, left: int, lb: str, right: int, out: str) -> int:
    """A contraction that reads its operands as they lie in memory: transposes become letters in another order."""
    la, left = _untransposed(b, la, left)
    lb, right = _untransposed(b, lb, right)
    names = {ord(old): chr(ord("a") + i) for i, old in enumerate(dict.fromkeys(la + lb))}
    return b.add(Contract(la.translate(names), lb.translate(names), out.translate(names)), left, right)


def _untransposed(b: Builder, letters: str, x: int) -> tuple[str, int]:
    """`x` without a transpose around it; a reshape that drops axes of size 1 passes through."""
    while True:
        node = b.nodes[x]
        inner = b.nodes[node.inputs[0]] if isinstance(node.op, Reshape) else node
        if isinstance(node.op, Permute):
            back = dict(zip(node.op.axes, letters))
            letters, x = "".join(back[a] for a in range(len(letters))), node.inputs[0]
        elif isinstance(inner.op, Permute) and squeezed(inner.shape) == node.shape:
            source = inner.inputs[0]
            axes = [a for a in inner.op.axes if b.nodes[source].shape[a] != 1]
            back = dict(zip(axes, letters))
            letters, x = "".join(back[a] for a in sorted(axes)), b.reshape(source, squeezed(b.nodes[source].shape))
        else:
            return letters, x
