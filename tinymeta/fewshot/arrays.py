"""X and y as NumPy arrays, whoever holds them: lists, NumPy, pandas, PyTorch, Tensors; and what is refused."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

import numpy as np

from tinymeta.engine.errors import UserError, user_site
from tinymeta.engine.tensor import Array

NUMBERS = "fiub"


def of_sklearn(name: str, otherwise: type) -> Any:
    """The exception or warning that scikit-learn's users catch, where it is installed."""
    try:
        return getattr(import_module("sklearn.exceptions"), name)
    except ImportError:
        return otherwise


def examples(x: Any) -> Array:
    """X as float64, (n, features) or pictures (n, …).

    Raises: UserError for a sparse or complex X, no example or feature, one axis, what is no number, NaN or infinity;
    TypeError for objects.
    """
    if hasattr(x, "tocsr"):
        raise UserError(f"X is a sparse matrix ({user_site()}), and features lie side by side: pass X.toarray()")
    found = _array(x)
    if found.dtype.kind == "c":
        raise UserError(f"Complex data not supported: X is {found.dtype} ({user_site()}); pass its parts as features")
    if found.ndim < 2:
        raise UserError(
            f"X has shape {found.shape} ({user_site()}), and a row per example is expected. Reshape your data: "
            "X.reshape(-1, 1) if there is one feature, X.reshape(1, -1) if there is one example"
        )
    for axis, what in enumerate(("sample", "feature")):
        if found.shape[axis] == 0:
            raise UserError(f"Found array with 0 {what}(s) (shape={found.shape}) while a minimum of 1 is required.")
    if found.dtype.kind not in NUMBERS and not (found.dtype.kind in "OUST" and found.size):
        raise UserError(f"X is {found.dtype} ({user_site()}), and features are numbers: convert its columns")
    try:
        values = found.astype(np.float64, order="C")
    except TypeError as fault:
        if "NAType" not in str(fault):
            raise
        raise UserError("X contains NaN (a missing value, NA): fill or leave out such rows") from fault
    except ValueError as fault:
        raise UserError(f"X holds what is no number ({fault}): encode words as numbers first") from fault
    if bad := int((~np.isfinite(values.reshape(len(values), -1))).any(1).sum()):
        raise UserError(f"X contains NaN or infinity in {bad} of its {len(values)} rows: fill them, or leave them out")
    return values


def labels(y: Any, count: int) -> Array:
    """y as an array (n,) of whole numbers, booleans or words, one per example.

    Raises: UserError for no y, another length, NaN, fractions, or several columns.
    """
    if y is None:
        raise UserError("requires y to be passed, but the target y is None: fit(X, y) learns classes from their names")
    found = _array(y)
    if found.dtype.kind in "US" and isinstance(y, list | tuple):
        found = np.array(y, object)  # of which NumPy had made words, numbers among them, too
    if found.ndim == 2 and found.shape[1] == 1:
        warnings.warn(
            "A column-vector y was passed when a 1d array was expected: pass y.ravel()",
            of_sklearn("DataConversionWarning", UserWarning),
            stacklevel=3,
        )
        found = found[:, 0]
    if found.shape != (count,):
        raise UserError(f"y has shape {found.shape}, and X has {count} rows: y holds one label per row, ({count},)")
    if found.dtype.kind == "O":
        missing = [k for k, label in enumerate(found) if label is None or label != label]
        if missing:
            raise UserError(f"Input y contains NaN (a missing label, first in row {missing[0]}): leave such rows out")
        found = np.array(found.tolist()) if len({np.asarray(label).dtype.kind for label in found}) == 1 else found
    if found.dtype.kind == "f":
        if not np.isfinite(found).all():
            raise UserError("Input y contains NaN or infinity: leave rows without a label out")
        if (found != np.rint(found)).any():
            raise UserError("Unknown label type: continuous y. Labels name classes; fractions are for regression")
    if found.dtype.kind not in f"{NUMBERS}UST":
        raise UserError(f"Unknown label type: {found.dtype}. Labels are whole numbers, or words of one type")
    return found


def names_of_columns(x: Any) -> Array | None:
    """The names of the columns of a data frame, if they are all words."""
    columns = getattr(x, "columns", None)
    if columns is None or not all(isinstance(name, str) for name in columns):
        return None
    return np.array(list(columns), object)


def _array(x: Any) -> Array:
    """As NumPy sees it: without a gradient, from any device, what is masked as NaN."""
    for way in ("detach", "cpu"):
        x = getattr(x, way, lambda x=x: x)()
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        masked: Array = np.ma.filled(x.astype(object), np.nan)
        return masked
    try:
        return np.asarray(x)
    except ValueError as fault:
        raise UserError(f"rows differ in length ({user_site()}): each example has as many features") from fault
