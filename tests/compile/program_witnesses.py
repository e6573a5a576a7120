"""Programs that fail with a fault in the compiler: what the planted faults are seen by. Each returns, or raises."""

from __future__ import annotations

import numpy as np
import pytest

import tinymeta as tm
from tests.compile.linear_programs import integers, linear_program
from tests.compile.loop_programs import loops, same
from tests.compile.test_random_programs import recorded
from tests.compile.workloads import sine
from tinymeta.compile.place import assemble, in_bounds
from tinymeta.compile.program.calls import Call
from tinymeta.compile.program.operations import Contract, Reduce, Ufunc
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.program.views import Broadcast, Permute, Reshape, Slice
from tinymeta.compile.record.products import contract
from tinymeta.compile.rewrite import equation
from tinymeta.compile.rewrite.factor import Factored, Factoring
from tinymeta.compile.run.replay import Replay
from tinymeta.engine.errors import ShapeError
from tinymeta.engine.structure import astype


def linear_programs() -> None:
    """Random programs on integers, everything virtual, against their plain replay."""
    for seed in range(150):
        same_on_integers(linear_program(np.random.default_rng(seed).integers, 10))


def random_loops() -> None:
    """Random loops, as they are and rewritten, against their plain replay."""
    for seed in range(60):
        same(loops(np.random.default_rng(seed)))


def everything_virtual(plain: Program) -> Program:
    """Factored, whatever it costs."""
    program, image = Factoring(plain).written()
    equation.check(plain, program, image, "program with everything virtual")
    return program


def same_on_integers(plain: Program) -> None:
    arguments = integers(plain, 0)
    for short in (everything_virtual(plain), Factored.rewritten(plain)):
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
    left = b.add(Ufunc(np.multiply), b.add(Ufunc(np.multiply), outer(u, v), number(2.0)), s)
    right = b.add(Ufunc(np.multiply), b.add(Ufunc(np.divide), outer(v_, w), number(0.25)), t)
    cube = b.add(Permute((1, 2, 0)), b.add(Contract("ij", "k", "ijk"), outer(u, v), w))  # (4, 5, 3)
    less = b.add(Ufunc(np.subtract), cube, x)
    turned = b.add(Permute((1, 2, 0)), less)  # (5, 3, 4): what is left of x, summed over no axis, is transposed
    narrow = [b.input(7 + k, (3 + k,), np.dtype(np.float32)) for k in range(2)]
    wide = b.add(Ufunc(np.multiply), outer(*narrow), number(2.0))
    results = [
        b.add(Contract("ij", "jk", "ik"), left, right),
        b.add(Reduce(np.add, ()), turned),
        b.add(Reduce(np.add, (0, 2)), less),
        contract(b, "ijk", b.add(Permute((1, 2, 0)), x), "k", v, "ji"),
        b.add(Reduce(np.add, (0,)), wide),
    ]
    same_on_integers(b.finished(results))


def sum_of_a_broadcast() -> None:
    f = lambda x, w, b: tm.sum(x @ w + b)
    plain, leaves = recorded(f, np.ones((5, 2)), np.ones((2, 3)), np.ones(3))
    assert Replay(Factored.rewritten(plain))(leaves)[0] == 45


def virtual_number() -> None:
    plain, leaves = recorded(lambda w, u, v: tm.sum(w * (u @ v)), np.ones((4, 3)), np.ones(2), np.ones(2))
    assert Replay(Factored.rewritten(plain))(leaves)[0] == 24


def weights_far_apart() -> None:
    five_times = lambda y: ((((y * 2.0**-30) * 2.0**-30) * 2.0**-30) * 2.0**-30) * 2.0**-30
    f = lambda a, b: tm.sum(five_times(a[:, None] @ b[None]), axis=0)
    plain, leaves = recorded(f, np.full(3, 2.0**50, np.float32), np.full(4, 2.0**50, np.float32))
    np.testing.assert_array_equal(Replay(Factored.rewritten(plain))(leaves)[0], np.full(4, 3 * 2.0**-50, np.float32))


def shared_factors() -> None:
    """Terms that can be joined, with weights, signs and numbers of their own; a sum over two lengths."""
    b = Builder()
    f = np.dtype(float)
    x, u, v, s = (b.input(k, shape, f) for k, shape in enumerate([(3,), (4,), (4,), (1, 1)]))
    of = lambda y: b.add(Contract("i", "j", "ij"), x, y)
    twice = b.add(Ufunc(np.multiply), of(v), b.constant(np.full((1, 1), 2.0)))
    minus = b.add(Ufunc(np.multiply), of(u), b.constant(np.full((1, 1), -3.0)))
    times = b.add(Ufunc(np.multiply), of(u), s)
    total = b.add(Ufunc(np.add), b.add(Ufunc(np.subtract), twice, of(u)), b.add(Ufunc(np.add), minus, times))
    p, q = (b.input(4 + k, shape, f) for k, shape in enumerate([(4, 3), (4, 2)]))
    outer = b.reshape(of(u), (1, 3, 4))
    wide = [b.add(Contract("ik", "kpq", "ipq"), y, b.add(Broadcast((n, 3, 4)), outer)) for y, n in ((p, 3), (q, 2))]
    results = b.add(Reduce(np.add, (0,)), total), b.add(Reduce(np.add, (1,)), b.add(Ufunc(np.add), *wide))
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
    results = [b.add(Ufunc(np.subtract), x, y), b.add(Ufunc(np.subtract), y, x)]
    found = Replay(b.finished(results))([np.array([1.0, 2.0]), np.array([5.0, 5.0])])
    np.testing.assert_array_equal(found, [[-4, -3], [4, 3]])
    calls = [b.add(Call(astype, "f", {"dtype": "f"}, hidden), x, shape=(2,), dtype=np.dtype("f")) for hidden in (0, 1)]
    assert calls[0] != calls[1]


def folded_constants() -> None:
    b = Builder()
    mask = b.constant(np.array([True, True, False]))
    total = b.add(Reduce(np.add, (0,)), mask)
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
        Factored.rewritten(plain),
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
                in_bounds.check(assemble.assembled(each), 2)
