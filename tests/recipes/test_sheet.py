"""What `classify` answered, to look at: a contact sheet, and a confusion matrix where the classes are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.recipes.pictures import write, write_folder
from tinymeta.cli import main
from tinymeta.recipes import sheet
from tinymeta.recipes.sheet import Confusion, contact_sheet, truth_of


def test_a_sheet_shows_every_picture_under_its_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "ACROSS", 2)
    paths = []
    for k, grey in enumerate((0, 80, 160)):
        Image.new("L", (9, 9), grey).save(tmp_path / f"{k}.png")
        paths.append(tmp_path / f"{k}.png")
    contact_sheet(tmp_path / "sheet.png", {"dark": paths[:1], "empty": [], "light": [paths[1], paths[2], paths[1]]})
    page = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
    step, first = sheet.SIDE + sheet.GAP, sheet.GAP + sheet.TITLE
    assert page.shape[1] == sheet.GAP + 2 * step
    second = first + step + sheet.GAP + sheet.TITLE
    middle = sheet.SIDE // 2
    at = [(first, 0, 0), (second, 0, 80), (second, 1, 160), (second + step, 0, 80), (first, 1, 255)]
    assert [int(page[top + middle, sheet.GAP + column * step + middle]) for top, column, _ in at] == [g for *_, g in at]


def test_a_matrix_counts_what_was_taken_for_what() -> None:
    truth = ["fox", "fox", "owl", "hare", "hare", None]
    found = Confusion.of(["fox", "owl"], truth, ["fox", "owl", None, None, "fox", "fox"])
    assert found is not None
    assert (found.rows, found.columns) == (["fox", "owl", "of other classes"], ["fox", "owl", "none of these"])
    assert found.counts.tolist() == [[1, 1, 0], [0, 0, 1], [1, 0, 1]]
    assert found.right == (2, 5)
    assert Confusion.of(["fox", "owl"], ["hare", None], ["fox", "owl"]) is None


def test_of_many_classes_the_commonest_mistakes_are_shown() -> None:
    names = [f"kind{k}" for k in range(20)]
    found = Confusion.of(names, [*names, "kind3", "kind3"], [*names[:19], "kind0", "kind4", "kind4"])
    assert found is not None
    assert [row.cells for row in found.table().rows] == [("kind3", "kind4", "2"), ("kind19", "kind0", "1")]


def test_a_class_is_known_by_the_longest_name_that_fits(tmp_path: Path) -> None:
    place = tmp_path / "birds" / "owl" / "1.png"
    assert truth_of(place, ["owl", "birds/owl", "irds/owl"]) == "birds/owl"
    assert truth_of(place, ["fox"]) == "owl"


def test_classify_writes_a_sheet_and_prints_the_matrix_of_class_folders(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    support = write_folder(tmp_path / "new", range(8, 12))
    for c in range(8, 12):
        (tmp_path / "asked" / f"class{c}").mkdir(parents=True)
        write(tmp_path / "asked" / f"class{c}" / "4.png", c, 4)
    files = ["--json", str(tmp_path / "a.json"), "--sheet", str(tmp_path / "a.png")]
    command = ["classify", str(trained), "--support", str(support), "--query", str(tmp_path / "asked"), "--quiet"]
    assert main([*command, *files]) == 0
    printed = capsys.readouterr().out
    said = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    matrix = said["confusion"]
    right = sum(answer["answer"] == Path(answer["file"]).parent.name for answer in said["answers"])
    assert matrix["rows"] == ["class10", "class11", "class8", "class9"] and np.sum(matrix["counts"]) == 4
    assert sum(matrix["counts"][k][k] for k in range(4)) == right and f"right: {right} of 4" in printed
    assert Image.open(tmp_path / "a.png").size[0] == sheet.GAP + sheet.ACROSS * (sheet.SIDE + sheet.GAP)
    assert main([*command, "--sheet", str(tmp_path / "a.jpg")]) == 2
    assert "let its name end in .png" in capsys.readouterr().err
