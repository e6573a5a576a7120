"""Recording a function together with what it reaches, and refusing what one recording can't stand for.

A compiled function runs Python once. So a recording counts only if the next run would write the same program: the
state that the function reaches is the same after it as before (else it is recorded once more, for what was filled in
while recording: a memo, a lazy attribute), no random numbers were drawn, and where the code reads a clock or an
iterator, a second recording gives an equal program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinymeta.compile.key import frozen
from tinymeta.compile.program.loop import written_out
from tinymeta.compile.record.captured import Captured, Roots
from tinymeta.compile.record.clocks import may_move, put_on
from tinymeta.compile.record.number import Number
from tinymeta.compile.record.random_draws import DRAWING, watching
from tinymeta.compile.record.recording import Recording, dynamic, record
from tinymeta.compile.record.results import returned
from tinymeta.compile.record.written import only_written
from tinymeta.engine import tree
from tinymeta.engine.errors import UserError
from tinymeta.engine.tensor import Tensor

_DRAWS = "the function draws random numbers"
_OR_OTHERS = f"{_DRAWS}, or other threads do all the while, from a generator that it can reach"
_ONCE = (
    ", and tm.compile records it once, so every call would see the same ones: draw outside of the function, and pass "
    "the numbers in, as in f(x, rng.normal(size=3))"
)
_CLASSES = {"type", "isinstance", "hasattr", "Tensor"}  # may ask what a number is and its stand-in can't hear it
TRIES = 8  # to record while no other thread draws from what the function can reach


class Surroundings:
    """What is known of the state around one function: which Tensors are inputs, which names it only writes."""

    def __init__(self) -> None:
        self._promoted: frozenset[str] = frozenset()
        self._written: frozenset[str] = frozenset()
        self._constant = False  # its Python code reads captured Tensors' values: they can't be inputs

    def captured(self, roots: Roots, earlier: Iterable[Captured]) -> Captured:
        """The state as it is now; Tensors that were others in an earlier state become inputs."""
        found = Captured(roots, self._promoted, self._written)
        replaced = frozenset[str]().union(*(other.replaced(found) for other in earlier))
        if replaced <= self._promoted or self._constant:
            return found
        self._promoted |= replaced
        return Captured(roots, self._promoted, self._written)

    def record(
        self, call: Callable[[list[Any]], Any], leaves: list[Any], roots: Roots, captured: Captured
    ) -> tuple[Recording, Captured]:
        """Record `call`, and give the state that the program is for."""
        before = captured
        for again in (True, False):
            try:
                recording = self._watched(call, leaves, captured)
            except UserError:
                if not captured.inputs:
                    raise
                self._promoted, self._constant = frozenset(), True
                captured = Captured(roots, self._promoted, self._written)
                recording = self._watched(call, leaves, captured)
            changed = captured.changes()
            kept = {path: x for path, x in changed.items() if _holds_tensor(x)}
            quiet = {path for path in changed.keys() - kept.keys() if _only_written(path, captured)}
            self._written |= quiet
            if kept or (changed.keys() - quiet and not again):
                before.restore()
                raise UserError(_told(sorted(kept or changed.keys() - quiet)[0], bool(kept)))
            captured = Captured(roots, self._promoted, self._written) if changed else captured
            if not changed.keys() - quiet:
                break
        return recording, captured

    def _watched(self, call: Callable[[list[Any]], Any], leaves: list[Any], captured: Captured) -> Recording:
        everywhere = captured.strangers or not DRAWING.isdisjoint(captured.words)
        for _ in range(TRIES):
            with watching(captured.generators, everywhere, captured.functions) as draws:
                recording = record(call, leaves, captured.inputs, captured.holds)
            if draws.certain:
                raise UserError(_DRAWS + _ONCE)
            if not draws.reachable:
                break
        else:
            raise UserError(_OR_OTHERS + _ONCE)
        if draws.possible or captured.iterators or may_move(captured.words, captured.builtins):
            with put_on(captured.functions):
                other = record(call, leaves, captured.inputs, captured.holds)
            if not _alike(recording, other):
                raise UserError(
                    "the function gives another program when it is recorded once more, so its Python code reads "
                    "something that changes by itself (a clock, an iterator, random numbers): read it outside of the "
                    "function, and pass the numbers in"
                )
        if captured.words & _CLASSES and not _stands(call, leaves, captured, recording):
            return record(call, leaves, captured.inputs, captured.holds, as_given=True)
        return recording


def _stands(call: Callable[[list[Any]], Any], leaves: list[Any], captured: Captured, recording: Recording) -> bool:
    """Whether Tensors may stand in for the numbers among the leaves: for other numbers than these, which may be as
    special as 0, the results are the same to the bit."""
    if not any(isinstance(dynamic(x), Number) for x in leaves):
        return True
    if recording.shown:  # nobody wants to read the other numbers
        return False
    with np.errstate(all="ignore"):
        others = [type(x)(x + 1) if isinstance(dynamic(x), Number) else x for x in leaves]
    found = []
    for as_given in (False, True):
        try:
            other = record(call, others, captured.inputs, captured.holds, as_given)
        except Exception:  # such numbers won't do
            return False
        if other.results is None:
            return False
        results = [np.asarray(y) for y in returned(other.others, iter(other.results), others)]
        found.append((other.structure, [(y.dtype, y.shape, y.tobytes()) for y in results]))
    return found[0] == found[1]


def _only_written(path: str, captured: Captured) -> bool:
    """Whether no code reads what stands at a path, by none of its names."""
    last = path.rpartition(".")[2].partition("[")[0]
    hidden = last in captured.texts or ("." in path and captured.whole)  # attrgetter("n"), vars(x)
    return not hidden and all(only_written(name, captured.functions) for name in captured.names(path))


def _told(path: str, tensor: bool) -> str:
    if tensor:
        what = f"keeps a Tensor in {path}, and that is no number yet while tm.compile records"
    else:
        what = f"changes {path}, which its code also reads, and tm.compile runs Python code only once"
    name = path.rpartition(".")[2].partition("[")[0]
    return (
        f"the function {what}. Wrong: a compiled step that does self.{name} = new. Right: it returns the new value, "
        f"and who calls it stores it: t.{name} = t.step(x)"
    )


def _holds_tensor(x: object) -> bool:
    return any(isinstance(leaf, Tensor) for leaf in tree.leaves(x))


def _alike(a: Recording, b: Recording) -> bool:
    """Whether two recordings are the same program, constants and all."""
    return written_out(a.program) == written_out(b.program) and frozen(a.others) == frozen(b.others)
