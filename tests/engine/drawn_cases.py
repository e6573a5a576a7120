"""A hypothesis strategy of inputs for a primitive."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from tinymeta.engine.primitive import Primitive
from tinymeta.testing.case import Case, drawn, samples
from tinymeta.testing.strategies import Shape, broadcasting

_seeds = st.integers(0, 2**32 - 1)


def cases(primitive: type[Primitive]) -> st.SearchStrategy[Case]:
    """Inputs for a primitive: one of its samples, or shapes that broadcast, with values from its domain."""
    if primitive.samples:
        return st.builds(
            lambda sample, seed: drawn(primitive, sample, sample.shapes, seed),
            st.sampled_from(samples(primitive)),
            _seeds,
        )

    def build(found: Sequence[Shape], seed: int) -> Case:
        return drawn(primitive, None, found, seed)

    return st.builds(build, broadcasting(len(primitive.domain)), _seeds)
