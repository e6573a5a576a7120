"""One's own pictures: a folder of class folders is learned from, and new images of new classes are labelled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinymeta.cli import main
from tinymeta.recipes.classify import probabilities
from tinymeta.tasks import glyphs

BRIEFLY = ["--iterations", "2", "--set", "tasks=4", "meta_batch=2", "size=16"]
CLASSES = glyphs(alphabets=2, characters=6, hands=5, size=20)


def write_folder(folder: Path, classes: range, colour: bool = False) -> Path:
    """Class folders with four images each; the fifth of every class stays outside."""
    for c in classes:
        (folder / f"class{c}").mkdir(parents=True)
        for k in range(4):
            write(folder / f"class{c}" / f"{k}.png", c, k, colour)
    return folder


def write(path: Path, c: int, k: int, colour: bool = False) -> Path:
    image = Image.fromarray(CLASSES.images[c, k])
    (image.convert("RGB") if colour else image).save(path)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a folder of eight classes; the other four are new to it."""
    folder = tmp_path_factory.mktemp("images")
    data = write_folder(folder / "data", range(8))
    assert main(["run", "images", *BRIEFLY, "--data", str(data), "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


def test_a_folder_is_learned_from_and_evaluated_on_classes_kept_out(trained: Path) -> None:
    result = json.loads((trained / "result.json").read_text(encoding="utf-8"))
    assert result["protocol"]["classes"] == "6 to learn from, 2 others to test on"
    assert result["protocol"]["task"] == "2-way 2-shot, 2 query images per class"
    assert main(["eval", str(trained), "--tasks", "5", "--quiet"]) == 0
    fresh = json.loads((trained / "eval.json").read_text(encoding="utf-8"))["metrics"]
    assert fresh["accuracy on new classes"]["n"] == 5


def test_images_of_new_classes_get_probabilities(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    support = write_folder(tmp_path / "new", range(8, 12))
    query = [write(tmp_path / f"query{c}.png", c, 4) for c in range(8, 12)]
    assert main(["classify", str(trained), "--support", str(support), "--query", *map(str, query)]) == 0
    printed = capsys.readouterr().out
    assert all(str(path) in printed for path in query) and "most likely" in printed and "%" in printed
    names, chances = probabilities(trained, support, query)
    assert names == ["class10", "class11", "class8", "class9"]
    assert chances.shape == (4, 4)
    np.testing.assert_allclose(chances.sum(1), 1, atol=1e-5)


def test_an_example_of_the_support_set_is_given_its_own_class(trained: Path, tmp_path: Path) -> None:
    support = tmp_path / "new"
    for c in range(8, 12):  # one example each: it is its class's prototype, at distance 0
        (support / f"class{c}").mkdir(parents=True)
        write(support / f"class{c}" / "only.png", c, 0)
    names, chances = probabilities(trained, support, [support / "class9" / "only.png"])
    assert names[int(chances[0].argmax())] == "class9"


def test_the_answer_for_an_image_does_not_depend_on_the_others(trained: Path, tmp_path: Path) -> None:
    support = write_folder(tmp_path / "new", range(8, 12))
    query = [write(tmp_path / f"query{c}.png", c, 4) for c in range(8, 12)]
    _, together = probabilities(trained, support, query)
    _, alone = probabilities(trained, support, query[:1])
    np.testing.assert_allclose(alone[0], together[0], atol=1e-4)  # float32, in blocks of another size


def test_colour_images_are_learned_from_and_classified_in_colour(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", range(4), colour=True)
    out = tmp_path / "run"
    keys = [*BRIEFLY, "colour=rgb", "augment=yes", "--data", str(data), "--out", str(out), "--quiet"]
    assert main(["run", "images", *keys]) == 0
    _, chances = probabilities(out, data, [data / "class0" / "0.png"])
    assert chances.shape == (1, 4)


def test_too_few_classes_are_told_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_folder(tmp_path / "data", range(3))
    assert main(["run", "images", *BRIEFLY, "--data", str(data), "--out", str(tmp_path / "run")]) == 2
    message = capsys.readouterr().err
    assert "holds 3 classes, and four are needed" in message and message.count("\n") == 1


def test_mistakes_in_classifying_are_one_sentence(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    support = write_folder(tmp_path / "new", range(8, 10))
    image = str(write(tmp_path / "query.png", 8, 4))
    text = tmp_path / "broken.png"
    text.write_text("no image")
    lone = write_folder(tmp_path / "lone", range(8, 9))
    linear = tmp_path / "linear"
    assert main(["run", "linear", "--iterations", "1", "--out", str(linear), "--quiet"]) == 0
    capsys.readouterr()
    mistakes = {
        "needs one of images": (linear, support, image),
        "is no folder of a run": (tmp_path / "nowhere", support, image),
        "does not exist": (trained, support, str(tmp_path / "missing.png")),
        "is a folder: name image files": (trained, support, str(support)),
        "is not a readable image": (trained, support, str(text)),
        "is not a folder": (trained, tmp_path / "missing", image),
        "holds one class only": (trained, lone, image),
    }
    for sentence, (run, folder, query) in mistakes.items():
        assert main(["classify", str(run), "--support", str(folder), "--query", query]) == 2
        message = capsys.readouterr().err
        assert sentence in message and message.count("\n") == 1, message
