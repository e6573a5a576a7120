"""Recipes whose work is shared out: `--workers`, `--dask`, and that what every recipe sends can be sent."""

from __future__ import annotations

import gc
import inspect
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import fields
from functools import partial
from importlib import import_module
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tinymeta_kernels import threads

import tinymeta as tm
from tests.recipes.test_every_recipe import briefly
from tests.recipes.toy_console import Command
from tinymeta import recipes
from tinymeta.io.save import contents
from tinymeta.meta.core.objective import Apart
from tinymeta.meta.core.parts import divided
from tinymeta.meta.spread.sending import written
from tinymeta.recipes import fewshot
from tinymeta.recipes import recipe as frame
from tinymeta.recipes.comparison import Comparison
from tinymeta.recipes.launch import Wishes, launch

SHORT = ["run", "sine", "--iterations", "2", "--set", "tasks=4", "--quiet"]


def test_one_process_and_two_leave_the_same_bits(tinymeta: Command) -> None:
    assert tinymeta(*SHORT, "--out", "one", "--workers", "1").status == 0
    assert tinymeta(*SHORT, "--out", "two", "--workers", "2").status == 0
    one, two = (contents(Path(run, "checkpoint.npz"))[0] for run in ("one", "two"))
    assert one.keys() == two.keys() and one
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])


def test_the_command_that_resumes_asks_for_workers_again(tinymeta: Command) -> None:
    assert tinymeta(*SHORT, "--out", "run", "--workers", "1").status == 0
    command = json.loads(Path("run", "config.json").read_text(encoding="utf-8"))["command"]
    assert "--workers 1" in command
    more = tinymeta("run", "sine", "--iterations", "3", "--out", "run", "--resume")
    assert more.status == 0 and "was begun with workers" in more.err


def test_a_run_that_goes_on_upon_another_number_of_cores_says_so(
    tinymeta: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "count", 2)
    on = lambda iterations: tinymeta("run", "sine", "--iterations", iterations, "--out", "run", "--resume").err
    assert tinymeta(*SHORT, "--out", "run").status == 0
    assert "cores" not in on("3")
    monkeypatch.setattr(threads, "count", 1)
    assert "was begun on 2 cores, not 1" in on("4")


def test_processes_and_a_cluster_are_not_asked_for_at_once(tinymeta: Command) -> None:
    found = tinymeta(*SHORT, "--workers", "2", "--dask", "tcp://127.0.0.1:9")
    assert found.status == 2 and "not allowed with" in found.err


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "tls://127.0.0.1:9", "nonsense", ""])
def test_a_cluster_that_is_not_there_leaves_no_folder_and_no_word_but_a_sentence(
    address: str, tinymeta: Command
) -> None:
    dask = pytest.importorskip("dask")
    pytest.importorskip("distributed")
    with dask.config.set({"distributed.comm.timeouts.connect": "100ms"}):
        found = tinymeta(*SHORT, "--out", "run", "--dask", address)
        gc.collect()
    assert found.status == 2 and "dask scheduler" in found.err and found.err.count("\n") == 1
    assert not Path("run").exists()


class Trained(Exception):
    """All stages of a recipe have been."""


# Why no step of theirs is shared out.
ALONE = {
    "navigation": "policies act, and are judged, in one trust region",
    "games": "policies act, and are judged, in one trust region",
    "reweight": "one long training a trial",
    "teacher": "one long training a trial",
    "memory": "one long training a trial",
}


def travelled(x: Any) -> Any:
    return ForkingPickler.loads(ForkingPickler.dumps(x))


@pytest.mark.parametrize("name", sorted(recipes.RECIPES.keys() - ALONE))
def test_what_a_recipe_trains_can_be_sent_and_is_a_mean_over_tasks(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean of the parts by their tasks is that of the whole, to the rounding of sums of some thousand numbers."""
    monkeypatch.delenv("TINYMETA_DATA", raising=False)
    shared, train = ThreadPoolExecutor(1), frame.train
    seen = []

    def fit(objective: Any, phi: Any, *, tasks: Any, meta_batch: int, executor: Any, **how: Any) -> Any:
        assert executor is shared
        batch = [tasks.sample(np.random.default_rng(0), meta_batch)]
        batch += [tm.tensor(0.0)] * ("iteration" in inspect.signature(objective).parameters)
        apart = isinstance(objective, Apart)
        parts, shares = divided((phi, batch[0]) if apart else batch[0], None)
        calls = parts if apart else [(phi, part) for part in parts]
        there, whole = travelled(objective), float(objective(phi, *batch))
        means = [float(there(*travelled(call), *batch[1:])) for call in calls]
        bound = 1000 * np.finfo(np.float32).eps * sum(share * abs(mean) for share, mean in zip(shares, means))
        assert abs(whole - sum(share * mean for share, mean in zip(shares, means))) <= bound
        seen.append(objective)
        if name == "hypergradient":  # its only training, amid its measurements
            raise Trained
        return phi

    def trained(*args: Any) -> Any:
        train(*args)
        raise Trained

    few = partial(fewshot.invented, hands=4)  # which are drawn in a fifth of the time
    if name != "distill-data":  # which divides them into those of training and of the test
        monkeypatch.setattr(fewshot, "invented", lambda *, hands, **of: few(**of))
    monkeypatch.setattr(tm.meta, "fit", fit)
    monkeypatch.setattr(frame, "train", trained)
    monkeypatch.setattr(Wishes, "executor", lambda self: shared)
    changes = dict(pair.split("=") for pair in briefly(name)[1:])
    with pytest.raises(Trained):
        launch(recipes.find(name), changes, Wishes(out=tmp_path / "run", quiet=True), ("run", name))
    assert seen


def test_the_page_says_what_each_recipe_shares_out() -> None:
    page = (Path(__file__).parents[2] / "tutorials" / "workers.md").read_text(encoding="utf-8")
    told = {}
    for line in page.partition("| recipe | to workers |\n|---|---|\n")[2].partition("\n\n")[0].splitlines():
        names, what = line.strip("| ").split(" | ")
        told |= dict.fromkeys(names.split(", "), ("tasks" in what, "trials" in what))
    assert told == {name: (name not in ALONE, name in CHOOSES) for name in recipes.RECIPES}


CHOOSES = sorted(name for name, entry in recipes.RECIPES.items() if hasattr(import_module(entry.module), "Comparison"))


@pytest.mark.parametrize("name", CHOOSES)
def test_the_trials_of_a_recipe_can_be_sent(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TINYMETA_DATA", raising=False)
    sent = []

    def ahead(self: Comparison, jobs: Mapping[str, tuple[Any, ...]]) -> None:
        sent.extend(ForkingPickler.loads(written(job)) for job in jobs.values())
        raise Trained

    drawn = partial(fewshot.invented, hands=4)
    monkeypatch.setattr(
        fewshot, "invented", lambda *, hands, **of: drawn(**of) if hands == 20 else tm.tasks.glyphs(hands=hands, **of)
    )
    monkeypatch.setattr(tm.meta, "fit", lambda objective, phi, **how: phi)
    monkeypatch.setattr(tm.meta.PolicySearch, "fit", lambda self, phi, **how: phi)
    monkeypatch.setattr(Comparison, "_ahead", ahead)
    few = {"tasks": 2, "validation": 1, "shots": 5, "query": 5, "clean": 2, "quiz": 2, "teacher_steps": 3, "batch": 10}
    known = {key.name for key in fields(recipes.find(name).config)}
    changes = dict(pair.split("=") for pair in briefly(name)[1:]) | {key: few[key] for key in few.keys() & known}
    with tm.meta.Workers(1) as workers, pytest.raises(Trained):
        monkeypatch.setattr(Wishes, "executor", lambda self: nullcontext(workers))
        launch(recipes.find(name), changes, Wishes(out=tmp_path / "run", quiet=True), ("run", name))
    assert sent
