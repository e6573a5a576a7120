"""A fault of the compiler as a file that shows it: the recorded program as source, and its arguments beside it."""

from __future__ import annotations

import ast
import importlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tinymeta.compile.program.calls import Call, Check
from tinymeta.compile.program.loop import Loop
from tinymeta.compile.program.operations import Constant
from tinymeta.compile.program.program import Node, Program
from tinymeta.engine.tensor import Array
from tinymeta.io.files import write_text

_SCRIPT = '''"""A compiled program whose results differ from the right ones (stage at fault: {stage}).

Run it with tinymeta installed: it compares again, says what differs and exits 1 as long as something does. `recorded`
is the program, loops with their bodies, operation by operation: (operation, its inputs, shape, dtype).
"""

import importlib
import sys
from pathlib import Path

import numpy as np
from numpy import dtype

from tinymeta.compile.program.calls import *
from tinymeta.compile.program.loop import Loop
from tinymeta.compile.program.operations import *
from tinymeta.compile.program.program import Node, Program
from tinymeta.compile.first import again
from tinymeta.compile.program.views import *

inf, nan = float("inf"), float("nan")
arrays = np.load(Path(__file__).with_suffix(".npz"), allow_pickle=False)


def named(module, name):
    return getattr(importlib.import_module(module), name)


def program(nodes, results, name=""):
    values = {{i: arrays[f"constant{{name}}{{i}}"] for i, node in enumerate(nodes) if isinstance(node[0], Constant)}}
    return Program([Node(*node, values.get(i)) for i, node in enumerate(nodes)], results)


recorded = program([
{nodes}
], {results})
arguments = [arrays[f"argument{{i}}"] for i in range({arguments})]
eager = [arrays[f"eager{{i}}"] for i in range({eager})]
sys.exit(again(recorded, arguments, eager or None, factor={factor}))
'''


def reproducer(
    program: Program, arguments: list[Array], eager: list[Array] | None, *, stage: str, factor: bool
) -> Path:
    """Write the files into a new folder among the temporary ones; the script's path.

    Raises ValueError where the program has an operation that source can't name (a primitive made in a function).
    """
    lines = _lines(program, "")
    text = _SCRIPT.format(
        stage=stage, nodes="\n".join(lines), results=program.results, arguments=len(arguments),
        eager=len(eager or ()), factor=factor,
    )  # fmt: skip
    arrays = {f"argument{i}": x for i, x in enumerate(arguments)}
    arrays |= _constants(program, "")
    arrays |= {f"eager{i}": x for i, x in enumerate(eager or ())}
    script = Path(tempfile.mkdtemp(prefix="tinymeta-")) / "fault.py"
    np.savez(script.with_suffix(".npz"), **arrays)  # type: ignore[arg-type]
    write_text(script, text)
    return script


def _constants(program: Program, name: str) -> dict[str, Array]:
    """The constants of a program, and of its loops' bodies, by name."""
    found = {f"constant{name}{i}": n.value for i, n in enumerate(program.nodes) if isinstance(n.op, Constant)}
    for i, n in enumerate(program.nodes):
        found |= _constants(n.op.body, f"{name}{i}_") if isinstance(n.op, Loop) else {}
    return found


def _lines(program: Program, name: str) -> list[str]:
    return [f"    ({_source(i, n, name)}, {n.inputs}, {n.shape}, {n.dtype!r})," for i, n in enumerate(program.nodes)]


def _source(i: int, node: Node, name: str) -> str:
    """The operation as Python."""
    op: Any = node.op
    if isinstance(op, Loop):
        lines, results = "\n".join(_lines(op.body, f"{name}{i}_")), op.body.results
        body = f"program([\n{lines}\n], {results}, {f'{name}{i}_'!r})"
        return f"Loop({body}, {op.turns}, {op.carries}, {op.slices}, {op.reverse})"
    if isinstance(op, Constant):
        return f"Constant({i})"
    if not isinstance(op, (Call, Check)):
        return repr(op)
    made = op.primitive if isinstance(op, Call) else op.check
    module, called = made.__module__, made.__qualname__
    if getattr(importlib.import_module(module), called, None) is not made:
        raise ValueError(f"{called} is no name in {module}")
    static = repr(op.static)
    try:
        ast.parse(static)
    except SyntaxError:
        raise ValueError(f"{called} is called with what has no source") from None
    named = f"{type(op).__name__}(named({module!r}, {called!r}), {i}, {static}"
    return f"{named}, {op.hidden})" if isinstance(op, Call) else f"{named})"
