"""Tests for derivatives, for tinymeta's own suite and for yours.

`check_grad(f, *args, order=2)` checks the derivatives of any function of Tensors; `check_primitive(p)`
puts an operation of your own through the suite's properties. Both raise an AssertionError that shows the
numbers, need no test runner, and take a seed. In a pytest suite::

    def test_my_loss_has_right_gradients() -> None:
        tm.testing.check_grad(my_loss, params, batch, order=2)

    def test_my_operation() -> None:
        tm.testing.check_primitive(my_operation)

`tinymeta.testing.strategies` (needs hypothesis) draws shapes, shapes that broadcast, arrays in every memory
layout, Tensors, and trees of them. `reals`, `Domain`, `Kink` and `Sample` are what a primitive declares.
`tinymeta.testing.compare` prints how two intermediates agree, for a derivation that is checked line by line.
`tinymeta.testing.faults.planted` makes a rule wrong on purpose, to see whether a test notices.
`references()` swaps every kernel for its reference, so that programs run on complex numbers; with it go
`complex_step` and `central_difference`, to build oracles of your own.
"""

from tinymeta.engine.domain import Domain, Kink, Sample, reals
from tinymeta.testing.check import check_primitive
from tinymeta.testing.derivatives import check_grad
from tinymeta.testing.oracle import central_difference, complex_step, references

__all__ = [
    "Domain",
    "Kink",
    "Sample",
    "central_difference",
    "check_grad",
    "check_primitive",
    "complex_step",
    "reals",
    "references",
]
