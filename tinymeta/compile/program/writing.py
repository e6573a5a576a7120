"""What a program's writer does with an operation: three rules, each an equation whose sides are compared.

a view in normal form    op(x) shows what the simpler form shows: told by numbering what lies behind both
equal operations met     the node found is the same operation with the same static arguments, shape and dtype
folded constants         the value has the shape and the dtype that the node would have
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinymeta.compile.program.calls import Call, Check
from tinymeta.compile.program.operations import Operation
from tinymeta.compile.verify import Broken

STAGE = "writing a program"
LARGE = 1 << 16  # elements: views of more are left to the tests


def normal(nodes: Sequence[Any], op: Operation, x: int, simpler: int) -> None:
    """`simpler` shows what the view `op` of node x would."""
    before, after = nodes[x].value, nodes[simpler].value
    if before is not None and after is not None and op(before).tobytes() == after.tobytes():
        return  # folded as it was written
    given, found = _behind(nodes, x), _behind(nodes, simpler)
    root = next((i for i in given if i in found), None)
    if root is not None:
        if max(nodes[root].size, nodes[x].size, nodes[simpler].size) > LARGE:
            return
        numbered = np.arange(nodes[root].size).reshape(nodes[root].shape)
        expected: Any = op(_seen(nodes, given[: given.index(root)], numbered))
        if np.array_equal(_seen(nodes, found[: found.index(root)], numbered), expected):
            return
    raise Broken(STAGE, f"{op} of {nodes[x].op}", f"its normal form, {nodes[simpler].op}, shows other elements")


def met(found: Any, new: Any) -> None:
    """The node that was there already is the one that was to be added."""
    same = (found.shape, found.dtype, found.inputs) == (new.shape, new.dtype, new.inputs)
    same = same and type(found.op) is type(new.op) and (found.value is None) == (new.value is None)
    if same and isinstance(new.op, (Call, Check)):
        ours, theirs = vars(found.op), vars(new.op)
        same = all(alike(ours[name], theirs[name]) for name in ours if name != "key")
    elif same and new.value is not None:
        same = found.value.tobytes() == new.value.tobytes()
    elif same:
        same = repr(found.op) == repr(new.op)
    if not same:
        raise Broken(STAGE, new.op, f"taken for the same as {found.op}")


def folded(node: Any, value: Any) -> None:
    """The value of a constant operation has the node's shape and dtype."""
    if (value.shape, value.dtype) != (node.shape, node.dtype):
        made, wanted = (value.shape, str(value.dtype)), (node.shape, str(node.dtype))
        raise Broken(STAGE, node.op, f"on constants it makes {made}, and not {wanted}")


def alike(a: Any, b: Any) -> bool:
    """Whether two static arguments are one and the same to every kernel: types, signs of zeros, contents of arrays."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(alike(a[k], b[k]) for k in a)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, slice):
        return alike((a.start, a.stop, a.step), (b.start, b.stop, b.step))
    if isinstance(a, (np.ndarray, np.generic)):
        return (a.shape, a.dtype, a.tobytes()) == (b.shape, b.dtype, b.tobytes())
    return bool(repr(a) == repr(b)) if isinstance(a, (float, complex)) else bool(a == b)


def _behind(nodes: Sequence[Any], x: int) -> list[int]:
    """Node x and, if it is a view, what it shows, and so on: no rule looks further than this."""
    chain = [x]
    while nodes[chain[-1]].op.view and len(chain) < 8:
        chain.append(nodes[chain[-1]].inputs[0])
    return chain


def _seen(nodes: Sequence[Any], views: list[int], y: object) -> Any:
    """What the views show of y, the last first."""
    for view in reversed(views):
        y = nodes[view].op(y)
    return y
