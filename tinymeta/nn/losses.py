"""Losses: means over all leading axes, so a loss is a number per task whatever the batch."""

from __future__ import annotations

from tinymeta.engine.convert import as_tensor
from tinymeta.engine.errors import DtypeError, ShapeError, user_site
from tinymeta.engine.primitive import bind
from tinymeta.engine.refusals import demand
from tinymeta.engine.tensor import Array, ArrayLike, Tensor
from tinymeta.ops.elementwise import log, scale, square
from tinymeta.ops.fused import cross_entropy_rows
from tinymeta.ops.logistic import softplus
from tinymeta.ops.reduce import mean, sum
from tinymeta.ops.select import where
from tinymeta.ops.shape import astype
from tinymeta.ops.widen import floating, real, squarable


def mse_loss(pred: ArrayLike, target: ArrayLike) -> Tensor:
    """Mean of (pred − target)² over all elements; the shapes must be equal, so that nothing broadcasts unseen.

    Shapes: twice (…) → ().
    Raises: ShapeError where they differ: `tm.nn.mse_loss([1.0, 2.0], [[1.0], [2.0]])`.

    >>> tm.nn.mse_loss([1.0, 2.0], [1.0, 4.0])
    tensor(2.)
    """
    pred, target = floating(pred), floating(target)
    _same_shape("mse_loss", pred, target)
    error = real("mse_loss", pred - target)
    return astype(mean(square(squarable(error))), error.dtype)


def cross_entropy(logits: ArrayLike, labels: ArrayLike) -> Tensor:
    """Mean of −log softmax(logits)[label] over the examples, with unnormalised log probabilities for logits.

    Shapes: (…, classes) and integers (…) from 0 to classes − 1 → ().
    Raises: ShapeError where they don't fit, or for a label outside: `tm.nn.cross_entropy([[1.0, 2.0]], [2])`;
    DtypeError for labels that aren't integers: `tm.nn.cross_entropy([[1.0, 2.0]], [0.5])`.

    >>> tm.nn.cross_entropy([[0.0, 0.0], [0.0, 1000.0]], [0, 1])
    tensor(0.3466)
    """
    return mean(cross_entropy_each(logits, labels))


def cross_entropy_each(logits: ArrayLike, labels: ArrayLike) -> Tensor:
    """−log softmax(logits)[label] for every example.

    Shapes: (…, classes) and integers (…) from 0 to classes − 1 → (…).
    Raises: ShapeError where they don't fit, or for a label outside: `tm.nn.cross_entropy_each([[1.0, 2.0]], [2])`;
    DtypeError for labels that aren't integers: `tm.nn.cross_entropy_each([[1.0, 2.0]], [0.5])`.

    >>> tm.nn.cross_entropy_each([[0.0, 0.0], [0.0, 1000.0]], [0, 1])
    tensor([0.6931, 0.    ])
    """
    logits, labels = floating(logits), as_tensor(labels)
    if labels.dtype.kind not in "iu":
        raise DtypeError(
            f"cross_entropy needs integer labels, not {labels.dtype} ({user_site()}): see kl_div for soft ones"
        )
    if logits.ndim < 1 or logits.shape[:-1] != labels.shape:
        raise ShapeError(
            f"cross_entropy needs logits (…, classes) and labels (…): {logits.shape} and {labels.shape} ({user_site()})"
        )
    classes = logits.shape[-1]
    demand(_within, labels, classes=classes)
    return bind(cross_entropy_rows, logits, labels)


def _within(labels: Array, classes: int) -> None:
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ShapeError(
            f"cross_entropy with {classes} classes needs labels from 0 to {classes - 1} and got some from "
            f"{labels.min()} to {labels.max()} ({user_site()}): number the classes of each task from 0, as "
            "np.unique(y, return_inverse=True)[1] does, or give the model an output for each"
        )


def bce_with_logits(logits: ArrayLike, targets: ArrayLike) -> Tensor:
    """Mean binary cross-entropy −t log σ(z) − (1 − t) log σ(−z): two terms of one sign, exact however sure z is.

    Shapes: twice (…) → (); targets are 0, 1 or a probability.
    Raises: ShapeError where they differ: `tm.nn.bce_with_logits([1.0, 2.0], [1])`.

    >>> tm.nn.bce_with_logits([0.0, 1000.0], [1, 1])
    tensor(0.3466)
    """
    logits, targets = floating(logits), as_tensor(targets)
    _same_shape("bce_with_logits", logits, targets)
    t = targets.astype(logits.dtype)
    return mean(scale(t, softplus(-logits)) + scale(1 - t, softplus(logits)))


def kl_div(log_q: ArrayLike, p: ArrayLike) -> Tensor:
    """Mean over examples of KL(p ‖ q) = Σ p (log p − log q) along the last axis; a term with p = 0 is 0.

    Shapes: log q and p, twice (…, n) → ().
    Raises: ShapeError where they differ: `tm.nn.kl_div([0.0, 0.0], [1.0])`.
    Source: Kullback & Leibler 1951.

    >>> tm.nn.kl_div(np.log([0.5, 0.5]), [1.0, 0.0])
    tensor(0.6931)
    """
    log_q, p = as_tensor(log_q), as_tensor(p)
    _same_shape("kl_div", log_q, p)
    positive = real("kl_div", p) > 0
    return mean(sum(p * (log(where(positive, p, 1)) - where(positive, log_q, 0)), -1))


def accuracy(logits: ArrayLike, labels: ArrayLike) -> Tensor:
    """The share of examples whose largest logit is that of their label. No gradient.

    Shapes: (…, classes) and integers (…) → ().
    Raises: ShapeError where they don't fit: `tm.nn.accuracy([[1.0, 2.0]], [[0, 1]])`.

    >>> tm.nn.accuracy([[3.0, 1.0], [2.0, 5.0]], [0, 0])
    tensor(0.5)
    """
    logits, labels = as_tensor(logits), as_tensor(labels)
    if logits.ndim < 1 or logits.shape[:-1] != labels.shape:
        raise ShapeError(
            f"accuracy needs logits (…, classes) and labels (…): {logits.shape} and {labels.shape} ({user_site()}); of "
            "one-hot labels take labels.argmax(-1)"
        )
    return mean((logits.argmax(-1) == labels).astype(logits.dtype))


def _same_shape(what: str, a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise ShapeError(f"{what} needs two arrays of one shape, not {a.shape} and {b.shape} ({user_site()})")
