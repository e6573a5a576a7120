from __future__ import annotations
from tinymeta.engine.compile.program import Program


def factored(program: Program) -> Program:
    return program
