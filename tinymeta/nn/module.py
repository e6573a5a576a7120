"""Module: a model is a pytree of Tensors with a `__call__`.

There is no parameter registry and no hidden state. The attributes that hold arrays are the
model's children; all the others (sizes, activations) are static. So `tm.grad(loss)(model, batch)`
is a model of gradients, and an inner step is `tm.tree.map(lambda p, g: p - lr * g, model, grads)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.containers import attributes
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.typing import Tree


class Module:
    """Base class of models. Assign Tensors, other Modules and containers of them in `__init__`; define `__call__`.

    Shapes: its leaves are the arrays among its attributes, whatever their shapes.
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
        new = tuple([name for name, value in others if _holds_arrays(value)])
        static = tuple([item for item in others if item[0] not in new])
        return (names + new, static), [found[name] for name in names + new]

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
    return any(isinstance(leaf, (Tensor, np.ndarray)) for leaf in tree.leaves(value))


def _arrays(model: Module) -> list[tuple[str, Tensor | Array]]:
    pairs = zip(tree.paths(model), tree.leaves(model))
    return [(path, leaf) for path, leaf in pairs if isinstance(leaf, (Tensor, np.ndarray))]
