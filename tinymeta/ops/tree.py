"""`tm.tree`: trees of Tensors as vectors. What takes them apart is `engine/tree.py`; this is their algebra.

    dot, norm                 numbers
    add, scale, add_scaled    a + b,  s·a,  a + s·b, leaf by leaf
    zeros_like, full_like     trees of one number
    ravel, stack              one vector of all leaves; many trees as one with an axis in front

All are Tensor operations: differentiable, and under `vmap` each example's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.tensor import ArrayLike, Tensor
from tinymeta.engine.tree import flatten, leaves, map, paths, unflatten
from tinymeta.engine.typing import Tree
from tinymeta.ops.linalg import vector_norm
from tinymeta.ops.reduce import sum
from tinymeta.ops.shape import concat, reshape
from tinymeta.ops.shape import stack as stacked
from tinymeta.ops.widen import double, real

__all__ = [
    "flatten", "leaves", "map", "paths", "unflatten",
    "dot", "norm", "add", "scale", "add_scaled", "zeros_like", "full_like", "ravel", "stack",
]  # fmt: skip


def dot(a: Tree, b: Tree) -> Tensor:
    """Σ a·b over all entries of all leaves; 0 for trees without leaves.

    Shapes: two trees of one structure, leaf by leaf broadcast → ().
    Raises: ValueError where the trees differ in structure: `tm.tree.dot([1.0], [1.0, 2.0])`.

    >>> tm.tree.dot({"w": [1.0, 2.0], "b": 3.0}, {"w": [1.0, 1.0], "b": 2.0})
    tensor(9.)
    """
    total = as_tensor(0.0)
    for k, product in enumerate(leaves(map(lambda x, y: sum(real("tree.dot", as_tensor(x)) * y), a, b))):
        total = total + product if k else product
    return total


def norm(a: Tree) -> Tensor:
    """√Σ a² over all leaves, in float64. Its gradient at 0 is 0.

    Squares that overflow or vanish don't make it ∞ or 0, as they would √dot(a, a), nor does a leaf whose own length
    is too large for its dtype.

    Shapes: any tree → ().

    >>> tm.tree.norm({"w": [3.0, 0.0], "b": 4.0})
    tensor(5.)
    """
    lengths = [vector_norm(double(x)) for x in leaves(a)]
    return vector_norm(stacked(lengths)) if lengths else as_tensor(0.0)


def add(a: Tree, b: Tree) -> Tree:
    """a + b, leaf by leaf.

    Shapes: two trees of one structure → the same, each leaf broadcast.
    Raises: ValueError where the trees differ in structure: `tm.tree.add([1.0], [1.0, 2.0])`.

    >>> tm.tree.add([1.0, 2.0], [10.0, 20.0])
    [tensor(11.), tensor(22.)]
    """
    return map(lambda x, y: as_tensor(x) + y, a, b)


def scale(a: Tree, s: ArrayLike) -> Tree:
    """s·a for one number s, in the dtypes of a.

    Shapes: any tree, and s () → the same tree.

    >>> tm.tree.scale({"w": np.array([1.0, 2.0])}, 3.0)
    {'w': tensor([3., 6.])}
    """
    return map(lambda x: as_tensor(x) * _of(s, x), a)


def add_scaled(a: Tree, b: Tree, s: ArrayLike) -> Tree:
    """a + s·b for one number s, in the dtypes of b: a step of length s along b.

    Shapes: two trees of one structure, and s () → the same tree.
    Raises: ValueError where the trees differ in structure: `tm.tree.add_scaled([1.0], [1.0, 2.0], 0.5)`.

    >>> tm.tree.add_scaled({"w": np.ones(2)}, {"w": np.array([2.0, 4.0])}, -0.5)["w"]
    tensor([ 0., -1.])
    """
    return map(lambda x, y: as_tensor(x) + as_tensor(y) * _of(s, y), a, b)


def zeros_like(a: Tree) -> Tree:
    """A tree of zeros in the shapes and dtypes of a.

    Shapes: any tree → the same.

    >>> tm.tree.zeros_like({"w": np.ones(2), "b": 5})
    {'w': tensor([0., 0.]), 'b': tensor(0)}
    """
    return full_like(a, 0.0)


def full_like(a: Tree, value: ArrayLike) -> Tree:
    """A tree of one number in the shapes and dtypes of a; a Tensor keeps its gradient.

    Shapes: any tree, and value () → the same tree.

    >>> tm.tree.full_like({"w": np.ones(2), "b": 5}, 7.0)
    {'w': tensor([7., 7.]), 'b': tensor(7)}
    """

    def full(x: ArrayLike) -> Tensor:
        like = as_tensor(x)
        if not isinstance(value, Tensor):
            return Tensor(np.full(like.shape, value, like.dtype))
        zeros = Tensor(np.zeros(like.shape, like.dtype))
        return zeros + _of(value, like)

    return map(full, a)


def ravel(a: Tree) -> tuple[Tensor, Callable[[ArrayLike], Tree]]:
    """All entries of all leaves as one vector, and the function that makes a tree like `a` of such a vector.

    The vector has the dtype that the leaves promote to; the tree has those of the leaves.

    Shapes: any tree → (n,), n the number of all its entries.
    Raises: ValueError (by that function) for a vector of another length: `tm.tree.ravel([1.0])[1]([1.0, 2.0])`.

    >>> vector, back = tm.tree.ravel({"b": np.zeros(1), "w": np.ones((2, 2))})
    >>> vector, back(vector * 2)["w"].shape
    (tensor([0., 1., 1., 1., 1.]), (2, 2))
    """
    found, structure = flatten(a)
    tensors = [as_tensor(x) for x in found]
    kinds = [(x.shape, x.dtype) for x in tensors]
    ends = np.cumsum([0, *(math.prod(shape) for shape, _ in kinds)]).tolist()
    vector = concat([reshape(x, (-1,)) for x in tensors]) if tensors else as_tensor(np.zeros(0))

    def back(vector: ArrayLike) -> Tree:
        v = as_tensor(vector)
        if v.shape != (ends[-1],):
            raise ValueError(
                f"the tree has {ends[-1]} numbers, and the vector shape {v.shape}: pass one of ({ends[-1]},)"
            )
        parts = [v[begin:end] for begin, end in zip(ends, ends[1:])]
        return unflatten(structure, [reshape(x, shape).astype(dtype) for x, (shape, dtype) in zip(parts, kinds)])

    return vector, back


def stack(trees: Sequence[Tree]) -> Tree:
    """One tree of many: each leaf is theirs along a new first axis.

    Shapes: k trees of leaves (…) → a tree of leaves (k, …).
    Raises: ValueError for no tree, or trees that differ in structure or shapes: `tm.tree.stack([])`.

    >>> tm.tree.stack([{"w": 1.0}, {"w": 2.0}])
    {'w': tensor([1., 2.])}
    """
    if not trees:
        raise ValueError("tree.stack needs at least one tree")
    return map(lambda *xs: stacked([as_tensor(x) for x in xs]), *trees)


def _of(s: ArrayLike, x: ArrayLike) -> ArrayLike:
    """The number s in the dtype of x, if that holds fractions."""
    dtype = as_tensor(x).dtype
    return s.astype(dtype) if isinstance(s, Tensor) and dtype.kind == "f" else s
