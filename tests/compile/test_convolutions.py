"""Convolutions as products of patches: eager values at every order, and programs that never leave the machine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tests.compile.test_random_programs import recorded
from tests.compile.workloads import adam
from tinymeta.compile.program.calls import Call
from tinymeta.compile.program.operations import Contract
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.program.views import Gather, Permute, Scatter, Slice, Windows
from tinymeta.compile.rewrite import rewritten
from tinymeta.compile.run.machine import Machine
from tinymeta.compile.run.replay import Replay

FORMS = [
    {"stride": 2, "padding": 1},
    {"stride": 1, "padding": 0},
    {"stride": (1, 2), "padding": (2, 0), "dilation": (2, 1)},
    {"stride": 3},  # windows that don't touch
    {"groups": 2, "padding": 1},
]


def assert_alike(f: Any, *arguments: Any) -> Program:
    """Plain and factored programs give what eager execution gives; the recorded program."""
    program, leaves = recorded(f, *arguments)
    leaves = [np.asarray(x) for x in leaves]
    expected = [np.asarray(y) for y in tm.tree.leaves(f(*arguments))]
    for each in (program, rewritten(program)):
        for runs in (Replay(each), Machine(each)):
            for y, z in zip(expected, runs(leaves), strict=True):
                assert (y.shape, y.dtype) == (z.shape, z.dtype)
                # Sums of at most 2·4·9·64 terms of size 1 in another order, through a few smooth functions.
                atol = 5000 * np.finfo(y.dtype).eps * max(1, abs(y).max(initial=0))
                np.testing.assert_allclose(z, y, rtol=0, atol=atol)
    return program


def operations(program: Program, kind: Any) -> list[Any]:
    return [node.op for node in program.nodes if isinstance(node.op, kind)]


def images(rng: np.random.Generator, *shape: int, dtype: Any = np.float64) -> Any:
    return rng.uniform(-1, 1, size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("form", FORMS)
def test_derivatives_of_convolutions_agree(form: dict[str, Any], order: int, dtype: Any) -> None:
    def f(x: Any, w: Any, order: int = order) -> Any:
        if not order:
            return tm.mean(tm.tanh(tm.nn.conv2d(x, w, **form)))
        return sum(tm.sum(tm.square(g)) for g in tm.grad(lambda x, w: f(x, w, order - 1), argnums=(0, 1))(x, w))

    rng = np.random.default_rng(0)
    x, w = images(rng, 2, 4, 7, 8, dtype=dtype), images(rng, 6, 4 // form.get("groups", 1), 3, 2, dtype=dtype)
    program = assert_alike(f, x, w)
    assert bool(operations(program, Call)) == ("groups" in form)


@pytest.mark.parametrize("tasks", [1, 3])
@pytest.mark.parametrize("form", FORMS)
def test_an_inner_step_on_filters_agrees(form: dict[str, Any], tasks: int) -> None:
    def loss(w: Any, x: Any) -> Any:
        return tm.mean(tm.square(tm.tanh(tm.nn.conv2d(x, w, **form))))

    def one(w: Any, x: Any, y: Any) -> Any:
        adapted = w - 0.3 * tm.grad(loss)(w, x)
        return loss(adapted, y) + tm.sum(tm.square(tm.grad(loss, argnums=1)(adapted, y)))

    objective = lambda w, x, y: tm.mean(tm.vmap(one, in_axes=(None, 0, 0))(w, x, y))
    rng = np.random.default_rng(1)
    w = images(rng, 6, 4 // form.get("groups", 1), 2, 3)
    assert_alike(tm.value_and_grad(objective), w, images(rng, tasks, 2, 4, 7, 8), images(rng, tasks, 2, 4, 7, 8))


@pytest.mark.parametrize("count", [0, 1])
def test_batches_of_no_image_or_one_agree(count: int) -> None:
    f = tm.value_and_grad(lambda w, x: tm.sum(tm.tanh(tm.nn.conv2d(x, w, stride=2, padding=1))))
    rng = np.random.default_rng(2)
    assert_alike(f, images(rng, 4, 3, 3, 3), images(rng, count, 3, 6, 6))
    mapped = tm.value_and_grad(lambda w, x: tm.sum(tm.vmap(lambda x: tm.nn.conv2d(x, w, padding=1))(x)))
    assert_alike(mapped, images(rng, 4, 3, 3, 3), images(rng, count, 2, 3, 6, 6))


def test_signals_and_single_pixels_agree() -> None:
    rng = np.random.default_rng(3)
    signals = tm.value_and_grad(lambda w, x: tm.sum(tm.tanh(tm.nn.conv1d(x, w, stride=2, padding=1))))
    assert not operations(assert_alike(signals, images(rng, 4, 3, 3), images(rng, 5, 3, 9)), Call)
    pointwise = tm.value_and_grad(lambda w, x: tm.sum(tm.tanh(tm.nn.conv2d(x, w))))
    program = assert_alike(pointwise, images(rng, 4, 3, 1, 1), images(rng, 5, 3, 6, 6))
    assert not operations(program, (Call, Gather))


def test_the_patches_of_an_input_are_written_once() -> None:
    loss = lambda w, x: tm.mean(tm.square(tm.nn.conv2d(x, w, padding=1)))
    rng = np.random.default_rng(4)
    program, _ = recorded(tm.value_and_grad(loss), images(rng, 4, 3, 3, 3), images(rng, 5, 3, 6, 6))
    assert len(operations(program, Gather)) == 1 and len(operations(program, Contract)) == 2


def test_filters_shared_by_all_tasks_are_one_product_and_a_sum_over_tasks_is_part_of_it() -> None:
    objective = lambda w, x: tm.sum(tm.square(tm.vmap(lambda x: tm.nn.conv2d(x, w, padding=1))(x)))
    rng = np.random.default_rng(5)
    program, _ = recorded(tm.grad(objective), images(rng, 8, 3, 3, 3), images(rng, 6, 5, 3, 6, 6))
    forward, gradient = (op.groups() for op in operations(rewritten(program), Contract))
    assert forward[0] == gradient[0] == ""  # no product is made for each task
    assert len(gradient[3]) == 4  # tasks, images, rows, columns


def few_shot_network(rng: np.random.Generator, tasks: int) -> tuple[Any, tuple[Any, ...]]:
    """A meta-step on two convolutions of 32 channels with batch normalisation."""

    def logits(params: Any, x: Any) -> Any:
        for layer in params[:-1]:
            x = tm.nn.conv2d(x, layer["w"], stride=2, padding=1)
            x = tm.nn.relu(tm.nn.batch_norm(x, layer["gain"], layer["shift"]))
        return tm.reshape(x, (x.shape[0], -1)) @ params[-1]["w"]

    def loss(params: Any, batch: Any) -> Any:
        return -tm.mean(tm.sum(batch[1] * tm.log_softmax(logits(params, batch[0]), axis=-1), axis=-1))

    def one(params: Any, support: Any, query: Any) -> Any:
        adapted = tm.tree.map(lambda p, g: p - 0.1 * g, params, tm.grad(loss)(params, support))
        return loss(adapted, query)

    def step(params: Any, state: Any, support: Any, query: Any) -> Any:
        objective = lambda params: tm.mean(tm.vmap(one, in_axes=(None, 0, 0))(params, support, query))
        value, grads = tm.value_and_grad(objective)(params)
        return *adam(params, grads, state), value

    params = [
        {"w": rng.normal(size=(32, c, 3, 3)) / 5, "gain": rng.uniform(0.5, 1.5, 32), "shift": rng.normal(size=32)}
        for c in (1, 32)
    ]
    params.append({"w": rng.normal(size=(128, 3)) / 10})
    draw = lambda: (rng.random((tasks, 3, 1, 8, 8)), np.tile(np.eye(3), (tasks, 1, 1)))
    state = tm.tree.map(np.zeros_like, params), tm.tree.map(np.zeros_like, params), np.zeros(())
    return step, (params, state, draw(), draw())


def test_a_meta_step_on_a_convolution_network_never_leaves_the_machine() -> None:
    f, arguments = few_shot_network(np.random.default_rng(6), tasks=4)
    program, leaves = recorded(f, *arguments)
    leaves = [np.asarray(x) for x in leaves]
    short = rewritten(program)
    assert short.flops() <= program.flops()
    machine = Machine(short)
    assert "python" not in [loop.kind for loop in machine.loops]
    assert sum(loop.kind == "tasks" for loop in machine.loops) == 1  # one loop, from images to sums over tasks
    for y, z in zip(tm.tree.leaves(f(*arguments)), machine(leaves), strict=True):
        np.testing.assert_allclose(z, np.asarray(y), rtol=1e-7, atol=1e-7)  # Adam divides by √v


@st.composite
def windows(draw: Any) -> Any:
    """An image's height and width, and windows that fit into it."""
    found = []
    for _ in range(2):
        width, stride, dilation, count = (draw(st.integers(1, n)) for n in (3, 3, 2, 4))
        found.append((width, stride, dilation, count, draw(st.integers(0, 2))))
    return found


@given(windows(), st.integers(1, 3), st.integers(1, 20), st.sampled_from([np.float32, np.float64]))
def test_gathers_and_scatters_are_what_the_plain_replay_computes(drawn: Any, n: int, c: int, dtype: Any) -> None:
    (kh, sh, dh, oh, more_h), (kw, sw, dw, ow, more_w) = drawn
    size = [(o - 1) * s + (k - 1) * d + 1 + more for k, s, d, o, more in drawn]
    views = (Windows(1, oh, kh, sh, dh), Windows(3, ow, kw, sw, dw), Permute((0, 1, 3, 2, 4, 5)))
    b = Builder()
    x = b.input(0, (n, *size, c), np.dtype(dtype))
    patches = b.add(Gather(views), x)
    added = b.add(Scatter((n, *size, c), views), patches)
    everything = (None, None, None)
    edges = Slice((everything, (1, 1 + size[0], None), (2, 2 + size[1], None), everything))
    padded = b.add(Scatter((n, size[0] + 3, size[1] + 2, c), (edges,)), added)
    program = b.finished([patches, added, padded])
    image = np.random.default_rng(0).integers(-4, 5, size=(n, *size, c)).astype(dtype)  # sums are exact
    found, expected = Machine(program)([image]), Replay(program)([image])
    for y, z in zip(expected, found, strict=True):
        np.testing.assert_array_equal(z, y)
    # ⟨gather x, gather x⟩ = ⟨x, scatter gather x⟩
    assert np.sum(np.square(expected[0], dtype=float)) == np.sum(image * expected[1], dtype=float)
