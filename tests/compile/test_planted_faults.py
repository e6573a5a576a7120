"""Faults planted in the compiler, one for each rule: every one is caught, and the suite prints by what.

A fault is a piece of the compiler's own text put another way. Its witness compiles something, and runs it; it has to
pass as the code stands, and to fail with the fault: at the hands of the verifier, of a comparison, or of a crash.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinymeta as tm
from tests.compile.linear_programs import integers, linear_program
from tests.compile.test_random_programs import recorded
from tests.compile.workloads import sine
from tinymeta.engine.compile import assemble, block, factor, instructions, network, operations, products, program, sums
from tinymeta.engine.compile.assemble import Assembler
from tinymeta.engine.compile.block import Block
from tinymeta.engine.compile.factor import Factoring, factored
from tinymeta.engine.compile.operations import Call, Contract, Reduce, Ufunc
from tinymeta.engine.compile.products import contract
from tinymeta.engine.compile.program import Builder, Program
from tinymeta.engine.compile.replay import Replay
from tinymeta.engine.compile.room import Room
from tinymeta.engine.compile.verify import Broken
from tinymeta.engine.compile.verify_placed import placed
from tinymeta.engine.compile.views import Broadcast, Permute, Reshape, Slice
from tinymeta.engine.errors import ShapeError
from tinymeta.engine.structure import astype


class Fault(NamedTuple):
    """In the function or method `name` of `owner`, `right` becomes `wrong`; `witness` sees it."""

    owner: Any
    name: str
    right: str
    wrong: str
    witness: Callable[[], None]


def plant(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    f = inspect.getattr_static(fault.owner, fault.name)
    source = textwrap.dedent(inspect.getsource(f))
    assert source.count(fault.right) == 1, f"{fault.name} reads otherwise now"
    made: dict[str, Any] = {}
    exec(source.replace(fault.right, fault.wrong), f.__globals__, made)
    monkeypatch.setattr(fault.owner, fault.name, made[fault.name])


def caught_by(witness: Callable[[], None]) -> str:
    """What a witness fails by, "" if it passes."""
    try:
        witness()
    except Broken as broken:
        return f"verifier: {broken.stage}"
    except AssertionError:
        return f"comparison: {witness.__name__.replace('_', ' ')}"
    except Exception as error:  # a crash is seen, too
        return f"crash: {type(error).__name__}"
    return ""


# The witnesses


def linear_programs() -> None:
    """Random programs on integers, everything virtual, against their plain replay."""
    for seed in range(150):
        same_on_integers(linear_program(np.random.default_rng(seed).integers, 10))


def same_on_integers(plain: Program) -> None:
    arguments = integers(plain, 0)
    for short in (Factoring(plain).rewritten(), factored(plain)):
        for a, b in zip(Replay(plain)(arguments), Replay(short)(arguments), strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_array_equal(b, a)


def products_of_products() -> None:
    """Multiples, quotients and transposes of outer products, on both sides of a product and under sums."""
    b, f = Builder(), np.dtype(float)
    shapes = [(3,), (4,), (4,), (5,), (1, 1), (1, 1), (4, 5, 3)]
    u, v, v_, w, s, t, x = (b.input(k, shape, f) for k, shape in enumerate(shapes))
    outer = lambda y, z: b.add(Contract("i", "j", "ij"), y, z)
    number = lambda value: b.constant(np.full((1, 1), value))
    left = b.add(Ufunc("multiply"), b.add(Ufunc("multiply"), outer(u, v), number(2.0)), s)
    right = b.add(Ufunc("multiply"), b.add(Ufunc("divide"), outer(v_, w), number(0.25)), t)
    cube = b.add(Permute((1, 2, 0)), b.add(Contract("ij", "k", "ijk"), outer(u, v), w))  # (4, 5, 3)
    less = b.add(Ufunc("subtract"), cube, x)
    turned = b.add(Permute((1, 2, 0)), less)  # (5, 3, 4): what is left of x, summed over no axis, is transposed
    narrow = [b.input(7 + k, (3 + k,), np.dtype(np.float32)) for k in range(2)]
    wide = b.add(Ufunc("multiply"), outer(*narrow), number(2.0))
    results = [
        b.add(Contract("ij", "jk", "ik"), left, right),
        b.add(Reduce("add", ()), turned),
        b.add(Reduce("add", (0, 2)), less),
        contract(b, "ijk", b.add(Permute((1, 2, 0)), x), "k", v, "ji"),
        b.add(Reduce("add", (0,)), wide),
    ]
    same_on_integers(b.finished(results))


def sum_of_a_broadcast() -> None:
    f = lambda x, w, b: tm.sum(x @ w + b)
    plain, leaves = recorded(f, np.ones((5, 2)), np.ones((2, 3)), np.ones(3))
    assert Replay(factored(plain))(leaves)[0] == 45


def virtual_number() -> None:
    plain, leaves = recorded(lambda w, u, v: tm.sum(w * (u @ v)), np.ones((4, 3)), np.ones(2), np.ones(2))
    assert Replay(factored(plain))(leaves)[0] == 24


def weights_far_apart() -> None:
    five_times = lambda y: ((((y * 2.0**-30) * 2.0**-30) * 2.0**-30) * 2.0**-30) * 2.0**-30
    f = lambda a, b: tm.sum(five_times(a[:, None] @ b[None]), axis=0)
    plain, leaves = recorded(f, np.full(3, 2.0**50, np.float32), np.full(4, 2.0**50, np.float32))
    np.testing.assert_array_equal(Replay(factored(plain))(leaves)[0], np.full(4, 3 * 2.0**-50, np.float32))


def shared_factors() -> None:
    """Terms that can be joined, with weights, signs and numbers of their own; a sum over two lengths."""
    b = Builder()
    f = np.dtype(float)
    x, u, v, s = (b.input(k, shape, f) for k, shape in enumerate([(3,), (4,), (4,), (1, 1)]))
    of = lambda y: b.add(Contract("i", "j", "ij"), x, y)
    twice = b.add(Ufunc("multiply"), of(v), b.constant(np.full((1, 1), 2.0)))
    minus = b.add(Ufunc("multiply"), of(u), b.constant(np.full((1, 1), -3.0)))
    times = b.add(Ufunc("multiply"), of(u), s)
    total = b.add(Ufunc("add"), b.add(Ufunc("subtract"), twice, of(u)), b.add(Ufunc("add"), minus, times))
    p, q = (b.input(4 + k, shape, f) for k, shape in enumerate([(4, 3), (4, 2)]))
    outer = b.reshape(of(u), (1, 3, 4))
    wide = [b.add(Contract("ik", "kpq", "ipq"), y, b.add(Broadcast((n, 3, 4)), outer)) for y, n in ((p, 3), (q, 2))]
    results = b.add(Reduce("add", (0,)), total), b.add(Reduce("add", (1,)), b.add(Ufunc("add"), *wide))
    same_on_integers(b.finished(results))


def views_in_normal_form() -> None:
    b = Builder()
    x = b.input(0, (2, 3, 2, 1), np.dtype(float))
    y = b.add(Permute((1, 0, 2, 3)), b.add(Permute((2, 0, 1, 3)), x))
    z = b.add(Permute((1, 0, 2, 3)), x)
    flat = b.add(Reshape((4, 3)), b.add(Reshape((6, 2)), x))
    flipped = b.add(Slice(((None, None, -1), *((None, None, None),) * 3)), x)
    found = Replay(b.finished([y, z, flat, flipped]))([np.arange(12.0).reshape(2, 3, 2, 1)])
    x_ = np.arange(12.0).reshape(2, 3, 2, 1)
    right = x_.transpose(2, 0, 1, 3).transpose(1, 0, 2, 3), x_.swapaxes(0, 1), x_.reshape(4, 3), x_[::-1]
    for a, c in zip(found, right, strict=True):
        np.testing.assert_array_equal(a, c)


def equal_operations() -> None:
    """Differences, constants and calls that are nearly the same."""
    b = Builder()
    x, y = b.input(0, (2,), np.dtype(float)), b.input(1, (2,), np.dtype(float))
    constants = [b.constant(np.array([value])) for value in (0.0, -0.0)] + [b.constant(np.zeros(1, np.int64))]
    assert len(set(constants)) == 3
    results = [b.add(Ufunc("subtract"), x, y), b.add(Ufunc("subtract"), y, x)]
    found = Replay(b.finished(results))([np.array([1.0, 2.0]), np.array([5.0, 5.0])])
    np.testing.assert_array_equal(found, [[-4, -3], [4, 3]])
    calls = [b.add(Call(astype, "f", {"dtype": "f"}, hidden), x, shape=(2,), dtype=np.dtype("f")) for hidden in (0, 1)]
    assert calls[0] != calls[1]


def folded_constants() -> None:
    b = Builder()
    mask = b.constant(np.array([True, True, False]))
    total = b.add(Reduce("add", (0,)), mask)
    assert b.nodes[total].value == 2 and b.nodes[total].dtype == np.add.reduce(np.ones(1, bool)).dtype


def what_is_kept() -> None:
    """A check without readers, and results in their order."""
    f = lambda x, i: (x[0] * 2, tm.nn.cross_entropy(x, i), x[0] * 3)[::2]
    plain, leaves = recorded(f, np.ones((2, 3)), np.array([0, 1]))
    np.testing.assert_array_equal([y[0] for y in Replay(plain)(leaves)], [2, 3])
    seen = False
    try:
        Replay(plain)([leaves[0], np.array([0, 7])])
    except ShapeError:
        seen = True
    assert seen, "labels are looked at"


def placed_programs() -> None:
    """Machines for programs with tasks, windows, tiles and long sums: small enough for symbols, or too large."""
    f, arguments = sine(tasks=7)
    plain, _ = recorded(f, *arguments)
    images, filters = np.ones((2, 3, 7, 6), np.float32), np.ones((4, 3, 3, 3), np.float32)
    pooled = lambda x, w: tm.nn.max_pool2d(tm.relu(tm.nn.conv2d(x, w, padding=1)), 2)
    of_pooled = lambda x, w: tm.grad(lambda w: tm.sum(tm.square(pooled(x, w))))(w)
    turned = lambda x: tm.exp(x[::-1, 1:].T) + tm.sum(x * x, axis=0)[1:, None]
    long = lambda x, y: tm.tanh(tm.tanh(x) * y) + x
    total = lambda x, s: tm.sum(tm.tanh(x * s))
    in_turn = lambda x, s: total(x, total(x, s)) * s
    of_a_sum = lambda x: in_turn(x, total(x, 1.0))
    shared = lambda x, w: tm.sum(tm.vmap(lambda x: tm.tanh(x @ w) @ w.T)(x), axis=0)
    programs = [
        factored(plain),
        recorded(of_pooled, images, filters)[0],
        recorded(turned, np.ones((5, 4)))[0],
        recorded(long, np.ones(9000), np.ones(9000))[0],
        recorded(shared, np.ones((9, 3, 4)), np.ones((4, 6)))[0],
        recorded(of_a_sum, np.ones((30, 20)))[0],
        recorded(lambda x: tm.log_softmax(tm.exp(x), axis=1), np.ones((40, 2)))[0],
    ]
    for each in programs:
        for cache in (assemble.CACHE, 1 << 12):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(assemble, "CACHE", cache)  # blocks of many tasks, and of few
                placed(Assembler(each, 2).assemble(), 2)


EXPANDED = (Factoring, "_expanded")
FAULTS: dict[str, Fault] = {
    "kind 1: a summed axis that no factor has counts once": Fault(
        Factoring, "_summed", "times * term.weight", "term.weight", sum_of_a_broadcast
    ),
    "kind 6: a number that is virtual itself": Fault(
        Factoring, "_is_number", "multiple is not None and", "False and", virtual_number
    ),
    "factor: a difference is a sum": Fault(*EXPANDED, "else -1.0", "else 1.0", linear_programs),
    "factor: a negative keeps its sign": Fault(*EXPANDED, "weight=-t.weight", "weight=t.weight", linear_programs),
    "factor: a product has the weight of one factor": Fault(
        *EXPANDED, "s.weight * t.weight", "s.weight", products_of_products
    ),
    "factor: a product forgets a number": Fault(*EXPANDED, "s.scalars + t.scalars", "s.scalars", products_of_products),
    "factor: a number that only the run knows is lost": Fault(
        *EXPANDED, "(*t.scalars, number)", "t.scalars", linear_programs
    ),
    "factor: a quotient is a multiple": Fault(
        Factoring, "_number", "weight if times else 1 / weight", "weight", products_of_products
    ),
    "factor: labels of a transpose the wrong way round": Fault(
        Factoring, "_through", "labels[op.axes.index(k)]", "labels[op.axes[k]]", products_of_products
    ),
    "factor: two dtypes in one term": Fault(
        Factoring, "_is_linear", "any(x.dtype != node.dtype for x in given)", "False", products_of_products
    ),
    "factor: weights leave the dtype's range": Fault(
        Factoring, "_extent", "exponent += abs(", "exponent += 0 * abs(", weights_far_apart
    ),
    "merged: the first weight is lost": Fault(factor, "merged", "other.weight * w", "w", shared_factors),
    "merged: the second weight is lost": Fault(factor, "merged", "(term.weight * w, i)", "(w, i)", shared_factors),
    "merged: weights count twice": Fault(factor, "merged", "Term(1.0, ", "Term(term.weight, ", shared_factors),
    "merged: terms with different numbers meet": Fault(
        factor, "merged", "rest, term.scalars)", "rest)", shared_factors
    ),
    "merged: factors of different shapes meet": Fault(
        network, "_renamed", "FREE * (1 + size[label])", "FREE", shared_factors
    ),
    "sums: a term is added that is to be subtracted": Fault(
        sums.Writer, "write", '"add" if term.weight > 0 else "subtract"', '"add"', linear_programs
    ),
    "sums: a part is added that is to be subtracted": Fault(
        sums.Writer, "_factor", '"add" if weight > 0 else "subtract"', '"add"', shared_factors
    ),
    "sums: a part loses its weight": Fault(sums.Writer, "_factor", "self._times(x, abs(weight))", "x", shared_factors),
    "sums: numbers of the run are left out": Fault(
        sums.Writer, "_product", "in term.scalars", "in ()", linear_programs
    ),
    "sums: a lone factor keeps its axes' order": Fault(
        sums.Writer,
        "_product",
        "labels.index(k) for k in result if k in labels",
        "range(len(labels))",
        products_of_products,
    ),
    "sums: minus one is one": Fault(sums.Writer, "_times", 'self._b.add(Ufunc("negative"), x)', "x", linear_programs),
    "presummed: the first of several axes alone": Fault(
        sums.Writer, "_presummed", 'Reduce("add", axes)', 'Reduce("add", axes[:1])', linear_programs
    ),
    "products: letters of a transpose the wrong way round": Fault(
        products,
        "_untransposed",
        "zip(node.op.axes, letters)",
        "zip(range(len(letters)), letters)",
        products_of_products,
    ),
    "views: two transposes in the wrong order": Fault(
        Builder,
        "_normal_view",
        "node.op.axes[a] for a in op.axes",
        "op.axes[a] for a in node.op.axes",
        views_in_normal_form,
    ),
    "views: axes of size 2 move like those of size 1": Fault(
        Builder, "_normal_view", "node.shape[a] != 1", "node.shape[a] > 2", views_in_normal_form
    ),
    "views: a slice backwards is the whole": Fault(
        Builder, "_normal_view", "k[2] in (1, None)", "k[2] in (1, -1, None)", views_in_normal_form
    ),
    "equal operations: a − b is b − a": Fault(
        Builder, "_new", "(node.op, node.inputs)", "(node.op, tuple(sorted(node.inputs)))", equal_operations
    ),
    "equal operations: 0.0 is −0.0": Fault(
        Builder, "constant", "value.tobytes())", "tuple(value.reshape(-1)))", equal_operations
    ),
    "equal operations: 0 is 0.0": Fault(Builder, "constant", "value.dtype.str, ", "", equal_operations),
    "equal operations: vmap's axes don't count": Fault(
        operations.Call, "__eq__", "self.hidden == other.hidden", "True", equal_operations
    ),
    "folding: a sum of booleans is a boolean": Fault(
        program, "result_dtype", "if isinstance(op, Reduce)", "if False", folded_constants
    ),
    "dead code: checks of values": Fault(Builder, "finished", "or n.op.effect", "", what_is_kept),
    "placed: a place is free after its first reader": Fault(
        Assembler, "_place_globals", "max(homes, default=k)", "min(homes, default=k)", placed_programs
    ),
    "placed: a local value is free after its first reader": Fault(
        Block, "__init__", "max(whole.readers[i], default=i)", "min(whole.readers[i], default=i)", placed_programs
    ),
    "placed: an operand read twice is written over": Fault(
        Block, "_may_overwrite", "once and last and alike", "alike", placed_programs
    ),
    "placed: scratch for one task": Fault(
        Assembler, "_step", "written.room.size * block)", "written.room.size)", placed_programs
    ),
    "placed: sums of one loop lie at one place": Fault(
        Block,
        "_sum",
        "self.partial += -(-node.size * node.dtype.itemsize // 64) * 64",
        "self.partial = 64",
        placed_programs,
    ),
    "placed: a sum begins with what was there": Fault(
        Block,
        "_sum",
        "step.before += instructions.copy(node.dtype, zero, part",
        "step.before += instructions.copy(node.dtype, part, part",
        placed_programs,
    ),
    "placed: other cores' sums take the place of the first's": Fault(
        Block,
        "_sum",
        "elementwise(add, dtypes, [whole, part]",
        "elementwise(add, dtypes, [part, part]",
        placed_programs,
    ),
    "placed: no step from one task to the next": Fault(
        Block, "_stepping", "layout if layout.slot == SCRATCH or axis is None", "layout if True", placed_programs
    ),
    "placed: a maximum begins with 0": Fault(Block, "_begun", 'if op.name == "add"', "if True", placed_programs),
    "placed: a reversed slice begins at its end": Fault(
        block, "seen", "offset += start * s", "offset += (start + (step < 0)) * s", placed_programs
    ),
    "placed: room given back is rounded down": Fault(
        Room, "take", "size = self._rounded(size)", "size = size // 2 + 1", placed_programs
    ),
    "placed: a product is not added to what it accumulates": Fault(
        instructions, "product", "1, int(accumulate)]", "1, 0]", placed_programs
    ),
    "dead code: results in order of their nodes": Fault(
        Builder, "finished", "for i in results)", "for i in sorted(results, reverse=True))", what_is_kept
    ),
}


@pytest.mark.parametrize("witness", {fault.witness for fault in FAULTS.values()}, ids=lambda w: w.__name__)
def test_a_witness_passes_while_nothing_is_planted(witness: Callable[[], None]) -> None:
    witness()


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_caught(
    name: str, monkeypatch: pytest.MonkeyPatch, compiler_faults: list[tuple[str, str]]
) -> None:
    plant(FAULTS[name], monkeypatch)
    found = caught_by(FAULTS[name].witness)
    compiler_faults.append((name, found))
    assert found, f"nothing saw it: {name}"
