"""Rewrite: the same results by fewer operations.

In: the recorded program. Out: one with the same results, with no more operations. Invariant: node for node the numbers
of the program before, which `equation.check` compares on small integers after every rule, and `well_formed.check` is
asked again. In reading order: `rule.py` says what a rule is, `equation.py` is the check; then the rules, a file each:
`factor.py`, with `expansion.py`, `contraction.py` and `sums.py`; and `all_turns.py`, about loops, whose check is
`turn_by_turn.py`.

A rule of your own is one file in this folder, found by being there. That −(−x) = x, for example::

    class NegatedTwice(Rule):
        \"\"\"−(−x) = x\"\"\"

        faults = (("return inner.inputs[0]", "return inputs[0]"),)

        @staticmethod
        def example(b: Builder, rng: np.random.Generator) -> Sequence[int]:
            x = b.input(0, (int(rng.integers(1, 9)),), np.dtype(float))
            return [b.add(Ufunc(np.negative), b.add(Ufunc(np.negative), x))]

        @staticmethod
        def node(b: Builder, node: Node, inputs: Sequence[int]) -> int | None:
            inner = b.nodes[inputs[0]] if inputs else None
            if inner and node.op == inner.op == Ufunc(np.negative):
                return inner.inputs[0]
            return None

`tests/compile/test_rewriting_rules.py` finds it, too: it has to change its examples and keep their numbers, and the
check has to see each of its faults.
"""

from importlib import import_module
from pkgutil import iter_modules

from tinymeta.compile.rewrite.rule import Rule, rewritten

__all__ = ["Rule", "rewritten"]

for _module in sorted(module.name for module in iter_modules(__path__)):
    import_module(f"{__name__}.{_module}")
