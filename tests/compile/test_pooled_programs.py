"""Pooling written out in windows: eager values at every order, ties and NaN included, and nothing left to Python."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.compile.test_convolutions import assert_alike, operations
from tests.compile.test_random_programs import recorded
from tinymeta.compile.place.axes import axes_of
from tinymeta.compile.program.calls import Call, Part
from tinymeta.compile.run.machine import Machine
from tinymeta.engine.primitive import bind
from tinymeta.ops.pool import max_pool_index

FORMS = [
    ((2, 3, 6, 4), {"window": 2}),
    ((2, 3, 7, 5), {"window": 2}),  # a row and a column are left over
    ((2, 3, 6, 6), {"window": 3, "stride": 2}),  # windows that overlap
    ((2, 3, 7, 7), {"window": 2, "stride": 3}),  # windows that don't touch
    ((4, 2, 3, 5, 5), {"window": (1, 2), "stride": 1}),
    ((3, 4, 5), {"window": 2}),
    ((4, 6), {"window": 2}),  # no channels
    ((1, 1, 2, 2), {"window": 2}),
    ((0, 2, 4, 4), {"window": 2}),
    ((2, 3, 7, 6), {"window": 3, "padding": 1}),
]
POOLS = {"largest": tm.nn.max_pool2d, "mean": tm.nn.avg_pool2d}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(("shape", "form"), FORMS)
def test_derivatives_of_pooling_agree(shape: Any, form: Any, pool: str, order: int, dtype: Any) -> None:
    def f(x: Any, w: Any, order: int = order) -> Any:
        if not order:
            return tm.sum(tm.square(POOLS[pool](x, **form)) * w)
        return tm.sum(tm.square(tm.grad(f)(x, w, order - 1)))

    rng = np.random.default_rng(0)
    x = rng.integers(-2, 3, size=shape).astype(dtype)  # many a tie
    w = rng.uniform(-1, 1, size=POOLS[pool](x, **form).shape).astype(dtype)
    program = assert_alike(f, x, w)
    if pool == "mean" and x.size and x.ndim > 2:
        assert not operations(program, Call)


@pytest.mark.parametrize("order", [0, 1])
def test_the_first_nan_of_a_window_is_its_largest_entry(order: int) -> None:
    def f(x: Any) -> Any:
        y = tm.nn.max_pool2d(x, 2)
        return y if order == 0 else tm.grad(lambda x: tm.sum(tm.nn.max_pool2d(x, 2)))(x)

    x = np.random.default_rng(1).normal(size=(3, 4, 8, 8))
    x[np.random.default_rng(2).random(x.shape) < 0.3] = np.nan
    np.testing.assert_array_equal(tm.compile(f)(x).numpy(), f(tm.tensor(x)).numpy())


def test_an_index_that_is_a_result_is_still_made() -> None:
    def f(x: Any) -> Any:
        return bind(max_pool_index, x, window=(2, 2), stride=(2, 2), padding=(0, 0))

    x = np.random.default_rng(3).normal(size=(2, 3, 4, 4))
    np.testing.assert_array_equal(tm.compile(f)(x).numpy(), f(tm.tensor(x)).numpy())


def test_a_meta_step_on_a_network_that_pools_interrupts_no_loop() -> None:
    rng = np.random.default_rng(4)
    learner = tm.meta.ProtoNet(ways=3, network=lambda rng: tm.nn.ConvNet4(rng=rng, channels=4, pool=True))
    phi = learner.init(rng)
    x, y = rng.normal(size=(2, 3, 1, 28, 28)).astype(np.float32), np.tile(np.arange(3), (2, 1))
    program = assert_alike(tm.value_and_grad(learner), phi, tm.tasks.Episode((x, y), (x[:, ::-1].copy(), y)))
    kinds = [loop.kind for loop in Machine(program).loops]
    assert kinds.count("tasks") == 1
    assert "python" not in kinds[kinds.index("tasks") :]  # what only needs the labels is done first
    assert not [op for op in operations(program, (Call, Part)) if "pool" in str(op)]


def test_a_step_on_one_task_is_cut_along_its_examples_and_not_its_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    norm = partial(tm.nn.GroupNorm, 8)
    network = lambda rng: tm.nn.ConvNet4(rng=rng, channels=64, pool=True, norm=norm)
    learner = tm.meta.ProtoNet(ways=3, network=network)
    x, y = rng.normal(size=(1, 6, 1, 28, 28)).astype(np.float32), np.tile(np.arange(3), (1, 2))
    episodes = tm.tasks.Episode((x[:, :3], y[:, :3]), (x, y))
    program, _ = recorded(tm.value_and_grad(learner), learner.init(rng), episodes)
    assert axes_of(program).tasks == 6
    monkeypatch.setattr(import_module("tinymeta.compile.place.axes"), "THIN", 1)
    assert axes_of(program).tasks == 64  # what the rule is for
