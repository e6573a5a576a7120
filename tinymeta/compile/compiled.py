"""`tm.compile`: the function that stands in for yours.

A call flattens its arguments and looks for a recording made for arguments like these (`key.py`): the same tree, shapes,
dtypes and static values, in the state that everything else is in (`captured.py`). If there is one it runs the program
on the arrays; if not, it records first (`surroundings.py`, `recording.py`).
"""

from __future__ import annotations

import functools
import sys
import threading
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np

from tinymeta.compile.arguments import Statics
from tinymeta.compile.first import First, first, unrecorded
from tinymeta.compile.key import frozen, leaves_like, of_leaf, of_structure, says_all
from tinymeta.compile.program.program import Program
from tinymeta.compile.record.captured import Captured
from tinymeta.compile.record.recording import NUMBERS, NUMERIC, Recording, dynamic
from tinymeta.compile.record.results import Kept, returned
from tinymeta.compile.record.surroundings import Surroundings
from tinymeta.compile.variants import Form, Variants
from tinymeta.compile.verify import Broken
from tinymeta.engine import tree
from tinymeta.engine.convert import plain
from tinymeta.engine.errors import CompileWarning, UserError, user_site
from tinymeta.engine.state import USER, elsewhere, state
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import Tree, Y


@dataclass
class Variant:
    """A recording, the state that it is for, and what runs it."""

    captured: Captured
    recording: Recording
    made: First
    why: str = ""  # there is another one, and this is still needed

    def is_for(self, arrays: list[Array], leaves: list[Any]) -> bool:
        """Whether the numbers that Python asked for while recording are these, and objects those that it returns."""
        recording = self.recording
        same = all(arrays[k].tobytes() == was for k, was in recording.numbers)
        return same and all(leaves[k] is x for k, x in recording.holders)

    def is_alike(self, captured: Captured, arrays: list[Array], leaves: list[Any]) -> bool:
        """Whether the recording is for such a state, be it one of other objects."""
        kept = any(type(y) is Kept for y in self.recording.others)
        return not kept and self.captured.signature == captured.signature and self.is_for(arrays, leaves)


class Compiled(Generic[Y]):
    """A function recorded once for each form of its arguments, and replayed without Python graph work."""

    def __init__(self, f: Callable[..., Y], static_argnames: str | Iterable[str], factor: bool, check: bool) -> None:
        functools.update_wrapper(self, f)
        self._f = f
        self._factor, self._check = factor, check
        self._warned: set[str] = set()
        self._statics = Statics(f, static_argnames)
        self._variants: Variants[Variant] = Variants(getattr(f, "__name__", "a function"), self._statics.names)
        self._around = Surroundings()
        self._recording = threading.Lock()
        self._latest: tuple[tree.Structure, Any] | None = None  # a structure that says all, and its key

    def __call__(self, *args: Tree, **kwargs: Tree) -> Y:
        if state.level or state.mask != USER or state.watchers:
            return self._f(*args, **kwargs)  # a transform around us wants to see each operation
        statics, args, kwargs = self._statics.split(args, kwargs)
        leaves, structure, key = self._taken_apart((args, kwargs))
        kinds, arrays = [], []
        for i, x in enumerate(leaves):
            if type(x) is Tensor:
                if x.batch or (x.tracked and (x.tracked & USER or elsewhere(x))):
                    return self._call(statics, (args, kwargs))
                x = x.array
            elif isinstance(x, np.ndarray) and x.dtype.kind in NUMERIC:
                if type(x) is not np.ndarray or not x.dtype.isnative or not x.flags.aligned:
                    x = leaves[i] = plain(x)
            else:
                kind, array = _taken(x)
                kinds.append(kind)
                if array is not None:
                    arrays.append(array)
                continue
            kinds.append((x.shape, x.dtype))
            arrays.append(x)
        form = Form(tuple([frozen(x) for x in statics]), key, tuple(kinds))
        known = self._find(form, arrays, leaves)
        if known is None:
            variant, found = self._record(form, statics, structure, leaves, arrays)
        else:
            variant, found = known[0], None
            arrays += known[1]
        if found is None:
            if variant.made.run is None:
                return self._call(statics, (args, kwargs))
            found = variant.made.run(arrays)
        fresh = iter(found)
        results = returned(variant.recording.others, fresh, leaves)
        return tree.unflatten(variant.recording.structure, results)  # type: ignore[no-any-return]

    def __get__(self, instance: object, owner: object = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Copied and pickled as functions are, by name; where none stands for it, made anew, with nothing recorded."""
        name = getattr(self, "__qualname__", "")
        home: Any = sys.modules.get(getattr(self, "__module__", None) or "")
        if functools.reduce(lambda x, n: getattr(x, n, None), name.split("."), home) is self:
            return str(name)
        return Compiled, (self._f, self._statics.names, self._factor, self._check)

    def programs(self) -> list[tuple[Program, Program]]:
        """The programs as recorded and as they run, the latest first."""
        return [(variant.recording.program, variant.made.program) for variant in self._variants.all()]

    def report(self) -> str:
        """A table of the latest recording: operations and bytes as recorded and as they run; and for each recording,
        the latest first, what runs it and what its check found."""
        if not self._variants.all():
            return "nothing recorded yet: call the function once"
        lines = [f"{'':12}{'steps':>8}{'Mflop':>10}{'MB moved':>10}"]
        for name, program in zip(("recorded", "as it runs"), self.programs()[0]):
            lines.append(f"{name:12}{program.steps():8}{program.flops() / 1e6:10.1f}{program.bytes() / 1e6:10.1f}")
        for k, variant in enumerate(self._variants.all()):
            lines.append(f"recording {k}: runs on the {variant.made.runs}; its first call {variant.made.checked}")
            if why := variant.recording.unrolled:
                lines.append(f"recording {k}: its scans are written out turn after turn, for {why}")
        return "\n".join(lines)

    def explain(self, *args: Tree, **kwargs: Tree) -> str:
        """The report in words: why each recording was made, and of the latest which loops it is, what was put together
        in each and on how many cores it runs, and the memory that it needs; with arguments, it is called with them, and
        the time of each loop is told, too.

        >>> step = tm.compile(lambda x: tm.sum(tm.tanh(x) ** 2))
        >>> print(step.explain(tm.ones(3)).splitlines()[-1].partition(":")[0])
        1. for each of 3 tasks, 3 at a time, 2 × elementwise, 1 × sum
        """
        from tinymeta.compile.run.words import told

        if args or kwargs:
            self(*args, **kwargs)
        if not (known := self._variants.all()):
            return "nothing recorded yet: call the function once, or explain(*arguments)"
        lines = [f"recorded again: {variant.why}" for variant in known if variant.why]
        run: Any = known[0].made.run
        lines.append(f"runs on the {known[0].made.runs}; its first call {known[0].made.checked}")
        if hasattr(run, "loops"):
            lines += told(run, functools.partial(self, *args, **kwargs) if args or kwargs else None)
        return "\n".join(lines)

    def _taken_apart(self, given: Tree) -> tuple[list[Any], tree.Structure, Any]:
        """The leaves of the arguments, their structure and its key: mostly, those of the call before."""
        latest = self._latest
        leaves: list[Any] = []
        if latest is not None and leaves_like(given, latest[0], leaves):
            return leaves, *latest
        leaves, structure = tree.flatten(given)
        key = of_structure(structure)
        if says_all(structure):
            self._latest = structure, key
        return leaves, structure, key

    def _find(self, form: Form, arrays: list[Array], leaves: list[Any]) -> tuple[Variant, list[Array]] | None:
        """The recording for these arguments in the state that everything is in, and the arrays that it reads there."""
        for variant in self._variants.of(form):
            found = variant.captured.current() if variant.is_for(arrays, leaves) else None
            if found is not None:
                return variant, found
        return None

    def _record(
        self, form: Form, statics: tuple[Any, ...], structure: tree.Structure, leaves: list[Any], arrays: list[Array]
    ) -> tuple[Variant, list[Array] | None]:
        """A recording for this state, and the results of its first call if it is new; `arrays` get what it reads."""
        results: list[Array] | None = None
        with self._recording:
            names = [place.partition(".")[2] for place in tree.places(structure)]  # without args or kwargs
            roots = [(getattr(self._f, "__name__", ""), self._f), ("", structure)]
            roots += [("", x) for x in (*statics, *leaves) if not isinstance(x, (Tensor, np.ndarray))]
            earlier = self._variants.of(form)
            captured = self._around.captured(roots, [known.captured for known in earlier])
            alike = [known for known in earlier if known.is_alike(captured, arrays, leaves)]
            if alike:  # in other objects, the same state as once before
                variant = alike[0]
                variant.captured = captured
                arrays += [x.array for x in captured.inputs]
            else:
                name = getattr(self._f, "__name__", "a function")

                def call(given: list[Any]) -> Any:
                    copies = tree.unflatten(structure, given)
                    y = self._call(statics, copies)
                    check_unchanged(copies, structure, given, name)
                    return y

                try:
                    recording, captured = self._around.record(call, leaves, roots, captured)
                except Broken as broken:
                    recording, made = Recording(Program([], ()), structure, [], False, None), unrecorded(name, broken)
                else:
                    arrays += [x.array for x in captured.inputs]
                    made = first(recording, arrays, name, self._factor, self._check)
                results, made.results = made.results, None
                variant = Variant(captured, recording._replace(results=None), made)
            state = earlier[0].captured.differs(variant.captured) if earlier else ""
            if not state and earlier and earlier[0].recording.numbers:
                state = "a number among the arguments, of which the function asks what it is,"
            variant.why = variant.why or self._variants.why(form, names, state)
            self._variants.keep(form, variant, names, state)
        warned, told = _warned if variant.made.everywhere else self._warned, variant.made.warning
        if told and told not in warned:
            warned.add(told)
            warnings.warn(told, CompileWarning, stacklevel=3)
        return variant, results

    def _call(self, statics: tuple[Any, ...], rest: tuple[Tree, Tree]) -> Y:
        """The function itself, with its static arguments back in place."""
        args, kwargs = self._statics.join(statics, *rest)
        return self._f(*args, **kwargs)


def check_unchanged(copies: Tree, structure: tree.Structure, given: list[Any], name: str) -> None:
    """Refuse a function that has changed an argument, for it is given copies: its caller's stay as they were."""
    leaves, found = tree.flatten(copies)
    if found == structure and all(x is y for x, y in zip(leaves, given, strict=True)):
        return
    places, before = tree.places(found), dict(zip(tree.places(structure), given))
    new = [place for place, x in zip(places, leaves) if place not in before or before[place] is not x]
    where = [place.partition(".")[2] for place in [*new, *(place for place in before if place not in places)]]
    raise UserError(
        f"{name} changes an argument{f', at {where[0]}' if where else ''} ({user_site()}). A compiled function has "
        "copies, so its caller would see no change: change one of your own, `tm.tree.map(lambda x: x, argument)`, and "
        "return it"
    )


_warned: set[str] = set()  # what has been said for all functions


def _taken(x: object) -> tuple[Any, Array | None]:
    """What a recording depends on in a leaf that is no array of numbers: the dtype of a lone number, the content of all
    else. And the number as an array."""
    if isinstance(x, (np.generic, *NUMBERS)) and not isinstance(x, bool):
        fresh = dynamic(x)
        if fresh is not None:
            return (type(x), fresh.dtype), fresh.array
    return of_leaf(x), None
