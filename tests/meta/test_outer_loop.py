"""The outer loop keeps finite states only, says where another one came from, and goes on as it began."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.interrupted_fit import Folder
from tests.meta.learners import Blobs, network, start
from tinymeta.io.save import metadata
from tinymeta.meta.core.loop import Stepped, loop


class Signs:
    """A rule of one's own, of which no infinity can be seen."""

    def init(self, params: Any) -> Any:
        return ()

    def update(self, grads: Any, state: Any, params: Any) -> Any:
        return tm.tree.map(lambda p, g: p - 0.1 * tm.sign(g), params, grads), state


RULES: dict[str, Any] = {
    "SGD": tm.optim.SGD(0.1),
    "SGD, momentum": tm.optim.SGD(0.1, momentum=0.9),
    "Adam": tm.optim.Adam(0.1),
    "AdamW": tm.optim.AdamW(0.1),
    "RMSProp": tm.optim.RMSProp(0.1),
    "Adagrad": tm.optim.Adagrad(0.1),
    "clipped": tm.optim.Clipped(tm.optim.SGD(0.1), partial(tm.optim.clip_by_global_norm, limit=1.0)),
    "clipped by value": tm.optim.Clipped(tm.optim.SGD(0.1), partial(tm.optim.clip_by_value, limit=1.0)),
    "signs": Signs(),
}
ITERATIONS = 3000  # of which every sixth is looked at


class Tasks:
    """A batch is the numbers of its tasks."""

    def sample(self, rng: np.random.Generator, tasks: int) -> Any:
        return np.arange(tasks)


class Quiet(Folder):
    """Saves, and says nothing."""

    def progress(self, total: int, title: str = "", done: int = 0) -> Any:
        return nullcontext()


def root(phi: Any, tasks: Any, iteration: Any, bad: tuple[int, ...] = (2,), at: int = 1000) -> Any:
    """(φ − 2)²; and for the bad tasks of one iteration + √(φ − φ₀) at φ₀ = φ, which is 0 and rises infinitely fast."""
    wrong = (iteration == float(at)) & tm.any(tasks[:, None] == np.array(bad), axis=-1)
    return tm.mean((phi - 2.0) ** 2 + tm.sqrt(tm.where(wrong, phi - tm.stop_gradient(phi), 1.0)))


def fit(objective: Any, run: Any = None, **options: Any) -> Any:
    how = {"optimizer": RULES["SGD"], "iterations": ITERATIONS, "meta_batch": 4, "run": run, **options}
    return tm.meta.fit(objective, tm.tensor([1.0]), Tasks(), **how)


@pytest.mark.filterwarnings("error")  # NumPy's would drown the sentence
@pytest.mark.parametrize("how", [{}, {"compiled": True}, {"chunks": 2}], ids=["eager", "compiled", "in parts"])
@pytest.mark.parametrize("rule", RULES)
def test_a_finite_loss_without_a_finite_gradient_stops_at_its_iteration(
    tmp_path: Path, rule: str, how: dict[str, Any]
) -> None:
    """Whatever the optimizer makes of the gradient."""
    run, how = Quiet(tmp_path / "c.npz"), {"optimizer": RULES[rule], **how}
    objective = partial(root, at=8)
    with pytest.raises(tm.UserError) as told:
        fit(objective, run, iterations=600, **how)
    assert "the gradient is not finite in iteration 8: task 2 of 4, " in str(told.value)
    assert "while differentiating sqrt: the line is test_outer_loop.py" in str(told.value)
    assert "--skip-bad-tasks" in str(told.value)
    assert int(tm.load(tmp_path / "c.npz", np.int64(0), within="iteration")) == 8
    kept = tm.meta.trained(tmp_path / "c.npz", tm.tensor([0.0]))
    np.testing.assert_array_equal(kept.numpy(), fit(objective, iterations=8, **how).numpy())


@pytest.mark.parametrize("compiled", [False, True])
def test_a_gradient_whose_sum_alone_is_too_large_is_finite(compiled: bool) -> None:
    large = lambda phi, tasks: tm.sum(phi * 1e308)
    how: Any = {"optimizer": tm.optim.SGD(1e-308), "iterations": 1, "meta_batch": 1, "compiled": compiled}
    np.testing.assert_allclose(tm.meta.fit(large, tm.tensor([0.0, 0.0]), Tasks(), **how).numpy(), -1, rtol=1e-15)


def test_a_fault_between_two_looks_is_found_where_it_was(tmp_path: Path) -> None:
    """From iteration 1000 on the state is NaN, the loss, which hides it, is not, and only 1002 is looked at."""

    def step(i: int, rng: Any, phi: Any, state: Any) -> Stepped:
        return Stepped(phi + 1.0, np.float64(np.nan if i == 1000 or np.isnan(state) else i), 0.0, {"loss": 0.0})

    run = Quiet(tmp_path / "c.npz")
    with pytest.raises(tm.UserError, match="not finite in iteration 1000: lower"):
        loop(step, np.zeros(1), np.float64(0), iterations=ITERATIONS, run=run)
    found = tm.load(tmp_path / "c.npz", {"iteration": np.int64(0), "phi": np.zeros(1), "state": np.float64(0)})
    assert (found["iteration"], found["phi"], found["state"]) == (1000, 1000.0, 999.0)
    assert [iteration for iteration, _ in run.logged][-1] == 996


def test_a_stop_between_two_looks_saves_no_state_that_is_not_finite(tmp_path: Path) -> None:
    def step(i: int, rng: Any, phi: Any, state: Any) -> Stepped:
        return Stepped(phi + 1.0, np.float64(np.nan if i == 1000 else i), 0.0, {"loss": 0.0})

    with pytest.raises(KeyboardInterrupt):
        loop(step, np.zeros(1), np.float64(0), iterations=ITERATIONS, run=Stop(tmp_path / "c.npz", 1001))
    assert tm.load(tmp_path / "c.npz", np.int64(0), within="iteration") == 996


def test_an_infinity_that_was_there_at_the_start_may_stay(tmp_path: Path) -> None:
    step = lambda i, rng, phi, state: Stepped(phi, state, 0.0, {"loss": 0.0})
    phi = np.array([-np.inf, 0.0])
    np.testing.assert_array_equal(loop(step, phi, (), iterations=3, run=Quiet(tmp_path / "c.npz")), phi)
    step = lambda i, rng, phi, state: Stepped(phi + [0.0, np.nan if i == 1 else 0.0], state, 0.0, {"loss": 0.0})
    with pytest.raises(tm.UserError, match="new parameters are not finite in iteration 1: lower"):
        loop(step, phi, (), iterations=3, run=Quiet(tmp_path / "c.npz"))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("rule", ["SGD", "clipped by value"])
def test_bad_tasks_are_left_out_where_that_is_asked_for(tmp_path: Path, compiled: bool, rule: str) -> None:
    bad, run = partial(root, bad=(0, 2), at=3), Quiet(tmp_path / "c.npz")
    logged: list[tuple[int, float]] = []
    run.log = lambda iteration, **metrics: logged.append((iteration, metrics["skipped"]))  # type: ignore[method-assign]
    found = fit(bad, run, iterations=6, skip_bad_tasks=True, compiled=compiled, optimizer=RULES[rule])
    assert logged == [(1, 0.0), (2, 0.0), (3, 0.0), (4, 2.0), (5, 0.0), (6, 0.0)]
    # All tasks are equal, so the mean over the others is what it would have been; 4 roundings of a mean differ.
    expected = fit(partial(root, at=-1), iterations=6, optimizer=RULES[rule])
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-14)


def test_a_batch_of_bad_tasks_alone_stops_also_then() -> None:
    with pytest.raises(tm.UserError, match=r"iteration 3: task 0 of 4 \(and 3 more\)"):
        fit(partial(root, bad=(0, 1, 2, 3), at=3), iterations=6, skip_bad_tasks=True)


class Stop(Quiet):
    """Is interrupted after so many iterations."""

    def __init__(self, checkpoint: Path, after: int) -> None:
        super().__init__(checkpoint)
        self.after = after

    def progress(self, total: int, title: str = "", done: int = 0) -> Any:
        return nullcontext(self)

    def advance(self, loss: float) -> None:
        self.after -= 1
        if self.after == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [599, 600, 601, 604])
def test_the_journal_of_a_run_that_went_on_is_that_of_one_that_was_not_stopped(tmp_path: Path, after: int) -> None:
    """Also its first line, the mean over iterations before and after the stop."""
    whole, stopped, again = Quiet(tmp_path / "w.npz"), Stop(tmp_path / "s.npz", after), Quiet(tmp_path / "s.npz")
    again.resume = True
    how = {"iterations": 1000, "optimizer": tm.optim.SGD(1e-4)}  # which has far to go then
    fit(partial(root, at=-1), whole, **how)
    with pytest.raises(KeyboardInterrupt):
        fit(partial(root, at=-1), stopped, **how)
    fit(partial(root, at=-1), again, **how)
    assert stopped.logged + again.logged == whole.logged
    assert again.checkpoint.read_bytes() == whole.checkpoint.read_bytes()


def test_what_is_logged_is_settled_before_a_checkpoint_is_written(tmp_path: Path) -> None:
    told: list[str] = []

    class Settling(Quiet):
        def log(self, iteration: int, **metrics: float) -> None:
            told.append("line")

        def settle(self) -> None:
            told.append("on disk, no checkpoint" if not self.checkpoint.exists() else "on disk")

    fit(partial(root, at=-1), Settling(tmp_path / "c.npz"), iterations=2)
    assert told == ["line", "line", "on disk, no checkpoint"]


SCHEDULES: dict[str, Callable[[int], Any]] = {
    "half a cosine": lambda total: tm.optim.SGD(tm.optim.schedules.cosine(0.1, total)),
    "a line, clipped": lambda total: tm.optim.Clipped(
        tm.optim.SGD(tm.optim.schedules.linear(0.1, 0.0, total)), partial(tm.optim.clip_by_value, limit=9.0)
    ),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_schedule_over_all_iterations_does_not_go_on_to_more_of_them(tmp_path: Path, schedule: str) -> None:
    objective, run = partial(root, at=-1), Quiet(tmp_path / "c.npz")
    fit(objective, run, iterations=10, optimizer=SCHEDULES[schedule](10))
    before = run.checkpoint.read_bytes()
    run.resume = True
    told = r"trained with a learning rate at step \d+ of .*, which for 20 iterations is"
    with pytest.raises(tm.UserError, match=told):
        fit(objective, run, iterations=20, optimizer=SCHEDULES[schedule](20))
    assert run.checkpoint.read_bytes() == before
    fit(objective, run, iterations=20, optimizer=SCHEDULES[schedule](10))


def test_a_learner_that_depends_on_the_iterations_does_not_go_on_to_more_of_them(tmp_path: Path) -> None:
    def trained(total: int, resume: bool) -> None:
        learner = tm.meta.MAMLPlusPlus(steps=2, multi_step=total // 2, network=network)
        phi = start(learner)
        tm.meta.fit(
            learner,
            phi,
            Blobs(),
            optimizer=RULES["Adam"],
            iterations=total,
            meta_batch=2,
            run=Quiet(tmp_path / "c.npz", resume),
        )

    trained(4, False)
    with pytest.raises(tm.UserError, match="trained with multi_step 2, which for 8 iterations is 4"):
        trained(8, True)


@pytest.mark.parametrize("name", ["window", "settings"])
@pytest.mark.parametrize("text", ["{", '{"a": 1}', "[1]", '[{"loss": "x"}]', "9", "[" * 100_000])
def test_a_checkpoint_with_other_texts_is_refused_in_a_sentence(tmp_path: Path, name: str, text: str) -> None:
    objective, run = partial(root, at=-1), Quiet(tmp_path / "c.npz")
    fit(objective, run, iterations=2)
    held = tm.load(
        run.checkpoint,
        {"iteration": np.int64(0), "phi": tm.tensor([0.0]), "state": RULES["SGD"].init(tm.tensor([0.0]))},
    )
    tm.save(run.checkpoint, held, {**metadata(run.checkpoint), name: text})
    run.resume = True
    try:
        fit(objective, run, iterations=4)
    except tm.UserError as refused:
        assert "is damaged" in str(refused)
    else:
        assert name == "settings" and isinstance(json.loads(text), dict)


@pytest.mark.parametrize("damaged", ["iteration", "phi", "state"])
def test_a_checkpoint_that_no_training_wrote_is_refused(tmp_path: Path, damaged: str) -> None:
    objective, run, how = partial(root, at=-1), Quiet(tmp_path / "c.npz"), {"optimizer": RULES["Adam"]}
    phi = fit(objective, run, iterations=2, **how)
    start = {"iteration": np.int64(0), "phi": phi, "state": RULES["Adam"].init(phi)}
    held = tm.load(run.checkpoint, start)
    held[damaged] = np.int64(-1) if damaged == "iteration" else tm.tree.map(lambda a: a * np.nan, held[damaged])
    tm.save(run.checkpoint, held, metadata(run.checkpoint))
    run.resume = True
    with pytest.raises(tm.UserError, match="is damaged .its numbers are none of a training"):
        fit(objective, run, iterations=4, **how)
