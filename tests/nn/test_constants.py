"""What a model holds and nobody trains: declared, kept as it is, and no leaf."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinymeta as tm

MEAN = np.array([0.5, 0.4, 0.3])


class Net(tm.nn.Module):
    """A linear map of x − mean; `extra` is held beside it."""

    def __init__(self, mean: Any, extra: Any = None) -> None:
        self.w, self.mean, self.extra = tm.tensor([1.0, 2.0, 3.0]), mean, extra

    def __call__(self, x: Any) -> Any:
        return (x - self.mean) @ self.w


class Points:
    def sample(self, rng: np.random.Generator, tasks: int) -> Any:
        x = rng.normal(size=(tasks, 5, 3))
        return tm.tasks.Episode((x, x.sum(-1)), (x, x.sum(-1)))


def trained(model: Any, compiled: bool = False, optimizer: Any = None) -> Any:
    objective = tm.meta.maml(tm.meta.regression, rule=tm.optim.SGD(0.05), steps=1)
    optimizer = optimizer or tm.optim.AdamW(0.01, weight_decay=0.1)
    return tm.meta.fit(objective, model, Points(), optimizer=optimizer, iterations=4, meta_batch=2, compiled=compiled)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_constant_is_used_and_neither_trained_nor_decayed(compiled: bool) -> None:
    after = trained(Net(tm.nn.constant(MEAN)), compiled)
    np.testing.assert_array_equal(after.mean, MEAN)
    assert not np.array_equal(after.w.numpy(), [1.0, 2.0, 3.0])


def test_a_tensor_in_its_place_is_trained() -> None:
    """The other side: were it a weight, it would move."""
    assert not np.array_equal(trained(Net(tm.tensor(MEAN))).mean.numpy(), MEAN)


EXTRAS: dict[str, Any] = {
    "integers": np.array([2, 0, 1]),
    "booleans": np.array([True, False, True]),
    "a list of integers": [np.arange(3), np.arange(2)],
    "constants beside weights": [tm.nn.constant(MEAN), tm.tensor(MEAN)],
    "a dict": {"mask": tm.nn.constant(MEAN > 0.35), "w": tm.tensor(1.0)},
    "a module within": Net(tm.nn.constant(MEAN)),
    "none at all": tm.nn.constant(np.zeros(0)),
    "not a number": tm.nn.constant([np.nan]),
    "integers beside a number": [np.arange(3), 3],
}


@pytest.mark.parametrize("name", EXTRAS)
def test_constants_stay_what_they_are_wherever_they_stand(name: str) -> None:
    model = Net(tm.nn.constant(MEAN), EXTRAS[name])
    same = tm.tree.map(
        lambda p: 2 * p, tm.tree.map(lambda a, b: a, model, Net(tm.nn.constant(MEAN.copy()), EXTRAS[name]))
    )
    before, after = ([a for _, a in held(m)] for m in (model, same))
    assert len(before) == len(after) and all(map(np.array_equal, before, after, [True] * len(before)))
    np.testing.assert_array_equal(same.w.numpy(), 2 * model.w.numpy())


@pytest.mark.parametrize("name", [name for name in EXTRAS if name != "integers beside a number"])
def test_a_model_that_holds_constants_is_trained_and_holds_them(name: str) -> None:
    before = Net(tm.nn.constant(MEAN), EXTRAS[name])
    after = trained(before)
    np.testing.assert_equal([a for _, a in held(after)], [a for _, a in held(before)])


def held(model: Any) -> list[tuple[str, Any]]:
    """The arrays of a model that are no Tensors."""
    found: list[tuple[str, Any]] = []

    def look(name: str, x: Any) -> None:
        if isinstance(x, np.ndarray) and x.dtype.kind != "f":
            found.append((name, x))
        for key, part in x.items() if isinstance(x, dict) else enumerate(x) if isinstance(x, list) else ():
            look(f"{name}.{key}", part)
        if isinstance(x, tm.nn.Module):
            look(name, vars(x))

    look("", model)
    return found


def test_models_with_other_constants_do_not_fit_together() -> None:
    with pytest.raises(ValueError, match="differ"):
        tm.tree.map(lambda a, b: a, Net(tm.nn.constant(MEAN)), Net(tm.nn.constant(MEAN + 1e-9)))


def test_an_array_of_floats_that_nobody_declared_is_refused() -> None:
    for model in (Net(MEAN), Net([MEAN]), Net(tm.zeros(3), {"a": MEAN}), {"net": [Net(tm.zeros(3), Net(MEAN))]}):
        with pytest.raises(tm.UserError, match=r"Net\.\w+ .* tm\.tensor\(…\) for a weight, tm\.nn\.constant"):
            trained(model)
    trained(tm.tree.map(np.asarray, Net(tm.tensor(MEAN))))  # its leaves have been weights before


def test_a_program_that_was_recorded_sees_another_constant() -> None:
    f, x = tm.compile(lambda model, x: model(x)), np.ones((2, 3))
    for mean in (MEAN, 2 * MEAN, MEAN):
        model = Net(tm.nn.constant(mean))
        np.testing.assert_allclose(f(model, x).numpy(), (x - mean) @ [1.0, 2.0, 3.0], rtol=1e-14)


def test_a_program_that_was_recorded_sees_integers_that_changed_in_place() -> None:
    class Picked(Net):
        def __call__(self, x: Any) -> Any:
            return tm.take(x, self.extra, axis=-1) @ self.w

    table, x = np.array([2, 1, 0]), np.arange(3.0)[None]
    f, model = tm.compile(lambda model, x: model(x)), Picked(tm.nn.constant(MEAN), table)
    assert float(f(model, x)[0]) == 2 * 1 + 1 * 2 + 0 * 3
    table[:] = [0, 1, 2]
    assert float(f(model, x)[0]) == 0 * 1 + 1 * 2 + 2 * 3


def test_a_file_of_weights_leaves_constants_to_the_model(tmp_path: Path) -> None:
    model = Net(tm.nn.constant(MEAN))
    tm.save(tmp_path / "m.npz", model)
    found = tm.load(tmp_path / "m.npz", Net(tm.nn.constant(MEAN + 1)))
    np.testing.assert_array_equal(found.mean, MEAN + 1)
    np.testing.assert_array_equal(found.w, model.w.numpy())


def test_a_constant_is_read_only_and_travels_to_another_process() -> None:
    model = Net(tm.nn.constant(MEAN))
    with pytest.raises(ValueError, match="read-only"):
        model.mean[0] = 1.0
    there = pickle.loads(pickle.dumps(model))
    assert tm.tree.flatten(there)[1] == tm.tree.flatten(model)[1]
