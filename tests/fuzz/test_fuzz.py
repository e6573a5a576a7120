"""Random programs agree compiled and eager, and what is drawn is all there is.

Seeds are fixed, so that a failure stays; TINYMETA_FUZZ_SEED sets another first one ("new": a random one, which is
printed). `python -m tests.fuzz` goes on for as long as one likes.
"""

from __future__ import annotations

import os
import secrets
from typing import Any

import numpy as np
import pytest

import tinymeta as tm
from tests.fuzz import arrays, builder, layers, learners, losses, networks, operations, optimizers, vocabulary
from tests.fuzz.agreement import Program, Refused, is_noise
from tests.fuzz.functions import FUNCTIONS, OTHERS
from tinymeta import meta, nn, optim
from tinymeta.compile.program.operations import Operation

_given = os.environ.get("TINYMETA_FUZZ_SEED", "0")
SEED = secrets.randbelow(1 << 40) if _given == "new" else int(_given)
CHUNKS = {"networks": (networks, 8, 10), "arrays": (arrays, 5, 60), "programs": (builder, 5, 60)}


@pytest.mark.parametrize("kind, chunk", [(kind, k) for kind, (_, chunks, _) in CHUNKS.items() for k in range(chunks)])
def test_random_programs_agree_compiled_and_eager(kind: str, chunk: int) -> None:
    module, _, size = CHUNKS[kind]
    compared = 0
    for seed in range(SEED + chunk * size, SEED + (chunk + 1) * size):
        case: Any = module.draw(seed)  # type: ignore[attr-defined]
        try:
            said = case.check()
        except Refused:
            continue
        compared += 1
        assert not said, f"{said}\npython -m tests.fuzz {kind} --seed {seed} --count 1"
    assert compared > size // 2


def test_a_case_is_what_its_text_says() -> None:
    for module in (networks, arrays, builder):
        case: Any = module.draw(5)  # type: ignore[attr-defined]
        names = {name: getattr(module, name) for name in module.__all__}  # type: ignore[attr-defined]
        made = eval(repr(case), {**names, "dtype": __import__("numpy").dtype})
        assert repr(made) == repr(case) == repr(module.draw(5))  # type: ignore[attr-defined]


def test_every_function_of_the_array_api_has_a_strategy() -> None:
    assert set(tm.ops.__all__) == {*FUNCTIONS, *OTHERS}


def test_every_layer_and_loss_has_a_strategy() -> None:
    known = {*layers.LAYERS, *layers.OTHERS}
    assert not set(nn.__all__) - known
    assert not {name for name in layers.OTHERS if name not in nn.__all__}
    drawn_as_losses = {name for name, why in layers.OTHERS.items() if "loss" in why}
    assert drawn_as_losses <= set(losses.LOSSES)


def test_every_learner_has_a_strategy() -> None:
    known = {*learners.LEARNERS, *learners.WITHIN, *learners.OTHERS}
    assert not set(meta.__all__) - known
    assert set(learners.WITHIN.values()) <= set(learners.LEARNERS)


def test_every_optimizer_has_a_strategy() -> None:
    assert set(optim.__all__) == {*optimizers.OPTIMIZERS, *optimizers.CLIPS, *optimizers.OTHERS}
    made_here = {
        name for name, f in vars(optim.schedules).items() if getattr(f, "__module__", "") == optim.schedules.__name__
    }
    assert {name for name in made_here if not name.startswith("_")} == set(optimizers.SCHEDULES)


def test_every_operation_of_the_compiler_has_a_strategy() -> None:
    kinds = [Operation]
    for kind in kinds:
        kinds += [c for c in kind.__subclasses__() if c.__module__.startswith("tinymeta.compile.program.")]
    classes = {kind.__name__ for kind in kinds if not kind.__subclasses__()}
    assert not classes - {*vocabulary.VOCABULARY, *vocabulary.OTHERS}


@pytest.mark.parametrize(
    "module, wanted, count",
    [
        (arrays, {f"function {name}" for name in operations.OPERATIONS}, 2500),
        (networks, {f"{k} {name}" for k, t in (("layer", layers.LAYERS), ("loss", losses.LOSSES)) for name in t}, 300),
        (networks, {f"learner {name}" for name in learners.LEARNERS}, 300),
        (builder, {f"operation {name}" for name in vocabulary.VOCABULARY if " " not in name and name != "Call"}, 300),
    ],
    ids=["functions", "layers and losses", "learners", "operations"],
)
def test_everything_that_has_a_strategy_comes(module: Any, wanted: set[str], count: int) -> None:
    seen: set[str] = set()
    for seed in range(count):
        seen.update(module.draw(seed).names())
        if wanted <= seen:
            break
    assert not wanted - seen


def test_a_sign_of_what_is_0_but_for_rounding_is_no_fault() -> None:
    """The mean of what a norm has centred: a rewritten program finds that it is 0, and eager code a last bit."""

    def squared(x: Any) -> Any:
        return tm.sum((x * tm.sign(tm.mean(x - tm.mean(x)))) ** 2)

    x = next(x for x in np.random.default_rng(0).normal(size=(20, 7)) if float(squared(x)) > 0)
    program = Program(squared, lambda k: (x,))
    zero = [np.zeros(())]
    assert is_noise(program, np.dtype(float), 0, zero, [np.asarray(squared(x))])


def test_a_checkpoint_that_sees_the_noise_says_nothing() -> None:
    large = tm.checkpoint(lambda x: tm.sin(1e16 * x))
    program = Program(tm.grad(lambda x: tm.sum(large(x))), lambda k: (np.ones(3),))
    right = [np.asarray(program.f(np.ones(3)))]
    assert is_noise(program, np.dtype(float), 0, right, right) is False
