"""A character model across languages: its learned Adam, its text, and what a user may do wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tinymeta.cli import main
from tinymeta.meta.learners.metaadam import SCALE, MetaAdam, StepwiseAdam
from tinymeta.recipes import language
from tinymeta.recipes.characters import CharacterModel, bits, bits_each, written
from tinymeta.recipes.run import Run

SYMBOLS, UNITS = 5, 3


def model(rng: np.random.Generator) -> CharacterModel:
    return CharacterModel(SYMBOLS, UNITS, rng, np.float64)


def episode(rng: np.random.Generator) -> tm.tasks.Episode:
    draw = lambda: rng.integers(SYMBOLS, size=(2, 4))
    return tm.tasks.Episode((draw(), draw()), (draw(), draw()))


def learner(steps: int = 2) -> MetaAdam:
    return MetaAdam(tm.meta.classification, steps=steps, network=model, rate=0.05)


def test_meta_adam_begins_as_adam() -> None:
    rng = np.random.default_rng(0)
    task, learning = episode(rng), learner()
    phi = learning.init(rng)
    rule = tm.optim.Adam(0.05, b2=0.99, eps=1e-5)
    trail = tm.meta.adapt(tm.meta.classification, phi.theta, task.support, rule=rule, steps=2, path=True)
    for one, other in zip(learning.path(phi, task.support, 2), trail, strict=True):
        for p, q in zip(tm.tree.leaves(one), tm.tree.leaves(other)):
            np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("step", [0, 1])
def test_a_step_has_step_sizes_of_its_own_and_later_steps_those_of_the_last(step: int) -> None:
    rng = np.random.default_rng(1)
    task, learning = episode(rng), learner()
    phi = learning.init(rng)
    halted = phi._replace(alpha=tm.tree.map(lambda a: frozen(a, step), phi.alpha))
    trail = [
        np.concatenate([p.numpy().ravel() for p in tm.tree.leaves(m)]) for m in learning.path(halted, task.support, 4)
    ]
    moved = [not np.array_equal(a, b) for a, b in zip(trail, trail[1:])]
    assert moved == ([False, True, True, True] if step == 0 else [True, False, False, False])


def test_steps_beyond_those_of_training_fall_as_one_over_their_number() -> None:
    """A gradient that is always the same makes Adam go exactly as far as its step size says."""
    rule = StepwiseAdam(np.log([[0.3], [0.2]]) / SCALE)
    theta, state = tm.tensor(np.zeros(1)), rule.init(tm.tensor(np.zeros(1)))
    at = [0.0]
    for _ in range(4):
        theta, state = rule.update(tm.tensor(-np.ones(1)), state, theta)
        at.append(float(theta[0]))
    np.testing.assert_allclose(np.diff(at), [0.3, 0.2, 0.2 * 2 / 3, 0.2 * 2 / 4], rtol=2e-5)  # ε against |g| = 1


def frozen(a: tm.Tensor, step: int) -> Any:
    """Log step sizes of which those of one step are exp(−1000 · scale) = 0."""
    changed = a.numpy().copy()
    changed[step] = -1000.0
    return changed


def test_the_gradient_in_the_last_step_sizes_is_exact() -> None:
    """θ_K = θ_{K−1} − exp(s a) d, where d does not depend on a_K: central differences see the same."""
    rng = np.random.default_rng(2)
    task, learning = episode(rng), learner()
    phi = learning.init(rng)
    towards = tm.tree.map(lambda a: np.stack([np.zeros(a.shape[1:]), rng.normal(size=a.shape[1:])]), phi.alpha)

    def loss(t: float) -> float:
        alpha = tm.tree.map(lambda a, d: a + t * d, phi.alpha, towards)
        return float(learning.task_loss(phi._replace(alpha=alpha), task))

    gradient = tm.grad(learning.task_loss)(phi, task).alpha
    exact = sum(float((g * d).sum()) for g, d in zip(tm.tree.leaves(gradient), tm.tree.leaves(towards)))
    h = 1e-4 / SCALE
    assert (loss(h) - loss(-h)) / (2 * h) == pytest.approx(exact, rel=1e-6)


def test_the_model_reads_no_character_before_its_time() -> None:
    rng = np.random.default_rng(3)
    network = model(rng)
    x = rng.integers(SYMBOLS, size=(2, 6))
    other = x.copy()
    other[:, 4] = (other[:, 4] + 1) % SYMBOLS
    a, b = network(x).numpy(), network(other).numpy()
    np.testing.assert_array_equal(a[:, :4], b[:, :4])
    assert not np.allclose(a[:, 4:], b[:, 4:])


def test_bits_of_characters_average_to_bits_per_character() -> None:
    rng = np.random.default_rng(4)
    network, (x, y) = model(rng), episode(rng).query
    assert float(bits(network, (x, y))) == pytest.approx(bits_each(network, x, y).mean(), rel=1e-12)
    assert bits_each(network, x, y).shape == y.shape


def test_text_is_reproducible_and_made_of_symbols() -> None:
    network = model(np.random.default_rng(5))
    first, again = (written(network, 0, 40, np.random.default_rng(6)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (40,) and first.min() >= 0 and first.max() < SYMBOLS


def test_before_the_first_step_the_objective_is_joint_training(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    task, learning = episode(rng), learner()
    phi = learning.init(rng)
    still = phi._replace(alpha=tm.tree.map(lambda a: np.full(a.shape, -1000.0), phi.alpha))
    joint = 0.5 * (learning.loss(phi.theta, task.support) + learning.loss(phi.theta, task.query))
    expected = float(joint + 2 * learning.loss(phi.theta, task.query)) / 3
    assert float(language.early_and_late(learning, still, task)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("algorithm", language.TITLES)
def test_every_algorithm_starts_at_the_joint_model_and_can_be_trained(algorithm: str) -> None:
    rng = np.random.default_rng(8)
    task = episode(rng)
    learning = language.learner(language.Config(algorithm=algorithm, units=UNITS), tm.tasks.Vocabulary("abcd"))
    theta = learning.weights(rng)
    phi = language.started_at(learning.init(rng), theta)
    assert learning.path(phi, task.support, 1)[0] is theta
    gradient = tm.grad(lambda phi: language.early_and_late(learning, phi, task))(phi)
    assert all(np.abs(g.numpy()).max() > 0 for g in tm.tree.leaves(gradient))


def test_no_language_is_in_two_parts(tmp_path: Path) -> None:
    parts = language.families(language.Config(), Run(tmp_path, "language"))
    names = [set(family.texts) for family in (parts.train, parts.validation, parts.test)]
    assert len(set.union(*names)) == sum(map(len, names)) == 150


def mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str], *data: str) -> str:
    assert main(["run", "language", "--set", "source=texts", *data, "--out", str(tmp_path / "run"), "--quiet"]) == 2
    told = capsys.readouterr().err.strip()
    assert told.count("\n") == 0
    return told


def test_texts_that_are_missing_short_or_no_text_are_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TINYMETA_DATA", raising=False)
    folder = tmp_path / "texts"
    assert "--data" in mistake(tmp_path, capsys)
    assert "there is no folder" in mistake(tmp_path, capsys, "--data", str(folder))
    folder.mkdir()
    assert "holds no .txt files" in mistake(tmp_path, capsys, "--data", str(folder))
    for name in "abc":
        (folder / f"{name}.txt").write_text("too short", encoding="utf-8")
    assert "has 9: lower shots" in mistake(tmp_path, capsys, "--data", str(folder))
    (folder / "b.txt").unlink()
    (folder / "c.txt").unlink()
    assert "training needs some" in mistake(tmp_path, capsys, "--data", str(folder))
    (folder / "a.txt").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in mistake(tmp_path, capsys, "--data", str(folder))
    assert "neither a folder nor a zip archive" in mistake(tmp_path, capsys, "--data", str(folder / "a.txt"))


def test_a_run_writes_text_before_and_after(tmp_path: Path) -> None:
    out = tmp_path / "run"
    small = ["tasks=2", "meta_batch=2", "length=3", "shots=2", "query=2", "units=4", "algorithm=meta-sgd"]
    assert main(["run", "language", "--iterations", "1", "--set", *small, "--out", str(out), "--quiet"]) == 0
    assert main(["eval", str(out), "--quiet"]) == 0
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert {"written before", "written after 10 steps", "its own text"} <= set(result["protocol"])
    assert all(list(row) == ["0 steps", "1 step", "5 steps", "10 steps"] for row in result["metrics"].values())
