"""Randomness in a function that is being recorded: each call of its program would see the same numbers.

Two ways to get random numbers are watched: every generator that the function can reach must be afterwards what it was
before, and this thread must not ask the machine for entropy, as an unseeded generator made inside would. Where code
names a method that draws, or calls into other packages, every generator that is alive is watched (NumPy's and Python's;
the garbage collector knows them all). A generator with a seed of its own, made inside, gives the same numbers in eager
code, too, and is nobody's business.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, compress, tee
from types import FrameType, FunctionType
from typing import Any

from tinymeta.compile.record.stand_ins import pair, standing_in
from tinymeta.engine.typing import Function
from tinymeta.ops.generators import GENERATORS, SHARED, bits, state_of

DRAWING = frozenset(n for kind in GENERATORS for n in dir(kind) if n[0] != "_" and callable(getattr(kind, n)))  # or may
_RECORDING = "tinymeta.compile.record.recording"  # below its frames is who called the function
_active: dict[int, Draws] = {}  # thread → who watches it


class Draws:
    """What has been drawn: `certain` by this thread, or `possible`, for another one may have done it; `reachable` if it
    was from a generator that the function can reach."""

    def __init__(self, reachable: Sequence[Any], everywhere: bool) -> None:
        self.entropy = False
        watched = _alive() if everywhere else [*reachable, *SHARED]
        self._before = [(x, state_of(x)) for x in watched if not isinstance(x, random.SystemRandom)]
        self._reachable = {id(x) for x in reachable} | {id(bits(x)) for x in reachable}
        self._alone = threading.active_count() == 1
        self.certain = self.possible = self.reachable = False

    def finish(self) -> None:
        """Compare all generators with what they were."""
        changed = [x for x, was in self._before if state_of(x) != was]
        self.certain = self.entropy or (self._alone and bool(changed))
        self.possible = self.certain or bool(changed)
        self.reachable = any(id(x) in self._reachable for x in changed)
        self._before = []


def _alive() -> list[Any]:
    """Every generator that there is.

    Among the collector's objects are tuples that other threads are still filling, and Python refuses to go on with one
    that somebody else has got hold of. So no bytecode, after which another thread may go on, runs while all objects
    are in hand: one call goes from the collector to the few that are generators, and nothing is collected meanwhile.
    """
    a, b = tee(chain.from_iterable(map(gc.get_objects, range(3))))
    kinds = frozenset(_kinds(GENERATORS))
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return list(compress(a, map(kinds.__contains__, map(type, b))))
    finally:
        if was_enabled:
            gc.enable()


def _kinds(classes: Iterable[type]) -> Iterator[type]:
    """The classes, and all that inherit from them."""
    for kind in classes:
        yield kind
        yield from _kinds(kind.__subclasses__())


@contextmanager
def watching(reachable: Sequence[Any], everywhere: bool, functions: Sequence[FunctionType]) -> Iterator[Draws]:
    """Watch what this thread draws in the `with` block; `reachable` are the generators that the function can name,
    with `everywhere` all others are watched, too, and `functions` may know a source of entropy by a name of theirs."""
    draws = Draws(reachable, everywhere)
    thread = threading.get_ident()
    owners = [vars(os), vars(random), random.Random, *(f.__globals__ for f in functions)]
    owners += [vars(sys.modules["ssl"])] if "ssl" in sys.modules else []
    pairs = [pair(random.Random.seed, _seeding), *(pair(source, _noting) for source in sources())]
    with standing_in(owners, pairs):
        _active[thread] = draws
        try:
            yield draws
        finally:
            del _active[thread]
    draws.finish()


def sources() -> list[Any]:
    """The functions that give random bytes of the machine's. NumPy asks `secrets`, which asks `random._urandom`."""
    found = [getattr(os, "urandom", None), getattr(os, "getrandom", None), vars(random)["_urandom"]]
    found += [getattr(sys.modules.get("ssl"), "RAND_bytes", None)]
    return [f for f in found if f is not None]


def _seeding(seed: Callable[..., None]) -> Callable[..., None]:
    def seeded(self: random.Random, a: object = None, *args: Any, **kwargs: Any) -> None:
        if a is None:
            _note()
        seed(self, a, *args, **kwargs)

    return seeded


def _noting(original: Function) -> Function:
    def entropy(*args: Any) -> Any:
        _note()
        return original(*args)

    return entropy


def _note() -> None:
    draws = _active.get(threading.get_ident())
    if draws is not None and not _preparing():
        draws.entropy = True


def _preparing() -> bool:
    """Whether it is Numba that asks, whose file in the cache gets a random name until it is whole, or a module that the
    function imports: both happen once, in eager code, too."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and (name := frame.f_globals.get("__name__", "")) != _RECORDING:
        if name.partition(".")[0] in ("numba", "importlib"):
            return True
        frame = frame.f_back
    return False
