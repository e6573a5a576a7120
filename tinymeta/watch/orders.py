"""`orders`: how deep in derivatives a number lies, read off its record."""

from __future__ import annotations

from collections import Counter

from tinymeta.engine.tensor import Tensor


def orders(*tensors: Tensor) -> Counter[int]:
    """How many recorded nodes of each order the Tensors were made from.

    Shapes: any Tensors → a count by order.

    >>> x = tm.tensor(2.0, requires_grad=True)
    >>> tm.orders(tm.gradient(x * x * x, x))
    Counter({1: 6, 0: 3})
    """
    seen: dict[int, int] = {}
    stack = list(tensors)
    while stack:
        node = stack.pop()
        if node.id not in seen:
            seen[node.id] = node.order
            stack.extend(node.inputs)
    return Counter(seen.values())
