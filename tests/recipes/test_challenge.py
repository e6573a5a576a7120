"""The Omniglot challenge: trained on generated alphabets, tested on runs in the official layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tinymeta as tm
from tinymeta.cli import main
from tinymeta.recipes.challenge import (
    EPISODES,
    RUNS,
    Config,
    Redraw,
    alike,
    errors,
    families,
    features,
    learner,
    scores,
)
from tinymeta.recipes.run import Run
from tinymeta.tasks import challenge_tasks, glyphs

BRIEFLY = [
    "--iterations",
    "2",
    "--set",
    "source=glyphs",
    "tasks=2",
    "meta_batch=1",
    "query=1",
    "ways=5",
    "size=28",
    "views=2",
]


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
    for redraw in (Redraw(), Redraw(affine_only=True), Redraw(turned=1.0)):
        changed = redraw(np.random.default_rng(0), images)
        assert changed.shape == images.shape and changed.dtype == np.float32
        assert (np.abs(changed - images).mean((-1, -2)) > 0.005).all()
        assert changed.min() >= 0 and changed.max() <= 1


def test_a_turned_task_is_turned_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the square's seven other symmetries comes, and all pictures of a task get the same one."""
    monkeypatch.setattr(tm.tasks.Augment, "__call__", lambda self, rng, images: images.copy())
    images: Any = np.random.default_rng(0).random((60, 2, 3, 4, 4), dtype=np.float32)
    turned = Redraw(turned=1.0)(np.random.default_rng(0), images)
    symmetries = [np.rot90(m, k, (-2, -1)) for m in (images, images[..., ::-1]) for k in range(4)]
    which = [[k for k, s in enumerate(symmetries) if np.array_equal(s[t], turned[t])] for t in range(60)]
    assert {k for found in which for k in found} == set(range(1, 8)) and all(len(found) == 1 for found in which)
    np.testing.assert_array_equal(Redraw(turned=0.0)(np.random.default_rng(0), images), images)


@pytest.mark.parametrize("score", ["local", "pooled"])
def test_features_of_every_image_once_give_the_learners_answers(score: str) -> None:
    classes = glyphs(alphabets=2, characters=20, hands=2)
    config = Config(score=score, size=28, pool=False, augment="none")
    network = learner(config, 20)
    phi = network.init(np.random.default_rng(0))
    episodes = challenge_tasks(classes, flatten=False).sample(np.random.default_rng(1), 3)
    pictures = np.concatenate([episodes.support[0], episodes.query[0]], 1)
    images, numbers = pictures.reshape(-1, 28, 28), np.arange(pictures.shape[0] * pictures.shape[1]).reshape(3, 1, -1)
    views = features(config, phi, images)
    once = errors(scores(alike(config, phi), views, numbers[..., :20], numbers[..., 20:]), episodes.query[1])
    one_by_one = tm.meta.evaluate(network, tm.meta.inductive(tm.nn.accuracy), phi, episodes)
    assert 0 < once.mean() < 100
    np.testing.assert_allclose(once, 100 - 100 * one_by_one[:, 0], atol=1e-4)


def test_views_of_an_image_are_averaged() -> None:
    images = glyphs(alphabets=1, characters=2, hands=2).images
    one, many = (Config(score="pooled", size=28, pool=False, views=views) for views in (1, 4))
    phi = learner(one, 20).init(np.random.default_rng(0))
    (alone,), (mean,) = features(one, phi, images), features(many, phi, images)
    distance = np.linalg.norm(alone - mean, axis=-1)
    assert alone.shape == mean.shape == (2, 2, 64)
    assert (distance > 0).all() and (distance < np.linalg.norm(alone, axis=-1)).all()
    local = Config(size=28, views=3)
    assert len(features(local, learner(local, 20).init(np.random.default_rng(0)), images)) == 3


def test_alphabets_that_are_held_out_are_not_trained_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def load(data: object, part: str, size: int) -> tm.tasks.ImageClasses:
        return glyphs(alphabets={"background": 5, "evaluation": 2}[part], characters=20, hands=2, size=size)

    monkeypatch.setattr(tm.tasks, "load_omniglot", load)
    for held_out, names in ((0, (5, 2)), (2, (3, 2))):
        config = Config(source="omniglot", held_out=held_out, size=28)
        parts = families(config, Run(tmp_path, "challenge", data=tmp_path))
        groups = [set(part.classes.groups) for part in parts]
        assert tuple(map(len, groups)) == names
        assert not held_out or not groups[0] & groups[1]
