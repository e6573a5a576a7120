"""The outer loop: killed and resumed, diverging, and for ever in the same memory."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.interrupted_fit import Folder, train
from tests.meta.learners import LEARNERS, Blobs, flat, start

ROOT = Path(__file__).parents[2]
ADAM = tm.optim.Adam(0.01)


def fitted(name: str = "maml, 1 step", iterations: int = 3, **options: Any) -> Any:
    settings = {"optimizer": ADAM, "meta_batch": 4} | options
    return flat(tm.meta.fit(LEARNERS[name], start(LEARNERS[name]), Blobs(), iterations=iterations, **settings))


def test_fit_is_a_loop_of_gradients_and_updates() -> None:
    learner, phi = LEARNERS["maml, 1 step"], start(LEARNERS["maml, 1 step"])
    state = ADAM.init(phi)
    for i in range(4):
        episodes = Blobs().sample(np.random.default_rng((7, i)), 4)
        phi, state = ADAM.update(tm.grad(learner)(phi, episodes), state, phi)
    np.testing.assert_array_equal(fitted(iterations=4, seed=7), flat(phi))


def test_a_run_killed_by_sigkill_resumes_to_the_same_bits(tmp_path: Path) -> None:
    whole = flat(train(Folder(tmp_path / "whole.npz"), 12))
    checkpoint = tmp_path / "killed.npz"
    command = [sys.executable, "-m", "tests.meta.interrupted_fit", str(checkpoint), "1000000"]
    path = os.pathsep.join([str(ROOT), *sys.path])
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path})
    assert child.stdout is not None
    for _ in range(5):  # each line is an iteration that is over
        assert child.stdout.readline() == b"done\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    done = int(tm.load(checkpoint, np.int64(0), within="iteration"))
    assert done >= 4  # the fifth may not have been written
    resumed = train(Folder(checkpoint, resume=True), max(12, done))
    expected = whole if done <= 12 else flat(train(Folder(tmp_path / "longer.npz"), done))
    np.testing.assert_array_equal(flat(resumed), expected)


def test_a_run_that_is_finished_stays_as_it_is(tmp_path: Path) -> None:
    first = flat(train(Folder(tmp_path / "c.npz"), 4))
    np.testing.assert_array_equal(flat(train(Folder(tmp_path / "c.npz", resume=True), 4)), first)


def test_a_run_goes_on_to_more_iterations_as_if_it_had_been_asked_for_them_at_once(tmp_path: Path) -> None:
    train(Folder(tmp_path / "c.npz"), 3)
    longer = flat(train(Folder(tmp_path / "c.npz", resume=True), 7))
    np.testing.assert_array_equal(longer, flat(train(Folder(tmp_path / "d.npz"), 7)))


def test_what_was_learned_can_be_read_from_the_checkpoint(tmp_path: Path) -> None:
    phi = train(Folder(tmp_path / "c.npz"), 3)
    read = tm.meta.trained(tmp_path / "c.npz", start(LEARNERS["maml, 1 step"]))
    np.testing.assert_array_equal(flat(read), flat(phi))


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_state_before_it(tmp_path: Path) -> None:
    def objective(phi: Any, episodes: Any, iteration: Any) -> Any:
        return tm.sum(phi * phi) / tm.where(iteration < 2, 1.0, 0.0) * tm.where(iteration < 2, 1.0, 0.0)

    run = Folder(tmp_path / "c.npz")
    with pytest.raises(tm.UserError, match=r"loss is nan in iteration 2: task 0 of 1, divide .*gave inf.*lower"):
        tm.meta.fit(
            objective, tm.tensor([1.0]), Blobs(), optimizer=tm.optim.SGD(0.1), iterations=9, meta_batch=1, run=run
        )
    kept = tm.meta.trained(tmp_path / "c.npz", tm.tensor([0.0]))
    assert float(kept[0]) == pytest.approx(0.8**2)


def test_a_seed_decides_every_task() -> None:
    np.testing.assert_array_equal(fitted(seed=1), fitted(seed=1))
    assert np.abs(fitted(seed=1) - fitted(seed=2)).max() > 1e-3


def test_an_objective_may_ask_for_the_iteration() -> None:
    seen: list[float] = []

    def objective(phi: Any, episodes: Any, iteration: Any) -> Any:
        seen.append(float(iteration))
        return tm.sum(phi * phi)

    tm.meta.fit(objective, tm.tensor([1.0]), Blobs(), optimizer=ADAM, iterations=3, meta_batch=1)
    assert seen == [0.0, 1.0, 2.0]


def live() -> tuple[int, int]:
    """How many Tensors there are, and how many bytes of array data."""
    arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    traces = tracemalloc.take_snapshot().filter_traces([arrays]).statistics("filename")
    return sum(type(x) is tm.Tensor for x in gc.get_objects()), sum(s.size for s in traces)


@pytest.mark.parametrize("compiled", [False, True])
def test_memory_is_flat_over_two_hundred_meta_steps_without_the_garbage_collector(compiled: bool) -> None:
    seen: list[tuple[int, int]] = []

    class Watched(Blobs):
        drawn = 0

        def sample(self, rng: np.random.Generator, tasks: int) -> Any:
            self.drawn += 1
            if self.drawn in (20, 220):
                seen.append(live())
            return super().sample(rng, tasks)

    learner = LEARNERS["maml, 1 step"]
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        options: dict[str, Any] = {"optimizer": ADAM, "meta_batch": 4, "compiled": compiled}
        tm.meta.fit(learner, start(learner), Watched(), iterations=220, **options)
    finally:
        tracemalloc.stop()
        gc.enable()
    assert seen[0] == seen[1], "Tensors and bytes after 20 steps, and after 200 more"
