"""A memory of gradients: it is bounded, its projections leave no conflict, and relatives are found alike."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.recipes.interrupted import Counted, check_stop, two_runs
from tinymeta.meta.stream.memory import flat, unflat, without_conflict
from tinymeta.recipes import memory
from tinymeta.recipes.run import Run


def filled(tasks: int = 3, written: int = 5, capacity: int = 3, size: int = 4) -> tm.meta.GradientMemory:
    """A memory in which every task but the last has written `written` random gradients."""
    kept, rng = tm.meta.GradientMemory(np.zeros(size), tasks, capacity), np.random.default_rng(0)
    for task in range(tasks - 1):
        for _ in range(written):
            kept.write(task, rng.standard_normal(size))
    return kept


def test_a_ring_holds_the_latest_gradients() -> None:
    kept = tm.meta.GradientMemory(np.zeros(1), tasks=2, capacity=3)
    for value in range(5):
        kept.write(1, np.array([float(value)]))
    assert sorted(kept.read(1).ravel()) == [2.0, 3.0, 4.0]
    assert kept.mean(1) == 3.0
    assert kept.known() == [1] and kept.known(besides=1) == []


def test_a_longer_stream_takes_no_more_memory() -> None:
    kept, g = tm.meta.GradientMemory(np.zeros(1000), tasks=2, capacity=4), np.ones(1000)
    before = kept.nbytes
    assert before == 2 * 4 * 1000 * 8
    tracemalloc.start()
    try:
        for _ in range(100):
            kept.write(0, g)
        begun = tracemalloc.get_traced_memory()[0]
        for _ in range(2000):
            kept.write(0, g)
        grown = tracemalloc.get_traced_memory()[0] - begun
    finally:
        tracemalloc.stop()
    assert grown < g.nbytes  # not one of the 2000 gradients is still held
    assert kept.nbytes == before


def test_without_conflict_is_the_nearest_step_that_does_not_climb() -> None:
    """The least ‖s − g‖ with s·m ≥ 0: g itself where it agrees, else its projection on the plane s·m = 0."""
    m = np.array([2.0, 0.0])
    np.testing.assert_array_equal(without_conflict(np.array([1.0, 3.0]), [m]), [1.0, 3.0])
    np.testing.assert_array_equal(without_conflict(np.array([-1.0, 3.0]), [m]), [0.0, 3.0])


def test_agem_leaves_no_conflict_with_the_mean_of_the_others() -> None:
    kept = filled()
    mean = np.concatenate([kept.read(0), kept.read(1)]).mean(0)
    g = -mean + np.array([0.0, 1.0, 0.0, -1.0])
    assert g @ mean < 0
    assert kept.agem(g, task=2) @ mean == pytest.approx(0, abs=1e-12)
    np.testing.assert_array_equal(kept.agem(mean, task=2), mean)


def test_a_task_does_not_conflict_with_itself() -> None:
    kept, g = filled(tasks=2), np.array([1.0, -2.0, 0.5, 0.0])
    assert kept.mean(0) @ -kept.mean(0) < 0
    for turned in (kept.agem(g, 0), kept.pcgrad(g, 0, np.random.default_rng(0)), kept.among_means(g, 0)):
        np.testing.assert_array_equal(turned, g)


@pytest.mark.parametrize("each", [False, True])
def test_pcgrad_ends_without_conflict_where_the_directions_are_orthogonal(each: bool) -> None:
    kept = tm.meta.GradientMemory(np.zeros(4), tasks=3, capacity=2)
    for task, axes in enumerate(([0, 1], [2, 3])):
        for axis in axes:
            kept.write(task, np.eye(4)[axis])
    turned = kept.pcgrad(np.array([-1.0, 0.5, -2.0, 3.0]), 2, np.random.default_rng(0), each=each)
    directions = np.eye(4) if each else np.array([kept.mean(0), kept.mean(1)])
    assert (directions @ turned >= -1e-12).all()
    if each:
        np.testing.assert_array_equal(turned, [0.0, 0.5, 0.0, 3.0])


def test_similarity_is_the_cosine_of_the_means_and_unknown_for_unknown_tasks() -> None:
    kept = filled()
    cosines, (a, b) = kept.similarity(), (kept.mean(0), kept.mean(1))
    assert cosines[0, 1] == pytest.approx(a @ b / np.sqrt((a @ a) * (b @ b)), rel=1e-12)
    np.testing.assert_allclose(np.diag(cosines)[:2], 1, rtol=1e-12)
    assert np.isnan(cosines[2]).all()


def test_preconditioning_shortens_entries_that_disagree_and_keeps_the_length() -> None:
    kept = tm.meta.GradientMemory(np.zeros(2), tasks=1, capacity=4)
    for noise in (-1.0, 1.0):
        kept.write(0, np.array([1.0 + 10 * noise, 1.0 + noise]))  # standard deviations 10 and 1
    turned = kept.preconditioned(np.array([3.0, 4.0]), 0)
    assert np.linalg.norm(turned) == pytest.approx(5, rel=1e-12)
    assert turned[1] / turned[0] == pytest.approx(10 * 4 / 3, rel=1e-6)


def test_flat_and_back_is_the_same_tree() -> None:
    network = tm.nn.MLP([3, 4, 2], rng=np.random.default_rng(0))
    back = unflat(flat(network), network)
    for a, b in zip(tm.tree.leaves(network), tm.tree.leaves(back), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def brief(**changes: Any) -> memory.Config:
    return memory.Config(iterations=30, tasks=2, length=4, **changes)


def test_relatives_share_places_of_features_and_strangers_do_not() -> None:
    """A task's mean point is the classes' mean in the task's order, so equal orders have equal means."""
    whole = memory.draw(brief(related=1.0, noise=0.0), np.random.default_rng(0))
    means = whole.test_x.mean(1)
    # Each mean is over 500 examples of 10 prototypes whose entries have deviation 1.
    near = 5 * np.sqrt(2 / 500)
    assert np.abs(means[0] - means[2]).max() < near and np.abs(means[1] - means[3]).max() < near
    assert np.abs(means[0] - means[1]).max() > near


def test_projection_forgets_less_and_relatives_are_alike() -> None:
    plain, turned = ([memory.follow(brief(), [0, k], m, 0.03) for k in range(3)] for m in list(memory.TURNS)[0:5:4])
    forgot = [np.mean([(c.accuracy[-1] - np.diag(c.accuracy))[:-1] for c in each]) for each in (plain, turned)]
    assert forgot[0] < forgot[1]
    cosines = np.mean([c.likeness for c in plain], 0)
    assert cosines[0, 2] > 0.2 > abs(cosines[0, 1])


def test_a_replay_adds_as_many_of_the_last_examples_of_earlier_tasks() -> None:
    stream = memory.draw(brief(), np.random.default_rng(0))
    own = stream.x[2, :10], stream.y[2, :10]
    x, y = memory.replayed(np.random.default_rng(1), stream, 2, 7, own)
    np.testing.assert_array_equal(x[:10], own[0])
    np.testing.assert_array_equal(y[:10], own[1])
    kept = {a.tobytes(): label for task in (0, 1) for a, label in zip(stream.x[task, -7:], stream.y[task, -7:])}
    assert len(x) == 20 and all(kept[a.tobytes()] == label for a, label in zip(x[10:], y[10:]))
    assert len({a.tobytes() for a in x[10:]}) > 4  # of 14: not the same one again and again


def test_a_replay_forgets_less() -> None:
    found = {
        name: [memory.follow(brief(), [0, k], name, 0.03) for k in range(3)] for name in [memory.PLAIN, *memory.REPLAY]
    }
    forgot = {
        name: np.mean([(c.accuracy[-1] - np.diag(c.accuracy))[:-1] for c in each]) for name, each in found.items()
    }
    assert forgot[memory.PLAIN] < min(forgot[name] for name in memory.REPLAY)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Two runs, of two methods with two step sizes."""
    monkeypatch.setattr(memory, "RATES", memory.RATES[:2])
    monkeypatch.setattr(
        memory, "TURNS", {name: memory.TURNS[name] for name in (memory.PLAIN, "PCGrad against every gradient")}
    )
    return two_runs(tmp_path, "memory", monkeypatch)


def test_a_stopped_run_goes_on_with_the_streams_that_were_not_over(
    runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = memory.Config(iterations=2, tasks=2, length=3, validation=2)
    draws = Counted(memory.draw)
    monkeypatch.setattr(memory, "draw", draws)
    whole = 2 * (2 + 1) * 2  # methods, two rates and the test, streams of each
    check_stop(memory, config, runs, draws, whole, stop=4 * 2 + 1)
    assert draws.calls == whole - 4 * 2


def test_longer_streams_are_followed_from_the_start(runs: list[Run]) -> None:
    whole, again = runs
    short, long = (memory.Config(iterations=n, tasks=2, length=3, validation=2) for n in (1, 3))
    memory.train(short, again)
    again.resume = True
    assert memory.train(long, again) == memory.train(long, whole) != memory.train(short, again)
