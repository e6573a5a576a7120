"""What scikit-learn asks of every classifier, written out: nothing is inherited, so nothing has to be installed."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np

from tinymeta.engine.errors import UserError, user_site
from tinymeta.engine.tensor import Array
from tinymeta.fewshot import arrays
from tinymeta.fewshot.arrays import of_sklearn


class Classifier(ABC):
    """Parameters by name, an accuracy, and columns that stay the same: a subclass has `fit` and `predict`."""

    run: Any
    classes_: Array

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """What it was made with, by name; `deep` has nothing to go into."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Self:
        """Change what it was made with; it takes effect in the next `fit`. Raises: UserError for another name."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise UserError(f"{type(self).__name__} has no parameter {name!r}: it has {', '.join(known)}")
            setattr(self, name, value)
        return self

    @abstractmethod
    def predict(self, X: Any) -> Array:
        """The class of every row of `X`."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The share of right predictions, each counted by its weight. Raises: UserError for weights that are none."""
        right = self.predict(X) == arrays.labels(y, len(X))
        weights = np.ones(len(right)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        if weights.shape != right.shape or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
            raise UserError(
                f"sample_weight holds one number per row of X, ({len(right)},), none below 0 and not all 0 "
                f"({user_site()})"
            )
        return float(np.average(right, weights=weights))

    def _columns_are(self, X: Any, x: Array) -> None:
        """Keep what the columns of `X`, as an array `x`, are."""
        self._shape, self.n_features_in_ = x.shape[1:], int(np.prod(x.shape[1:]))
        vars(self).pop("feature_names_in_", None)
        if (names := arrays.names_of_columns(X)) is not None:
            self.feature_names_in_ = names

    def _as_before(self, X: Any) -> Array:
        """`X` as an array, if its rows are like those of `fit`. Raises: UserError; unfitted, scikit-learn's error."""
        name = type(self).__name__
        if not hasattr(self, "classes_"):
            raise of_sklearn("NotFittedError", UserError)(f"this {name} is not fitted yet: call fit(X, y) first")
        x = arrays.examples(X)
        if x.shape[1:] != self._shape:
            if x.ndim == 2 and len(self._shape) == 1:
                raise UserError(
                    f"X has {x.shape[1]} features, but {name} is expecting {self._shape[0]} features as input"
                )
            raise UserError(f"X has rows of shape {x.shape[1:]}, and {name} was fitted to {self._shape}")
        before, now = getattr(self, "feature_names_in_", None), arrays.names_of_columns(X)
        if before is not None and now is not None and list(before) != list(now):
            first = next(k for k, (a, b) in enumerate(zip(before, now)) if a != b)
            raise UserError(
                "The feature names should match those that were passed during fit: column "
                f"{first} was {before[first]!r} and is {now[first]!r}"
            )
        return x

    def __repr__(self) -> str:
        given = inspect.signature(type(self)).parameters
        changed = [f"{n}={x!r}" for n, x in self.get_params().items() if x != given[n].default]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(three_d_array=self.run is not None),
        )
