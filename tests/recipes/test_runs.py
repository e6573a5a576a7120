"""`tinymeta runs`: what stands in a folder of runs, how two differ, and what may be removed."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.recipes.toy_console import Command
from tinymeta.io.folder import sole_writer

TOY = ("run", "toy", "--quiet")


@pytest.fixture
def two(tinymeta: Command) -> Command:
    """`tinymeta`, in a folder with two runs."""
    assert tinymeta(*TOY, "--iterations", "3").status == 0
    assert tinymeta(*TOY, "--iterations", "5", "--seed", "7", "--set", "widths=4,5").status == 0
    return tinymeta


def listed(tinymeta: Command, *arguments: str) -> dict[str, Any]:
    done = tinymeta("runs", *arguments, "--json")
    assert done.status == 0, done.err
    return {run["folder"]: run for run in json.loads(done.out)}


def test_runs_are_listed_with_their_size_on_disk(two: Command) -> None:
    found = listed(two)
    assert [*found] == ["runs/toy-1", "runs/toy-2"]
    for folder, seed in (("runs/toy-1", 0), ("runs/toy-2", 7)):
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        assert found[folder] | {"written": ""} == {
            **{"folder": folder, "recipe": "toy", "seed": seed, "state": "finished", "bytes": size, "written": ""}
        }
    table = two("runs").out.splitlines()
    assert table[0].split() == ["run", "recipe", "seed", "size", "written", "state"]
    assert [line.split()[:3] for line in table[2:4]] == [["runs/toy-1", "toy", "0"], ["runs/toy-2", "toy", "7"]]
    assert listed(two, "runs/toy-2").keys() == {"runs/toy-2"}


def test_two_runs_are_compared_by_what_differs_and_by_their_metrics(two: Command) -> None:
    said = json.loads(two("runs", "--compare", "runs/toy-1", "runs/toy-2", "--json").out)
    assert said["settings"] == {"seed": [0, 7], "iterations": [3, 5], "widths": [[4, 4], [4, 5]]}
    results = [json.loads(Path(f"runs/toy-{n}/result.json").read_text())["metrics"] for n in (1, 2)]
    assert said["metrics"] == {name: [each[name] for each in results] for name in ("error", "w")}
    lines = two("runs", "--compare", "runs/toy-1", "runs/toy-2").out.splitlines()
    assert ["widths", "4,4", "4,5"] in [line.split() for line in lines]
    assert any(line.startswith("error") and line.count("±") == 2 for line in lines)


def test_a_run_without_a_result_has_settings_and_no_metrics(two: Command) -> None:
    Path("runs/toy-2/result.json").unlink()
    said = json.loads(two("runs", "--compare", "runs/toy-1", "runs/toy-2", "--json").out)
    assert {pair[1] for pair in said["metrics"].values()} == {"missing"}
    assert listed(two, "--unfinished").keys() == {"runs/toy-2"}


def test_clean_removes_the_runs_that_are_named_and_nothing_else(two: Command) -> None:
    Path("notes.txt").write_text("mine")
    done = two("runs", "--clean", "runs/toy-1", "--yes")
    assert (done.status, done.out) == (0, "removed:  runs/toy-1\n")
    assert sorted(map(str, Path().rglob("toy-*"))) == ["runs/toy-2"] and Path("notes.txt").exists()
    assert json.loads(two("runs", "--clean", "runs", "--yes", "--json").out) == {"removed": ["runs/toy-2"], "kept": []}
    assert not [*Path("runs").iterdir()]


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 2), ("", 2)])
def test_clean_asks_before_it_removes(two: Command, answer: str, left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    console = io.StringIO(answer)
    monkeypatch.setattr("sys.stdin", console)
    refused = two("runs", "--clean", "runs")
    assert refused.status == 2 and "say --yes" in refused.err and len([*Path("runs").iterdir()]) == 2
    monkeypatch.setattr(console, "isatty", lambda: True)
    done = two("runs", "--clean", "runs")
    assert done.status == 0 and "remove them? [y/N]" in done.err and len([*Path("runs").iterdir()]) == left


def test_a_run_that_is_being_written_says_so_and_is_kept(two: Command) -> None:
    with sole_writer(Path("runs/toy-1")):
        assert listed(two)["runs/toy-1"]["state"].startswith(f"being written by process {os.getpid()} on ")
        done = two("runs", "--clean", "runs", "--yes")
    assert done.status == 2 and "kept 1 of 2: runs/toy-1 is being written by process" in done.err
    assert Path("runs/toy-1/config.json").exists() and not Path("runs/toy-2").exists()
    assert listed(two)["runs/toy-1"]["state"] == "finished"


def test_nothing_is_followed_or_removed_through_a_link(two: Command) -> None:
    outside = Path("outside")
    Path("runs/toy-1").rename(outside)
    Path("runs/toy-1").symlink_to(outside.absolute())
    found = listed(two)["runs/toy-1"]
    assert found["state"] == "runs/toy-1 is a link: name the folder that it leads to" and found["bytes"] == 0
    assert two("runs", "--clean", "runs", "--yes").status == two("runs", "--clean", "runs/toy-1", "--yes").status == 2
    assert (outside / "config.json").exists() and Path("runs/toy-1").is_symlink()
    (outside / "checkpoint.npz").unlink()
    (outside / "checkpoint.npz").symlink_to(Path("precious").absolute())
    Path("precious").write_text("mine")
    assert "is a link" in two("runs", "--clean", "outside", "--yes").err and Path("precious").exists()


@pytest.mark.parametrize("name", ["notes.txt", "thesis", "figures.png"])
def test_a_run_with_something_that_no_run_wrote_is_kept_whole(two: Command, name: str) -> None:
    held = Path("runs/toy-1", name)
    held.write_text("mine") if name == "notes.txt" else held.mkdir()
    before = sorted(Path("runs/toy-1").iterdir())
    done = two("runs", "--clean", "runs/toy-1", "--yes")
    assert done.status == 2 and f"holds {name}, which no run wrote" in done.err
    assert sorted(Path("runs/toy-1").iterdir()) == before


def plant(folder: Path, what: str) -> None:
    """Something that a run's folder should not be."""
    config, result = folder / "config.json", folder / "result.json"
    said = json.loads(config.read_text())
    texts: dict[str, tuple[Path, str]] = {
        "no JSON": (config, "{"),
        "deep JSON": (config, "[" * 100_000),
        "a list": (config, "[]"),
        "a seed below 0": (config, json.dumps({**said, "seed": -1})),
        "a recipe that is a number": (config, json.dumps({**said, "recipe": 3})),
        "a later format": (config, json.dumps({**said, "format": 99})),
        "a result of nothing": (result, "{}"),
        "a result of texts": (result, json.dumps({"metrics": {"error": "low"}})),
        "a result of lists": (result, json.dumps({"metrics": [1]})),
        "a mean of its own": (result, json.dumps({"metrics": {"error": {"mean": "0.1", "half": 0, "unit": ""}}})),
        "a number beyond floats": (result, '{"metrics": {"error": 1' + "0" * 400 + "}}"),
    }
    if what in texts:
        file, text = texts[what]
        file.write_text(text)
    elif what == "a pipe":
        config.unlink()
        os.mkfifo(config)
    elif what == "a folder in place of a file":
        result.unlink()
        result.mkdir()
    else:
        [file.unlink() for file in folder.iterdir()]


PLANTED = ["no JSON", "deep JSON", "a list", "a seed below 0", "a recipe that is a number", "a later format", "nothing"]
PLANTED += ["a result of nothing", "a result of texts", "a result of lists", "a mean of its own"]
PLANTED += ["a number beyond floats", "a pipe", "a folder in place of a file"]


@pytest.mark.parametrize("what", PLANTED)
def test_a_damaged_folder_is_listed_with_a_sentence_beside_the_others(two: Command, what: str) -> None:
    plant(Path("runs/toy-1"), what)
    found = listed(two)
    assert found["runs/toy-2"]["state"] == "finished"
    assert "runs/toy-1" in found["runs/toy-1"]["state"] and "Traceback" not in two("runs").out
    compared = two("runs", "--compare", "runs/toy-1", "runs/toy-2")
    assert compared.status == 2 and compared.err.count("\n") == 1 and "runs/toy-1" in compared.err


def test_what_a_stranger_calls_a_folder_or_a_recipe_is_shown_and_not_obeyed(two: Command) -> None:
    config = Path("runs/toy-1/config.json")
    config.write_text(json.dumps({**json.loads(config.read_text()), "recipe": "\x1b[31m" * 100}))
    Path("runs/toy-2").rename("runs/\x1b[2J")
    shown = two("runs").out
    assert "\x1b" not in shown and r"\x1b[31m" in shown and r"\x1b[2J" in shown
    assert max(map(len, shown.splitlines())) < 700


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "there is no folder runs: name one"),
        (("nowhere",), "there is no folder nowhere"),
        (("--compare", "a"), "--compare takes two runs, not 1"),
        (("--clean",), "--clean takes the runs to remove"),
        (("--clean", "--compare", "a"), "not allowed with"),
    ],
)
def test_a_mistake_is_one_sentence(tinymeta: Command, arguments: tuple[str, ...], said: str) -> None:
    done = tinymeta("runs", *arguments)
    assert done.status == 2 and said in done.err and done.err.count("\n") == 1
