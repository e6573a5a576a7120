"""Whole objects: copied, pickled and sent to another process by the user's own act, and used from several threads.

Every public class is tried. Each works, or says why not.
"""

from __future__ import annotations

import copy
import inspect
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.meta.learners import Blobs, network
from tests.public_api import today
from tinymeta.compile.key import frozen
from tinymeta.engine.primitive import Primitive
from tinymeta.meta.spread.gather import gather

ROOMS = ("tinymeta", "tinymeta.nn", "tinymeta.optim", "tinymeta.meta", "tinymeta.tasks", "tinymeta.testing")
NO_OBJECTS = {"Optimizer", "TaskFamily", "Environment", "Module", "LearnedRule"}  # what others are, empty themselves
IMAGES = np.random.default_rng(0).random((6, 4, 5, 5), np.float32)
CLASSES = tm.tasks.ImageClasses(IMAGES, np.arange(6), np.arange(6).astype(str))
STEP = tm.optim.SGD(0.1, momentum=0.9)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def policy_search() -> Any:
    return tm.meta.PolicySearch(tm.tasks.Navigation(), tm.meta.MAML(tm.meta.policy_gradient, rule=STEP))


def rules(rng: np.random.Generator, n: int) -> list[dict[str, float]]:
    return [{"to": 1.0}] * n


def squares(params: Any, batch: Any) -> Any:
    return tm.sum(params * params), tm.sum(params)


# What a class is made with, by the names of its parameters; where one takes something else, by its own.
GIVEN: dict[str, Any] = {"rng": rng, "sizes": [3, 4, 2], "inputs": 3, "outputs": 2, "width": 6, "channels": 4}
GIVEN |= {"window": 3, "rate": 0.1, "entries": 5, "heads": 2, "groups": 2, "lr": 0.1, "optimizer": STEP, "rule": STEP}
GIVEN |= {"clip": partial(tm.optim.clip_by_value, limit=1.0), "loss": tm.meta.classification, "network": network}
GIVEN |= {
    "model": lambda: network(rng()),
    "state": 0.0,
    "start": np.ones(2),
    "support": np.ones(2),
    "query": np.ones(2),
}
GIVEN |= {"embed": tm.tanh, "compare": tm.tanh, "features": 2, "targets": 3, "family": Blobs(), "classes": CLASSES}
GIVEN |= {"images": IMAGES, "ways": 2, "low": 0.0, "high": 1.0, "shapes": ((2,),), "at": ((0.0,),)}
GIVEN |= {"takes": ((0.0,),), "side": "left", "static": {}, "characters": "ab", "families": [Blobs()], "examples": 1.0}
GIVEN |= {"log_rates": 0.0, "theta": np.ones(2), "real": np.ones(2), "like": np.ones(2), "tasks": 2, "capacity": 2}
GIVEN |= {"observations": np.ones(2), "actions": np.ones(2), "rewards": np.ones(2), "alive": np.ones(2)}
GIVEN |= {"train": CLASSES, "validation": CLASSES, "test": CLASSES, "x": np.ones((2, 3)), "labels": np.ones(2, int)}
GIVEN |= {"batch": 2, "objective": squares, "augment": tm.tasks.Augment(), "partitions": np.zeros((1, 6), int)}
GIVEN |= {"texts": {"one": "abab" * 999}, "vocabulary": tm.tasks.Vocabulary("ab"), "array": np.ones(2)}
TABLE = {"town": ["a"] * 4 + ["b"] * 4, "size": range(8), "rent": range(8)}
SPECIAL: dict[str, Callable[[], Any]] = {
    "Gymnasium": lambda: tm.tasks.Gymnasium(dict, rules, 3),
    "TableTasks": lambda: tm.tasks.load_table(TABLE, task="town", target="rent", shots=1, query=1),
    "Validation": lambda: tm.meta.Validation(squares),
    "Tensor": lambda: tm.tensor([1.0, -0.0, np.nan]),
    "UserError": lambda: tm.UserError("what, where, and how to put it right"),
    "CompileWarning": lambda: tm.CompileWarning("slower"),
    "DataError": lambda: tm.tasks.DataError("short"),
    "ImageClasses": lambda: CLASSES,
    "LocalMatcher": lambda: tm.meta.LocalMatcher(tm.tanh, 2, 3, rng=rng()),
    "PolicySearch": policy_search,
    "ResidualBlock": lambda: tm.nn.ResidualBlock(2, 8, rng=rng()),
    "Sequential": lambda: tm.nn.Sequential(tm.nn.Linear(3, 2, rng=rng()), tm.tanh),
}
SAY_WHY_NOT = {"Workers", "Dask"}


def public_classes() -> Iterator[type]:
    for room in ROOMS:
        module = import_module(room)
        for name in sorted(today()["tm" if room == "tinymeta" else room]):
            found = getattr(module, name, None)
            if inspect.isclass(found) and not issubclass(found, Primitive) and name not in NO_OBJECTS | SAY_WHY_NOT:
                yield found


def made(kind: type) -> Any:
    """An object of the class."""
    if kind.__name__ in SPECIAL:
        return SPECIAL[kind.__name__]()
    needed = [p for p in inspect.signature(kind).parameters.values() if p.default is p.empty or p.name == "network"]
    needed = [p for p in needed if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    given = {p.name: GIVEN[p.name]() if p.name in ("rng", "model") else GIVEN[p.name] for p in needed}
    return kind(**given)


CLASSES_TRIED = {f"{kind.__module__.split('.')[1]} {kind.__name__}": kind for kind in public_classes()}
WAYS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
}


def content(x: Any) -> Any:
    """All that an object holds, for comparison."""
    return (type(x), x.args) if isinstance(x, Exception) else frozen(x)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", CLASSES_TRIED.values(), ids=CLASSES_TRIED)
def test_a_copy_holds_what_the_original_does(kind: type, way: str) -> None:
    x = made(kind)
    assert content(WAYS[way](x)) == content(x)


def test_what_is_sent_to_another_process_and_back_is_the_same() -> None:
    objects = [made(kind) for kind in CLASSES_TRIED.values()]
    with tm.meta.Workers(1) as one:
        for x, back in zip(objects, gather(one, itself, [(x,) for x in objects])):
            assert content(back) == content(x)


def itself(x: Any) -> Any:
    return x


@pytest.mark.parametrize("way", WAYS)
def test_what_an_object_has_recorded_for_itself_is_made_anew_by_its_copy(way: str) -> None:
    phi = tm.tensor([1.0, 2.0])
    used = tm.meta.TRPO(squares)
    found = used.judge(phi, 0.0)
    twin = WAYS[way](used)
    assert content(twin) == content(tm.meta.TRPO(squares))
    assert content(twin.judge(phi, 0.0)) == content(found)


def test_a_difference_in_what_objects_hold_is_seen() -> None:
    model = network(rng())
    other = tm.tree.map(lambda p: p + 1e-12, model)
    assert content(model) == content(network(rng())) != content(other)


@pytest.mark.parametrize("way", WAYS)
def test_workers_are_not_copied_and_say_why(way: str) -> None:
    with tm.meta.Workers(1) as workers, pytest.raises(TypeError, match="processes.*make them where"):
        WAYS[way](workers)


def test_a_copied_model_shares_nothing_that_may_change() -> None:
    model = network(rng())
    for way in WAYS.values():
        twin = way(model)
        twin.head = None
        assert model.head is not None


def gain(model: Any, x: Any) -> Any:
    return tm.sum(model(x) ** 2)


def test_objects_serve_several_threads_at_once() -> None:
    """Four threads meet in the same model, compiled function and optimizer, and each gets what one alone does."""
    model, x = network(rng()), np.random.default_rng(1).normal(size=(5, 2))
    slope = tm.compile(tm.grad(gain))
    together = threading.Barrier(4, timeout=60)

    def work(_: int) -> Any:
        together.wait()
        state, params = STEP.init(model), model
        for _ in range(3):
            params, state = STEP.update(slope(params, x), state, params)
        return content(params)

    alone = model
    state = STEP.init(model)
    for _ in range(3):
        alone, state = STEP.update(tm.compile(tm.grad(gain))(alone, x), state, alone)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [content(alone)] * 4
