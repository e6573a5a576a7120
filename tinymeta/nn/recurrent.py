"""Recurrent cells, one step of time each, and what leads a cell along a sequence."""

from __future__ import annotations

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import ShapeError, user_site
from tinymeta.engine.options import wholes
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.typing import DTypeLike, Tree
from tinymeta.nn import init
from tinymeta.nn.module import Module
from tinymeta.ops.logistic import sigmoid, tanh
from tinymeta.ops.scan import scan
from tinymeta.ops.shape import moveaxis, split


class LSTMCell(Module):
    """Long short-term memory, one step of time, with a forget gate whose bias starts at 1.

        i, f, o = σ(x Wᵢ + h Uᵢ + bᵢ), …         input, forget and output gates
        c ← f ∘ c + i ∘ tanh(x W_g + h U_g + b_g)
        h ← o ∘ tanh(c)

    The result is the new state, whose first entry is also the output.

    Shapes: x (…, inputs), the state a pair (h, c) of (…, width) → the new pair.
    Raises: ShapeError where x and state don't fit:
    `tm.nn.LSTMCell(2, 3, rng=np.random.default_rng(0))([1.0], (tm.zeros(3), tm.zeros(3)))`.
    Source: Hochreiter & Schmidhuber 1997; Gers et al. 2000; Jozefowicz et al. 2015 for the bias.

    >>> cell = tm.nn.LSTMCell(2, 3, rng=np.random.default_rng(0))
    >>> h, c = cell(np.ones((5, 2)), cell.start(5))
    >>> h.shape, c.shape
    ((5, 3), (5, 3))
    """

    def __init__(self, inputs: int, width: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> None:
        inputs, width = wholes((inputs, width), "a cell's size")
        self.from_input = init.glorot_uniform(rng, (inputs, 4 * width), inputs, width, dtype)
        self.from_state = init.orthogonal(rng, (width, 4 * width), width, width, dtype)
        bias = np.zeros(4 * width, dtype)
        bias[width : 2 * width] = 1
        self.bias = Tensor(bias)

    def start(self, *leading: int) -> tuple[Tensor, Tensor]:
        """The state before the first step: zeros of shape (*leading, width)."""
        shape = (*leading, self.from_state.shape[0])
        return init.zeros(shape, self.bias.dtype), init.zeros(shape, self.bias.dtype)

    def __call__(self, x: ArrayLike, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return self.advance(self.drive(_checked(self, x, state[0])), state)

    def drive(self, x: Tensor) -> Tensor:
        """What x, of any leading axes, contributes to the gates."""
        return x @ self.from_input + self.bias

    def advance(self, drive: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The state that `drive` leads to."""
        h, c = state
        i, f, g, o = split(drive + h @ self.from_state, 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c


class GRUCell(Module):
    """Gated recurrent unit, one step of time, in the form that libraries compute:

        r, z = σ(x W_r + h U_r + b_r), …         reset and update gates
        n = tanh(x W_n + b_n + r ∘ (h U_n + d_n))
        h ← (1 − z) ∘ n + z ∘ h

    The result is the new state, which is also the output.

    Shapes: x (…, inputs), the state h (…, width) → the new h.
    Raises: ShapeError where x and state don't fit:
    `tm.nn.GRUCell(2, 3, rng=np.random.default_rng(0))([1.0], tm.zeros(3))`.
    Source: Cho et al. 2014.

    >>> cell = tm.nn.GRUCell(2, 3, rng=np.random.default_rng(0))
    >>> cell(np.ones((5, 2)), cell.start(5)).shape
    (5, 3)
    """

    def __init__(self, inputs: int, width: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> None:
        inputs, width = wholes((inputs, width), "a cell's size")
        self.from_input = init.glorot_uniform(rng, (inputs, 3 * width), inputs, width, dtype)
        self.from_state = init.orthogonal(rng, (width, 3 * width), width, width, dtype)
        self.bias = init.zeros((3 * width,), dtype)
        self.state_bias = init.zeros((width,), dtype)

    def start(self, *leading: int) -> Tensor:
        """The state before the first step: zeros of shape (*leading, width)."""
        return init.zeros((*leading, self.from_state.shape[0]), self.bias.dtype)

    def __call__(self, x: ArrayLike, state: Tensor) -> Tensor:
        return self.advance(self.drive(_checked(self, x, state)), state)

    def drive(self, x: Tensor) -> Tensor:
        """What x, of any leading axes, contributes to the gates."""
        return x @ self.from_input + self.bias

    def advance(self, drive: Tensor, state: Tensor) -> Tensor:
        """The state that `drive` leads to."""
        xr, xz, xn = split(drive, 3, -1)
        hr, hz, hn = split(state @ self.from_state, 3, -1)
        z = sigmoid(xz + hz)
        n = tanh(xn + sigmoid(xr + hr) * (hn + self.state_bias))
        return (1 - z) * n + z * state


class Sequence(Module):
    """A recurrent cell led along a sequence by `tm.scan`.

    `layer(xs, state=None, *, reverse=False, checkpoint=False)` with xs of shape (…, time, inputs) gives the outputs
    (…, time, width) and the last state. What the inputs contribute is one product for all times, and so is its
    gradient. `reverse` reads the sequence from its end; `checkpoint` keeps every k-th state alone (see `tm.scan`).

    Raises: ShapeError if xs has other inputs than the cell, or `state` other leading axes than xs.
    """

    def __init__(self, cell: LSTMCell | GRUCell) -> None:
        self.cell = cell

    def start(self, *leading: int) -> Tree:
        """The state before the first step: zeros of shape (*leading, width)."""
        return self.cell.start(*leading)

    def __call__(
        self, xs: ArrayLike, state: Tree = None, *, reverse: bool = False, checkpoint: bool | int = False
    ) -> tuple[Tensor, Tree]:
        xs, cell = as_tensor(xs), self.cell
        if xs.ndim < 2:
            raise ShapeError(
                f"{type(self).__name__} reads sequences (…, time, inputs), not shape {xs.shape} ({user_site()})"
            )
        if state is None:
            wide = np.result_type(xs.dtype, cell.from_input.dtype)  # as Linear's outputs are
            state = tree.map(lambda start: start.astype(wide), self.start(*xs.shape[:-2]))
        _checked(cell, Tensor(np.empty((*xs.shape[:-2], xs.shape[-1]))), _output(state))

        def turn(state: Tree, drive: Tensor) -> tuple[Tree, Tensor]:
            state = cell.advance(drive, state)
            return state, _output(state)

        drives = moveaxis(cell.drive(xs), -2, 0)
        state, outputs = scan(turn, state, drives, reverse=reverse, checkpoint=checkpoint)
        return moveaxis(outputs, 0, -2), state


class LSTM(Sequence):
    """`LSTMCell` along a sequence.

    Shapes: xs (…, time, inputs) → outputs (…, time, width) and the last (h, c).
    Raises: ShapeError for fewer axes, other inputs than the cell's, or a state of other leading axes:
    `tm.nn.LSTM(3, 4, rng=np.random.default_rng(0))(np.zeros((5, 2)))`.

    >>> outputs, (h, c) = tm.nn.LSTM(3, 4, rng=np.random.default_rng(0))(np.zeros((2, 5, 3), np.float32))
    >>> outputs.shape, h.shape
    ((2, 5, 4), (2, 4))
    """

    def __init__(self, inputs: int, width: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> None:
        super().__init__(LSTMCell(inputs, width, rng=rng, dtype=dtype))


class GRU(Sequence):
    """`GRUCell` along a sequence.

    Shapes: xs (…, time, inputs) → outputs (…, time, width) and the last state.
    Raises: ShapeError for fewer axes, other inputs than the cell's, or a state of other leading axes:
    `tm.nn.GRU(3, 4, rng=np.random.default_rng(0))(np.zeros((5, 2)))`.

    >>> outputs, last = tm.nn.GRU(3, 4, rng=np.random.default_rng(0))(np.zeros((2, 5, 3), np.float32))
    >>> outputs.shape, last.shape
    ((2, 5, 4), (2, 4))
    """

    def __init__(self, inputs: int, width: int, *, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> None:
        super().__init__(GRUCell(inputs, width, rng=rng, dtype=dtype))


def _output(state: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    return state[0] if isinstance(state, tuple) else state


def _checked(cell: LSTMCell | GRUCell, x: ArrayLike, h: Tensor) -> Tensor:
    x = as_tensor(x)
    inputs, width = cell.from_input.shape[0], cell.from_state.shape[0]
    if x.ndim == 0 or x.shape[-1] != inputs or h.shape != (*x.shape[:-1], width):
        name = type(cell).__name__
        raise ShapeError(
            f"{name}({inputs}, {width}) needs x (…, {inputs}) and a state (…, {width}) with equal leading axes, not "
            f"{x.shape} and {h.shape} ({user_site()}): cell.start(*x.shape[:-1]) makes the first state"
        )
    return x
