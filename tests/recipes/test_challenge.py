"""The Omniglot challenge: trained on generated alphabets, tested on runs in the official layout."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tinymeta as tm
from tinymeta.cli import main
from tinymeta.recipes.challenge import EPISODES, RUNS, Config, Redraw, embedded, errors, learner
from tinymeta.tasks import challenge_tasks, glyphs

BRIEFLY = ["--iterations", "2", "--set", "source=glyphs", "tasks=2", "meta_batch=1", "query=1", "ways=5", "pool=no"]


def write_run(folder: Path) -> None:
    """One run of 20 characters in the official layout, dark ink on white paper."""
    images = 255 - glyphs(alphabets=1, characters=20, hands=2).images
    lines = []
    for part in ("training", "test"):
        (folder / part).mkdir(parents=True)
    for k, (one, other) in enumerate(images, start=1):
        names = f"training/class{k:02}.png", f"test/item{21 - k:02}.png"
        for name, image in zip(names, (one, other)):
            Image.fromarray(image).save(folder / name)
        lines.append(f"{folder.name}/{names[1]} {folder.name}/{names[0]}\n")
    (folder / "class_labels.txt").write_text("".join(lines))


def test_the_official_layout_is_measured_beside_within_alphabet_episodes(tmp_path: Path) -> None:
    for name in ("run01", "run02"):
        write_run(tmp_path / "runs" / name)
    out = tmp_path / "out"
    keys = [*BRIEFLY, "augment=none", f"runs={tmp_path / 'runs'}"]
    assert main(["run", "challenge", *keys, "--out", str(out), "--quiet"]) == 0
    metrics = json.loads((out / "result.json").read_text(encoding="utf-8"))["metrics"]
    assert metrics[EPISODES]["n"] == 2 and metrics[RUNS]["n"] == 2
    assert metrics[RUNS]["half"] == 0  # the same run twice
    assert main(["eval", str(out), "--tasks", "3", "--quiet"]) == 0
    fresh = json.loads((out / "eval.json").read_text(encoding="utf-8"))["metrics"]
    assert fresh[EPISODES]["n"] == 3 and fresh[RUNS]["mean"] == metrics[RUNS]["mean"]


def test_several_networks_are_reported_alone_and_together(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "run01")
    found = {}
    alone = {"0": ["--seed", "0"], "1": ["--seed", "1"]}
    for name, keys in ({"both": ["networks=2"]} | alone).items():
        out, words = tmp_path / name, [*BRIEFLY, "augment=none", f"runs={tmp_path / 'runs'}", *keys]
        assert main(["run", "challenge", *words, "--out", str(out), "--quiet"]) == 0
        found[name] = json.loads((out / "result.json").read_text(encoding="utf-8"))["metrics"]
    both = found["both"]
    for seed in "01":  # the same networks as by runs of their own, and on the same official run
        assert both[f"{RUNS}, seed {seed} alone"]["mean"] == found[seed][RUNS]["mean"]
    assert f"{RUNS}, seed 0 alone" not in found["0"]
    assert main(["eval", str(tmp_path / "both"), "--quiet"]) == 0
    fresh = json.loads((tmp_path / "both" / "eval.json").read_text(encoding="utf-8"))["metrics"]
    assert fresh[RUNS]["mean"] == both[RUNS]["mean"]


def test_runs_that_are_not_there_are_told_before_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = [*BRIEFLY, f"runs={tmp_path / 'nowhere'}", "--out", str(tmp_path / "out"), "--quiet"]
    assert main(["run", "challenge", *keys]) == 2
    message = capsys.readouterr().err
    assert "nowhere" in message and message.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_redrawing_keeps_the_form_and_changes_every_image() -> None:
    images: Any = glyphs(alphabets=1, characters=4, hands=3).images[None] / np.float32(255)
    for redraw in (Redraw(), Redraw(affine_only=True)):
        changed = redraw(np.random.default_rng(0), images)
        assert changed.shape == images.shape and changed.dtype == np.float32
        assert (np.abs(changed - images).mean((-1, -2)) > 0.005).all()
        assert changed.min() >= 0 and changed.max() <= 1


def test_embedding_every_image_once_gives_the_prototypical_networks_answers() -> None:
    classes = glyphs(alphabets=2, characters=20, hands=4)
    config = Config(pool=False)
    network = learner(config, 20)
    phi = network.init(np.random.default_rng(0))
    features = embedded(phi, classes.images, 1, np.random.default_rng(0))
    tasks = challenge_tasks(classes, flatten=False)
    seen = replace(tasks, classes=replace(classes, images=features[:, :, None]), flatten=True)
    once = errors(seen.sample(np.random.default_rng(1), 6))
    episodes = tasks.sample(np.random.default_rng(1), 6)
    one_by_one = tm.meta.evaluate(network, tm.meta.inductive(tm.nn.accuracy), phi, episodes)
    assert 0 < once.mean() < 100
    np.testing.assert_allclose(once, 100 - 100 * one_by_one[:, 0], atol=1e-4)


def test_views_of_an_image_are_averaged() -> None:
    images = glyphs(alphabets=1, characters=2, hands=2).images
    phi = learner(Config(pool=False), 20).init(np.random.default_rng(0))
    one, many = (embedded(phi, images, views, np.random.default_rng(0)) for views in (1, 4))
    distance = np.linalg.norm(one - many, axis=-1)
    assert one.shape == many.shape == (2, 2, 64)
    assert (distance > 0).all() and (distance < np.linalg.norm(one, axis=-1)).all()
