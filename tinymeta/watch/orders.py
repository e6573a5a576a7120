"""`orders`: how deep in derivatives a number lies, read off its record."""

from __future__ import annotations

from collections import Counter

from tinymeta.engine.tensor import Tensor


def orders(*tensors: Tensor) -> Counter[int]:
    """How many recorded nodes of each order the Tensors were made from: `{0: 25, 1: 42, 2: 61}`."""
    seen: dict[int, int] = {}
    stack = list(tensors)
    while stack:
        node = stack.pop()
        if node.id not in seen:
            seen[node.id] = node.order
            stack.extend(node.inputs)
    return Counter(seen.values())
