"""Recording: run the function once, and write down every operation that passes through `bind`.

What the function does besides operations happens once, at recording, and never again. A Python decision
that depends on a value would therefore give wrong results without a word (the other branch would be
lost), and is an error here; what else can't be recorded is found out in `surroundings.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinymeta.compile.key import frozen
from tinymeta.compile.program import well_formed
from tinymeta.compile.program.calls import Check, is_by_value
from tinymeta.compile.program.program import Builder, Program
from tinymeta.compile.record.body import Body, Unrolled, recorded
from tinymeta.compile.record.number import Number, number, scalar
from tinymeta.compile.record.results import Kept, others
from tinymeta.compile.record.translate import fits, translate
from tinymeta.compile.verify import checking
from tinymeta.engine import tree
from tinymeta.engine.convert import plain
from tinymeta.engine.errors import UserError, user_site
from tinymeta.engine.primitive import Primitive, aligned, part
from tinymeta.engine.state import Watcher, setting, state
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import Static, Y

NUMBERS = (int, float, complex)
NUMERIC = "fciub"  # the kinds of dtypes that a Tensor may have
LARGE = 1 << 16  # bytes of a result that recording lets go of,
KEPT = 1 << 27  # once it has kept so many; up to there, its results are those of the eager run


class Recording(NamedTuple):
    """What one run of a function left: its program, and the form of its results."""

    program: Program
    structure: tree.Structure
    others: list[Any]  # how leaves of the results that are no Tensors come about (`results.py`); None for a Tensor
    followed: bool  # whether it read a Tensor from outside that a differentiation follows
    results: list[Array] | None  # those of this run; None if what it computed with was let go of
    numbers: tuple[tuple[int, bytes], ...] = ()  # what Python asked for: a recording is for these alone;
    holders: tuple[tuple[int, Any], ...] = ()  # and for these leaves, where an object that is reached is returned
    shown: bool = False  # whether a value became text
    unrolled: str = ""  # why its scans are written out turn after turn, if they are


class Transcriber(Watcher):
    """Hears of each operation and writes it into a program; a lean one lets go of large results at once. One that has
    an `outer` one writes the body of a loop, whose arguments are also the Tensors of the outer program."""

    def __init__(self, lean: bool, rolls: bool = True, outer: Transcriber | None = None) -> None:
        self.builder = Builder()
        self.lean, self.rolls, self.outer = lean, rolls, outer
        self.taken = 0  # arguments
        self.captured: list[Tensor] = []  # those among them that are Tensors of the outer program
        self.made: set[int] = set()  # the Tensors of this program,
        self.within: set[int] = set()  # and those of its loops' bodies, which have no value outside of these
        self.kept = 0  # bytes of large results
        self.let_go = False  # whether it has let go of a result
        self.nodes: dict[int, Any] = {}  # a Tensor's id → the node that makes it; of several results, the nodes
        self.followed = False
        self.undecided: UserError | None = None  # Python asked for a value that a program doesn't have
        self.refusal: UserError | None = None  # an operation refused the values of this run
        self.has_shown = False  # whether a value that the program computes became text
        self.asked = False  # whether Python asked what a number among the arguments is

    def take(self, x: Tensor) -> Tensor:
        """`x` becomes the program's next argument."""
        self.nodes[x.id] = self.builder.input(self.taken, x.array.shape, x.array.dtype)
        self.taken += 1
        return x

    def node(self, x: Tensor) -> Any:
        """The node of a Tensor; one that no recorded operation made is a constant, as it is now."""
        if x.id in self.within:
            raise Unrolled(f"a Tensor of one turn of a scan is used outside of it ({user_site()})")
        if x.id not in self.nodes and self.outer is not None and (x.tracked or self.outer.knows(x)):
            self.captured.append(x)
            self.take(x)
        elif x.id not in self.nodes:
            self.followed |= x.requires_grad
            self.nodes[x.id] = self.builder.constant(np.array(x.array))
        return self.nodes[x.id]

    def knows(self, x: Tensor) -> bool:
        """Whether the program, or one around it, has made the Tensor, or it is of a body and has no business here."""
        return x.id in self.nodes or x.id in self.within or (self.outer is not None and self.outer.knows(x))

    def body(self, f: object, run: Callable[[list[Tensor]], list[Tensor]], leaves: list[Tensor]) -> Body:
        return recorded(self, f, run, leaves)

    def listening(self, run: Callable[[], Y]) -> Y:
        """What `run` gives, while this one looks on."""
        with setting(watchers=(self,)):
            return run()

    def met(self, inner: Transcriber) -> None:
        """What a body has found out concerns the whole."""
        self.within |= inner.within | inner.made
        self.followed |= inner.followed
        self.has_shown |= inner.has_shown
        self.asked |= inner.asked

    def saw(self, primitive: type[Primitive], inputs: tuple[Tensor, ...], static: Static, output: Tensor) -> None:
        node: Any = self._written_out(primitive, inputs, static, output.array)
        if node is None:
            node = self._translated(primitive, inputs, static, output.array)
        self.nodes[output.id] = node
        self.made.add(output.id)
        y = output.array
        if self.lean and isinstance(y, np.ndarray) and y.nbytes >= LARGE and self.builder.nodes[node].value is None:
            self.kept += y.nbytes
            if self.kept > KEPT:
                output.array, self.let_go = _light(y), True

    def _written_out(
        self, primitive: type[Primitive], inputs: tuple[Tensor, ...], static: Static, y: Any
    ) -> int | tuple[int, ...] | None:
        """The node of a fused operation in others, its plain form; None if it has none, or one in another dtype."""
        domains = [*primitive.domain, *primitive.domain[-1:] * len(inputs)]
        if primitive.plain is None or any(x.dtype.kind != "f" for x, d in zip(inputs, domains) if d.kind == "real"):
            return None
        twins = [Tensor(x.array, x.batch) for x in inputs]  # without their past, which concerns the fused one alone
        for twin, x in zip(twins, inputs):
            twin.opened = x.opened
            self.nodes[twin.id] = self.node(x)
        plain = primitive.plain
        found = self.listening(lambda: plain(*twins, **static))
        several = type(found) is tuple
        nodes = tuple(self.node(t) for t in (found if several else (found,)))
        if not all(fits(self.builder, i, part) for i, part in zip(nodes, y if several else (y,))):
            return None
        return nodes if several else nodes[0]

    def _translated(
        self, primitive: type[Primitive], inputs: tuple[Tensor, ...], static: Static, y: object
    ) -> int | tuple[int, ...]:
        """The node of an operation in the compiler's vocabulary."""
        batch = max((x.batch for x in inputs), default=0) if primitive.aligns else 0
        nodes = [self.node(x) for x in inputs]
        if primitive is part and type(nodes[0]) is tuple:
            return int(nodes[0][static["index"]])
        if batch:
            shapes = [a.shape for a in aligned(inputs, batch, primitive.broadcasts)]
            nodes = [self.builder.reshape(i, shape) for i, shape in zip(nodes, shapes)]
        return translate(self.builder, primitive, tuple(nodes), static, y, batch)

    def demanded(self, check: Callable[..., None], inputs: tuple[Tensor, ...], static: Static) -> None:
        self.builder.add(Check(check, frozen(static), static), *[self.node(x) for x in inputs], shape=())

    def refused(self, inputs: tuple[Tensor, ...], error: Exception, raises: bool) -> None:
        whole = self
        while whole.outer is not None:
            whole = whole.outer
        if (raises or is_by_value(error)) and any(map(self.depends, inputs)):
            whole.refusal = UserError(
                f"the function catches an error that depends on the values of its arguments ({error}), and tm.compile "
                "records one way alone: look at the values before the call, or choose with tm.where(condition, a, b)"
            )

    def depends(self, x: Tensor) -> bool:
        """Whether a Tensor's value depends on the arguments."""
        if x.id not in self.nodes:
            return self.outer is not None and self.outer.depends(x)
        return self.builder.nodes[self.nodes[x.id]].value is None

    def shown(self, tensor: Tensor) -> None:
        self.asked |= isinstance(tensor, Number)
        self.has_shown |= not isinstance(tensor, Number) and tensor.id in self.nodes

    def read(self, tensor: Tensor, how: str) -> None:
        if tensor.id not in self.nodes and self.outer is not None:
            self.outer.read(tensor, how)
        if not self.depends(tensor):
            return
        self.undecided = UserError(
            f"{user_site()} takes the value of a Tensor as a Python {how} while tm.compile records, and that value "
            "depends on the arguments: a compiled function runs the same operations every time. Choose with "
            "tm.where(condition, a, b), or, if the value comes from an argument that seldom changes, name that "
            "argument in static_argnames"
        )
        raise self.undecided


def record(
    f: Callable[[list[Any]], Any],
    leaves: Sequence[Any],
    captured: Sequence[Tensor],
    reached: Callable[[object], bool] = lambda x: False,
    as_given: bool = False,
) -> Recording:
    """Run `f` once on `leaves` (arrays and Python numbers; all else is passed on as it is) and write down its program.

    `captured` are Tensors that `f` reaches by itself and that are arguments of the program all the same, the last ones;
    `reached` tells whether it reaches an object. With `as_given` no Tensor stands in for a number: for these alone.
    """
    lean, unrolled = True, ""
    with np.errstate(all="ignore"):
        while True:
            transcriber = Transcriber(lean, rolls=not unrolled)
            transcriber.asked = as_given
            try:
                return _recorded(f, leaves, captured, reached, transcriber)._replace(unrolled=unrolled)
            except Unrolled as why:
                unrolled = str(why)
            except Exception:
                if transcriber.undecided is not None or not transcriber.let_go:
                    raise
                lean = False  # it may be the numbers, of which only the first were there


def _recorded(
    f: Callable[[list[Any]], Any],
    leaves: Sequence[Any],
    captured: Sequence[Tensor],
    reached: Callable[[object], bool],
    transcriber: Transcriber,
) -> Recording:
    given: list[Any] = []
    taken: list[Tensor] = []
    for x in leaves:
        fresh = dynamic(x)
        if fresh is not None:
            taken.append(transcriber.take(fresh))
        given.append(x if fresh is None or (transcriber.asked and isinstance(fresh, Number)) else fresh)
    for x in captured:
        transcriber.take(x)
    with setting(watchers=(*state.watchers, transcriber)):
        results, structure = tree.flatten(f(given))
    if caught := transcriber.undecided or transcriber.refusal:  # the function has gone the other way
        raise caught
    arrays = [isinstance(y, (np.ndarray, np.generic)) and y.dtype.kind in NUMERIC for y in results]
    tensors = [Tensor(y) if array else y for y, array in zip(results, arrays)]
    found = [transcriber.node(y) for y in tensors if isinstance(y, Tensor)]
    rest = others(tensors, leaves, reached, transcriber.has_shown)
    program = transcriber.builder.finished(found)
    if checking():
        well_formed.check(program)
    kept = None if transcriber.let_go else [y.array for y in tensors if isinstance(y, Tensor)]
    asked = [(k, x.array.tobytes()) for k, x in enumerate(taken) if transcriber.asked and isinstance(x, Number)]
    keeps = any(type(y) is Kept for y in rest)
    holders = [(k, x) for k, x in enumerate(leaves) if keeps and not isinstance(x, (Tensor, np.ndarray))]
    shown = transcriber.has_shown or transcriber.asked
    return Recording(program, structure, rest, transcriber.followed, kept, tuple(asked), tuple(holders), shown)


def _light(data: Array) -> Array:
    """An array of the same shape and dtype in the memory of one number: nobody asks what a recording computes, and
    what it keeps for derivatives may be far more than the program needs."""
    return np.broadcast_to(data.reshape(-1)[:1].copy().reshape(()), data.shape)


def dynamic(x: object) -> Tensor | None:
    """A leaf as the Tensor that stands for it while recording; None for a static leaf (a bool, a string, …)."""
    if isinstance(x, Tensor):
        return Tensor(x.array)
    if type(x) in NUMBERS:
        return number(x) if np.asarray(x).dtype.kind in "ifc" else None  # larger integers than 2⁶³ are static
    if isinstance(x, np.generic) and type(x).__module__ == "numpy":
        return scalar(x) if x.dtype.kind in NUMERIC else None
    if isinstance(x, np.ndarray):
        return Tensor(plain(x)) if x.dtype.kind in NUMERIC else None
    return None
