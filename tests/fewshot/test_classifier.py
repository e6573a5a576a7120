"""The classifier: scikit-learn's own checks, rows whoever holds them, probabilities worth their name, and refusals."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinymeta as tm
from tests.recipes.pictures import CLASSES
from tinymeta.cli import main
from tinymeta.fewshot import FewShotClassifier

RNG = np.random.default_rng(0)
X, Y = np.concatenate([RNG.normal(size=(12, 3)) + 4 * k for k in range(3)]), np.repeat(["ape", "bee", "cat"], 12)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "images"
    keys = ["tasks=4", "meta_batch=2", "size=16", "splits=1", "head=prototypes", "final=no"]
    assert main(["run", "images", "--iterations", "2", "--out", str(folder), "--quiet", "--set", *keys]) == 0
    return folder


def failures(estimator: Any) -> dict[str, str]:
    """What of scikit-learn's checks fails, and why."""
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    found = checks.check_estimator(estimator, on_fail=None, on_skip=None)
    assert len(found) > 50
    return {each["check_name"]: str(each["exception"]) for each in found if each["status"] == "failed"}


@pytest.mark.filterwarnings("ignore:Estimator .* does not inherit")
@pytest.mark.parametrize("head", [None, "prototypes"])
def test_all_checks_of_scikit_learn_pass_for_features(head: str | None) -> None:
    assert failures(FewShotClassifier(head=head)) == {}


class Drawn(FewShotClassifier):
    """Rows of numbers as pictures that show a stripe per number: what the checks hand over, a run of pictures can see.

    What is no row of finite numbers is handed on as it is.
    """

    def fit(self, X: Any, y: Any) -> FewShotClassifier:
        return super().fit(self.drawn(X), y)

    def _as_before(self, X: Any) -> Any:
        return super()._as_before(self.drawn(X))

    def drawn(self, X: Any) -> Any:
        try:
            x = np.asarray(X)
            x = x if np.iscomplexobj(x) else x.astype(np.float64)
        except (TypeError, ValueError):
            return X
        if np.iscomplexobj(x) or x.ndim != 2 or 0 in x.shape or not np.isfinite(x).all():
            return X
        stripes = np.repeat(1 / (1 + np.exp(-x)), 4, axis=1)
        return np.repeat(stripes[:, None], 16, axis=1)


NOT_FOR_PICTURES = {
    "check_n_features_in": "a picture has no columns to count",
    "check_n_features_in_after_fitting": "and the words of the check are of columns",
    "check_methods_sample_order_invariance": "asks for 1e-9, and a network in float32 rounds as its batch is cut",
    "check_methods_subset_invariance": "asks for 1e-7, likewise",
    "check_classifiers_train": "asks for 83 % on numbers drawn as stripes, of a network that has learned for two steps",
}


@pytest.mark.filterwarnings("ignore:Estimator .* does not inherit")
def test_the_checks_of_scikit_learn_pass_for_pictures_but_for_those_that_can_not_apply(run: Path) -> None:
    assert failures(Drawn(run=str(run))).keys() <= NOT_FOR_PICTURES.keys()


def test_pipelines_searches_and_scores_take_it() -> None:
    pytest.importorskip("sklearn")
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    search = GridSearchCV(clone(FewShotClassifier()), {"head": ["logistic", "prototypes"]}, cv=3).fit(X, Y)
    assert search.best_score_ > 0.9
    scores = cross_val_score(make_pipeline(StandardScaler(), FewShotClassifier()), X, Y, cv=3, scoring="neg_log_loss")
    assert scores.min() > -0.3


HOLDERS: dict[str, Any] = {
    "lists": (np.ndarray.tolist, np.ndarray.tolist),
    "columns first": (np.asfortranarray, list),
    "objects": (lambda x: x.astype(object), lambda y: y.astype(object)),
    "tensors": (tm.tensor, list),
}


@pytest.mark.parametrize("holder", [*HOLDERS, "pandas", "torch"])
def test_whoever_holds_the_rows_the_answers_are_the_same(holder: str) -> None:
    if holder == "pandas":
        pandas = pytest.importorskip("pandas")
        x, y = pandas.DataFrame(X), pandas.Series(Y).astype("category")
    elif holder == "torch":
        x, y = pytest.importorskip("torch").tensor(X, requires_grad=True), Y
    else:
        x, y = (take(a) for take, a in zip(HOLDERS[holder], (X, Y)))
    expected = FewShotClassifier().fit(X, Y)
    found = FewShotClassifier().fit(x, y)
    assert list(found.classes_) == list(expected.classes_)
    np.testing.assert_array_equal(found.predict_proba(x), expected.predict_proba(X))


@given(
    ways=st.integers(2, 5),
    shots=st.integers(1, 6),
    features=st.integers(1, 6),
    dtype=st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.int64]),
    head=st.sampled_from(["logistic", "prototypes"]),
    scale=st.sampled_from([1e-200, 1.0, 1e200]),
    zero=st.sampled_from([0, -1_000, 10**6]),
    seed=st.integers(0, 2**31),
)
def test_probabilities_are_some_and_neither_unit_nor_zero_of_the_features_changes_them(
    ways: int, shots: int, features: int, dtype: Any, head: str, scale: float, zero: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(-100, 100, (ways * shots, features)).astype(dtype)
    y = rng.permutation(np.repeat(np.arange(ways) * 10, shots))
    fitted = FewShotClassifier(head=head).fit(x, y)
    chances = fitted.predict_proba(x)
    assert chances.shape == (len(x), ways) and (chances >= 0).all()
    np.testing.assert_allclose(chances.sum(1), 1, rtol=8 * np.finfo(float).eps)
    np.testing.assert_array_equal(fitted.predict(x), fitted.classes_[chances.argmax(1)])
    assert set(fitted.classes_) == set(y)
    large = (x.astype(np.float64) + zero) * scale
    again = FewShotClassifier(head=head).fit(large, y).predict_proba(large)
    np.testing.assert_allclose(again, chances, atol=1e-6)  # the temperature is found to 1e-4 of its logarithm


def test_probabilities_mean_what_they_say() -> None:
    """Two overlapping classes, on which one is right 84 % of the time: the mean confidence is that, not 100 %."""
    rng = np.random.default_rng(3)
    y = rng.integers(2, size=(2, 400))
    x = rng.normal(size=(2, 400, 5)) + 2 * y[..., None] * np.eye(5)[0]
    fitted = FewShotClassifier().fit(x[0], y[0])
    chances = fitted.predict_proba(x[1])
    right = fitted.score(x[1], y[1])
    assert abs(chances.max(1).mean() - right) < 3 * np.sqrt(right * (1 - right) / 400)  # three standard errors


def test_a_run_of_pictures_sees_files_arrays_and_rows_alike(run: Path) -> None:
    pictures, y = CLASSES.images[:4, :4].reshape(-1, 20, 20), np.repeat(np.arange(4), 4)
    fitted = tm.fewshot.load(run).fit(pictures, y)
    chances = fitted.predict_proba(pictures)
    assert fitted.temperature_ != 1.0 and (fitted.score(pictures, y) > 0.5)
    coloured = np.repeat(pictures[..., None], 3, -1)
    for other in (pictures / 255, pictures.reshape(16, -1), coloured, np.moveaxis(coloured, -1, 1)):
        np.testing.assert_array_equal(tm.fewshot.load(run).fit(other, y).predict_proba(other), chances)
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.predict_proba(pictures), chances)
    faint = np.tile(np.arange(20) % 2, (1, 20, 1))  # bytes of 0 and 1, among bytes, are no black and white
    np.testing.assert_array_equal(
        fitted.predict_proba(faint), tm.fewshot.load(run).fit(pictures / 255, y).predict_proba(faint / 255)
    )


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "one axis": (X[:, 0], Y, r"X.reshape\(-1, 1\)"),
    "one class": (X[:12], Y[:12], r"one class only \('ape'\)"),
    "no rows": (X[:0], Y[:0], r"0 sample\(s\)"),
    "other lengths": (X, Y[:5], "one label per row"),
    "NaN": (np.where(X > 5, np.nan, X), Y, "X contains NaN or infinity in .* of its 36 rows"),
    "masked": (np.ma.masked_greater(X, 5), Y, "X contains NaN"),
    "words": (Y[:, None], Y, "what is no number"),
    "rows of other lengths": ([[1], [1, 2]], [0, 1], "rows differ in length"),
    "a missing label": (X, [None, *Y[1:]], "first in row 0"),
    "fractions": (X, X[:, 0], "continuous"),
    "no labels": (X, None, "requires y to be passed"),
    "one-hot labels": (X, np.eye(36)[:, :3], "one label per row"),
    "words and numbers": (X, [1, *Y[1:]], "words of one type"),
    "masked words": (X, np.ma.masked_equal(Y, "cat"), "first in row 24"),
    "pictures without a run": (np.zeros((36, 4, 4)), Y, r"tm\.fewshot\.load\(RUN\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_not_be_learned_from_is_one_sentence(name: str) -> None:
    x, y, words = REFUSED[name]
    with pytest.raises(tm.UserError, match=words) as told:
        FewShotClassifier().fit(x, y)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("head", ["logistic", "prototypes"])
def test_what_overflows_is_refused(head: str) -> None:
    fitted = FewShotClassifier(head=head).fit(X * 1e-300, Y)
    for ask in (fitted.predict, fitted.predict_proba):
        with pytest.raises(tm.UserError, match="squares overflow, in 36 of its 36 rows"):
            ask(X * 1e300)


@pytest.mark.parametrize("weights", [np.ones(5), np.zeros(36), -np.ones(36), np.full(36, np.nan), np.full(36, np.inf)])
def test_weights_that_weigh_nothing_are_refused(weights: Any) -> None:
    with pytest.raises(tm.UserError, match="sample_weight holds one number per row"):
        FewShotClassifier().fit(X, Y).score(X, Y, weights)


@pytest.mark.parametrize("name", REFUSED)
def test_a_fit_that_was_refused_changes_nothing(name: str) -> None:
    fitted = FewShotClassifier().fit(X, Y)
    before = fitted.predict_proba(X)
    with pytest.raises(tm.UserError):
        fitted.fit(*REFUSED[name][:2])
    np.testing.assert_array_equal(fitted.predict_proba(X), before)


def test_a_run_refuses_what_it_can_not_see(run: Path, tmp_path: Path) -> None:
    for x, words in (
        (np.full((4, 8, 8), 16.0), "greys up to 16"),
        (np.full((4, 8, 8), -1.0), "greys from -1"),
        (np.zeros((4, 7)), "rows of shape"),
    ):
        with pytest.raises(tm.UserError, match=words):
            tm.fewshot.load(run).fit(x, [0, 0, 1, 1])
    with pytest.raises(tm.UserError, match="is no folder of a run"):
        tm.fewshot.load(tmp_path / "nowhere")
    with pytest.raises(tm.UserError, match="fitted to"):
        tm.fewshot.load(run).fit(np.zeros((4, 8, 8)), [0, 0, 1, 1]).predict(np.zeros((1, 9, 9)))


def test_columns_that_changed_places_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    fitted = FewShotClassifier().fit(frame, Y)
    assert list(fitted.feature_names_in_) == ["a", "b", "c"]
    with pytest.raises(tm.UserError, match="column 1 was 'b' and is 'c'"):
        fitted.predict(frame[["a", "c", "b"]])


def test_parameters_have_names() -> None:
    classifier = FewShotClassifier(head="prototypes")
    assert repr(classifier.set_params(head="logistic")) == "FewShotClassifier(head='logistic')"
    assert classifier.get_params() == {"run": None, "head": "logistic"}
    for wrong in ({"k": 3}, {"head": "logstic"}):
        with pytest.raises(tm.UserError):
            FewShotClassifier().set_params(**wrong).fit(X, Y)
    with pytest.raises(ValueError, match="is not fitted yet"):
        FewShotClassifier().predict(X)
