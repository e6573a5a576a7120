"""P1 to P11 and PV for every primitive in the registry. A new primitive is tested by being declared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import tinymeta as tm
from tinymeta.engine.primitive import Primitive
from tinymeta.testing.case import Case, random_case
from tinymeta.testing.check import properties
from tinymeta.testing.faults import Verdict, plant_faults
from tinymeta.testing.points import kinks_take_one_side
from tinymeta.testing.strategies import cases

# These two take no numbers of their own: `part` picks an output, `unrecorded` stands for a function. test_several
# and test_checkpoint are about them.
PLUMBING = {"part", "unrecorded"}


def _declared() -> list[type[Primitive]]:
    """The package's primitives. One that can't be drawn from its declaration stops the collection."""
    found = [p for p in Primitive.registry.values() if p.__module__.startswith("tinymeta.")]
    for p in found:
        if p.__name__ in PLUMBING:
            continue
        if not p.domain:
            raise pytest.UsageError(f"primitive {p.__name__} declares an empty domain: say where its inputs may lie")
        try:
            for seed in range(max(2, len(p.samples))):
                random_case(p, seed).values(p.reference)
        except Exception as error:
            raise pytest.UsageError(
                f"primitive {p.__name__} can't be tried: declare samples with its shapes and static arguments ({error})"
            ) from error
    return [p for p in found if p.__name__ not in PLUMBING]


PRIMITIVES = _declared()
PAIRS = [(name, p) for p in PRIMITIVES for name in properties(p)]
FEWER = {"PV": 3, "P8": 2, "P9": 2, "P7": 2}  # these try many combinations in each example


@pytest.mark.parametrize(("name", "primitive"), PAIRS, ids=[f"{p.__name__}-{name}" for name, p in PAIRS])
def test_property_of_a_primitive(name: str, primitive: type[Primitive]) -> None:
    examples = max(2, settings.default.max_examples // FEWER.get(name, 1))

    @settings(max_examples=examples)
    @given(case=cases(primitive))
    def holds(case: Case) -> None:
        properties(primitive)[name](case)

    holds()


@pytest.mark.parametrize("primitive", PRIMITIVES, ids=lambda p: p.__name__)
def test_p10_a_kink_takes_one_side_at_orders_1_to_3(primitive: type[Primitive]) -> None:
    kinks_take_one_side(primitive)


@pytest.mark.parametrize("primitive", PRIMITIVES, ids=lambda p: p.__name__)
def test_p15_every_planted_fault_is_caught(primitive: type[Primitive], planted: list[Verdict]) -> None:
    with np.errstate(all="ignore"):
        found = plant_faults(primitive)
    planted.extend(found)
    assert [v for v in found if not v.caught] == []


def test_no_primitive_hides_another_of_the_same_name() -> None:
    names = [p.__name__ for p in Primitive.__subclasses__() if p.__module__.startswith("tinymeta.")]
    assert len(names) == len(set(names))


def test_a_primitive_without_a_reference_is_refused_at_its_declaration() -> None:
    with pytest.raises(TypeError, match="declares no reference, kinks"):

        class half(Primitive):
            """y = x/2."""

            kernel = staticmethod(lambda x: x / 2)
            domain = ()
            vjp = None


def test_a_primitive_of_a_user_goes_through_the_same_properties() -> None:
    @tm.primitive
    class swish_like:
        """y = x tanh x,   dy = (tanh x + x (1 − tanh² x)) dx."""

        kernel = reference = staticmethod(lambda x: x * np.tanh(x))
        domain, kinks = (tm.testing.reals(-3, 3),), ()
        vjp = lambda g, y, x: g * (tm.tanh(x) + x * (1 - tm.square(tm.tanh(x))))

    try:
        tm.testing.check_primitive(swish_like)
        with pytest.raises(AssertionError, match="P11 fails"):  # its rule multiplies with * and not with `scale`
            tm.testing.check_primitive(swish_like, where=True)
        assert [v for v in plant_faults(swish_like) if not v.caught] == []
    finally:
        del Primitive.registry["swish_like"]
