"""A run's folder: what is in it, what is refused, what resuming keeps, and files that are whole or absent."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.recipes import toy_recipe
from tests.recipes.toy_console import Command
from tinymeta import recipes
from tinymeta.engine.errors import UserError
from tinymeta.io.files import whole, write_text
from tinymeta.io.journal import Journal, plain
from tinymeta.recipes.recipe import Recipe
from tinymeta.recipes.report import Interval, Result
from tinymeta.recipes.run import Run, claim


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_a_finished_run_holds_everything_a_script_needs(tinymeta: Command, tmp_path: Path) -> None:
    assert tinymeta("run", "toy", "--seed", "4", "--set", "lr=0.2", "widths=8", "--out", "here").status == 0
    here = tmp_path / "here"
    assert {entry.name for entry in here.iterdir()} == {
        "config.json",
        "metrics.jsonl",
        "checkpoint.npz",
        "result.json",
        "curves.png",
    }
    result = read(here / "result.json")
    assert result["recipe"] == "toy" and result["seed"] == 4 and result["plots"] == ["curves.png"]
    assert result["command"] == "tinymeta run toy --seed 4 --set lr=0.2 widths=8"
    assert result["protocol"]["tasks"] == result["metrics"]["error"]["n"] == 30
    assert result["published"]["error"]["source"] == "Toy, Table 1"
    assert read(here / "config.json")["config"]["widths"] == [8]


def test_the_recorded_command_reproduces_the_run(tinymeta: Command, tmp_path: Path) -> None:
    tinymeta("run", "toy", "--iterations", "7", "--seed", "4", "--set", "lr=0.2")
    command = read(tmp_path / "runs" / "toy-1" / "result.json")["command"].split()
    assert tinymeta(*command[1:]).status == 0
    first, second = (read(tmp_path / "runs" / f"toy-{n}" / "result.json") for n in (1, 2))
    assert first["metrics"] == second["metrics"]


def test_runs_are_numbered_and_a_gap_is_not_filled(tinymeta: Command, tmp_path: Path) -> None:
    (tmp_path / "runs" / "toy-7").mkdir(parents=True)
    (tmp_path / "runs" / "toy-old").mkdir()
    tinymeta("run", "toy")
    assert (tmp_path / "runs" / "toy-8" / "result.json").exists()


def test_a_number_taken_by_another_process_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mkdir = Path.mkdir

    def slow(self: Path, *args: Any, **kwargs: Any) -> None:
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        mkdir(self, *args, **kwargs)
        raise FileExistsError(errno.EEXIST, "exists", str(self))

    monkeypatch.setattr(Path, "mkdir", slow)
    assert claim(None, "toy") == Path("runs/toy-2")


@pytest.mark.parametrize("end, state", [("", "a finished"), ("interrupt", "an unfinished")])
def test_a_run_is_never_overwritten(tinymeta: Command, tmp_path: Path, end: str, state: str) -> None:
    tinymeta("run", "toy", "--out", "here", "--set", f"end={end}")
    before = {entry.name: entry.read_bytes() for entry in (tmp_path / "here").iterdir()}
    status, _, err = tinymeta("run", "toy", "--out", "here")
    assert status == 2 and f"here holds {state} run" in err
    assert {entry.name: entry.read_bytes() for entry in (tmp_path / "here").iterdir()} == before


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UserError, match=r"other files \(thesis\.tex\)"):
        claim(tmp_path, "toy")


def test_after_a_mistake_the_folder_is_free_for_the_corrected_command(tinymeta: Command, tmp_path: Path) -> None:
    mistaken = tinymeta("run", "toy", "--out", "here", "--set", "images=yes", "shots=9")
    assert mistaken.status == 2 and not (tmp_path / "here").exists()
    assert tinymeta("run", "toy", "--out", "here", "--set", "images=yes", "shots=2").status == 0


def test_resume_needs_no_key_again(tinymeta: Command, tmp_path: Path) -> None:
    assert tinymeta("run", "toy", "--seed", "5", "--set", "lr=0.3", "end=interrupt").status == 130
    assert tinymeta("run", "toy", "--resume").status == 0
    config = read(tmp_path / "runs" / "toy-1" / "config.json")
    assert (config["seed"], config["config"]["lr"]) == (5, 0.3)


@pytest.mark.parametrize(
    "changes, named",
    [
        (("--set", "lr=0.3"), "another lr (0.1, now 0.3)"),
        (("--seed", "1"), "another seed (0, now 1)"),
        (("--iterations", "15"), "another iterations (20, now 15)"),
        (("--set", "lr=0.3", "shots=2"), "another lr (0.1, now 0.3) and shots (1, now 2)"),
    ],
)
def test_resume_names_what_changed(tinymeta: Command, changes: tuple[str, ...], named: str) -> None:
    tinymeta("run", "toy")
    status, _, err = tinymeta("run", "toy", "--resume", *changes)
    assert status == 2 and named in err


def test_resume_with_more_iterations_goes_on(tinymeta: Command, tmp_path: Path) -> None:
    tinymeta("run", "toy")
    assert tinymeta("run", "toy", "--resume", "--iterations", "50").status == 0
    assert read(tmp_path / "runs" / "toy-1" / "config.json")["config"]["iterations"] == 50
    lines = (tmp_path / "runs" / "toy-1" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == list(range(1, 51))


def test_resume_refuses_a_run_of_another_recipe(
    tinymeta: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tinymeta("run", "toy", "--out", "here")
    monkeypatch.setitem(recipes.RECIPES, "other", recipes.Entry("tests.recipes.toy_recipe", ""))
    status, _, err = tinymeta("run", "other", "--out", "here", "--resume")
    assert status == 2 and "here holds a run of recipe toy, not of other" in err


@pytest.mark.parametrize("damage, sentence", [("truncated", "is damaged"), ("foreign", "of another recipe")])
def test_a_checkpoint_that_is_none_of_ours_costs_one_sentence(
    tinymeta: Command, tmp_path: Path, damage: str, sentence: str
) -> None:
    tinymeta("run", "toy", "--out", "here")
    checkpoint = tmp_path / "here" / "checkpoint.npz"
    if damage == "truncated":
        checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    else:
        np.savez(checkpoint, recipe="sine", w=0.0, done=0)
    for arguments in (("run", "toy", "--resume", "--out", "here"), ("eval", "here")):
        status, out, err = tinymeta(*arguments, "--quiet")
        assert (status, out, err.count("\n")) == (2, "", 1) and sentence in err


def test_eval_measures_the_same_weights_on_fresh_tasks(tinymeta: Command, tmp_path: Path) -> None:
    tinymeta("run", "toy", "--out", "here")
    assert tinymeta("eval", "here", "--tasks", "50").status == 0
    trained, fresh = (read(tmp_path / "here" / f"{name}.json")["metrics"] for name in ("result", "eval"))
    assert trained["w"] == fresh["w"] and fresh["error"]["n"] == 50
    assert tinymeta("eval", "here").status == 0
    again = read(tmp_path / "here" / "eval.json")["metrics"]
    assert again["error"]["n"] == 30 and again["error"]["mean"] != trained["error"]["mean"]


def test_eval_before_the_first_checkpoint_says_so(tinymeta: Command, tmp_path: Path) -> None:
    tinymeta("run", "toy", "--out", "here")
    (tmp_path / "here" / "checkpoint.npz").unlink()
    status, _, err = tinymeta("eval", "here")
    assert status == 2 and "holds no checkpoint yet" in err


def test_eval_of_a_recipe_that_has_none_says_so(tinymeta: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = Recipe(toy_recipe.Config, lambda config, run: Result({}, {"w": 1.0}))
    monkeypatch.setattr(toy_recipe, "recipe", bare)
    tinymeta("run", "toy", "--out", "here")
    status, _, err = tinymeta("eval", "here")
    assert status == 2 and "nothing to evaluate later" in err


def test_a_run_without_matplotlib_finishes_and_says_what_is_skipped(
    tinymeta: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tinymeta.view.style.find_spec", lambda name: None)
    status, _, err = tinymeta("run", "toy")
    assert status == 0 and err.count("plots are skipped") == 1 and "tinymeta[plot]" in err
    assert read(tmp_path / "runs" / "toy-1" / "result.json")["plots"] == []


def test_stages_have_their_own_checkpoint_lines_and_streams(tmp_path: Path) -> None:
    run = Run(tmp_path, "toy")
    maml, joint = run.stage("maml"), run.stage("joint")
    maml.log(1, loss=2.0)
    joint.log(1, loss=3.0)
    maml.log(2, loss=1.0)
    assert [(line["stage"], line["iteration"]) for line in run.lines()] == [("maml", 1), ("joint", 1), ("maml", 2)]
    assert (maml.checkpoint.name, run.checkpoint.name) == ("checkpoint-maml.npz", "checkpoint.npz")
    draws = {float(part.rng("train").random()) for part in (run, maml, joint)}
    assert len(draws) == 3


def test_a_resumed_stage_takes_back_its_own_lines_only(tmp_path: Path) -> None:
    first = Journal(tmp_path / "metrics.jsonl")
    for iteration in (1, 2, 3):
        first.log("maml", iteration, {"loss": iteration})
        first.log("joint", iteration, {"loss": iteration})
    second = Journal(tmp_path / "metrics.jsonl")
    second.log("maml", 2, {"loss": 20})
    assert [(line["stage"], line["loss"]) for line in second.lines()] == [
        ("maml", 1.0),
        ("joint", 1.0),
        ("joint", 2.0),
        ("joint", 3.0),
        ("maml", 20.0),
    ]


def test_a_run_that_settles_has_its_journal_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: settled.append(os.fstat(handle).st_ino))
    run = Run(tmp_path, "toy")
    run.settle()
    assert settled == []
    run.log(1, loss=1.0)
    run.settle()
    assert settled == [(tmp_path / "metrics.jsonl").stat().st_ino]


def test_seconds_go_on_where_the_last_session_ended(tmp_path: Path) -> None:
    write_text(tmp_path / "metrics.jsonl", '{"iteration": 1, "seconds": 1000.0}\n')
    assert 1000.0 <= Journal(tmp_path / "metrics.jsonl").seconds < 1100.0


def test_a_damaged_journal_costs_one_sentence(tmp_path: Path) -> None:
    write_text(tmp_path / "metrics.jsonl", "no json\n")
    with pytest.raises(UserError, match="damaged"):
        Journal(tmp_path / "metrics.jsonl")


def test_streams_depend_on_seed_name_and_purpose_and_on_nothing_else(tmp_path: Path) -> None:
    def draw(seed: int = 0, name: str = "test", purpose: str = "") -> float:
        return float(Run(tmp_path, "toy", seed=seed, purpose=purpose).rng(name).random())

    assert draw() == draw()
    assert len({draw(), draw(seed=1), draw(name="train"), draw(purpose="eval")}) == 4


def test_json_holds_no_nan_and_no_numpy() -> None:
    content = plain({"a": np.float32(0.5), "b": np.arange(2), "c": Interval(1.0, float("nan"), 1), "d": (True, None)})
    assert content == {"a": 0.5, "b": [0, 1], "c": {"mean": 1.0, "half": None, "n": 1, "unit": ""}, "d": [True, None]}
    assert json.loads(json.dumps(content, allow_nan=False)) == content


def test_a_failure_while_writing_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), whole(path) as stream:
        stream.write(b"half of the n")
        stream.flush()
        raise ZeroDivisionError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["result.json"]


@pytest.mark.parametrize(
    "number, sentence",
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "may not be written to"),
        (errno.EACCES, "may not be written to"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_what_the_system_refuses_is_one_sentence_and_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, sentence: str
) -> None:
    path = tmp_path / "result.json"
    write_text(path, "old")

    def refuse(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(UserError, match=sentence):
        write_text(path, "new")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["result.json"]


def test_a_full_disk_ends_a_run_with_status_2(tinymeta: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    status, out, err = tinymeta("run", "toy", "--quiet")
    assert (status, out, err.count("\n")) == (2, "", 1) and "the disk is full" in err
