"""`check_primitive`: the properties of a primitive, packed for any test suite."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinymeta.engine.primitive import Primitive
from tinymeta.testing.case import Case, random_case, usual_count
from tinymeta.testing.gradients import (
    gradients_keep_shape_and_dtype,
    hessian_is_symmetric,
    jvp_is_adjoint_to_vjp,
    second_and_third_order,
    vjp_is_linear,
    vjp_is_the_jacobian,
)
from tinymeta.testing.points import kinks_take_one_side, where_keeps_out_the_other_branch
from tinymeta.testing.transforms import compiled_is_eager, vmap_is_a_loop
from tinymeta.testing.values import kernel_is_reference, layout_does_not_matter, nothing_is_written_to

Property = Callable[[Case], None]

PROPERTIES: dict[str, Property] = {
    "P9": nothing_is_written_to,  # first, for the others compare what would have been written over
    "P1": kernel_is_reference,
    "P2": vjp_is_the_jacobian,
    "P3": jvp_is_adjoint_to_vjp,
    "P4": vjp_is_linear,
    "P5": second_and_third_order,
    "P6": hessian_is_symmetric,
    "P7": gradients_keep_shape_and_dtype,
    "P8": layout_does_not_matter,
    "P11": where_keeps_out_the_other_branch,
    "PV": vmap_is_a_loop,
    "PC": compiled_is_eager,
}
_OF_VALUES = ("P9", "P1", "P2", "P8", "PV", "PC")


def properties(primitive: type[Primitive]) -> dict[str, Property]:
    """The properties that concern a primitive, by their number in the protocol."""
    return PROPERTIES if primitive.vjp is not None else {name: PROPERTIES[name] for name in _OF_VALUES}


def check_primitive(primitive: type[Primitive], examples: int = 10, seed: int = 0, where: bool = False) -> None:
    """Put one primitive through all properties that tinymeta's own are tested with.

    Its declaration is all that is needed: inputs are drawn from its `domain`, in the shapes of its `samples`.
    P1 kernel and reference agree; P2 the rule is the Jacobian; P3 its own adjoint; P4 linear; P5 right at
    orders 2 and 3; P6 with a symmetric Hessian; P7 shapes and dtypes; P8 any memory layout; P9 nothing
    written to; P10 kinks; PV under `vmap`; PC compiled. tinymeta's own keep P11 too (`where=True`): inside `where`, no
    NaN of theirs reaches the branch that is taken. For that a rule multiplies its cotangent with
    `tm.scale` in place of `*`.

    Shapes: those of the primitive's samples, or any that broadcast.
    Raises: AssertionError naming the property, the inputs, the seed, and the numbers that differ.

    >>> @tm.primitive
    ... class cube:
    ...     "y = x³,   dy = 3x² dx."
    ...     kernel = reference = staticmethod(lambda x: x * x * x)
    ...     domain, kinks = (tm.testing.reals(-2, 2),), ()
    ...     vjp = lambda g, y, x: g * 3 * x * x
    >>> tm.testing.check_primitive(cube)
    """
    for name, holds in properties(primitive).items():
        for k in range(max(examples, usual_count(primitive)) if where or name != "P11" else 0):
            case = random_case(primitive, seed + k)
            try:
                holds(case)
            except AssertionError as failure:
                raise AssertionError(f"{name} fails. {failure}") from failure
            except (ValueError, TypeError, IndexError, np.linalg.LinAlgError) as failure:
                raise AssertionError(f"{name} fails. {case}: {type(failure).__name__}: {failure}") from failure
    kinks_take_one_side(primitive)
