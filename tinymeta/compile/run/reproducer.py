"""A fault of the compiler as a file that shows it: the recorded program as source, and its arguments beside it."""

from __future__ import annotations

import ast
import importlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tinymeta.compile.program.calls import Call, Check
from tinymeta.compile.program.operations import Constant
from tinymeta.compile.program.program import Node, Program
from tinymeta.engine.tensor import Array
from tinymeta.io.files import write_text

_SCRIPT = '''"""A compiled program whose results differ from the right ones (stage at fault: {stage}).

Run it with tinymeta installed: it compares again, says what differs and exits 1 as long as something does. `nodes` is
the program as recorded, operation by operation: (operation, its inputs, shape, dtype).
"""

import importlib
import sys
from pathlib import Path

import numpy as np
from numpy import dtype

from tinymeta.compile.program.calls import *
from tinymeta.compile.program.operations import *
from tinymeta.compile.program.program import Node, Program
from tinymeta.compile.first import again
from tinymeta.compile.program.views import *

inf, nan = float("inf"), float("nan")
arrays = np.load(Path(__file__).with_suffix(".npz"), allow_pickle=False)


def named(module, name):
    return getattr(importlib.import_module(module), name)


nodes = [
{nodes}
]
program = Program(
    [Node(op, inputs, shape, d, arrays[f"constant{{i}}"] if isinstance(op, Constant) else None)
     for i, (op, inputs, shape, d) in enumerate(nodes)],
    {results},
)
arguments = [arrays[f"argument{{i}}"] for i in range({arguments})]
eager = [arrays[f"eager{{i}}"] for i in range({eager})]
sys.exit(again(program, arguments, eager or None, factor={factor}))
'''


def reproducer(
    program: Program, arguments: list[Array], eager: list[Array] | None, *, stage: str, factor: bool
) -> Path:
    """Write the files into a new folder among the temporary ones; the script's path.

    Raises ValueError where the program has an operation that source can't name (a primitive made in a function).
    """
    lines = [f"    ({_source(i, n)}, {n.inputs}, {n.shape}, {n.dtype!r})," for i, n in enumerate(program.nodes)]
    text = _SCRIPT.format(
        stage=stage, nodes="\n".join(lines), results=program.results, arguments=len(arguments),
        eager=len(eager or ()), factor=factor,
    )  # fmt: skip
    arrays = {f"argument{i}": x for i, x in enumerate(arguments)}
    arrays |= {f"constant{i}": node.value for i, node in enumerate(program.nodes) if isinstance(node.op, Constant)}
    arrays |= {f"eager{i}": x for i, x in enumerate(eager or ())}
    script = Path(tempfile.mkdtemp(prefix="tinymeta-")) / "fault.py"
    np.savez(script.with_suffix(".npz"), **arrays)  # type: ignore[arg-type]
    write_text(script, text)
    return script


def _source(i: int, node: Node) -> str:
    """The operation as Python."""
    op: Any = node.op
    if isinstance(op, Constant):
        return f"Constant({i})"
    if not isinstance(op, (Call, Check)):
        return repr(op)
    made = op.primitive if isinstance(op, Call) else op.check
    module, name = made.__module__, made.__qualname__
    if getattr(importlib.import_module(module), name, None) is not made:
        raise ValueError(f"{name} is no name in {module}")
    static = repr(op.static)
    try:
        ast.parse(static)
    except SyntaxError:
        raise ValueError(f"{name} is called with what has no source") from None
    named = f"{type(op).__name__}(named({module!r}, {name!r}), {i}, {static}"
    return f"{named}, {op.hidden})" if isinstance(op, Call) else f"{named})"
