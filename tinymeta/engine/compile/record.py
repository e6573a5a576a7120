"""Recording: run the function once, and write down every operation that passes through `bind`.

What the function does besides operations happens once, at recording, and never again. Two kinds of
code would therefore give wrong results without a word, and are errors here: a Python decision that
depends on a value (the other branch would be lost), and drawing random numbers (each call would see
the same ones).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.compile import verify_program
from tinymeta.engine.compile.key import frozen
from tinymeta.engine.compile.number import number
from tinymeta.engine.compile.operations import Check
from tinymeta.engine.compile.program import Builder, Program
from tinymeta.engine.compile.translate import translate
from tinymeta.engine.compile.verify import checking
from tinymeta.engine.convert import plain
from tinymeta.engine.errors import UserError, user_site
from tinymeta.engine.primitive import Primitive, _aligned
from tinymeta.engine.state import Watcher, setting, state
from tinymeta.engine.tensor import Array, Tensor

NUMBERS = (int, float, complex)
NUMERIC = "fciub"  # the kinds of dtypes that a Tensor may have
LARGE = 1 << 16  # bytes of a result that recording lets go of,
KEPT = 1 << 27  # once it has kept so many; up to there, its results are those of the eager run


class Recording(NamedTuple):
    """What one run of a function left: its program, and the form of its results."""

    program: Program
    structure: tree.Structure
    others: list[Any]  # leaves of the results that are no Tensors, as they are; None where a Tensor stands
    followed: bool  # whether it read a Tensor from outside that a differentiation follows
    results: list[Array] | None  # those of this run; None if what it computed with was let go of


class Recorder(Watcher):
    """Hears of each operation and writes it into a program; a lean one lets go of large results at once."""

    def __init__(self, lean: bool) -> None:
        self.builder = Builder()
        self.lean = lean
        self.kept = 0  # bytes of large results
        self.let_go = False  # whether it has let go of a result
        self.places: dict[int, int] = {}  # a Tensor's id → the node that makes it
        self.followed = False

    def take(self, x: Tensor, position: int) -> Tensor:
        """`x` becomes the program's argument number `position`."""
        self.places[x.id] = self.builder.input(position, x.data.shape, x.data.dtype)
        return x

    def place(self, x: Tensor) -> int:
        """The node of a Tensor; one that no recorded operation made is a constant, as it is now."""
        if x.id not in self.places:
            self.followed |= x.requires_grad
            self.places[x.id] = self.builder.constant(np.array(x.data))
        return self.places[x.id]

    def saw(
        self, primitive: type[Primitive], inputs: tuple[Tensor, ...], static: dict[str, Any], output: Tensor
    ) -> None:
        batch = max((x.batch for x in inputs), default=0) if primitive.aligns else 0
        places = [self.place(x) for x in inputs]
        if batch:
            shapes = [a.shape for a in _aligned(inputs, batch, primitive.broadcasts)]
            places = [self.builder.reshape(i, shape) for i, shape in zip(places, shapes)]
        self.places[output.id] = place = translate(self.builder, primitive, tuple(places), static, output.data, batch)
        y = output.data
        if self.lean and isinstance(y, np.ndarray) and y.nbytes >= LARGE and self.builder.nodes[place].value is None:
            self.kept += y.nbytes
            if self.kept > KEPT:
                output.data, self.let_go = _light(y), True

    def demanded(self, check: Callable[..., None], inputs: tuple[Tensor, ...], static: dict[str, Any]) -> None:
        self.builder.add(Check(check, frozen(static), static), *[self.place(x) for x in inputs], shape=())

    def read(self, tensor: Tensor, how: str) -> None:
        place = self.places.get(tensor.id)
        if place is None or self.builder.nodes[place].value is not None:
            return
        raise UserError(
            f"{user_site()} takes the value of a Tensor as a Python {how} while tm.compile records, and that value "
            "depends on the arguments: a compiled function runs the same operations every time. Choose with "
            "tm.where(condition, a, b), or, if the value comes from an argument that seldom changes, name that "
            "argument in static_argnames"
        )


def record(f: Callable[[list[Any]], Any], leaves: Sequence[Any], watched: Sequence[Any]) -> Recording:
    """Run `f` once on `leaves` (arrays and Python numbers; all else is passed on as it is) and write down its program.

    `watched` holds the function and whatever else random generators might be reached from.
    """
    with np.errstate(all="ignore"):
        recorder = Recorder(lean=True)
        try:
            return _recorded(f, leaves, watched, recorder)
        except UserError:
            raise
        except Exception:
            if not recorder.let_go:
                raise
            # It may be the numbers, of which only the first were there.
            return _recorded(f, leaves, watched, Recorder(lean=False))


def _recorded(
    f: Callable[[list[Any]], Any], leaves: Sequence[Any], watched: Sequence[Any], recorder: Recorder
) -> Recording:
    given: list[Any] = []
    position = 0
    for x in leaves:
        fresh = dynamic(x)
        given.append(x if fresh is None else recorder.take(fresh, position))
        position += fresh is not None
    before = _random_states(watched)
    with setting(watchers=(*state.watchers, recorder)):
        results, structure = tree.flatten(f(given))
    if _random_states(watched) != before:
        raise UserError(
            "the function draws random numbers, and tm.compile records it once, so every call would see the same "
            "ones: draw outside of the function, and pass the numbers in"
        )
    tensors = [Tensor(y) if isinstance(y, (np.ndarray, np.generic)) else y for y in results]
    found = [recorder.place(y) for y in tensors if isinstance(y, Tensor)]
    others = [None if isinstance(y, Tensor) else y for y in tensors]
    program = recorder.builder.finished(found)
    if checking():
        verify_program.recorded(program)
    kept = None if recorder.let_go else [y.data for y in tensors if isinstance(y, Tensor)]
    return Recording(program, structure, others, recorder.followed, kept)


def _light(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An array of the same shape and dtype in the memory of one number: nobody asks what a recording computes, and
    what it keeps for derivatives may be far more than the program needs."""
    return np.broadcast_to(data.reshape(-1)[:1].copy().reshape(()), data.shape)


def dynamic(x: Any) -> Tensor | None:
    """A leaf as the Tensor that stands for it while recording; None for a static leaf (a bool, a string, …)."""
    if isinstance(x, Tensor):
        return Tensor(x.data)
    if isinstance(x, NUMBERS) and not isinstance(x, bool):  # NumPy's float64 is a float, and as weak in eager code
        return number(x) if np.asarray(x).dtype.kind in "ifc" else None  # larger integers than 2⁶³ are static
    if isinstance(x, (np.ndarray, np.generic)):
        return Tensor(plain(x)) if x.dtype.kind in NUMERIC else None
    return None


def _random_states(roots: Sequence[Any]) -> list[str]:
    """The states of NumPy's and Python's global generators and of every Generator that can be reached from `roots`."""
    legacy = np.random.get_state(legacy=False)
    return [repr(random.getstate()), _text(legacy), *(_text(g.bit_generator.state) for g in _generators(roots))]


def _text(state: Any) -> str:
    """A generator's state, in full."""
    if isinstance(state, dict):
        return str({k: _text(v) for k, v in state.items()})
    return state.tobytes().hex() if isinstance(state, np.ndarray) else str(state)


def _generators(roots: Sequence[Any]) -> list[np.random.Generator]:
    """The random generators that can be reached from `roots`."""
    found: list[np.random.Generator] = []
    seen: dict[int, Any] = {}  # the objects themselves, so that no two share an id
    stack = list(roots)
    while stack:
        x = stack.pop()
        if id(x) in seen or isinstance(x, (Tensor, np.ndarray, ModuleType, type, str, bytes, *NUMBERS)):
            continue
        seen[id(x)] = x
        if isinstance(x, np.random.Generator):
            found.append(x)
        elif isinstance(x, FunctionType):
            stack += _held(x)
        elif isinstance(x, (dict, list, tuple)):
            stack += x.values() if isinstance(x, dict) else x
        else:
            stack += [getattr(x, name) for name in ("__self__", "__func__", "func", "args") if hasattr(x, name)]
            stack += getattr(x, "__dict__", {}).values()
    return found


def _held(f: FunctionType) -> list[Any]:
    """What a function holds: its closure, its defaults, and the globals that the user's code names."""
    cells = [cell.cell_contents for cell in f.__closure__ or () if cell != _EMPTY]
    if f.__module__.startswith("tinymeta."):
        return cells
    names = {name for code in _codes(f.__code__) for name in code.co_names}
    held = [f.__globals__[name] for name in names if name in f.__globals__]
    return [*cells, *held, *(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values()]


def _codes(code: CodeType) -> list[CodeType]:
    """The code of a function, and of those written inside of it."""
    return [code, *(inner for c in code.co_consts if isinstance(c, CodeType) for inner in _codes(c))]


_EMPTY = CellType()
