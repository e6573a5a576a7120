"""Loops: a body's program turn after turn, on the machine, by plain replay and as the scan that it stands for."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tests.compile import program_faults
from tests.compile.loop_programs import loops, same
from tests.compile.planted import plant
from tinymeta.compile.place.schedule import Schedule
from tinymeta.compile.program import loop
from tinymeta.compile.program.loop import Loop
from tinymeta.compile.program.operations import Contract
from tinymeta.compile.program.program import Program
from tinymeta.compile.run.machine import Machine


@given(st.integers(0, 10_000))
def test_random_loops_are_their_turns_on_the_machine_and_rewritten(seed: int) -> None:
    same(loops(np.random.default_rng(seed)))


@given(st.integers(0, 10_000))
def test_random_loops_are_their_turns_where_each_turn_is_a_call_of_its_own(seed: int) -> None:
    """As those with an operation of Python's are, and those of large products."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Machine, "joined", lambda *_: None)
        same(loops(np.random.default_rng(seed)))


def steps(f: Any, *arguments: Any) -> tuple[Any, list[Loop]]:
    """A function compiled, and the loops of its program."""
    compiled = tm.compile(f)
    compiled(*arguments)
    assert "machine" in compiled.report()
    return compiled, all_loops(compiled.programs()[0][1])


def all_loops(program: Program) -> list[Loop]:
    found = [node.op for node in program.nodes if isinstance(node.op, Loop)]
    return [*found, *(inner for op in found for inner in all_loops(op.body))]


def rnn(w: Any, xs: Any, **options: Any) -> Any:
    last, said = tm.scan(lambda h, x: (h := tm.tanh(h @ w + x), tm.sum(h * h)), tm.zeros(3), xs, **options)
    return tm.sum(last) + tm.sum(said * said)


def sequence(n: int) -> Any:
    rng = np.random.default_rng(n)
    return rng.normal(size=(3, 3)), rng.normal(size=(n, 3))


ORDERS = {
    1: tm.grad(rnn),
    2: tm.grad(lambda w, xs: tm.sum(tm.grad(rnn)(w, xs) ** 2)),
    3: tm.grad(lambda w, xs: tm.sum(tm.grad(lambda w: tm.sum(tm.grad(rnn)(w, xs) ** 2))(w) ** 2)),
}


@pytest.mark.parametrize("order", ORDERS)
def test_derivatives_of_any_order_are_loops_and_right(order: int) -> None:
    w, xs = sequence(4)
    compiled, found = steps(ORDERS[order], w, xs)
    assert len(found) == 2**order
    np.testing.assert_allclose(compiled(w, xs).numpy(), ORDERS[order](w, xs).numpy(), rtol=1e-11 * 10**order)


@pytest.mark.parametrize("transform", [tm.hessian(rnn), tm.vmap(tm.grad(rnn), in_axes=(None, 1)), tm.jacobian(rnn)])
def test_loops_are_mapped_and_differentiated_inside_of_vmap(transform: Any) -> None:
    w, xs = sequence(3)
    xs = np.stack([xs, 2 * xs], 1) if transform not in (tm.hessian,) and "batched" in transform.__name__ else xs
    compiled, found = steps(transform, w, xs)
    assert found
    np.testing.assert_allclose(compiled(w, xs).numpy(), transform(w, xs).numpy(), rtol=1e-11, atol=1e-12)


def test_a_program_is_as_long_for_a_thousand_turns_as_for_ten() -> None:
    programs = {n: steps(ORDERS[2], *sequence(n))[0].programs()[0][1] for n in (10, 1000)}
    assert programs[1000].steps() <= 1.2 * programs[10].steps()


def test_the_gradient_of_a_shared_weight_is_one_product_of_all_turns() -> None:
    compiled, found = steps(ORDERS[1], *sequence(20))
    outer = compiled.programs()[0][1]
    products = [n for n in outer.nodes if type(n.op).__name__ == "Contract" and n.shape == (3, 3)]
    assert len(products) == 1
    assert outer.work(products[0]) == 2 * 20 * 3 * 3  # summed over the turns
    assert not any(y.shape == (20, 3, 3) for y in outer.nodes)


def test_what_stands_around_a_loop_is_cut_along_its_turns() -> None:
    def error(w: Any, v: Any, xs: Any) -> Any:
        said = tm.scan(lambda h, x: (h := tm.tanh(h @ w + x), h), tm.zeros((5, 3)), tm.tanh(xs @ v))[1]
        return tm.sum((said @ v) ** 2)

    rng = np.random.default_rng(3)
    compiled = tm.compile(tm.grad(error, argnums=(0, 1)))
    compiled(rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), rng.normal(size=(7, 5, 3)))
    program = Schedule(compiled.programs()[0][1])
    assert program.axes.tasks == 7
    products = [i for i, node in enumerate(program.nodes) if isinstance(node.op, Contract)]
    assert len(products) == 6 and {program.loops[program.home[i]].kind for i in products} == {"tasks"}


def bytes_of(machine: Machine) -> int:
    """Memory of one run: the arrays that the program plans, and those of its loops."""
    kinds = [kind for turns in machine._turns.values() for kind in turns._op.kinds()[1]]
    own = sum(machine._sizes) + sum(int(np.prod(shape)) * dtype.itemsize for shape, dtype in kinds)
    return own + max((bytes_of(turns._body) for turns in machine._turns.values()), default=0)


def test_with_checkpoints_memory_grows_as_the_root_of_the_number_of_turns() -> None:
    turn = lambda w, _: (w - 0.1 * tm.tanh(w @ w), None)
    used = {}
    for n in (10, 1000):
        compiled = tm.compile(tm.grad(lambda w, n=n: tm.sum(tm.scan(turn, w, length=n, checkpoint=True)[0])))
        compiled(np.eye(20) / 7)
        used[n] = bytes_of(compiled._variants.all()[0].made.run)
    assert used[1000] <= 12 * used[10]


def test_long_loops_are_checked_in_a_few_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "COSTLY", 0)
    w, xs = sequence(20)
    for order in (1, 2):
        compiled, _ = steps(ORDERS[order], w, xs)
        assert "for a few turns of its loops" in compiled.report()
        np.testing.assert_allclose(compiled(w, xs).numpy(), ORDERS[order](w, xs).numpy(), rtol=1e-11 * 10**order)


def test_a_fault_in_long_loops_is_seen_and_becomes_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "COSTLY", 0)
    w, xs = sequence(20)
    plant(program_faults.FAULTS["turns: the last one is dropped"], monkeypatch)
    with pytest.warns(tm.CompileWarning, match="at stage 'machine'") as told:
        found = tm.compile(ORDERS[1])(w, xs)
    np.testing.assert_allclose(found.numpy(), ORDERS[1](w, xs).numpy(), rtol=1e-11)
    monkeypatch.undo()
    script = str(told[0].message).partition("`python ")[2].partition("`")[0]
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(script)
    assert ended.value.code == 0  # nothing is planted any more


# What is no loop


def test_values_that_python_asks_for_unroll_the_scan() -> None:
    f = lambda x: tm.scan(lambda c, t: (c * x if float(t) > 1 else c + x, None), x, np.arange(4.0))[0]
    compiled, found = steps(f, np.float64(3))
    assert not found
    assert "written out turn after turn" in compiled.report()
    assert float(compiled(np.float64(2))) == float(f(np.float64(2)))


def counting(x: Any) -> Any:
    seen = []

    def turn(c: Any, _: Any) -> Any:
        seen.append(1)
        return c * len(seen), None

    return tm.scan(turn, x, length=4)[0]


def drawing(x: Any) -> Any:
    rng = np.random.default_rng(0)
    return tm.scan(lambda c, _: (c + rng.random(), None), x, length=4)[0]


def taking(x: Any) -> Any:
    rates = iter([1.0, 2.0, 3.0, 4.0])
    return tm.scan(lambda c, _: (c * next(rates), None), x, length=4)[0]


def leaking(x: Any) -> Any:
    states = []

    def turn(c: Any, _: Any) -> Any:
        states.append(c)
        return c * x, None

    return tm.scan(turn, x, length=4)[0] + sum(states)


def leaking_by_an_attribute(x: Any) -> Any:
    turn = lambda c, _: (setattr(turn, "last", c) or c * x, None)
    return tm.scan(turn, x, length=4)[0] + turn.last


@pytest.mark.parametrize("f", [counting, drawing, taking, leaking, leaking_by_an_attribute])
def test_what_python_changes_from_turn_to_turn_unrolls_the_scan(f: Any) -> None:
    compiled, found = steps(f, np.float64(3))
    assert not found
    for x in (np.float64(3), np.float64(2)):
        assert float(compiled(x)) == float(f(x))


def test_labels_are_checked_in_every_turn() -> None:
    def f(logits: Any, labels: Any) -> Any:
        return tm.scan(lambda c, x: (c + tm.nn.cross_entropy(x[0], x[1]), None), 0.0, (logits, labels))[0]

    logits, labels = np.random.default_rng(0).normal(size=(3, 2, 4)), np.zeros((3, 2), int)
    compiled, found = steps(f, logits, labels)
    assert found
    assert np.isclose(float(compiled(logits, labels)), float(f(logits, labels)))
    labels[2, 1] = 4
    for run in (compiled, f):
        with pytest.raises(ValueError, match="label"):
            run(logits, labels)


def test_a_scan_in_a_scan_is_a_loop_in_a_loop() -> None:
    def f(w: Any, xs: Any) -> Any:
        inner = lambda c: tm.scan(lambda c, x: (tm.sin(c * w + x), c), c, xs)
        last, said = tm.scan(lambda c, _: inner(c), w, length=3)
        return last + tm.sum(said**2)

    f = tm.grad(f)
    compiled, found = steps(f, np.float64(0.7), np.linspace(0, 1, 4))
    assert len(found) == 5  # one in one, and the outer one's reverse with both the inner one and its reverse
    assert np.isclose(float(compiled(np.float64(0.3), np.linspace(0, 2, 4))), float(f(0.3, np.linspace(0, 2, 4))))


def test_a_loop_of_inner_steps_is_maml() -> None:
    def loss(p: Any, x: Any, y: Any) -> Any:
        return tm.mean((tm.tanh(x @ p["w"]) @ p["v"] - y) ** 2)

    def adapted(p: Any, rate: Any, x: Any, y: Any) -> Any:
        step = lambda p, _: (tm.tree.map(lambda a, g: a - rate * g, p, tm.grad(loss)(p, x, y)), None)
        return loss(tm.scan(step, p, length=5)[0], x, y)

    meta = tm.grad(lambda both, x, y: tm.mean(tm.vmap(adapted, in_axes=(None, None, 0, 0))(*both, x, y)))
    rng = np.random.default_rng(0)
    p = {"w": rng.normal(size=(1, 6)), "v": rng.normal(size=(6, 1))}
    arguments = ((p, np.float64(0.1)), rng.normal(size=(4, 5, 1)), rng.normal(size=(4, 5, 1)))
    compiled, found = steps(meta, *arguments)
    assert len(found) == 2
    for a, b in zip(tm.tree.leaves(compiled(*arguments)), tm.tree.leaves(meta(*arguments))):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-11, atol=1e-13)


WITHOUT_NUMBA = """
import sys, warnings
sys.modules["numba"] = None
warnings.simplefilter("ignore")
import numpy as np
import tinymeta as tm
f = lambda w: tm.sum(tm.scan(lambda h, x: (h := tm.tanh(h * w + x), h), w, np.ones(5))[1])
compiled = tm.compile(tm.grad(f))
assert float(compiled(tm.tensor(0.5))) == float(compiled(tm.tensor(0.5)))
print(abs(float(compiled(tm.tensor(0.5))) - float(tm.grad(f)(0.5))) < 1e-12, "no Numba" in compiled.report())
"""


def test_without_numba_a_loop_is_plain_numpy() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT_NUMBA], capture_output=True, text=True, env=os.environ)
    assert ran.stdout.split() == ["True", "True"], ran.stderr
