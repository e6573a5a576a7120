"""Losses against their formulas, at extreme logits too, and refusing what would broadcast unseen."""

from __future__ import annotations

import numpy as np
import pytest

import tinymeta as tm


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_mean_squared_error_is_over_all_elements() -> None:
    a, b = rng().normal(size=(3, 2)), rng().normal(size=(3, 2)) + 1
    assert float(tm.nn.mse_loss(a, b)) == pytest.approx(((a - b) ** 2).mean(), rel=1e-14)


def test_mean_squared_error_does_not_broadcast_a_column_against_a_row() -> None:
    with pytest.raises(ValueError, match=r"one shape, not \(3, 1\) and \(3,\)"):
        tm.nn.mse_loss(np.zeros((3, 1)), np.zeros(3))


def test_cross_entropy_is_minus_the_log_probability_of_the_label() -> None:
    logits, labels = rng().normal(size=(2, 4, 3)), rng().integers(0, 3, (2, 4))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    each = -np.log(np.take_along_axis(p, labels[..., None], -1)[..., 0])
    np.testing.assert_allclose(tm.nn.cross_entropy_each(logits, labels).numpy(), each, rtol=1e-12)
    assert float(tm.nn.cross_entropy(logits, labels)) == pytest.approx(each.mean(), rel=1e-12)


def test_cross_entropy_of_huge_logits_is_finite_and_so_is_its_gradient() -> None:
    value, grads = tm.value_and_grad(tm.nn.cross_entropy)(np.array([[1e4, -1e4]]), np.array([1]))
    assert float(value) == 2e4
    np.testing.assert_array_equal(grads.numpy(), [[1.0, -1.0]])


def test_cross_entropy_refuses_labels_it_has_no_logit_for() -> None:
    for labels in ([0, 3], [-1, 0]):
        with pytest.raises(ValueError, match="labels from 0 to 2"):
            tm.nn.cross_entropy(np.zeros((2, 3)), np.array(labels))
    with pytest.raises(TypeError, match="integer labels"):
        tm.nn.cross_entropy(np.zeros((2, 3)), np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match=r"\(…, classes\)"):
        tm.nn.cross_entropy(np.zeros((2, 3)), np.array([0]))


def test_binary_cross_entropy_overflows_nowhere() -> None:
    z, t = rng().normal(size=5), rng().integers(0, 2, 5)
    p = 1 / (1 + np.exp(-z))
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    assert float(tm.nn.bce_with_logits(z, t)) == pytest.approx(expected, rel=1e-12)
    assert float(tm.nn.bce_with_logits(np.array([1e4, -1e4]), np.array([0, 1]))) == 1e4


def test_the_divergence_of_a_distribution_from_itself_is_zero_and_impossible_events_count_nothing() -> None:
    p = np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    assert float(tm.nn.kl_div(log_p, p)) == 0.0
    q = np.array([[0.25, 0.25, 0.5], [0.2, 0.3, 0.5]])
    assert float(tm.nn.kl_div(np.log(q), p)) == pytest.approx(np.log(2) / 2, rel=1e-14)  # the mean of log 2 and 0


def test_accuracy_is_the_share_of_right_answers() -> None:
    assert float(tm.nn.accuracy(np.eye(4)[[0, 1, 2, 0]], np.arange(4))) == 0.75
    assert float(tm.nn.accuracy(np.eye(4)[1], 1)) == 1


@pytest.mark.parametrize("loss", [tm.nn.mse_loss, tm.nn.bce_with_logits])
def test_a_loss_has_right_second_derivatives(loss: object) -> None:
    tm.testing.check_grad(lambda z: loss(z, np.array([0.0, 1.0, 1.0])), np.array([0.3, -0.2, 2.0]), order=2)  # type: ignore[operator]


def test_cross_entropy_and_divergence_have_right_second_derivatives() -> None:
    logits, labels = rng().normal(size=(3, 4)), np.array([0, 3, 1])
    tm.testing.check_grad(lambda z: tm.nn.cross_entropy(z, labels), logits, order=2)
    p = rng().dirichlet(np.ones(4), 3)
    tm.testing.check_grad(lambda z, p: tm.nn.kl_div(tm.nn.log_softmax(z), p), logits, p, order=2)


@pytest.mark.parametrize("labels", [np.zeros((4, 1), int), np.eye(4, 3, dtype=int), np.zeros((), int)])
def test_accuracy_takes_one_label_per_example_and_nothing_that_broadcasts(labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="accuracy needs logits"):
        tm.nn.accuracy(np.zeros((4, 3)), labels)


def test_a_lone_number_is_no_logits() -> None:
    with pytest.raises(ValueError, match="needs logits"):
        tm.nn.cross_entropy(1.0, 0)


def test_a_lone_number_has_no_answer() -> None:
    with pytest.raises(ValueError, match="accuracy needs logits"):
        tm.nn.accuracy(1.0, 0)


def test_a_loss_of_one_example_is_its_entry_in_that_of_many() -> None:
    logits, labels = rng().normal(size=(2, 4, 3)), rng().integers(0, 3, (2, 4))
    each = tm.nn.cross_entropy_each(logits, labels).numpy()
    for k in np.ndindex(2, 4):
        assert float(tm.nn.cross_entropy(logits[k], labels[k])) == pytest.approx(each[k], rel=1e-14)
        assert float(tm.nn.accuracy(logits[k], labels[k])) == (logits[k].argmax() == labels[k])


def test_a_term_without_probability_has_no_slope() -> None:
    slopes = tm.grad(tm.nn.kl_div, argnums=(0, 1))(np.log([0.25, 0.75]), np.array([1.0, 0.0]))
    np.testing.assert_allclose(slopes[0].numpy(), [-1, 0])
    np.testing.assert_allclose(slopes[1].numpy(), [1 - np.log(0.25), 0], rtol=1e-15)
