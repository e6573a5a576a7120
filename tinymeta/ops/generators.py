"""Generators of random numbers: which kinds there are, and what state one is in."""

from __future__ import annotations

import random
from typing import Any, TypeAlias

import numpy as np

GENERATORS = (np.random.Generator, np.random.BitGenerator, np.random.RandomState, random.Random)
SHARED = (np.random.mtrand._rand, vars(random)["_inst"])  # behind the functions of `np.random` and `random`


Watched: TypeAlias = dict[int, tuple[Any, Any]]  # generators, by id, and the states they are to be in


def bits(generator: object) -> Any:
    return getattr(generator, "_bit_generator", generator)


def state_of(generator: object) -> Any:
    """A generator's state, in a form that can be compared."""
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.RandomState):
        return _plain(generator.get_state(legacy=False))
    source = bits(generator)
    return _plain(source.state), getattr(source.seed_seq, "n_children_spawned", None)  # `spawn` draws, too


def _plain(state: object) -> Any:
    if isinstance(state, dict):
        return {k: _plain(v) for k, v in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state
