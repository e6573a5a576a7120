"""A trained run put to use: answers for new pictures of new classes, what they are worth, and files of them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.recipes.pictures import write, write_folder
from tinymeta.cli import main
from tinymeta.engine.errors import UserError
from tinymeta.recipes import calibrate, heads
from tinymeta.recipes.answering import Answering
from tinymeta.recipes.calibrate import calibration, strangeness
from tinymeta.recipes.classify import answered, probabilities


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


def test_the_network_that_learned_from_all_classes_answers(trained: Path, tmp_path: Path) -> None:
    support = write_folder(tmp_path / "new", range(8, 12))
    query = [write(tmp_path / f"query{c}.png", c, 4) for c in range(8, 12)]
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "checkpoint-all.npz").write_bytes(b"")
    with pytest.raises(UserError, match="checkpoint-all.npz is empty"):
        probabilities(run, support, query)
    (run / "checkpoint-all.npz").unlink()  # of before there was one, the first answers
    assert probabilities(run, support, query)[0] == ["class10", "class11", "class8", "class9"]


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


def test_mistakes_in_classifying_are_one_sentence(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    support = write_folder(tmp_path / "new", range(8, 10))
    image = str(write(tmp_path / "query.png", 8, 4))
    text = tmp_path / "broken.png"
    text.write_text("no image")
    lone = write_folder(tmp_path / "lone", range(8, 9))
    empty = tmp_path / "empty"
    empty.mkdir()
    linear = tmp_path / "linear"
    assert main(["run", "linear", "--iterations", "1", "--out", str(linear), "--quiet"]) == 0
    capsys.readouterr()
    mistakes = {
        "needs one of images": (linear, support, image),
        "is no folder of a run": (tmp_path / "nowhere", support, image),
        "does not exist": (trained, support, str(tmp_path / "missing.png")),
        "holds no images": (trained, support, str(empty)),
        "is not a readable image": (trained, support, str(text)),
        "is not a folder": (trained, tmp_path / "missing", image),
        "holds one class only": (trained, lone, image),
    }
    for sentence, (run, folder, query) in mistakes.items():
        assert main(["classify", str(run), "--support", str(folder), "--query", query]) == 2
        message = capsys.readouterr().err
        assert sentence in message and message.count("\n") == 1, message


def test_answers_are_written_as_json_and_as_a_table(trained: Path, tmp_path: Path) -> None:
    support = write_folder(tmp_path / "new", range(8, 12))
    for c in range(8, 12):
        (tmp_path / "asked" / "deep").mkdir(parents=True, exist_ok=True)
        write(tmp_path / "asked" / "deep" / f"{c}.png", c, 4)
    files = {kind: tmp_path / f"answers.{kind}" for kind in ("json", "csv")}
    command = ["classify", str(trained), "--support", str(support), "--query", str(tmp_path / "asked"), "--quiet"]
    assert main([*command, "--json", str(files["json"]), "--csv", str(files["csv"])]) == 0
    said = json.loads(files["json"].read_text(encoding="utf-8"))
    rows = list(csv.DictReader(files["csv"].open(encoding="utf-8", newline="")))
    assert len(said["answers"]) == len(rows) == 4
    for answer, row in zip(said["answers"], rows):
        assert answer["file"] == row["file"] and (answer["answer"] or "") == row["answer"]
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        for name, p in answer["probabilities"].items():
            assert float(row[name]) == pytest.approx(p, rel=1e-5)


def test_pictures_are_embedded_in_blocks(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    support = write_folder(tmp_path / "new", range(8, 12))
    query = [support / f"class{c}" / f"{k}.png" for c in range(8, 12) for k in range(4)]
    _, whole = probabilities(trained, support, query)
    monkeypatch.setattr(heads, "BLOCK", 3)
    _, blocks = probabilities(trained, support, query)
    np.testing.assert_allclose(blocks, whole, atol=1e-4)  # float32, in blocks of another size


def test_a_run_without_what_it_held_out_says_so(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    support = write_folder(tmp_path / "new", range(8, 12))
    held = (trained / calibrate.FILE).read_bytes()
    (trained / calibrate.FILE).unlink()
    assert main(["classify", str(trained), "--support", str(support), "--query", str(support), "--quiet"]) == 0
    (trained / calibrate.FILE).write_bytes(held)
    assert "not calibrated" in capsys.readouterr().out
    assert not answered(trained, support, [support]).none.any()  # two held-out classes tell no distance


BY_MEANS = Answering(None)


def blobs(classes: int, spread: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Round classes of 20 examples in eight dimensions."""
    means = rng.standard_normal((classes, 8)) * 3
    return (means[:, None] + spread * rng.standard_normal((classes, 20, 8))).reshape(-1, 8), np.repeat(
        range(classes), 20
    )


@pytest.mark.parametrize("shots", [1, 5])
@pytest.mark.parametrize("scale", [0.2, 1.0, 5.0])
def test_probabilities_come_true_whatever_the_scale_of_an_embedding(tmp_path: Path, shots: int, scale: float) -> None:
    """Expected calibration error and the two rates of "none of these", on classes of the same kind that are new."""
    rng = np.random.default_rng(0)
    features, labels = blobs(60, 2.0, rng)
    calibrate.keep(tmp_path, (scale * features).astype(np.float32), labels)
    found = calibration(tmp_path, BY_MEANS, 5, shots)
    fresh, kinds = blobs(200, 2.0, rng)
    rows = [np.flatnonzero(kinds == k) for k in range(200)]
    _, d, y, away = calibrate._asked(BY_MEANS, scale * fresh, rng, rows, 5, shots)
    p = np.exp(-(d - d.min(1, keepdims=True)) / found.temperature)
    p /= p.sum(1, keepdims=True)
    sure, right = p.max(1), p.argmax(1) == y
    bins = np.minimum((sure * 10).astype(int), 9)
    error = sum(abs(sure[bins == b].sum() - right[bins == b].sum()) for b in range(10)) / len(sure)
    assert error < 0.05
    # 60 classes, of which half tell a rate: three standard errors of a share among 30 classes, at the worst, are 0.27
    assert abs((strangeness(d) > found.strangest).mean() - found.refused) < 0.1
    assert abs((strangeness(away) <= found.strangest).mean() - found.accepted) < 0.27


def test_an_uncalibrated_temperature_would_be_noticed(tmp_path: Path) -> None:
    features, labels = blobs(60, 2.0, np.random.default_rng(0))
    calibrate.keep(tmp_path, (5 * features).astype(np.float32), labels)
    assert calibration(tmp_path, BY_MEANS, 5, 1).temperature > 25  # distances² of twice the variance, times 25


def test_few_held_out_classes_give_a_temperature_and_no_threshold(tmp_path: Path) -> None:
    features, labels = blobs(4, 1.0, np.random.default_rng(0))
    calibrate.keep(tmp_path, features.astype(np.float32), labels)
    found = calibration(tmp_path, BY_MEANS, 10, 50)
    assert (found.ways, found.shots, found.classes) == (4, 19, 4) and np.isinf(found.strangest)
