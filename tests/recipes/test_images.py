"""One's own pictures: a folder of class folders is learned from, and new images of new classes are labelled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.recipes.pictures import BRIEFLY, write, write_folder
from tinymeta.cli import main
from tinymeta.recipes.classify import probabilities
from tinymeta.recipes.divisions import by_number, drawn
from tinymeta.recipes.families import families
from tinymeta.recipes.images import Config
from tinymeta.recipes.run import Run
from tinymeta.tasks import FewShotImages, glyphs, split


def test_a_folder_is_learned_from_and_evaluated_on_classes_kept_out(trained: Path) -> None:
    result = json.loads((trained / "result.json").read_text(encoding="utf-8"))
    assert result["protocol"]["classes"] == "4 to learn from, 2 to choose by, 2 others to test on"
    assert result["protocol"]["task"] == "2-way 2-shot, 2 query images per class"
    assert main(["eval", str(trained), "--tasks", "5", "--quiet"]) == 0
    fresh = json.loads((trained / "eval.json").read_text(encoding="utf-8"))["metrics"]
    assert fresh["accuracy on new classes"]["n"] == 5


def test_colour_images_are_learned_from_and_classified_in_colour(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", range(4), colour=True)
    out = tmp_path / "run"
    keys = [*BRIEFLY, "colour=rgb", "augment=drawings", "--data", str(data), "--out", str(out), "--quiet"]
    assert main(["run", "images", *keys]) == 0
    _, chances = probabilities(out, data, [data / "class0" / "0.png"])
    assert chances.shape == (1, 4)


def test_drawings_turned_are_further_classes_and_photographs_are_not(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", range(8), colour=True)
    for what, times in (("photographs", 1), ("auto", 1), ("none", 1), ("drawings", 4)):
        config = Config(size=16, colour="rgb", splits=1, augment=what)
        (found,) = families(config, Run(tmp_path, "images", data=data, keeps=False))
        assert len(found.training.classes) == 4 * times
        assert found.validation is not None and found.validation.ways == 2
        assert len(found.whole.classes) == 8 * times
        assert not set(found.training.classes.names) & {*found.testing.classes.names, *found.validation.classes.names}


def test_too_few_classes_are_told_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_folder(tmp_path / "data", range(3))
    assert main(["run", "images", *BRIEFLY, "--data", str(data), "--out", str(tmp_path / "run")]) == 2
    message = capsys.readouterr().err
    assert "holds 3 classes of two examples or more, and four are needed" in message and message.count("\n") == 1


@pytest.fixture
def begun(tmp_path: Path) -> tuple[Path, Path]:
    """A run of its own on eight classes, and their folder."""
    data, run = write_folder(tmp_path / "data", range(8)), tmp_path / "run"
    assert main(["run", "images", *BRIEFLY, "--data", str(data), "--out", str(run), "--quiet"]) == 0
    return data, run


def division(run: Path) -> dict[str, list[str]]:
    (found,) = json.loads((run / "data.json").read_text(encoding="utf-8"))["splits"]
    return dict(found)


def test_a_run_keeps_its_classes_by_name_whatever_is_added(
    begun: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = begun
    first = division(run)
    assert sorted(name for part in first.values() for name in part) == [f"class{c}" for c in range(8)]
    write_folder(data, range(8, 9))
    assert main(["eval", str(run)]) == 0
    assert division(run) == first and "without a part in it: class8" in capsys.readouterr().err
    more = ["--iterations", "3", "--out", str(run), "--resume"]
    assert main(["run", "images", *more]) == 0
    assert division(run) == first


def test_other_pictures_than_a_run_began_with_are_refused(
    begun: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = begun
    tested, learned = division(run)["test"][0], division(run)["train"][0]
    elsewhere = write_folder(tmp_path / "other", range(8, 12))
    resume = ("run", "images", "--out", str(run), "--resume", "--iterations", "3")

    def refused(*command: str) -> str:
        capsys.readouterr()
        assert main([*command, "--quiet"]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        return told

    assert "with classes that" in refused("eval", str(run), "--data", str(elsewhere))
    assert "with classes that" in refused(*resume, "--data", str(elsewhere))
    write(data / learned / "0.png", 11, 4)
    assert f"other pictures than when {run} was begun, of {learned}" in refused(*resume)
    assert main(["eval", str(run), "--quiet"]) == 0  # it is asked about the others
    write(data / tested / "0.png", 11, 4)
    assert f"of {tested}" in refused("eval", str(run))
    write(data / tested / "0.png", int(tested.removeprefix("class")), 0)
    (data / tested).rename(tmp_path / "away")
    assert f"doesn't hold: {tested}" in refused("eval", str(run))


def test_a_division_is_given_by_a_file_or_by_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_folder(tmp_path / "data", range(6))
    chosen = {"train": ["class1", "class3"], "test": ["class0", "class5"], "validation": []}
    file = tmp_path / "split.json"
    file.write_text(json.dumps(chosen))
    command = ["run", "images", *BRIEFLY, "--quiet", "--data"]
    assert main([*command, str(data), "--split", str(file), "--out", str(tmp_path / "a")]) == 0
    assert division(tmp_path / "a") == chosen
    assert main([*command, str(data), "--split", str(tmp_path / "a/data.json"), "--out", str(tmp_path / "b")]) == 0
    assert division(tmp_path / "b") == chosen
    for part, classes in chosen.items():
        for name in classes:
            (tmp_path / "parts" / part).mkdir(parents=True, exist_ok=True)
            (data / name).rename(tmp_path / "parts" / part / name)
    assert main([*command, str(tmp_path / "parts"), "--out", str(tmp_path / "c")]) == 0
    assert division(tmp_path / "c") == chosen | {"test": ["class0", "class5"]}
    mistakes = {
        "names classes that the data don't hold: fox": {"train": ["fox", "class1"], "test": ["class0", "class5"]},
        "in train and test alike: class0": {"train": ["class0", "class1"], "test": ["class0", "class5"]},
        "gives 1 class to test": {"train": ["class3", "class1"], "test": ["class0"]},
        "is no division of classes": {"train": "class3"},
    }
    capsys.readouterr()
    for words, said in mistakes.items():
        file.write_text(json.dumps(said))
        where = ["--split", str(file), "--out", str(tmp_path / "d")]
        assert main([*command, str(tmp_path / "parts"), *where]) == 2
        told = capsys.readouterr().err
        assert words in told and told.count("\n") == 1 and not (tmp_path / "d").exists()
    file.write_text(json.dumps({"train": ["class0", "class5"], "test": ["class1", "class3"]}))
    assert main(["run", "images", "--resume", "--out", str(tmp_path / "c"), "--split", str(file), "--quiet"]) == 2
    assert "has another division of the classes" in capsys.readouterr().err
    assert main(["run", "linear", "--split", str(file), "--out", str(tmp_path / "e")]) == 2
    assert "linear takes no --split" in capsys.readouterr().err


def test_another_seed_divides_otherwise_and_one_more_class_moves_few() -> None:
    names = [f"class{k}" for k in range(40)]
    (first,), (again,), (other,) = (drawn(names, seed, 1, 5) for seed in (0, 0, 1))
    assert first == again != other
    (more,) = drawn([*names, "fox"], 0, 1, 5)
    assert len(set(first.test) - set(more.test)) <= 1


def test_few_classes_are_measured_over_divisions_that_test_each_class_once(tmp_path: Path) -> None:
    data, run = write_folder(tmp_path / "data", range(6)), tmp_path / "run"
    keys = [key if key != "splits=1" else "splits=0" for key in BRIEFLY]
    assert main(["run", "images", *keys, "--data", str(data), "--out", str(run), "--quiet"]) == 0
    splits = json.loads((run / "data.json").read_text(encoding="utf-8"))["splits"]
    assert sorted(name for split in splits for name in split["test"]) == [f"class{c}" for c in range(6)]
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    assert result["metrics"]["accuracy on new classes"]["n"] == len(splits) == 3
    assert result["metrics"]["of these, the first, over tasks"]["n"] == 4
    assert result["protocol"]["intervals"].startswith("over 3 divisions of the classes")
    assert len(list(run.glob("checkpoint*.npz"))) == 3


@pytest.mark.parametrize("key", ["iterations=50000", "outer_lr=7", "size=32", "colour=rgb", "split_seed=1"])
def test_eval_does_not_print_a_training_that_never_was(
    trained: Path, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", str(trained), "--set", key, "--quiet"]) == 2
    told = capsys.readouterr().err
    assert "was trained with" in told and "eval takes tasks" in told and told.count("\n") == 1


def test_eval_of_an_interrupted_run_says_how_far_it_came(
    begun: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, run = begun
    taken = []

    def until_the_third(step: object, *args: object) -> object:
        taken.append(step)
        if len(taken) > 3:  # the first are tasks to validate on
            raise KeyboardInterrupt
        return sample(step, *args)

    sample = FewShotImages.sample
    monkeypatch.setattr(FewShotImages, "sample", until_the_third)
    assert main(["run", "images", "--iterations", "90", "--out", str(run), "--resume", "--quiet"]) == 130
    monkeypatch.undo()
    assert main(["eval", str(run), "--quiet"]) == 0
    protocol = json.loads((run / "eval.json").read_text(encoding="utf-8"))["protocol"]
    assert (
        protocol["stopped: training"] == "after 4 of 90 iterations" and "4 iterations of 2 tasks" in protocol["outer"]
    )


def test_a_run_that_knows_no_names_goes_on_with_the_classes_it_had(begun: tuple[Path, Path]) -> None:
    _, run = begun
    names = [f"class{c}" for c in range(8)]
    (run / "data.json").unlink()
    assert main(["eval", str(run), "--quiet"]) == 0
    assert not (run / "data.json").exists()
    parts = split(glyphs(1, 8, 2), rng=np.random.default_rng(0), sizes=(6, 0, 2))
    _, test, _ = by_number(names)
    assert [f"class{int(str(name)[-2:]) - 1}" for name in parts.test.names] == test


@pytest.mark.parametrize(
    "said", ['{"splits": 3}', '{"splits": [], "prints": {}}', '{"splits": [{"train": [1]}]}', "[]"]
)
def test_a_damaged_account_of_the_data_is_told_in_a_sentence(
    begun: tuple[Path, Path], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, run = begun
    (run / "data.json").write_text(said)
    for command in (("eval", str(run)), ("run", "images", "--resume", "--out", str(run))):
        assert main([*command, "--quiet"]) == 2
        told = capsys.readouterr().err
        assert "data.json" in told and told.count("\n") == 1


def test_pictures_may_be_compared_place_by_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run = write_folder(tmp_path / "data", range(8)), tmp_path / "run"
    command = ["run", "images", *BRIEFLY, "score=local", "--data", str(data), "--quiet"]
    assert main([*command, "--set", "head=joint", "--out", str(tmp_path / "none")]) == 2
    assert "score=local compares places" in capsys.readouterr().err
    assert main([*command, "--out", str(run)]) == 0
    assert json.loads((run / "heads.json").read_text(encoding="utf-8"))["heads"][""]["head"] == "places"
    names, chances = probabilities(run, data, [data / "class3" / "0.png"])
    assert names[int(chances.argmax())] == "class3"
    np.testing.assert_allclose(chances.sum(), 1, rtol=1e-6)


@pytest.mark.parametrize("head", ["logistic", "joint"])
def test_a_head_may_be_asked_for(tmp_path: Path, head: str) -> None:
    data, run = write_folder(tmp_path / "data", range(8)), tmp_path / "run"
    assert main(["run", "images", *BRIEFLY, f"head={head}", "--data", str(data), "--out", str(run), "--quiet"]) == 0
    assert json.loads((run / "result.json").read_text())["protocol"]["head"].startswith(head)
    new = write_folder(tmp_path / "new", range(8, 12))
    assert probabilities(run, new, [new / "class8" / "0.png"])[1].argmax() == 2
    (run / "heads.json").unlink()  # of a run that was stopped before it chose
    assert probabilities(run, new, [new / "class8" / "0.png"])[1].shape == (1, 4)
