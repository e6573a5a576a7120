"""Module: a model is a pytree of Tensors with a `__call__`.

There is no parameter registry and no hidden state. The attributes that hold arrays are the
model's children; all the others (sizes, activations) are static. So `tm.grad(loss)(model, batch)`
is a model of gradients, and an inner step is `tm.tree.map(lambda p, g: p - lr * g, model, grads)`.
What is never trained (pixel means, a mask) is a `constant`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.engine.typing import Tree
from tinymeta.trees.containers import Constant, attributes, children_of


def constant(x: ArrayLike) -> Constant:
    """An array that belongs to a model and is no weight: nothing trains it, decays it or saves it.

    `tm.tree` takes it for a part of the structure, wherever it stands. Integers and booleans of a Module are constants
    by themselves, for nothing could train them.

    Shapes: any → the same, a read-only NumPy array.

    >>> class Centred(tm.nn.Module):
    ...     def __init__(self):
    ...         self.mean, self.w = tm.nn.constant([0.5, 0.4]), tm.ones(2)
    ...     def __call__(self, x):
    ...         return (x - self.mean) @ self.w
    >>> tm.tree.paths(Centred())
    ['w']
    """
    found = np.array(x.detach() if isinstance(x, Tensor) else x).view(Constant)
    found.flags.writeable = False
    return found


class Module:
    """Base class of models. Assign Tensors, other Modules and containers of them in `__init__`; define `__call__`.

    Shapes: its leaves are the arrays among its attributes, whatever their shapes, but for a `constant`.
    Raises: TypeError where a subclass defines no `__call__`: `tm.nn.Module()()`.

    >>> model = tm.nn.Linear(2, 1, rng=np.random.default_rng(0))
    >>> tm.tree.paths(model)
    ['weight', 'bias']
    >>> model
    Linear(3 numbers)
      weight: (2, 1) float32
      bias: (1,) float32
    """

    _children: tuple[str, ...] | None = None  # children for good once a model has been put together from leaves
    _ties: tree.Ties = {}  # what was put where, if its values don't show which places hold the same leaf

    def __call__(self, *args: Any, **kwargs: Any) -> Tree:
        raise TypeError(f"{type(self).__name__} defines no __call__: say there what the model computes")

    def tree_flatten(self) -> tuple[Any, Sequence[Any]]:
        found = attributes(self)
        names = tuple([name for name in self._children or () if name in found])
        own = (*names, "_children", "_ties")
        others = [item for item in found.items() if item[0] not in own]
        added = [(name, _declared(value)) for name, value in others if _holds_arrays(value)]
        new = tuple([name for name, _ in added])
        static = tuple([item for item in others if item[0] not in new])
        return (names + new, static), [*[found[name] for name in names], *[value for _, value in added]]

    @classmethod
    def tree_unflatten(cls, meta: Any, children: Sequence[Any], ties: tree.Ties | None = None) -> Self:
        names, static = meta
        model = object.__new__(cls)
        vars(model).update(_children=names)
        for name, value in (*static, *zip(names, children)):
            object.__setattr__(model, name, value)  # a slot or an entry of its __dict__
        if ties:
            model._ties = ties
        return model

    def tree_ties(self) -> tree.Ties:
        """What was put where, for `tm.tree.flatten`; empty where the same Tensor in two places is one leaf."""
        return self._ties

    @staticmethod
    def tree_names(meta: Any) -> tuple[str, ...]:
        """The names of the children, for `tm.tree.paths`."""
        names: tuple[str, ...] = meta[0]
        return names

    def __repr__(self) -> str:
        rows = [f"  {path}: {tuple(leaf.shape)} {leaf.dtype}" for path, leaf in _arrays(self)]
        total = sum(int(np.prod(leaf.shape)) for _, leaf in _arrays(self))
        return "\n".join([f"{type(self).__name__}({total:,} numbers)", *rows])


def _holds_arrays(value: Tree) -> bool:
    if type(value) in (Tensor, str, int, float):  # most are
        return type(value) is Tensor
    leaves, structure = tree.flatten(value)
    return any(isinstance(leaf, (Tensor, np.ndarray)) for leaf in leaves) or _holds_constants(structure)


def _holds_constants(structure: tree.Structure) -> bool:
    return structure.kind is Constant or any(map(_holds_constants, structure.children))


def _declared(value: Tree) -> Tree:
    """An attribute's value with its own arrays of integers and booleans as constants."""
    return tree.map(lambda x: x.view(Constant) if _is_array(x) and x.dtype.kind not in "fc" else x, value)


def undeclared(model: Tree) -> str | None:
    """The first attribute of a module in `model` that holds floats in a NumPy array: a weight, or a constant?

    Modules that were put together from leaves, as `tm.tree.map` does, may hold anything there.
    """
    parts = children_of(model)
    if isinstance(model, Module) and model._children is None:
        for name, value in attributes(model).items():
            if any(_is_array(x) and x.dtype.kind in "fc" for x in [value, *((children_of(value) or ((), ()))[1])]):
                return f"{type(model).__name__}.{name}"
    return next(filter(None, map(undeclared, parts[1])), None) if parts else None


def _is_array(x: object) -> bool:
    return type(x) is np.ndarray


def _arrays(model: Module) -> list[tuple[str, Tensor | Array]]:
    pairs = zip(tree.paths(model), tree.leaves(model))
    return [(path, leaf) for path, leaf in pairs if isinstance(leaf, (Tensor, np.ndarray))]
