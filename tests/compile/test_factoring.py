"""Products stay factored: the same values to rounding, never more operations, and matrices where those are cheaper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tinymeta as tm
from tests.compile.linear_programs import integers, linear_program
from tests.compile.test_random_programs import assert_close, recorded
from tests.compile.workloads import omniglot, sine
from tinymeta.compile.program.operations import Contract, Reduce, Ufunc
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.program.views import Broadcast
from tinymeta.compile.rewrite import expansion
from tinymeta.compile.rewrite.contraction import Factor, Term, merged
from tinymeta.compile.rewrite.factor import Factored, Factoring
from tinymeta.compile.run.machine import Machine
from tinymeta.compile.run.replay import Replay
from tinymeta.ops.contraction_path import contraction_path


def largest(program: Program) -> int:
    """Elements of the largest array that an operation computes."""
    return max(n.size for n in program.nodes if n.inputs and not n.op.view)


def test_a_chain_of_matrices_is_multiplied_in_the_cheapest_order() -> None:
    size = {0: 10, 1: 1000, 2: 5, 3: 500}
    pairs, cost = contraction_path(((0, 1), (1, 2), (2, 3)), (0, 3), size)
    assert pairs == ((0, 1), (0, 1))  # (A B) C
    assert cost < contraction_path(((0, 1), (2, 3), (1, 2)), (0, 3), {**size, 2: 900})[1]


def test_terms_that_share_all_but_one_factor_become_one() -> None:
    shared = Factor(((1.0, 7),), (0, -1))
    terms = [Term(-0.5, (shared, Factor(((1.0, place),), (-1, 1)))) for place in (8, 9)]
    (term,) = merged(terms, {0: 2, 1: 3, -1: 4})
    assert {f.parts for f in term.factors} == {((1.0, 7),), ((-0.5, 8), (-0.5, 9))} and term.weight == 1.0


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("workload", [sine, omniglot])
def test_a_meta_step_takes_fewer_operations_and_gives_the_same_values(workload: Any, steps: int) -> None:
    f, arguments = workload(steps, tasks=4, dtype=np.float64)
    plain, leaves = recorded(f, *arguments)
    short = Factored.rewritten(plain)
    assert short.flops() <= plain.flops() and short.bytes() < plain.bytes()
    assert_close(f(*arguments), Replay(short)([np.asarray(x) for x in leaves]), 1e-7)  # Adam divides by √v


def test_no_matrix_per_task_is_made_for_the_first_layer_of_omniglot() -> None:
    f, arguments = omniglot(tasks=6)
    plain, _ = recorded(f, *arguments)
    assert largest(plain) == 6 * 784 * 256
    short = Factored.rewritten(plain)
    assert largest(short) == 784 * 256
    assert short.flops() < 0.7 * plain.flops()


def test_a_matrix_that_is_wanted_itself_is_made() -> None:
    def f(w: Any, a: Any, d: Any, x: Any) -> Any:
        updated = w - 0.1 * a.T @ d
        return updated, x @ updated

    rng = np.random.default_rng(0)
    arguments = [rng.normal(size=s) for s in ((30, 20), (2, 30), (2, 20), (4, 30))]
    plain, leaves = recorded(f, *arguments)
    assert_close(f(*arguments), Replay(Factored.rewritten(plain))(leaves))


def test_many_rows_make_the_matrix_the_cheaper_way() -> None:
    f = lambda w, a, d, x: tm.tanh(x @ (w - 0.1 * a.T @ d))
    rng = np.random.default_rng(0)
    arguments = [rng.normal(size=s) for s in ((8, 8), (6, 8), (6, 8), (5000, 8))]
    few = [*arguments[:3], rng.normal(size=(1, 8))]
    for xs, made in ((arguments, True), (few, False)):
        plain, leaves = recorded(f, *xs)
        short = Factored.rewritten(plain)
        products = [node.shape for node in short.nodes if isinstance(node.op, Contract)]
        assert ((8, 8) in products) == made  # aᵀd; without it x is multiplied by aᵀ, and that by d
        assert short.flops() <= plain.flops()
        assert_close(f(*xs), Replay(short)(leaves))


def test_the_pass_can_be_switched_off() -> None:
    f, arguments = sine(tasks=3)
    on, off = tm.compile(f), tm.compile(f, factor=False)
    for compiled in (on, off):
        compiled(*arguments)
    assert off.programs()[0][1] is off.programs()[0][0]
    assert on.programs()[0][1].flops() < off.programs()[0][1].flops()


def test_the_report_compares_operations_and_bytes() -> None:
    f, arguments = omniglot(tasks=3)
    compiled = tm.compile(f)
    compiled(*arguments)
    report = compiled.report()
    plain, short = compiled.programs()[0]
    assert f"{plain.flops() / 1e6:.1f}" in report and f"{short.flops() / 1e6:.1f}" in report


@given(st.data(), st.integers(4, 14), st.integers(0, 2**32 - 1))
@settings(max_examples=300)
def test_linear_programs_on_integers_keep_every_bit(data: Any, steps: int, seed: int) -> None:
    program = linear_program(lambda n: data.draw(st.integers(0, n - 1)), steps)
    arguments = integers(program, seed)
    expected = Replay(program)(arguments)
    everything_virtual = Factoring(program)
    for rewritten in (everything_virtual.written()[0], Factored.rewritten(program)):
        for a, b in zip(expected, Replay(rewritten)(arguments), strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_array_equal(b, a)


@pytest.mark.parametrize("factor", [True, False])
def test_a_sum_over_what_was_broadcast_counts_its_length(factor: bool) -> None:
    x, w, b, u = np.ones((5, 2)), np.ones((2, 3)), np.arange(3.0), np.arange(1.0, 4)
    run = lambda f, *arguments: tm.compile(f, factor=factor)(*arguments).numpy()
    assert run(lambda x, w, b: tm.sum(x @ w + b), x, w, b) == 45
    np.testing.assert_array_equal(run(lambda x, w, b: tm.mean(x @ w - b, 0), x, w, b), [2, 1, 0])
    repeated = lambda u: tm.sum(tm.broadcast_to(u[:, None] @ u[None], (4, 3, 3)), axis=0)
    np.testing.assert_array_equal(run(repeated, u), 4 * np.outer(u, u))


def test_sums_of_different_lengths_are_not_added_up_first() -> None:
    """Σₖ aᵢₖ uₚ v_q + Σₘ bᵢₘ uₚ v_q, where k counts to 3 and m to 2: a and b can't be added."""
    b = Builder()
    shapes = [(4, 3), (4, 2), (5,), (6,)]
    a, other, u, v = (b.input(k, shape, np.dtype(float)) for k, shape in enumerate(shapes))
    outer = b.reshape(b.add(Contract("p", "q", "pq"), u, v), (1, 5, 6))
    products = [
        b.add(Contract("ik", "kpq", "ipq"), x, b.add(Broadcast((n, 5, 6)), outer)) for x, n in ((a, 3), (other, 2))
    ]
    program = b.finished([b.add(Reduce(np.add, (2,)), b.add(Ufunc(np.add), *products))])
    every = Factoring(program)
    arguments = [np.arange(float(np.prod(shape))).reshape(shape) for shape in shapes]
    for short in (every.written()[0], Factored.rewritten(program)):
        np.testing.assert_array_equal(Replay(short)(arguments)[0], Replay(program)(arguments)[0])


def test_a_number_that_is_a_product_itself_multiplies_a_product() -> None:
    f = lambda w, u, v: (tm.sum(w * (u @ v)), tm.mean((u[:, None] @ u[None]) * tm.sum(u @ v), 0))
    w, u, v = np.ones((4, 3)), np.arange(3.0), np.arange(1.0, 4)
    total, mean = tm.compile(f)(w, u, v)
    assert float(total) == 12 * 8
    np.testing.assert_allclose(mean.numpy(), 8 * u, rtol=8 * np.finfo(float).eps)  # three sums, of three at most


def test_weights_that_leave_the_range_of_their_dtype_stay_apart() -> None:
    tiny, huge = 2.0**-50, 2.0**50
    f = lambda a, b: tm.sum((((a[:, None] @ b[None]) * tiny) * tiny) * tiny, axis=0)
    a, b = np.full(3, huge, np.float32), np.full(4, huge, np.float32)
    np.testing.assert_array_equal(tm.compile(f)(a, b).numpy(), np.full(4, 3 * 2.0**-50, np.float32))


def test_programs_of_two_dtypes_round_where_they_did() -> None:
    """float32 products times a float64 number are float32 products still."""
    f = lambda a, b, c: tm.sum((a[:, None] @ b[None]) * c, axis=0)
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=n).astype(np.float32) for n in (3, 4))
    found = tm.compile(f)(a, b, np.array(1 / 3))
    product = np.outer(a, b).astype(float) / 3
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.numpy(), product.sum(0), rtol=0, atol=4 * np.finfo(float).eps * abs(product).sum())


sizes = st.integers(1, 6)


@st.composite
def product_programs(draw: Any) -> Any:
    """Sums, multiples and transposes of products of matrices, some with an axis of tasks, read by products and sums."""
    n, m, k, tasks = draw(sizes), draw(sizes), draw(sizes), draw(st.integers(1, 4))
    steps = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=8))
    weights = draw(st.lists(st.floats(-2, 2).map(lambda w: round(w, 2)), min_size=8, max_size=8))
    return (n, m, k, tasks), steps, weights


@example(((2, 4, 1, 1), [(3, 1, 0), (2, 0, 2), (3, 0, 2)], [0.0] * 8), 0)  # a large number is met in two ways
@given(product_programs(), st.integers(0, 2**32 - 1))
def test_random_product_programs_keep_their_values_and_never_take_more_operations(drawn: Any, seed: int) -> None:
    (n, m, k, tasks), steps, weights = drawn
    rng = np.random.default_rng(seed)
    shared = 0.3 * rng.normal(size=(n, m))
    a, d, x = (0.3 * rng.normal(size=(tasks, *s)) for s in ((k, n), (k, m), (k, n)))

    def one(w: Any, a: Any, d: Any, x: Any) -> Any:
        matrices, rows = [w, a.T @ d], [x, a]  # (n, m), and (k, n)
        for (kind, i, j), c in zip(steps, weights):
            p, q, r = matrices[i % len(matrices)], matrices[j % len(matrices)], rows[j % len(rows)]
            if kind == 0:
                matrices.append(p + c * q)
            elif kind == 1:
                matrices.append((p.T * c).T - q)
            elif kind == 2:
                matrices.append(r.T @ (r @ p))
            elif kind == 3:
                rows.append((r @ p) @ q.T * 0.1)
            elif kind == 4:
                rows.append(d @ p.T - r)
            else:
                matrices.append(-(r.T @ d) * c + p / 2)
        return matrices[-1], rows[-1] @ matrices[-1]

    def f(w: Any, a: Any, d: Any, x: Any) -> Any:
        matrix, row = tm.vmap(one, in_axes=(None, 0, 0, 0))(w, a, d, x)
        gradient = tm.grad(lambda w: tm.sum(tm.square(tm.vmap(one, in_axes=(None, 0, 0, 0))(w, a, d, x)[1])))
        return tm.sum(matrix, axis=0), tm.sum(tm.square(row)), gradient(w)

    plain, leaves = recorded(f, shared, a, d, x)
    short = Factored.rewritten(plain)
    assert short.flops() <= plain.flops()
    exact = Replay(plain)(leaves)
    for y, z in zip(exact * 2, Replay(short)(leaves) + Machine(short)(leaves), strict=True):
        # Every result is a polynomial of sums of at most 6·6·4 terms, in either order; degrees stay below 2⁸.
        np.testing.assert_allclose(z, y, rtol=0, atol=144 * 256 * np.finfo(float).eps * max(1, abs(y).max()))


def test_a_product_that_only_sums_read_is_one_contraction() -> None:
    f = lambda x, g: tm.sum(tm.vmap(lambda x, g: x.T @ g)(x, g), axis=0)
    x, g = np.ones((6, 3, 8)), np.ones((6, 3, 9))
    short = Factored.rewritten(recorded(f, x, g)[0])
    (contraction,) = [n for n in short.nodes if isinstance(n.op, Contract)]
    assert contraction.shape == (8, 9) and len(set(contraction.op.a) - set(contraction.op.out)) == 2


@pytest.mark.parametrize("long", [1 << 16, 1 << 20])
def test_a_long_sum_of_float32_stays_a_sum_in_pairs(long: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = np.full((long, 3), 0.1, np.float32), np.ones((3, 1), np.float32)
    off = lambda y: abs(float(y) / 0.3 - 1)
    f = lambda x: tm.mean(x @ w)
    assert off(tm.compile(f)(x)) <= 0.5 * (1 << 16) * np.finfo("f").eps / 4  # of 2¹⁶ terms in at least four lanes
    if long > 1 << 16:
        monkeypatch.setattr(expansion, "LONG", 1 << 62)
        assert off(tm.compile(f, check=False)(x)) > 0.5 * (1 << 16) * np.finfo("f").eps / 4
