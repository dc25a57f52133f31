"""Each piece names what it cannot use, and takes lists for arrays."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from planted_shifts import drawn

from throughtime.errors import DataError, ParameterError
from throughtime.estimators import SequenceClassifier
from throughtime.shift import (
    Embedding,
    bbse_priors,
    calibrate,
    calibrated,
    covariate_weights,
    effective_size,
    em_priors,
    estimate_priors,
    floored,
    weighted_cross_validation,
    weighted_mean,
)

pytestmark = pytest.mark.usefixtures("types_unchecked")

RNG = np.random.default_rng(0)
CODES = np.arange(60) % 3
LOGITS = 2 * np.eye(3)[CODES] + RNG.normal(size=(60, 3))
CHANCES = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
NAN, TEXT = np.where(np.arange(60) == 5, np.nan, LOGITS.T).T, np.full((60, 3), "1")
X = RNG.normal(size=(40, 2))
WORDS = np.array(["a", "b", "c"])
EMBEDDING = Embedding(LOGITS, ("u", "v", "w"), LOGITS, LOGITS, CODES)
THIRDS = np.full(3, 1 / 3)
SERIES, LABELS = drawn(12)
NETS = [SequenceClassifier(hidden_size=2, max_epochs=1, random_state=0)]
HALVES = [(np.arange(6), np.arange(6, 12))]


def priors(*given: Any, **more: Any) -> Callable[[], object]:
    return lambda: estimate_priors(*(given or (LOGITS, CODES, LOGITS)), **{"repeats": 2} | more)


def folds(*given: Any) -> Callable[[], object]:
    return lambda: weighted_cross_validation(*given)


REFUSED: list[tuple[Callable[[], object], type[Exception], str]] = [
    (priors(method="foo"), ParameterError, "one of auto, labels, EM, BBSE, BBSE soft, got 'foo'"),
    (priors(method=None), ParameterError, "got None"),
    (priors(level=2), ParameterError, "level needs a number between 0 and 1, got 2"),
    (priors(level=".05"), ParameterError, "level needs a number"),
    (priors(repeats=0), ParameterError, "repeats needs a whole number of at least 1, got 0"),
    (priors(random_state=-1), ParameterError, "random_state needs a whole number"),
    (priors(NAN, CODES, LOGITS), DataError, "the reference needs finite logits, got nan"),
    (priors(LOGITS, CODES, NAN), DataError, "the deployed sample needs finite logits, got nan"),
    (priors(LOGITS, CODES, LOGITS[:0]), DataError, "the deployed sample needs series"),
    (priors(LOGITS, CODES, LOGITS[:, :2]), DataError, "a logit of each of 3 classes, got 2 columns"),
    (priors(LOGITS, CODES, TEXT), DataError, "the deployed sample needs real numbers"),
    (priors(LOGITS, CODES[:9], LOGITS), DataError, "the reference needs the class of each of 60 series"),
    (priors(LOGITS, WORDS[CODES % 2], LOGITS), DataError, "the reference needs class codes from 0 to 2"),
    (priors(LOGITS, WORDS[CODES], LOGITS, ["x"] * 60), DataError, r"the reference has \('a', 'b', 'c'\), got 'x'"),
    (priors(LOGITS, [*WORDS[CODES[1:]], None], LOGITS), DataError, "series 59 has none"),
    (priors(EMBEDDING, CODES, EMBEDDING), DataError, "got an Embedding; give one of those that it holds"),
    (lambda: covariate_weights(X, [[1.0], [1.0, 2.0]]), DataError, "of one length per series, got list of several"),
    (priors(LOGITS, CODES, LOGITS, CODES + 1), DataError, "the deployed sample needs class codes from 0 to 2"),
    (priors(LOGITS, CODES, LOGITS, CODES[:9]), DataError, "the deployed sample needs the class of each of 60"),
    (priors(LOGITS, CODES, None, CODES[:0]), DataError, "the class of at least one series"),
    (priors(groups=np.arange(9)), DataError, "^groups needs one value for each of the 60"),
    (priors(deployed_groups=np.arange(9)), DataError, "deployed_groups needs one value for each of the 60"),
    (priors([[1.0, 2.0], [1.0]], CODES, LOGITS), DataError, "several lengths"),
    (lambda: em_priors(NAN, THIRDS), DataError, "probabilities needs finite values, got nan"),
    (lambda: em_priors(CHANCES[:0], THIRDS), DataError, "at least one value"),
    (lambda: em_priors(LOGITS, THIRDS), DataError, "values of at least 0"),
    (lambda: em_priors(2 * CHANCES, THIRDS), DataError, "a sum of 1, got 2"),
    (lambda: em_priors(CHANCES, [0.5, 0.5]), DataError, "each of 3 classes in the reference"),
    (lambda: em_priors(CHANCES, [0.5, 0.5, 0]), DataError, "a fraction above 0"),
    (lambda: em_priors(CHANCES, THIRDS, weights=np.zeros(60)), DataError, "a weight above zero"),
    (lambda: em_priors(CHANCES, THIRDS, weights=np.ones(9)), DataError, r"one value per series \(60\)"),
    (lambda: em_priors(CHANCES, THIRDS, iterations=-1), ParameterError, "iterations needs a whole number"),
    (lambda: bbse_priors(np.full((3, 3), np.nan), THIRDS), DataError, "confusion matrix needs finite values"),
    (lambda: bbse_priors(np.ones((3, 3)), THIRDS), DataError, "confusion matrix needs a sum of 1, got 3"),
    (lambda: bbse_priors(np.eye(2), THIRDS), DataError, "a row of the confusion for each of 3 classes, got 2"),
    (lambda: bbse_priors(np.eye(3), [0.5, -0.5, 1.0]), DataError, "values of at least 0"),
    (lambda: floored([np.nan], 3), DataError, "finite values"),
    (lambda: floored(THIRDS, -1), ParameterError, "n needs a whole number of at least 0"),
    (lambda: calibrate(LOGITS, CODES, weights=np.zeros(60)), DataError, "a weight above zero"),
    (lambda: calibrate(LOGITS, CODES, weights=np.ones(9)), DataError, r"one value per series \(60\)"),
    (lambda: calibrate(TEXT, CODES), DataError, "a calibration needs real numbers"),
    (lambda: calibrate(LOGITS[:, :2], CODES % 2, start=calibrate(LOGITS, CODES)), DataError, "its 2 classes"),
    (lambda: calibrated(LOGITS[:, :2], calibrate(LOGITS, CODES)), DataError, "each of 3 classes, got 2"),
    (lambda: calibrated(NAN, calibrate(LOGITS, CODES)), DataError, "finite logits"),
    (lambda: covariate_weights(X, X[:, :1]), DataError, "columns on both sides"),
    (lambda: covariate_weights(X[:, 0], X), DataError, "the reference sample needs 2 axes"),
    (lambda: covariate_weights(X[:, :0], X[:, :0]), DataError, "at least one value"),
    (lambda: covariate_weights(X.astype(str), X), DataError, "the reference sample needs real numbers"),
    (lambda: covariate_weights(X, X, groups=np.arange(9)), DataError, "^groups needs one value for each of the 40"),
    (lambda: covariate_weights(X, X, deployed_groups=np.arange(9)), DataError, "^deployed_groups needs"),
    (lambda: covariate_weights(X, X, clip="10"), ParameterError, "clip needs a number of at least 1, got '10'"),
    (lambda: covariate_weights(X, X, random_state=-1), ParameterError, "random_state needs"),
    (lambda: effective_size(np.zeros(3)), DataError, "a weight above zero"),
    (lambda: effective_size(np.array([])), DataError, "a weight above zero"),
    (lambda: effective_size(np.array([1.0, np.nan])), DataError, "finite values"),
    (lambda: effective_size(np.ones((2, 2))), DataError, "one value per series"),
    (lambda: weighted_mean(np.ones(4), level=2), ParameterError, "level needs a number between 0 and 1"),
    (lambda: weighted_mean(np.ones(4), level="x"), ParameterError, "level needs a number between 0 and 1"),
    (lambda: weighted_mean(np.ones(4), groups=np.ones(3)), DataError, "groups needs one value for each of the 4"),
    (lambda: weighted_mean(np.ones((4, 2))), DataError, "a weighted mean needs 1 axes"),
    (lambda: weighted_mean(np.array(["1", "2"])), DataError, "a weighted mean needs real numbers"),
    (folds(NETS[0], SERIES, LABELS, None, HALVES), ParameterError, "a list of estimators, got SequenceClassifier"),
    (folds(["net"], SERIES, LABELS, None, HALVES), ParameterError, "needs estimators, got str"),
    (folds(NETS, SERIES, LABELS, np.ones(3), HALVES), DataError, r"one value per series \(12\)"),
    (folds(NETS, SERIES, LABELS, None, [np.arange(6)]), DataError, "pairs of training and test series"),
    (folds(NETS, SERIES, LABELS, None, [(np.arange(6), [12])]), DataError, "numbers of series from 0 to 11"),
    (folds(NETS, SERIES, LABELS, None, [(np.arange(6), [])]), DataError, "numbers of series from 0 to 11"),
    (folds(NETS, SERIES, LABELS, None, [(["a"], [1])]), DataError, "numbers of series from 0 to 11"),
    (folds(NETS, SERIES, LABELS, None, HALVES * 2), DataError, "each series in one test fold at most"),
]  # fmt: skip


@pytest.mark.parametrize(("piece", "error", "said"), REFUSED, ids=[said for *_, said in REFUSED])
def test_what_a_piece_cannot_use_is_named(piece: Callable[[], object], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        piece()


def test_lists_are_taken_as_the_arrays_of_their_values() -> None:
    groups = np.repeat(np.arange(20), 3)
    for function, given, more in (
        (calibrate, (LOGITS, CODES), {"weights": np.arange(60) + 1.0}),
        (estimate_priors, (LOGITS, CODES, LOGITS), {"groups": groups, "deployed_groups": groups, "repeats": 2}),
        (covariate_weights, (X, X + 0.3), {"groups": np.arange(40)}),
        (weighted_mean, (X[:, 0], np.arange(40.0)), {"groups": groups[:40]}),
    ):  # fmt: skip
        of_arrays: Any = function(*given, **more)  # type: ignore[operator]
        of_lists: Any = function(
            *(part.tolist() for part in given),
            **{name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in more.items()},
        )  # type: ignore[operator]
        np.testing.assert_equal(asdict(of_lists), asdict(of_arrays))
    np.testing.assert_array_equal(em_priors(CHANCES.tolist(), THIRDS.tolist()), em_priors(CHANCES, THIRDS))
    np.testing.assert_array_equal(bbse_priors(np.eye(3).tolist(), THIRDS.tolist()), bbse_priors(np.eye(3), THIRDS))


def test_masks_are_folds_as_the_numbers_of_their_series_are() -> None:
    masks = [tuple(np.isin(np.arange(12), part) for part in HALVES[0])]
    of_masks, of_numbers = (
        weighted_cross_validation(NETS, SERIES, LABELS, np.ones(12), own) for own in (masks, HALVES)
    )
    np.testing.assert_array_equal(of_masks[0], of_numbers[0])


def test_large_weights_have_the_effective_size_of_small_ones() -> None:
    weights = RNG.random(20)
    assert effective_size(1e200 * weights) == pytest.approx(effective_size(weights))


@pytest.mark.parametrize("names", [WORDS, np.array([2.5, 3, 7]) > 6, np.array([1, 2, 9])], ids=["text", "bool", "int"])
def test_labels_are_classes_in_the_order_of_a_classifiers_columns(names: np.ndarray) -> None:
    logits, codes = (LOGITS, CODES) if len(set(names)) == 3 else (LOGITS[:, :2], CODES % 2)
    names = np.unique(names)
    for given in (names[codes], names[codes].tolist(), names[codes].astype(object)):
        of_labels = estimate_priors(logits, given, logits, given, repeats=2)
        np.testing.assert_equal(asdict(of_labels), asdict(estimate_priors(logits, codes, logits, codes, repeats=2)))


def test_weights_of_embeddings_are_those_of_their_columns_and_groups() -> None:
    groups = np.arange(60) // 2
    one = replace(EMBEDDING, groups=groups)
    other = replace(EMBEDDING, summaries=LOGITS + 0.5, groups=groups)
    columns = [np.column_stack([side.summaries, side.outputs]) for side in (one, other)]
    expected = covariate_weights(*columns, groups=groups, deployed_groups=groups)
    np.testing.assert_array_equal(covariate_weights(one, other).weights, expected.weights)
