"""Characters of which many have a wrong label: what the recipes about bad labels share.

A repetition is ten characters of ten generated alphabets, so that repetitions have nothing in common. They are the
leading axis of every array, and are trained on all at once. How long to train is chosen, too, among a few times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

import tinymeta as tm
from tinymeta.engine.errors import UserError
from tinymeta.engine.typing import Array, Function, Tree

CLASSES, SIDE = 10, 14  # pixels of a side, after halving
PIXELS = SIDE**2
SHIFT = 1  # pixels: how far a batch is shifted at most
STOPS = 6  # times at which training may stop: each method chooses
FLIPS = {"any class": None, "one class": 0}  # what a flipped label becomes, and flip_background's class for it


class Images(NamedTuple):
    """Images class by class, (repetitions, n, pixels), scaled to mean 0 and variance 1 in `noisy`."""

    noisy: Array
    clean: Array
    test: Array


class Data(NamedTuple):
    """Examples (x, y)."""

    pool: tuple[Array, Array]  # noisy examples, and then the clean ones
    wrong: Array  # which of the noisy labels are wrong
    clean: tuple[Array, Array]
    test: tuple[Array, Array]


def draw(seed: int, repetitions: int, each: tuple[int, int, int]) -> Images:
    """Characters, halved in size: `each` images per class that are noisy, clean and for the test, by other hands."""
    drawn = tm.tasks.glyphs(alphabets=repetitions * CLASSES, characters=1, hands=sum(each), seed=seed).images
    halved = drawn.reshape(-1, SIDE, 2, SIDE, 2).mean((-3, -1), dtype=np.float32)
    parts = np.split(halved.reshape(repetitions, CLASSES, -1, PIXELS), np.cumsum(each[:2]), axis=2)
    flat = [part.reshape(repetitions, -1, PIXELS) for part in parts]
    mean, deviation = flat[0].mean(1, keepdims=True), flat[0].std((1, 2), keepdims=True)
    return Images(*((part - mean) / deviation for part in flat))


def divided(
    seed: int, repetitions: tuple[int, int], each: tuple[int, int, int], rate: float, rngs: Mapping[str, Any]
) -> tuple[dict[str, Data], dict[str, Data]]:
    """Repetitions to choose settings on, and others for the test, by the ways of flipping that `rngs` has a stream for.

    Raises: UserError where `rate` is no share.
    """
    if rate > 1:
        raise UserError(f"flipped is a share from 0 to 1, not {rate}")
    parts = [draw(2 * seed + odd, number, each) for odd, number in zip((1, 0), repetitions)]
    data = {flips: [labelled(part, flips, rate, rng) for part in parts] for flips, rng in rngs.items()}
    return {flips: pair[0] for flips, pair in data.items()}, {flips: pair[1] for flips, pair in data.items()}


def labelled(images: Images, flips: str, rate: float, rng: np.random.Generator) -> Data:
    """The images with their labels, a share of those of `noisy` flipped (Ren et al. 2018, § 4.2)."""
    true, surely, asked = (
        np.tile(np.repeat(np.arange(CLASSES), part.shape[1] // CLASSES), (len(part), 1)) for part in images
    )
    background = FLIPS[flips]
    if background is None:
        given = tm.tasks.flip_uniform(rng, true, rate, CLASSES)
    else:
        given = tm.tasks.flip_background(rng, true, rate, background)
    pool = np.concatenate(images[:2], 1), np.concatenate([given, surely], 1)
    return Data(pool, given != true, (images.clean, surely), (images.test, asked))


def shifted(rng: np.random.Generator, x: Array) -> Array:
    """A batch moved by a pixel or so, so that none is seen twice alike."""
    by = rng.integers(-SHIFT, SHIFT + 1, 2)
    moved: Array = np.roll(x.reshape(*x.shape[:-1], SIDE, SIDE), by, (-2, -1)).reshape(x.shape)
    return moved


def networks(rng: np.random.Generator, repetitions: int, width: int) -> Tree:
    """As many networks with one hidden layer, as one whose leaves have a leading axis."""
    drawn = [tm.nn.MLP([PIXELS, width, CLASSES], rng=rng) for _ in range(repetitions)]
    return tm.tree.stack(drawn)


def accuracy(models: Tree, test: tuple[Array, Array]) -> Array:
    """Per cent of the test examples that the network of each repetition gets right: (repetitions,)."""
    one = lambda model, test: tm.nn.accuracy(model(test[0]), test[1])
    right: Array = 100 * tm.vmap(one)(models, test).numpy()
    return right


def trained(
    rng: np.random.Generator, config: Any, found: Data, state: Any, step: Function, last: float = 0.0
) -> tuple[Any, Array]:
    """The state after all steps `state = step(state, lesson, clean, some)`, the model being `state[0]`.

    A lesson is a batch of every repetition's pool, `some` says which of it; in a share `last` of the steps, the last
    ones, it is the clean examples alone, and `some` is None.

    Returns the state, and per cent right of the test for every time to stop: (STOPS, repetitions).
    """
    x, surely = found.clean
    right, stops = [], np.ceil(np.linspace(0, config.iterations, STOPS + 1))[1:]
    for taken in range(1, config.iterations + 1):
        some, lesson = batch(rng, found.pool, config.batch)
        clean, over = (shifted(rng, x), surely), taken > (1 - last) * config.iterations
        state = step(state, clean if over else lesson, clean, None if over else some)
        if taken in stops:  # several times to stop may come to one step
            right += [accuracy(state[0], found.test)] * int((stops == taken).sum())
    return state, np.stack(right)


def batch(rng: np.random.Generator, data: tuple[Array, Array], size: int) -> tuple[Array, tuple[Array, Array]]:
    """Random places in every repetition's examples, (repetitions, size), and the examples there."""
    x, y = data
    some, row = rng.integers(y.shape[1], size=(len(y), size)), np.arange(len(y))[:, None]
    return some, (shifted(rng, x[row, some]), y[row, some])


def stop(stage: int, steps: int) -> int:
    """How many of all `steps` there are until a time to stop."""
    return (stage + 1) * steps // STOPS
