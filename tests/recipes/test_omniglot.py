"""Few-shot characters: every algorithm on both networks, and what does not go together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.cli import main
from tinymeta.recipes import fewshot, omniglot
from tinymeta.recipes.protocols import PROTOCOLS, protocol
from tinymeta.recipes.run import Run
from tinymeta.tasks import Episode

BRIEFLY = ["--iterations", "2", "--set", "source=glyphs", "tasks=2", "meta_batch=2", "query=1"]
CONVOLUTIONAL = ("maml", "protonet", "relation")  # one of each kind; the rest run on the small network


def ran(out: Path, *keys: str) -> dict[str, Any]:
    assert main(["run", "omniglot", *BRIEFLY, *keys, "--out", str(out), "--quiet"]) == 0
    result: dict[str, Any] = json.loads((out / "result.json").read_text(encoding="utf-8"))
    return result


@pytest.mark.parametrize("algorithm", PROTOCOLS)
def test_an_algorithm_trains_and_is_evaluated(algorithm: str, tmp_path: Path) -> None:
    inner = ["steps=2", "test_steps=2"] if PROTOCOLS[algorithm].steps else []
    result = ran(tmp_path / "run", f"algorithm={algorithm}", *inner)
    rows = list(result["metrics"])
    assert f"{PROTOCOLS[algorithm].title}, inductive" in rows
    assert rows[-1] == "nearest neighbour in pixels"
    assert result["published"] == {}  # figures on Omniglot say nothing about generated characters
    assert main(["eval", str(tmp_path / "run"), "--tasks", "3", "--quiet"]) == 0


@pytest.mark.parametrize("algorithm", CONVOLUTIONAL)
def test_the_convolutional_network_trains(algorithm: str, tmp_path: Path) -> None:
    """The gradient reaches every array of weights, and the loss is a number."""
    keys = {"train_ways": 5} if algorithm == "protonet" else {}
    ran(tmp_path, f"algorithm={algorithm}", "network=conv", *(f"{key}={value}" for key, value in keys.items()))
    run = Run(tmp_path, "omniglot", quiet=True)
    ((_, stage),) = omniglot.stages(omniglot.Config(algorithm=algorithm, network="conv", **keys), run, {})
    before = stage.start
    after = tm.meta.trained(run.checkpoint, before)
    moved = tm.tree.map(lambda a, b: not np.array_equal(a, b), before, after)
    assert len(tm.tree.leaves(moved)) > 8 and all(tm.tree.leaves(moved))
    assert all(np.isfinite(line["loss"]) for line in run.lines()) and len(run.lines()) == 2


def test_batch_norm_makes_two_numbers_and_group_norm_one() -> None:
    rng = np.random.default_rng(0)
    assert not fewshot.alone(fewshot.convnet(rng, 5))
    assert not fewshot.alone(fewshot.relation(rng))
    assert fewshot.alone(fewshot.convnet(rng, 5, norm="group"))
    assert fewshot.alone(fewshot.relation(rng, "group"))


def test_a_network_that_looks_at_every_image_alone_gives_the_same_transductively_and_inductively() -> None:
    rng = np.random.default_rng(0)
    images = tm.tasks.glyphs(alphabets=1, characters=6, hands=4)
    episodes = tm.tasks.FewShotImages(images, ways=3, shots=1, query=2, flatten=False).sample(rng, 4)
    for norm, same in (("group", True), ("batch", False)):
        embed = fewshot.convnet(rng, norm=norm)
        model = tm.meta.ProtoNet(ways=3).learn(embed, tm.tree.map(lambda a: tm.tensor(a[0]), episodes.support))
        company, query = tm.tensor(episodes.support[0][0]), tm.tensor(episodes.query[0][0])
        together, apart = model(query).numpy(), tm.meta.one_by_one(model, company)(query).numpy()
        # Squared distances of 64 float32 features near 1, computed in another order.
        assert (np.abs(together - apart).max() < 1e-3 * np.abs(together).max()) == same


def test_the_nearest_neighbour_in_pixels_is_found() -> None:
    support = np.array([[[0.0, 0.0], [1.0, 1.0]]])
    query = np.array([[[0.1, 0.0], [0.2, 0.1], [0.9, 1.0]]])
    episodes = Episode((support, np.array([[0, 1]])), (query, np.array([[0, 1, 1]])))
    assert fewshot.nearest_neighbour(episodes) == pytest.approx([2 / 3])


def test_protocol_defaults_give_way_to_the_users_keys() -> None:
    config = omniglot.Config(algorithm="reptile")
    assert (omniglot.settled(config).test_steps, omniglot.settled(config).inner) == (50, "adam")
    changed = omniglot.settled(replace(config, test_steps=7, inner="sgd"))
    assert (changed.test_steps, changed.inner, changed.inner_lr) == (7, "sgd", 0.4)


def test_the_outer_step_size_falls_as_the_protocol_or_the_user_says() -> None:
    def rates(**keys: Any) -> list[float]:
        lr = omniglot.settled(omniglot.Config(iterations=100, **keys)).outer_rule(100).lr
        return [float(lr(tm.tensor(float(t)))) if callable(lr) else lr for t in (0, 50, 100)]

    assert rates() == [0.001] * 3
    assert rates(algorithm="reptile") == pytest.approx([1.0, 0.5, 0.0])
    assert rates(schedule="cosine", outer_lr=0.002) == pytest.approx([0.002, 0.00101, 0.00002])
    assert rates(algorithm="protonet") == [0.001] * 3  # halved after 2,000
    assert rates(algorithm="reptile", schedule="constant") == [1.0] * 3


def test_twenty_ways_are_learned_in_more_and_smaller_steps() -> None:
    assert (protocol("maml", 5).steps, protocol("maml", 5).inner_lr) == (1, 0.4)
    assert (protocol("maml", 20).steps, protocol("maml", 20).inner_lr) == (5, 0.1)


MISTAKES = {
    "steps for a learner without any": (["algorithm=protonet", "steps=3"], "takes no inner steps"),
    "another number of classes in training": (["algorithm=maml", "train_ways=10"], "leave train_ways out"),
    "a split of Omniglot's": (["split=vinyals"], "split=random only"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys, sentence = MISTAKES[mistake]
    assert main(["run", "omniglot", *BRIEFLY, *keys, "--out", str(tmp_path / "run"), "--quiet"]) == 2
    message = capsys.readouterr().err
    assert sentence in message and message.count("\n") == 1
