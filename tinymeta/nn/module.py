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
from tinymeta.engine.tensor import Tensor


class Module:
    """Base class of models. Assign Tensors, other Modules and containers of them in `__init__`; define `__call__`."""

    _children: tuple[str, ...] | None = None  # fixed once a model has been put together from leaves

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{type(self).__name__} defines no __call__: say there what the model computes")

    def tree_flatten(self) -> tuple[Any, Sequence[Any]]:
        attributes = vars(self)
        names = self._children
        if names is None:
            names = tuple(name for name, value in attributes.items() if _holds_arrays(value))
        static = tuple([item for item in attributes.items() if item[0] not in names and item[0] != "_children"])
        return (names, static), [attributes[name] for name in names]

    @classmethod
    def tree_unflatten(cls, meta: Any, children: Sequence[Any]) -> Self:
        names, static = meta
        model = object.__new__(cls)
        vars(model).update(static)
        vars(model).update(zip(names, children), _children=names)
        return model

    @staticmethod
    def tree_names(meta: Any) -> tuple[str, ...]:
        """The names of the children, for `tm.tree.paths`."""
        names: tuple[str, ...] = meta[0]
        return names

    def __repr__(self) -> str:
        rows = [f"  {path}: {tuple(leaf.shape)} {leaf.dtype}" for path, leaf in _arrays(self)]
        total = sum(int(np.prod(leaf.shape)) for _, leaf in _arrays(self))
        return "\n".join([f"{type(self).__name__}({total:,} numbers)", *rows])


def _holds_arrays(value: Any) -> bool:
    return any(isinstance(leaf, (Tensor, np.ndarray)) for leaf in tree.leaves(value))


def _arrays(model: Module) -> list[tuple[str, Any]]:
    pairs = zip(tree.paths(model), tree.leaves(model))
    return [(path, leaf) for path, leaf in pairs if isinstance(leaf, (Tensor, np.ndarray))]
