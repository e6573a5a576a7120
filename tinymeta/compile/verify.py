"""The compiler checks its own work: what each stage promises, looked at before the next begins.

    recorded program     every node is what its operation makes of its inputs          `well_formed.py`
    while it is written  equal operations met, views in normal form, folded constants  `writing.py`
    rewritten program    node for node the numbers of the program before               `equation.py`
    placed buffers       nothing is read before it is written or after its place is
                         given away, and no address lies outside of its array          `in_bounds.py`

The checks run under TINYMETA_CHECK=1 and in every test. What they find is a fault of the compiler, never of the
user's program; `tm.compile` then takes the plain program.
"""

from __future__ import annotations

import os


class Broken(RuntimeError):
    """A stage of the compiler broke its promise."""

    def __init__(self, stage: str, where: object, rule: str) -> None:
        super().__init__(f"tm.compile, stage “{stage}”, at {where}: {rule}")
        self.stage = stage


def checking() -> bool:
    """Whether the stages check one another."""
    return os.environ.get("TINYMETA_CHECK", "") not in ("", "0")
