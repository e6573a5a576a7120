"""The runs that ship: small, complete, and as good as the card says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.recipes.packing import LARGEST, pack
from tinymeta import recipes
from tinymeta.engine.errors import UserError
from tinymeta.io.save import contents
from tinymeta.recipes import pretrained
from tinymeta.recipes.config import configure
from tinymeta.recipes.launch import Wishes, evaluate, launch


@pytest.mark.parametrize("name", pretrained.names())
def test_a_run_that_ships_is_small_and_names_the_recipe_and_command_that_made_it(name: str) -> None:
    file = pretrained.WEIGHTS / f"{name}.safetensors"
    assert file.stat().st_size <= LARGEST
    made = json.loads(contents(file)[1]["run"])
    recipe = recipes.find(made["recipe"])
    assert recipe.evaluate is not None
    configure(recipe.name, recipe.config, made["config"])  # its keys are still the recipe's
    assert made["command"].startswith(f"tinymeta run {made['recipe']}") and "/" not in made["command"]


def test_a_shipped_run_is_better_than_the_published_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = evaluate(pretrained.unpacked("sine-meta-sgd"), {"tasks": "200"}, None, quiet=True)
    measured, published = (table["Meta-SGD, 10 points"]["1 step"] for table in (result.metrics, result.published))
    assert measured.mean + measured.half < published.mean


def test_packing_a_run_and_unpacking_it_gives_the_same_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pretrained, "WEIGHTS", tmp_path)
    run = tmp_path / "trained"
    launch(recipes.find("sine"), {"iterations": "3", "tasks": "4"}, Wishes(out=run, quiet=True), ("run", "sine"))
    pack(run, "mine")
    before, after = (evaluate(folder, {}, None, quiet=True) for folder in (run, pretrained.unpacked("mine")))
    assert before.metrics == after.metrics


def test_an_unknown_name_or_an_unfinished_run_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run called 'sine-mam' ships.*sine-maml"):
        pretrained.unpacked("sine-mam")
    (tmp_path / "config.json").write_text('{"recipe": "sine", "seed": 0, "data": null, "config": {}}')
    with pytest.raises(UserError, match="no finished run"):
        pack(tmp_path, "mine")
