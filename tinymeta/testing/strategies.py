"""Hypothesis strategies: shapes, arrays in every memory layout, Tensors, and trees.

They need hypothesis (`pip install tinymeta[test]`); nothing else in `tinymeta.testing` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

from tinymeta.engine.convert import tensor
from tinymeta.engine.domain import Domain, reals
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import DTypeLike, Shape
from tinymeta.testing.case import value
from tinymeta.testing.values import layouts as _layouts

_seeds = st.integers(0, 2**32 - 1)


def shapes(max_dims: int = 3, max_side: int = 4) -> st.SearchStrategy[Shape]:
    """Shapes of 0 to `max_dims` axes, with sides from 0 on."""
    return array_shapes(min_dims=0, max_dims=max_dims, min_side=0, max_side=max_side)


def broadcasting(count: int, max_dims: int = 3, max_side: int = 3) -> st.SearchStrategy[tuple[Shape, ...]]:
    """`count` shapes that broadcast against each other: sides of 0 and 1, and axes that some lack."""
    together = mutually_broadcastable_shapes(num_shapes=count, max_dims=max_dims, min_side=0, max_side=max_side)
    return together.map(lambda found: tuple(found.input_shapes))


@st.composite
def arrays(
    draw: st.DrawFn, domain: Domain = reals(-2, 2), shape: Shape | st.SearchStrategy[Shape] | None = None
) -> Array:
    """Arrays of numbers from a domain, in a random memory layout."""
    wanted = draw(shapes() if shape is None else shape if isinstance(shape, st.SearchStrategy) else st.just(shape))
    array = value(np.random.default_rng(draw(_seeds)), domain, wanted)
    return draw(layouts(array))


def tensors(
    domain: Domain = reals(-2, 2),
    shape: Shape | st.SearchStrategy[Shape] | None = None,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> st.SearchStrategy[Tensor]:
    """Tensors of numbers from a domain: `tensors(reals(0.1, 3), shape=(2, 3))`."""
    return arrays(domain, shape).map(lambda x: tensor(x, dtype=dtype, requires_grad=requires_grad))


def layouts(array: Array) -> st.SearchStrategy[Array]:
    """The values of `array` in C or Fortran order, strided, reversed, or read-only."""
    return st.sampled_from([np.array(array, order="C"), *(x for _, x, _ in _layouts(array, constant=False))])


def trees(leaves: st.SearchStrategy[Any], max_leaves: int = 8) -> st.SearchStrategy[Any]:
    """Nested dicts, lists and tuples, and None, with these leaves."""
    names = st.text("abcxyz", min_size=1, max_size=2)
    return st.recursive(
        leaves | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3) | st.tuples(inner, inner),
        max_leaves=max_leaves,
    )
