"""The character model of the `language` recipe, what it writes, and how a text surprises it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import tinymeta as tm
from tinymeta.engine.typing import Array, DTypeLike, Tree
from tinymeta.view import plots
from tinymeta.view.style import GREY, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EMBEDDING = 24
MOST = 8.0  # bits of a character with the darkest ground


class CharacterModel(tm.nn.Module):
    """Codes of characters (…, length) to logits of the next ones (…, length, symbols), by a gated recurrent unit."""

    def __init__(self, symbols: int, units: int, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> None:
        self.embed = tm.nn.Embedding(symbols, EMBEDDING, rng=rng, dtype=dtype)
        self.cell = tm.nn.GRUCell(EMBEDDING, units, rng=rng, dtype=dtype)
        self.out = tm.nn.Linear(units, symbols, rng=rng, dtype=dtype)

    def __call__(self, codes: Any) -> tm.Tensor:
        x = self.embed(codes)
        h = self.cell.start(*x.shape[:-2])
        states = []
        for t in range(x.shape[-2]):
            h = self.cell(x[..., t, :], h)
            states.append(h)
        return self.out(tm.stack(states, -2))


def bits(model: Tree, batch: Tree) -> tm.Tensor:
    """Bits per character of a batch (x, y)."""
    return tm.meta.classification(model, batch) / np.log(2)  # type: ignore[no-any-return]


def bits_each(model: CharacterModel, x: Array, y: Array) -> Array:
    """Bits of every character of y: (…, length)."""
    each: Array = tm.nn.cross_entropy_each(model(x), y).numpy() / np.log(2)
    return each


def written(model: CharacterModel, first: int, count: int, rng: np.random.Generator) -> Array:
    """The codes of `count` characters that the model writes after the character `first`, at temperature 0.7."""
    code, h, codes = first, model.cell.start(), []
    for _ in range(count):
        h = model.cell(model.embed(np.int64(code)), h)
        logits = model.out(h).numpy().astype(np.float64) / 0.7
        chance = np.exp(logits - logits.max())
        code = int(rng.choice(len(chance), p=chance / chance.sum()))
        codes.append(code)
    return np.array(codes, np.int64)


@styled
def surprise(lines: list[str], readings: dict[str, Array]) -> Figure:
    """Lines of text, each once per reading, by the bits of its characters, (lines, characters)."""
    bits = list(zip(*readings.values()))
    names = [f"{name}, {each.mean():.1f} bits" for line in bits for name, each in zip(readings, line)]
    texts = [[[c if c.isprintable() else "¶" for c in line]] * len(readings) for line in lines]
    figure = plots.cells(
        [0.9 * np.minimum(np.stack(line) / MOST, 1) for line in bits],
        texts,
        rows=names,
        colours="Oranges",
        span=(0, 1),
        title="A language not trained on: the darker, the less expected",
        family="monospace",
    )
    figure.axes[0].tick_params(labelcolor=GREY)
    return figure
