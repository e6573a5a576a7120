"""What is asked of a training or a measurement, looked at before it costs an hour: each mistake in one sentence."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from tinymeta.engine import tree
from tinymeta.engine.errors import UserError, user_site
from tinymeta.engine.primitive import Primitive
from tinymeta.engine.state import Watcher, setting, state
from tinymeta.engine.tensor import Array, Tensor
from tinymeta.engine.transforms import grad
from tinymeta.engine.typing import Static, Tree
from tinymeta.meta.core.objective import Objective
from tinymeta.nn.module import undeclared
from tinymeta.ops.elementwise import subtract
from tinymeta.ops.tree import zeros_like
from tinymeta.optim.optimizer import Optimizer
from tinymeta.tasks.episode import Episode


def check_family(tasks: object) -> None:
    """Refuse tasks that can't be drawn from."""
    if not callable(getattr(tasks, "sample", None)):
        raise UserError(
            f"tasks must have sample(rng, tasks) -> episodes, and a {type(tasks).__name__} has none ({user_site()}): "
            "give it a class with that method, whose arrays have a leading axis of tasks"
        )


def check_declared(phi: Tree) -> None:
    """Refuse a module with an array of floats that may be a weight or not. Raises: UserError."""
    if name := undeclared(phi):
        raise UserError(
            f"{name} is a NumPy array of floats, which may be a weight or not ({user_site()}): write tm.tensor(…) for "
            "a weight, tm.nn.constant(…) for what is never trained"
        )


def check_batch(episodes: Tree, meta_batch: int) -> None:
    """Refuse episodes that aren't so many tasks: without the axis of tasks, each example would count as one.

    Raises: UserError for an array whose first axis is not `meta_batch` long, or what `check_axes` refuses.
    """
    if not isinstance(episodes, Episode):
        return
    for name, leaf in zip(tree.paths(episodes), tree.leaves(episodes)):
        shape = getattr(leaf, "shape", ())
        if shape[:1] != (meta_batch,):
            raise UserError(
                f"sample(rng, {meta_batch}) was asked for {meta_batch} tasks and returned {name} of shape "
                f"{shape}{_lists(leaf)}: each array needs a leading axis of that many tasks, as in x of "
                "(tasks, examples, features); tm.tasks.stack joins single tasks"
            )
    check_axes(episodes)


def check_axes(episodes: Tree) -> None:
    """Refuse episodes of pairs (x, y) that lack the axis of tasks, or that of examples.

    Raises: UserError where x and y of a set have not the same two first axes, tasks and examples, or x has no others.
    """
    if not isinstance(episodes, Episode):
        return
    for name, pair in zip(Episode._fields, episodes):
        if not (isinstance(pair, tuple) and len(pair) == 2 and all(hasattr(a, "shape") for a in pair)):
            continue
        x, y = pair[0].shape, pair[1].shape
        if len(x) < 3 or len(y) < 2 or x[:2] != y[:2]:
            raise UserError(
                f"the {name} set has x of shape {x} and y of shape {y} ({user_site()}), and a batch of tasks has x of "
                "(tasks, examples, …) and y of (tasks, examples, …), with as many examples: a single task is made a "
                "batch by a[None] for each of its arrays, and a number per example becomes x[..., None]"
            )


def _lists(leaf: object) -> str:
    return "" if hasattr(leaf, "shape") else ", a number in a list: make NumPy arrays of lists"


def of_named_sets(fault: AttributeError) -> UserError | None:
    """What to say of episodes that are a plain tuple or dict, where the support set was looked for by name."""
    if fault.name not in Episode._fields or not isinstance(fault.obj, tuple | list | dict):
        return None
    return UserError(
        f"sample(rng, tasks) returned a {type(fault.obj).__name__}, which has no .{fault.name}: return "
        "tm.tasks.Episode(support, query), each a pair (x, y) with a leading axis of tasks"
    )


def check_reached(
    objective: Objective, optimizer: Optimizer, phi: Tree, state: Tree, after: Tree, *batch: Tree
) -> None:
    """Tell of a loss from which no gradient comes back to φ.

    Looks at the step that was taken: only if it is what the optimizer makes of zeros is the gradient taken again.

    Raises: UserError if no path leads from the loss to any of φ; it warns if one does and each gradient is exactly 0.
    """
    idle, _ = optimizer.update(zeros_like(phi), state, phi)
    if not all(map(_close, tree.leaves(idle), tree.leaves(after))):
        return
    followed = []

    def seen(phi: Tree) -> Tree:
        loss = objective(phi, *batch)
        followed.append(getattr(loss, "requires_grad", False))
        return loss

    slopes: Callable[[Tree], Tree] = grad(seen)
    if any(np.any(np.asarray(g.detach())) for g in tree.leaves(slopes(phi))):
        return  # the step size is 0 here
    if not any(followed):
        raise UserError(
            "the loss has no slope in phi, so nothing can be learned: compute it from the phi that the objective is "
            "given, in operations that have a slope (.detach(), float(), rounding and argmax have none)"
        )
    warnings.warn(
        "the gradient of the first batch is exactly 0 for all of phi: nothing is learned unless other batches have "
        "another one (all of phi may stand at a minimum, or behind a relu that is off)",
        stacklevel=4,
    )


class _Pairs(Watcher):
    """Sees a target (n,) and a prediction (n, 1) be subtracted, of which n × n differences come."""

    def __init__(self, targets: list[Array]) -> None:
        self.targets, self.line = targets, ""

    def saw(self, primitive: type[Primitive], inputs: tuple[Tensor, ...], static: Static, output: Tensor) -> None:
        if primitive is subtract:
            flat, column = sorted(inputs, key=lambda x: x.ndim)
            spread = flat.ndim == 1 and column.shape == (*flat.shape, 1) and flat.size > 1
            spread = spread and not (flat.array == column.array[..., 0]).all()  # pairs of targets, as in a ranking
            alike = (y for y in self.targets if flat.array.shape in (y.shape, y.shape[1:]))
            if spread and any((flat.array == y).all(-1).any() for y in alike):
                self.line = str(user_site())


def check_pairs(objective: Objective, phi: Tree, *batch: Tree) -> None:
    """Warn of a loss that subtracts each target (n,) from each prediction (n, 1), as a mean((a - b) ** 2) may.

    The losses of `tm.nn` refuse it; of another one only the operations can be seen. It costs a look at the loss where a
    batch has such targets, and nothing elsewhere.
    """
    pairs = [pair for pair in batch[0] if isinstance(pair, tuple)] if isinstance(batch[0], Episode) else []
    ys = [getattr(pair[-1], "array", pair[-1]) for pair in pairs]
    seen = _Pairs([y for y in ys if isinstance(y, np.ndarray) and y.ndim == 2 and y.dtype.kind == "f"])
    if seen.targets:
        with setting(watchers=(*state.watchers, seen)):
            objective(phi, *batch)
    if seen.line:
        warnings.warn(
            f"a prediction of shape (n, 1) minus a target of shape (n,) is n × n differences ({seen.line}): write "
            "y[..., None], or prediction[..., 0], or tm.nn.mse_loss, which refuses two shapes",
            stacklevel=4,
        )


def _close(a: Tree, b: Tree) -> bool:
    """Equal but for the rounding of a decay, which another order of operations rounds otherwise."""
    a, b = np.asarray(a.detach() if hasattr(a, "detach") else a), np.asarray(b.detach() if hasattr(b, "detach") else b)
    return bool(np.allclose(a, b, rtol=8 * float(np.finfo(b.dtype).eps) if b.dtype.kind in "fc" else 0, atol=0))
