"""The verifier sees what breaks a rule: programs made wrong by hand, one rule each, and accepts what keeps them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.compile.planted import caught_by
from tests.compile.test_random_programs import recorded as recorded_program
from tests.compile.workloads import sine
from tinymeta.compile.place import assemble, in_bounds
from tinymeta.compile.place.layout import ARENA
from tinymeta.compile.place.memory import Memory
from tinymeta.compile.program import well_formed
from tinymeta.compile.program.calls import Part
from tinymeta.compile.program.operations import Constant, Contract, Input, Reduce, Ufunc
from tinymeta.compile.program.program import Node, Program
from tinymeta.compile.program.views import Broadcast, Permute, Reshape, Scatter, Slice, Windows
from tinymeta.compile.program.writing import alike
from tinymeta.compile.rewrite import equation, rewritten
from tinymeta.compile.verify import Broken

F = np.dtype(float)
X = Node(Input(0), (), (2, 3), F)
Y = Node(Input(1), (), (3, 4), F)


def of(*nodes: Node) -> Program:
    return Program([X, Y, *nodes], (2,))


WRONG = {
    "an input that comes later": of(Node(Ufunc(np.negative), (3,), (2, 3), F), X),
    "another shape": of(Node(Ufunc(np.negative), (0,), (3, 2), F)),
    "another dtype": of(Node(Ufunc(np.negative), (0,), (2, 3), np.dtype(np.float32))),
    "no common shape": of(Node(Ufunc(np.add), (0, 1), (2, 3), F)),
    "too few inputs": of(Node(Ufunc(np.add), (0,), (2, 3), F)),
    "an axis that isn't there": of(Node(Reduce(np.add, (2,)), (0,), (2, 3), F)),
    "an axis twice": of(Node(Reduce(np.add, (1, 1)), (0,), (2,), F)),
    "a letter of two lengths": of(Node(Contract("ij", "ik", "jk"), (0, 1), (3, 4), F)),
    "a letter summed in one operand": of(Node(Contract("ij", "jk", "i"), (0, 1), (2,), F)),
    "a letter from nowhere": of(Node(Contract("ij", "jk", "il"), (0, 1), (2, 4), F)),
    "a diagonal": of(Node(Contract("ii", "jk", "ijk"), (0, 1), (2, 3, 4), F)),
    "a reshape to another size": of(Node(Reshape((7,)), (0,), (7,), F)),
    "no permutation": of(Node(Permute((0, 0)), (0,), (2, 2), F)),
    "a broadcast of a long axis": of(Node(Broadcast((2, 6)), (0,), (2, 6), F)),
    "an index outside": of(Node(Slice((2, (None, None, None))), (0,), (3,), F)),
    "windows outside": of(Node(Windows(1, 2, 3, 1, 1), (0,), (2, 2, 3), F)),
    "places of another shape": of(Node(Scatter((5, 3), (Slice(((0, 3, None), (None, None, None))),)), (0,), (5, 3), F)),
    "a part of one array": of(Node(Part(0), (0,), (2, 3), F)),
    "a constant of another shape": of(Node(Constant("key"), (), (2, 3), F, np.zeros((3, 2)))),
    "arguments that aren't counted from 0": Program([Y], (0,)),
    "a result that isn't there": Program([X], (1,)),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_program_that_breaks_a_rule_is_refused(name: str) -> None:
    with pytest.raises(Broken, match="recorded program"):
        well_formed.check(WRONG[name])


def test_programs_of_the_recorder_keep_the_rules() -> None:
    f, arguments = sine(2, tasks=3)
    plain, _ = recorded_program(f, *arguments)
    shorter = rewritten(plain)
    assert caught_by(lambda: well_formed.check(plain)) == caught_by(lambda: well_formed.check(shorter)) == ""
    assert len(shorter.nodes) < len(plain.nodes)


def test_a_rewriting_is_compared_node_by_node() -> None:
    """(x y) 2 + y' with y' = y summed: right with its factors swapped, and wrong in one node at a time."""
    product = Node(Contract("ij", "jk", "ik"), (0, 1), (2, 4), F)
    total = Node(Reduce(np.add, (0,)), (2,), (4,), F)
    final = Node(Ufunc(np.tanh), (3,), (4,), F)
    before = Program([X, Y, product, total, final], (4,))
    summed = Node(Reduce(np.add, (0,)), (0,), (3,), F)
    short = Node(Contract("j", "jk", "k"), (2, 1), (4,), F)
    equation.check(before, Program([X, Y, summed, short, final], (4,)), {0: 0, 1: 1, 3: 3, 4: 4})
    wrong = {
        "a maximum": [X, Y, Node(Reduce(np.maximum, (0,)), (0,), (3,), F), short, final],
        "another function": [X, Y, summed, short, final._replace(op=Ufunc(np.sinh))],
        "another input": [X, Y, summed, short, final._replace(inputs=(2,), shape=(3,))],
    }
    for nodes in wrong.values():
        with pytest.raises(Broken, match="rewritten program"):
            equation.check(before, Program(nodes, (4,)), {0: 0, 1: 1, 3: 3, 4: 4})
    with pytest.raises(Broken, match="the results"):
        equation.check(before, Program([X, Y, summed, short, final], (3,)), {0: 0, 1: 1, 3: 3, 4: 4})


def test_static_arguments_are_alike_only_if_every_kernel_thinks_so() -> None:
    values: list[Any] = [1, 1.0, True, 0.0, -0.0, (1,), [1], (1.0,), slice(1), slice(1.0), np.zeros(2), np.zeros(1)]
    for k, a in enumerate(values):
        assert [j for j, b in enumerate(values) if alike(a, b)] == [k]
    assert alike({"a": (1, np.ones(2))}, {"a": (1, np.ones(2))}) and not alike({"a": 1}, {"b": 1})


def assembled(f: Any, *arguments: Any) -> Any:
    return assemble.assembled(recorded_program(f, *arguments)[0])


def test_an_address_beyond_its_array_is_seen_whatever_the_size() -> None:
    for n in (5, 3_000_000):
        assembly = assembled(lambda x: tm.sum(tm.exp(x[1:]) + x[:-1]), np.ones(n))
        in_bounds.check(assembly, 2)
        sizes = assembly.sizes
        for k in range(2):
            if sizes[k] > 0:
                assembly.sizes = (*sizes[:k], sizes[k] // 2 - 8, *sizes[k + 1 :])
                with pytest.raises(Broken, match="of slot"):
                    in_bounds.check(assembly, 2)


def test_memory_gives_back_only_what_was_written_there() -> None:
    memory = Memory({ARENA: 64}, 2)
    places = np.arange(4) * 8
    memory.write(0, ARENA, places, 8, np.arange(4), None)
    np.testing.assert_array_equal(memory.read(0, ARENA, places, 8, "a test"), np.arange(4))
    with pytest.raises(Broken, match="nobody has written"):
        memory.read(0, ARENA, places + 8, 8, "a test")
    with pytest.raises(Broken, match="another"):
        memory.read(1, ARENA, places, 8, "the other core")
    memory.write(0, ARENA, np.array([4]), 4, np.array(9), None)  # half of a number is another's now
    with pytest.raises(Broken, match="only in part"):
        memory.read(0, ARENA, places, 8, "a test")
    with pytest.raises(Broken, match="two numbers to one place"):
        memory.write(0, ARENA, np.array([0, 0]), 8, np.arange(2), None)
    memory.write(0, ARENA, places, 8, np.arange(4), None)
    memory.write(0, ARENA, np.array([0, 0]), 8, np.array([5, 6]), "add")
    assert memory.read(0, ARENA, np.array(0), 8, "a test") == 11


def test_checks_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    from tinymeta.compile.verify import checking

    assert checking()
    monkeypatch.setenv("TINYMETA_CHECK", "0")
    assert not checking()
