"""The plain replay: a program as NumPy calls, one after the other.

It needs nothing but NumPy, runs any program, and is what the machine (`machine.py`) is tested against. An array is let
go of after its last reader.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymeta.compile.program.operations import Constant, Input
from tinymeta.compile.program.program import Program
from tinymeta.engine.tensor import Array


class Replay:
    """A program ready to run on arrays."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._read = program.last_read()

    def __call__(self, arguments: list[Array], made: Callable[[int, list[Any]], Any] | None = None) -> list[Array]:
        """The results, in memory of their own; `made` says what node i makes of its inputs, if not what it should."""
        nodes = self._program.nodes
        values = [arguments[node.op.position] if isinstance(node.op, Input) else node.value for node in nodes]
        with np.errstate(all="ignore"):
            for i, (node, read) in enumerate(zip(nodes, self._read)):
                if not isinstance(node.op, (Input, Constant)):
                    values[i] = (made or self._made)(i, [values[x] for x in node.inputs])
                for x in read:
                    values[x] = None
        return [np.array(values[i]) for i in self._program.results]

    def _made(self, i: int, given: list[Any]) -> Any:
        node = self._program.nodes[i]
        y = node.op(*given)
        return np.asarray(y) if node.shape == () and node.dtype is not None else y  # for rank 0 NumPy gives a scalar
