"""`adapt`, the inner loop: what moves, what is seen in each step, and how the result depends on what it is made of."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.learners import episodes, flat, network
from tinymeta.meta import classification

SGD = tm.optim.SGD
MODES: list[Any] = ["exact", "first_order", "implicit", "reptile"]


def model() -> Any:
    return network(np.random.default_rng(0))


def support(tasks: int = 1) -> Any:
    return next(tm.tasks.unstack(episodes(tasks))).support


@pytest.mark.parametrize("differentiate", MODES)
def test_the_path_starts_at_the_parameters_and_ends_at_the_result(differentiate: Any) -> None:
    options = {"rule": SGD(0.1), "steps": 3, "differentiate": differentiate}
    path = tm.meta.adapt(classification, model(), support(), path=True, **options)
    last = tm.meta.adapt(classification, model(), support(), **options)
    assert len(path) == 4
    np.testing.assert_array_equal(flat(path[0]), flat(model()))
    np.testing.assert_array_equal(flat(path[-1]), flat(last))


@pytest.mark.parametrize("differentiate", ["exact", "first_order", "reptile"])
def test_the_steps_are_the_same_however_they_are_differentiated(differentiate: str) -> None:
    theta, batch = model(), support()
    adapted = tm.meta.adapt(classification, theta, batch, rule=SGD(0.1), steps=3, differentiate=differentiate)
    for _ in range(3):
        theta = tm.tree.map(lambda p, g: p - 0.1 * g, theta, tm.grad(classification)(theta, batch))
    np.testing.assert_allclose(flat(adapted), flat(theta), rtol=1e-15)


def test_the_parameters_given_are_not_changed() -> None:
    theta = model()
    before = flat(theta).copy()
    tm.meta.adapt(classification, theta, support(), rule=SGD(0.5), steps=2)
    np.testing.assert_array_equal(flat(theta), before)


def test_only_the_leaves_that_are_named_move() -> None:
    theta = model()
    for only in ("head.*", ("head.weight", "head.bias"), lambda path: path.startswith("head")):
        adapted = tm.meta.adapt(classification, theta, support(), rule=SGD(0.5), steps=2, only=only)
        for path, old, new in zip(tm.tree.paths(theta), tm.tree.leaves(theta), tm.tree.leaves(adapted)):
            assert (old.numpy() == new.numpy()).all() == (not path.startswith("head")), path


def test_a_pattern_that_names_nothing_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match="head.weight"):
        tm.meta.adapt(classification, model(), support(), rule=SGD(0.1), steps=1, only="tail.*")


def test_parts_divide_the_support_set_among_the_steps() -> None:
    batch, seen = support(), []

    def loss(params: Any, batch: Any) -> Any:
        seen.append(tuple(np.asarray(a).tolist() for a in batch))
        return classification(params, batch)

    tm.meta.adapt(loss, model(), batch, rule=SGD(0.1), steps=3, parts=2)
    parts = [tuple(a[k::2].tolist() for a in batch) for k in (0, 1, 0)]
    assert seen == parts
    assert [sorted(labels) for _, labels in parts[:2]] == [[0, 1, 2]] * 2  # every class, equally often


def test_a_word_that_is_none_of_the_four_is_refused() -> None:
    with pytest.raises(ValueError, match="'exact', 'first_order', 'implicit', 'reptile'"):
        tm.meta.adapt(classification, model(), support(), rule=SGD(0.1), steps=1, differentiate="second_order")


def test_differentiating_what_reptile_adapted_is_an_error_and_not_a_silent_zero() -> None:
    def naive(theta: Any) -> Any:
        adapted = tm.meta.adapt(classification, theta, support(), rule=SGD(0.1), steps=1, differentiate="reptile")
        return classification(adapted, support())

    with pytest.raises(tm.UserError, match="query_loss"):
        tm.grad(naive)(model())


PARTS = {"start": 0.5, "scale": 0.3, "support": 1.0, "query": 2.0, "rate": 0.25}


def pulled(start: Any, scale: Any, support: Any, query: Any, rate: Any) -> Any:
    """Reptile's query loss of a parabola, all of whose parts may be learned."""
    loss = lambda theta, goal: scale * (theta - goal) ** 2
    episode = tm.tasks.Episode(support, query)
    return tm.meta.query_loss(loss, start, episode, rule=SGD(rate), steps=2, differentiate="reptile")


def test_reptile_has_the_gradient_that_leads_to_where_its_steps_went() -> None:
    value, g = tm.value_and_grad(pulled)(*PARTS.values())
    start, scale, support, query, rate = PARTS.values()
    adapted = support + (start - support) * (1 - 2 * scale * rate) ** 2
    assert value.item() == pytest.approx(scale * (adapted - query) ** 2, rel=1e-14)
    assert g.item() == pytest.approx(start - adapted, rel=1e-14)
    _, along = tm.jvp(lambda start: 3.0 * pulled(start, *list(PARTS.values())[1:]), [start], [2.0])
    assert along.item() == pytest.approx(6.0 * (start - adapted), rel=1e-14)


@pytest.mark.parametrize("of, part", list(itertools.product(["value", "gradient"], PARTS))[1:])
def test_reptile_has_no_other_derivative_and_says_so(of: str, part: str) -> None:
    derivative = tm.grad(pulled if of == "value" else tm.grad(pulled), argnums=list(PARTS).index(part))
    for f in (derivative, tm.compile(derivative)):
        if (of, part) == ("gradient", "query"):
            assert f(*PARTS.values()).item() == 0.0  # the steps have never seen it
        else:
            with pytest.raises(tm.UserError, match="'reptile' has one derivative"):
                f(*PARTS.values())


@pytest.mark.parametrize("differentiate", ["exact", tm.meta.Implicit(1.0, 10)])
def test_the_result_depends_on_what_the_loss_is_made_of(differentiate: Any) -> None:
    # Weights on the examples, as in learning to reweight: the loss closes over them.
    theta, (x, y) = model(), support()
    rule, steps = SGD(0.2), 40 if differentiate != "exact" else 3

    def outer(weights: Any) -> Any:
        def loss(params: Any, batch: Any) -> Any:
            each = tm.nn.cross_entropy_each(params(batch[0]), batch[1])
            return tm.sum(weights * each) + sum(tm.sum(p * p) for p in tm.tree.leaves(params))

        adapted = tm.meta.adapt(loss, theta, (x, y), rule=rule, steps=steps, differentiate=differentiate)
        return classification(adapted, (x, y))

    weights = np.linspace(0.1, 0.3, len(y))
    expected = tm.testing.central_difference(lambda w: [outer(tm.tensor(w[0])).numpy()], [weights], [np.ones(len(y))])
    found = tm.grad(outer)(weights)
    assert float(found.sum()) == pytest.approx(float(expected[0]), rel=1e-6)


def test_the_result_depends_on_the_learning_rate_as_the_steps_say() -> None:
    def outer(lr: Any) -> Any:
        adapted = tm.meta.adapt(classification, model(), support(), rule=SGD(lr), steps=3)
        return classification(adapted, support())

    tm.testing.check_grad(outer, np.array(0.1), order=2)
