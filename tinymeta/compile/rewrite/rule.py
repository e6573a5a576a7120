"""What a rewriting rule is, and how the rules are applied: one after the other, each checked on its own."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, TypeAlias

import numpy as np

from tinymeta.compile.program import well_formed
from tinymeta.compile.program.loop import Loop
from tinymeta.compile.program.operations import Operation
from tinymeta.compile.program.program import Builder, Node, Program
from tinymeta.compile.program.views import Reshape
from tinymeta.compile.rewrite import equation
from tinymeta.compile.verify import checking

Image: TypeAlias = Mapping[int, int]  # which node of a rewritten program is which of the program before


class Rule(ABC):
    """An equation between programs: subclass it to declare one, in a file of its own (see the package's docstring).

    The docstring is the equation. `example` draws a program in which the rule has something to do: it writes into a
    builder and returns the results. `faults` are wrong forms of the rule's own text, (what stands there, what would
    stand there): each has to be seen by the check. A rule that looks at one node at a time has a method `node`; one
    that looks at more replaces `applied`.
    """

    rules: ClassVar[dict[str, type[Rule]]] = {}
    compared: ClassVar[Callable[..., None]] = staticmethod(equation.check)  # (before, after, image, stage)
    faults: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __init_subclass__(cls) -> None:
        missing = [name for name in ("example", "faults") if getattr(cls, name) == getattr(Rule, name)]
        if missing or not (cls.__doc__ or sys.flags.optimize > 1):  # python -OO drops docstrings
            raise TypeError(
                f"rule {cls.__name__} declares no {', '.join(missing) or 'docstring'}: a rule has a docstring with its "
                "equation, an example that draws a program for it, and faults that the check has to see"
            )
        Rule.rules[cls.__name__] = cls

    @staticmethod
    @abstractmethod
    def example(b: Builder, rng: np.random.Generator) -> Sequence[int]:
        """The results of a program in which the rule has something to do."""

    @staticmethod
    def node(b: Builder, node: Node, inputs: Sequence[int]) -> int | None:
        """What is written in place of a node, whose inputs stand there already; None: the node itself."""
        return None

    @classmethod
    def applied(cls, program: Program) -> tuple[Program, Image]:
        """The program rewritten, and where its nodes are now."""
        b, image = Builder(), list[int]()
        for node in program.nodes:
            inputs = [image[x] for x in node.inputs]
            found = cls.node(b, node, inputs)
            image.append(b.copy(node, inputs) if found is None else found)
        after = b.finished([image[i] for i in program.results])
        for i, x in enumerate(image):  # a reshape that nobody needs any more stands for what it saw
            if x not in b.image and isinstance(b.nodes[x].op, Reshape):
                image[i] = b.nodes[x].inputs[0]
        return after, {i: b.image[x] for i, x in enumerate(image) if x in b.image}

    @classmethod
    def rewritten(cls, program: Program) -> Program:
        """The program rewritten; where stages are checked, compared node by node with what it was."""
        after, image = cls.applied(program)
        if after is not program and checking():
            stage = f"program rewritten by {cls.__name__}"
            well_formed.check(after, stage)
            cls.compared(program, after, image, stage)
        return after


def rewritten(program: Program) -> Program:
    """The program after all rules, in the order of their files; then, what its loops repeat."""
    for rule in Rule.rules.values():
        program = rule.rewritten(program)

    def repeated(op: Operation) -> Operation:
        return replace(op, body=rewritten(op.body)) if isinstance(op, Loop) else op

    return Program([node._replace(op=repeated(node.op)) for node in program.nodes], program.results)
