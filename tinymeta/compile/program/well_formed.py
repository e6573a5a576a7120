"""What a program is: each node as its operation makes it of its inputs, all of which stand before it.

Shapes are found out again from the operation, and dtypes by running it on arrays whose axes all have length 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinymeta.compile.program.calls import Call, Check, Part
from tinymeta.compile.program.loop import Loop
from tinymeta.compile.program.operations import Constant, Contract, Elementwise, Input, Operation, Reduce
from tinymeta.compile.program.program import Node, Program
from tinymeta.compile.verify import Broken

COMPUTED = (Elementwise, Reduce, Contract)  # operations that can be run on arrays of one element


def check(program: Program, stage: str = "recorded program") -> None:
    """Every node is right by itself, arguments are counted from 0, and results are there."""
    for i, node in enumerate(program.nodes):
        wrong = _wrong(program, i, node)
        if wrong:
            raise Broken(stage, f"node {i}, {node.op}", wrong)
    positions = sorted(n.op.position for n in program.nodes if isinstance(n.op, Input))
    if positions != list(range(len(positions))):
        raise Broken(stage, "the arguments", f"they should be counted from 0, and are {positions}")
    for i in program.results:
        if not 0 <= i < len(program.nodes) or program.nodes[i].dtype is None:
            raise Broken(stage, f"result {i}", "no array of the program")


def holds(program: Program) -> bool:
    """Whether it is one."""
    try:
        check(program)
    except Broken:
        return False
    return True


def _wrong(program: Program, i: int, node: Node) -> str | None:
    """What is wrong with a node, if something is."""
    if any(not 0 <= x < i for x in node.inputs):
        return f"its inputs {node.inputs} don't stand before it"
    given = [program.nodes[x] for x in node.inputs]
    if isinstance(node.op, Constant):
        same = node.value is not None and (node.value.shape, node.value.dtype) == (node.shape, node.dtype)
        return None if same else "its value has another shape or dtype"
    if isinstance(node.op, (Input, Call, Check)):
        return "it reads several arrays as one" if any(x.dtype is None for x in given) else None
    if isinstance(node.op, Part):
        return _wrong_part(node.op, node, given[0])
    if isinstance(node.op, Loop):
        return _wrong_loop(node.op, given)
    shapes = [x.shape for x in given]
    wrong = node.op.misfit(*shapes) if node.op.inputs == len(given) else "it has other inputs"
    if wrong:
        return f"{wrong} (inputs of {shapes})"
    if node.op.shape(*shapes) != node.shape:
        return f"of {shapes} it makes {node.op.shape(*shapes)}, and not {node.shape}"
    dtype = _dtype(node.op, given)
    return None if dtype == node.dtype else f"it makes {dtype}, and not {node.dtype}"


def _wrong_part(op: Part, node: Node, bundle: Node) -> str | None:
    if isinstance(bundle.op, Loop) and (node.shape, node.dtype) != bundle.op.kinds()[1][op.index]:
        return f"the loop makes {bundle.op.kinds()[1][op.index]}"
    return None if bundle.dtype is None else "it takes a part of what is one array"


def _wrong_loop(op: Loop, given: list[Node]) -> str | None:
    """Whether the inputs are those of the body, which is a program, and whose carries come out as they go in."""
    try:
        check(op.body, "body of a loop")
    except Broken as broken:
        return str(broken)
    takes, makes = op.kinds()
    if takes[: op.carries] != makes[: op.carries]:
        return "its carries come out in another form than they go in"
    found = [(x.shape, x.dtype) for x in given]
    return None if found == takes else f"it takes {takes}, and not {found}"


def _dtype(op: Operation, given: list[Node]) -> Any:
    """The dtype that the operation itself makes."""
    if not isinstance(op, COMPUTED):
        return given[0].dtype
    with np.errstate(all="ignore"):
        return op(*(np.ones((1,) * len(x.shape), x.dtype) for x in given)).dtype
