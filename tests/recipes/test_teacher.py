"""A teacher that learns through its student: the gradient through the student's step is exact, and it helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.slopes import central_differences
from tests.recipes.interrupted import Counted, check_stop, two_runs
from tinymeta.recipes import flipped, teacher
from tinymeta.recipes.run import Run

RATE = 0.3


@pytest.fixture
def problem() -> dict[str, Any]:
    """A teacher, a smaller student, a batch and a quiz, in float64."""
    rng = np.random.default_rng(0)
    batch = rng.standard_normal((8, 4)), rng.integers(3, size=8)
    quiz = rng.standard_normal((6, 4)), rng.integers(3, size=6)
    teacher = tm.nn.MLP([4, 6, 3], rng=rng, activation=tm.tanh, dtype=np.float64)
    student = tm.nn.MLP([4, 2, 3], rng=rng, activation=tm.tanh, dtype=np.float64)
    return {"teacher": teacher, "student": student, "batch": batch, "quiz": quiz}


def quiz_loss(problem: dict[str, Any], distillation: tm.meta.Distillation) -> Any:
    return lambda teacher: distillation.quiz_loss(teacher, problem["student"], problem["batch"], problem["quiz"], RATE)


def test_the_teachers_gradient_through_the_students_step_is_exact(problem: dict[str, Any]) -> None:
    loss, teacher = quiz_loss(problem, tm.meta.Distillation(2.0, 0.25)), problem["teacher"]
    found, expected = tm.grad(loss)(teacher), central_differences(loss, teacher)
    for gradient, slopes in zip(tm.tree.leaves(found), tm.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(gradient.numpy(), slopes, rtol=0, atol=1e-8)
        assert np.abs(slopes).max() > 1e-6


def test_a_step_along_the_gradient_improves_the_pilots_marks(problem: dict[str, Any]) -> None:
    loss, teacher = quiz_loss(problem, tm.meta.Distillation(2.0, 0.25)), problem["teacher"]
    better = tm.tree.map(lambda p, g: p - 0.1 * g, teacher, tm.grad(loss)(teacher))
    assert float(loss(better)) < float(loss(teacher))


def test_labels_alone_teach_as_if_there_were_no_teacher(problem: dict[str, Any]) -> None:
    alone = tm.meta.Distillation(2.0, hard=1.0)
    found = alone.loss(problem["student"], problem["teacher"], problem["batch"])
    expected = tm.meta.classification(problem["student"], problem["batch"])
    assert float(found) == pytest.approx(float(expected), abs=1e-14)
    slopes = tm.grad(quiz_loss(problem, alone))(problem["teacher"])
    assert all(not g.numpy().any() for g in tm.tree.leaves(slopes))


def test_hot_distillation_matches_logits(problem: dict[str, Any]) -> None:
    """As τ grows the slope in the student's logits is their difference from the teacher's, both centred, over the
    number of classes (Hinton et al. 2015, eq. 4)."""
    batch, rng = problem["batch"], np.random.default_rng(1)
    said, told = rng.standard_normal((2, 8, 3))
    hot = tm.meta.Distillation(1e4, hard=0.0)
    slopes = tm.grad(lambda z: hot.loss(lambda x: z, lambda x: tm.tensor(told), batch))(tm.tensor(said)).numpy()
    centred = lambda z: z - z.mean(-1, keepdims=True)
    # The next term of the expansion is of the order of z²/τ, here 1e-4 of the first.
    np.testing.assert_allclose(slopes, (centred(said) - centred(told)) / 3 / 8, rtol=0, atol=1e-4)


def test_a_student_without_a_teacher_can_end_on_the_quiz_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = teacher.Config(iterations=5, tasks=1, shots=4, quiz=1, query=2, batch=4, width=4)
    data, _ = flipped.divided(0, (1, 1), (4, 1, 2), 0.4, {"one class": np.random.default_rng(0)})
    ends = [how for how in teacher.METHODS["no teacher, then the quiz"] if how.rate == teacher.STUDENT_RATES[0]]
    none = flipped.networks(np.random.default_rng(1), 1, 4)
    learned, teaching = [], teacher.teaching

    def watched(*how: Any) -> Any:
        begin, step = teaching(*how)
        return begin, lambda state, lesson, quiz, rate: learned.append(lesson[1]) or step(state, lesson, quiz, rate)

    monkeypatch.setattr(teacher, "teaching", watched)
    for how in ends:
        learned.clear()
        teacher.taught(config, Run(tmp_path, "teacher", quiet=True), how, (data["one class"], {"noisy": none}))
        quizzed = [labels.shape[1] == flipped.CLASSES for labels in learned]  # one each, where a batch has four
        assert quizzed == sorted(quizzed) and sum(quizzed) == round(5 * how.last)
    assert len({how.last for how in ends}) == 3


@pytest.mark.parametrize("over", [1, 9])  # trainings before the stop: the first teachers' alone, or students', too
def test_a_stopped_run_goes_on_with_the_training_that_was_not_over(
    over: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief = teacher.Config(
        iterations=2,
        tasks=2,
        validation=1,
        shots=4,
        quiz=1,
        query=2,
        batch=4,
        width=4,
        teacher_width=4,
        teacher_steps=3,
    )
    methods = ("no teacher", "fixed teacher", "MetaDistil")
    monkeypatch.setattr(teacher, "METHODS", {name: teacher.METHODS[name][:2] for name in methods})
    draws = Counted(flipped.shifted)
    monkeypatch.setattr(flipped, "shifted", draws)
    one = 4  # batches of a training: of teachers, three noisy and a clean one; of students, two of each
    whole = (2 + 3 * 3) * one  # for validation and test; methods, two rates and the test
    check_stop(teacher, brief, two_runs(tmp_path, "teacher", monkeypatch), draws, whole, stop=over * one + 3)
    assert draws.calls == whole - over * one
