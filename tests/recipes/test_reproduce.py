"""`tinymeta reproduce`: claims of the toy recipe, run again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tinymeta_kernels.threads import one_core

from tests.recipes import toy_recipe
from tests.recipes.toy_console import Command
from tinymeta.recipes import claims, origin, reproduce
from tinymeta.recipes.claim import Claim, Found, Measured


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one claim: the toy's error after 60 steps, as it is within its interval."""
    folder = tmp_path / "results"
    folder.mkdir()
    monkeypatch.setattr(claims, "folder", lambda: folder)
    runs = [
        Measured(seed, "abc1234", 1.0, 50.0, "here", {"error": [0.01 + 0.001 * seed, 0.003, 30]}) for seed in (0, 1, 2)
    ]
    numbers = {"error": ["error"]}
    claims.write(
        folder / "toy.json", Claim("a toy", "error", True, "toy", numbers, "error", runs, keys={"iterations": "60"})
    )
    return folder / "toy.json"


def test_without_a_name_the_table_has_a_row_for_every_claim(tinymeta: Command, stored: Path) -> None:
    status, out, _ = tinymeta("reproduce")
    assert status == 0 and "a toy" in out and "0.0110 ± 0.0025" in out and "0 to 2" in out and "abc1234" in out
    status, out, _ = tinymeta("reproduce", "--list")
    assert status == 0 and out.split() == ["toy", "1", "s", "tinymeta", "run", "toy", "--set", "iterations=60"]
    stored.write_text(stored.read_text(encoding="utf-8").replace('"seconds": 1.0', '"seconds": null'))
    assert tinymeta("reproduce", "--list").out.split()[1] == "–"


def test_a_claim_that_holds_says_so_and_one_that_does_not_has_status_1(
    tinymeta: Command, stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = stored.read_text(encoding="utf-8")
    status, out, _ = tinymeta("reproduce", "toy", "--quiet")
    assert status == 0 and "toy: holds" in out
    assert stored.read_text(encoding="utf-8") == before, "nothing is replaced without --write"
    again = claims.read(Path("runs/reproduce/toy.json"))
    assert [run.seed for run in again.runs] == [0, 1, 2] and not any(run.carried for run in again.runs)
    stored.write_text(before.replace("0.01,", "0.31,").replace("0.011,", "0.311,").replace("0.012,", "0.312,"))
    with pytest.raises(SystemExit) as end:
        tinymeta("reproduce", "toy", "--quick", "--quiet")
    out = capsys.readouterr().out
    assert end.value.code == 1 and "error is" in out and "was claimed" in out and "is allowed" in out


def test_write_replaces_what_is_stored(tinymeta: Command, stored: Path) -> None:
    assert tinymeta("reproduce", "toy", "--seeds", "5", "6", "7", "--write", "--quiet").status == 0
    assert claims.read(stored).shown("seeds") == "5, 6, 7"


def test_what_is_over_is_read_and_what_was_stopped_goes_on(tinymeta: Command, stored: Path) -> None:
    content = json.loads(stored.read_text(encoding="utf-8"))
    content["keys"]["end"] = "interrupt"  # at step 12 of each run's first session
    stored.write_text(json.dumps(content))
    for done in range(3):
        status, _, err = tinymeta("reproduce", "toy", "--quiet")
        assert status == 130 and "`tinymeta reproduce toy`" in err
        assert len(list(Path("runs/reproduce").glob("*/result.json"))) == done
    status, out, _ = tinymeta("reproduce", "toy", "--quiet")
    assert status == 0 and "toy: holds" in out
    finished = {file: file.stat().st_mtime_ns for file in Path("runs/reproduce").glob("*/result.json")}
    assert tinymeta("reproduce", "toy", "--quiet").status == 0
    assert finished == {file: file.stat().st_mtime_ns for file in finished}


def found(out: str, name: str = "toy") -> list[dict[str, Found]]:
    return [run.found for run in claims.read(Path(out, f"{name}.json")).runs]


def spread(tinymeta: Command, stored: Path, *helpers: str) -> None:
    """Two seeds on one core each, here one after the other and by others side by side: the same files and numbers."""
    of_sine, numbers = {"iterations": "2", "tasks": "4"}, {"loss": ["MAML", "1 step"]}
    claims.write(stored.with_name("waves.json"), Claim("a", "b", True, "sine", numbers, "loss", [], keys=of_sine))
    words = ["reproduce", "waves", "--seeds", "3", "1", "--quiet"]
    with one_core():
        assert tinymeta(*words, "--out", "alone").status == 0
    assert tinymeta(*words, "--out", "spread", *helpers).status == 0
    assert found("alone", "waves") == found("spread", "waves") and len(found("alone", "waves")) == 2
    names = [sorted(path.parent.name for path in Path(out).glob("*/result.json")) for out in ("alone", "spread")]
    assert names[0] == names[1] and len(names[0]) == 2
    assert all(", 1 of " in run.machine for run in claims.read(Path("spread/waves.json")).runs)


def test_seeds_side_by_side_are_those_that_are_run_one_after_the_other(tinymeta: Command, stored: Path) -> None:
    spread(tinymeta, stored, "--workers", "2")


def test_a_cluster_runs_the_same_seeds(tinymeta: Command, stored: Path) -> None:
    pytest.importorskip("distributed")
    from tests.meta.test_dask import Cluster

    with Cluster() as cluster:
        spread(tinymeta, stored, "--dask", cluster.address)


def test_a_seed_whose_process_is_killed_is_told_and_goes_on_where_it_was(
    tinymeta: Command, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tinymeta("reproduce", "toy", "--quiet", "--out", "whole").status == 0
    monkeypatch.setattr(reproduce, "_on_one_core", toy_recipe.in_a_worker)
    content = json.loads(stored.read_text(encoding="utf-8"))
    content["keys"]["end"] = "kill"  # at step 12 of each run's first session
    stored.write_text(json.dumps(content))
    status, _, err = tinymeta("reproduce", "toy", "--workers", "2")
    assert status == 2 and "seed 0, 1, 2: a worker process ended with exit code -9" in err.splitlines()[-1]
    assert "`tinymeta reproduce toy` goes on" in err and not Path("runs/reproduce/toy.json").exists()
    status, out, err = tinymeta("reproduce", "toy", "--workers", "2")
    assert status == 0 and "toy: holds" in out and "seed 1: measured after" in err
    assert found("runs/reproduce") == found("whole")
    (second,) = Path("runs/reproduce").glob("toy-*-1")
    (second / "result.json").unlink()
    (second / "config.json").write_text("{")
    status, _, err = tinymeta("reproduce", "toy", "--workers", "2", "--quiet")
    assert status == 2 and "not measured: seed 1: " in err and "config.json" in err and "seed 0" not in err


def test_a_run_of_other_code_or_data_is_not_taken_for_this_one(
    tinymeta: Command, stored: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tinymeta.recipes.origin.commit", lambda: "abc1234+")
    runs = lambda: len(list(Path("runs/reproduce").glob("*/result.json")))
    for sources, data, count in ((1, [], 1), (1, [], 1), (2, [], 2), (2, ["--data", str(tmp_path)], 3)):
        monkeypatch.setattr("tinymeta.recipes.origin.sources", lambda sources=sources: sources)
        assert tinymeta("reproduce", "toy", "--quick", "--quiet", *data).status == 0
        assert runs() == count
    monkeypatch.undo()
    assert origin.sources() == origin.sources() != 0


def test_a_claim_begins_as_a_file_without_runs(tinymeta: Command, stored: Path) -> None:
    content = json.loads(stored.read_text(encoding="utf-8"))
    stored.write_text(json.dumps(content | {"runs": []}))
    status, _, err = tinymeta("reproduce", "toy", "--write", "--quiet")
    assert status == 2 and "name them by --seeds" in err
    assert tinymeta("reproduce", "toy", "--seeds", "0", "1", "--write", "--quiet").status == 0
    assert claims.read(stored).shown("seeds") == "0, 1"


def test_a_folder_of_known_data_is_not_taken_for_a_table_of_ones_own(
    tinymeta: Command, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYMETA_DATA", str(tmp_path))
    briefly = {"iterations": "2", "test_draws": "1"}
    assert tinymeta("run", "table", "--quiet", "--set", *map("=".join, briefly.items())).status == 0
    numbers = {"rival": ["the mean of the known rows"]}
    claims.write(stored.with_name("own.json"), Claim("a", "c", True, "table", numbers, "rival", [], keys=briefly))
    assert tinymeta("reproduce", "own", "--quiet", "--seeds", "0", "--data", str(tmp_path)).status == 0


def test_data_that_a_claim_needs_are_asked_for(tinymeta: Command, stored: Path, tmp_path: Path) -> None:
    content = json.loads(stored.read_text(encoding="utf-8"))
    stored.write_text(json.dumps(content | {"keys": {"iterations": "60", "end": "DATA"}}))
    status, _, err = tinymeta("reproduce", "toy", "--quiet")
    assert status == 2 and "needs data: name their folder by --data" in err
    status, _, err = tinymeta("reproduce", "toy", "--quiet", "--data", str(tmp_path))
    assert status == 2 and f"not '{tmp_path}'" in err, "the key has the folder that was named"


def test_mistakes_are_told_in_one_sentence(tinymeta: Command, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words, sentence in (
        (["tou"], "there is no claim 'tou' (did you mean 'toy'?)"),
        (["toy", "--seeds", "-1"], "0 or more"),
        (["toy", "--seeds", "1", "1"], "each of them once"),
        (["toy", "--out", ""], "a path is empty"),
        (["toy", "--quick", "--seeds", "1"], "not allowed with"),
        (["toy", "--workers", "0"], "there must be 1 or more"),
        (["toy", "--workers", "1", "--dask", "tcp://127.0.0.1:9"], "not allowed with"),
    ):
        status, _, err = tinymeta("reproduce", *words)
        assert status == 2 and sentence in err and len(err.splitlines()) == 1
    monkeypatch.setattr("tinymeta.recipes.origin.checkout", lambda: None)
    status, _, err = tinymeta("reproduce", "toy", "--write")
    assert status == 2 and "--write" in err
