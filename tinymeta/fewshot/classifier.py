"""`FewShotClassifier`: fit to a few examples of each class, as a run has learned to see them, or as they are."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from tinymeta.engine.errors import UserError, user_site
from tinymeta.engine.tensor import Array
from tinymeta.fewshot import arrays
from tinymeta.fewshot.estimator import Classifier
from tinymeta.fewshot.sight import HEADS, AsTheyAre, OfRun, Sight
from tinymeta.recipes.heads import softmax


class FewShotClassifier(Classifier):
    """Classes from a few examples of each, with calibrated probabilities; scikit-learn's tools take it as their own.

    Shapes: X (n, features), or for a run of pictures (n, height, width), (n, height, width, 3), (n, 3, height, width)
    or (n, height · width), bytes or fractions; y (n,) → labels (n,), probabilities (n, classes).
    Raises: UserError (by `fit`) for X or y that can't be read so, a single class, or a run that is none of `images`:
    `tm.fewshot.FewShotClassifier().fit([[0.0], [1.0]], ["a", "a"])`.

    Parameters
    ----------
    run
        The folder of a run of `images`, which says how X is seen, what answers and how sure it may be. None: the
        features of X as they are, and a temperature by cross-validation (1 where no class has two examples).
    head
        "logistic" regression, or "prototypes", the means of classes; None: what the run has chosen, or logistic.

    Attributes
    ----------
    classes_ : (classes,)
        The labels there are, in order.
    n_features_in_, feature_names_in_
        The columns of X, and their names in a data frame.
    temperature_ : float
        Probabilities are softmax(logits / temperature).

    Examples
    --------
    >>> X, y = np.array([[0.0], [0.2], [4.0], [4.2]]), np.array(["low", "low", "high", "high"])
    >>> print(*tm.fewshot.FewShotClassifier().fit(X, y).predict([[0.5], [3.0]]))
    low high
    """

    def __init__(self, run: str | os.PathLike[str] | None = None, head: str | None = None) -> None:
        self.run, self.head = run, head

    def fit(self, X: Any, y: Any) -> FewShotClassifier:
        """Learn the classes of `y` from the rows of `X`."""
        if self.head not in (None, *HEADS):
            raise UserError(f"head={self.head!r}: it is one of {', '.join(HEADS)}, or None")
        x = arrays.examples(X)
        classes, labels = np.unique(arrays.labels(y, len(x)), return_inverse=True)
        if len(classes) < 2:
            raise UserError(
                f"y holds one class only ({classes.tolist()[0]!r}), and a classifier tells two or more apart"
            )
        how: Sight = AsTheyAre(self.head or "logistic") if self.run is None else OfRun.of(self.run, self.head)
        sight = how.used_to(x)
        support = sight.features(x)
        self.temperature_ = sight.temperature(support, labels)
        self._sight, self._support, self._labels, self.classes_ = sight, support, labels, classes
        self._columns_are(X, x)
        return self

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, in the order of `classes_`, for every row of `X`: (n, classes)."""
        return softmax(self._logits(X) / self.temperature_)

    def predict(self, X: Any) -> Array:
        """The likeliest class of every row of `X`: (n,)."""
        likeliest = self._logits(X).argmax(1)
        found: Array = self.classes_[likeliest]
        return found

    def _logits(self, X: Any) -> Array:
        x = self._as_before(X)
        with np.errstate(over="ignore", invalid="ignore"):
            found = self._sight.logits(self._support, self._labels, self._sight.features(x))
        if bad := int((~np.isfinite(found)).any(1).sum()):
            raise UserError(
                f"X lies so far from the rows of fit that squares overflow, in {bad} of its {len(x)} rows "
                f"({user_site()}): pass both in one unit"
            )
        return found


def load(run: str | os.PathLike[str], head: str | None = None) -> FewShotClassifier:
    """A classifier that sees as the run in a folder has learned to, to be fitted to examples of classes of your own.

    Shapes: see `FewShotClassifier`.
    Raises: UserError where the folder holds no trained run of `images`: `tm.fewshot.load("nowhere")`.

    >>> from pathlib import Path
    >>> [tm.fewshot.load(run) for run in Path("runs-of-mine").glob("images-*")]
    []
    """
    OfRun.of(run, head)
    return FewShotClassifier(os.fspath(run), head)
