"""P1 to P11, PV and PC for every primitive in the registry. A new primitive is tested by being declared."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

import tinymeta as tm
from tests.engine.drawn_cases import cases
from tests.engine.planted_faults import has_a_rule, noticed_without_a_fault, plant_faults
from tests.planted_table import IN_A_RULE
from tinymeta.engine.primitive import Primitive
from tinymeta.testing.case import Case, random_case
from tinymeta.testing.check import properties
from tinymeta.testing.points import kinks_take_one_side

# These two take no numbers of their own: `part` picks an output, `unrecorded` stands for a function. test_several
# and test_checkpoint are about them.
PLUMBING = {"loop", "part", "unrecorded"}
ROOT = Path(__file__).parents[2]


def _declared() -> list[type[Primitive]]:
    """The package's primitives. One that can't be drawn from its declaration stops the collection."""
    assert tm.nn and tm.optim  # rooms that are imported when they are asked for declare primitives, too
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
FEWER = {"PC": 6, "PV": 3, "P8": 2, "P9": 2, "P7": 2}  # these try many combinations in each example


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
def test_p15_every_planted_fault_is_caught(
    primitive: type[Primitive], record_property: Callable[[str, object], None]
) -> None:
    with np.errstate(all="ignore"):
        found = plant_faults(primitive)
    for verdict in found:
        record_property(IN_A_RULE, tuple(verdict))
    assert [v for v in found if not v.caught] == []


@pytest.mark.parametrize("primitive", [p for p in PRIMITIVES if has_a_rule(p)], ids=lambda p: p.__name__)
def test_p15_a_rule_without_a_fault_is_noticed_by_nothing(primitive: type[Primitive]) -> None:
    with np.errstate(all="ignore"):
        assert not noticed_without_a_fault(primitive, seed=1)


def test_p15_a_sweep_that_does_not_undo_broadcasting_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one place where un-broadcasting is done, with its sum left out: the first of the entries stands for all."""

    def first(g: tm.Tensor, x: tm.Tensor, opened: object) -> tm.Tensor:
        lead = g.ndim - x.ndim
        key = (0,) * lead + tuple(slice(0, m) for m in x.shape)
        return g if g.shape == x.shape else g[key]

    monkeypatch.setattr("tinymeta.engine.sweep.conform", first)
    with pytest.raises(AssertionError, match="P2 fails"):
        tm.testing.check_primitive(Primitive.registry["multiply"])


def test_p1_holds_without_compilation_too() -> None:
    """Kernels as plain Python: what NUMBA_DISABLE_JIT=1 runs, in a process of its own."""
    code = """
        import numpy as np, tinymeta
        from tinymeta.engine.primitive import Primitive
        from tinymeta.testing.case import random_case
        from tinymeta.testing.values import kernel_is_reference
        np.seterr(all="ignore")
        for p in Primitive.registry.values():
            for seed in range(3 if p.domain else 0):
                kernel_is_reference(random_case(p, seed))
    """
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": path}
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


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
