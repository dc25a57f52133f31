"""Strengths of a regularizer on a logarithmic scale, and a search along them."""

import numpy as np
import pytest

from throughtime import (
    LockstepSearchCV,
    SequenceClassifier,
    SequenceRegressor,
    one_standard_error,
    regularization_path,
)
from throughtime.errors import ParameterError

NAMES = (
    "weight_decay",
    "dropout",
    "variational_dropout",
    "recurrent_dropout",
    "candidate_dropout",
    "zoneout",
    "cell_zoneout",
    "input_noise",
    "label_smoothing",
)


@pytest.mark.parametrize("n", [3, 8, 100])
@pytest.mark.parametrize("name", NAMES)
def test_strengths_rise_from_zero_with_one_ratio_between_them(name: str, n: int) -> None:
    strengths = regularization_path(SequenceClassifier(), name, n)
    assert len(strengths) == n
    assert strengths[0] == 0
    logs = np.log(strengths[1:])
    # three digits are left of each
    np.testing.assert_allclose(np.diff(logs), (logs[-1] - logs[0]) / (n - 2), atol=0.011)
    assert (np.diff(strengths) > 0).all()


def test_a_decoupled_decay_has_a_scale_of_its_own() -> None:
    coupled, decoupled = (
        regularization_path(SequenceClassifier(optimizer=o), "weight_decay") for o in ("sgd", "adamw")
    )
    assert coupled[-1] == 100
    assert decoupled[-1] == 3
    assert regularization_path(SequenceRegressor(optimizer="adamw"), "dropout")[-1] == 0.8


def test_a_search_along_a_path_takes_the_strongest_within_one_standard_error() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(24) % 2
    X = rng.normal(size=(24, 5, 1)) + y[:, None, None]
    net = SequenceClassifier(hidden_size=4, max_epochs=5, random_state=0)
    path = regularization_path(net, "weight_decay", 4)
    found = LockstepSearchCV(net, {"weight_decay": path}, cv=3, refit=one_standard_error).fit(X, y)
    means = found.cv_results_["mean_test_score"]
    scores = np.array([found.cv_results_[f"split{fold}_test_score"] for fold in range(3)])
    best = means.argmax()
    error = scores[:, best].std(ddof=1) * (1 / 3 + 1 / 2) ** 0.5
    assert found.best_params_["weight_decay"] == max(np.array(path)[means >= means[best] - error])


def test_more_noise_and_smoother_labels_are_simpler() -> None:
    scores = {f"split{fold}_test_score": np.array([0.9, 0.9]) + fold / 100 for fold in range(3)}
    for name in ("input_noise", "label_smoothing"):
        settings = [{name: 0.0}, {name: 0.1}]
        assert one_standard_error(scores | {"mean_test_score": np.array([0.91, 0.91]), "params": settings}) == 1


@pytest.mark.parametrize(
    ("estimator", "name", "n", "message"),
    [
        (SequenceClassifier(), "lr", 8, "needs a regularizer of SequenceClassifier, one of weight_decay, .*, got 'lr'"),
        (SequenceRegressor(), "label_smoothing", 8, "needs a regularizer of SequenceRegressor, .*'label_smoothing'"),
        (3, "dropout", 8, "needs a regularizer of int, one of none, got 'dropout'"),
        (SequenceClassifier(), "dropout", 2, "needs n from 3 to 100 strengths, got 2"),
        (SequenceClassifier(), "dropout", 101, "got 101"),
        (SequenceClassifier(), "dropout", True, "got True"),
        (SequenceClassifier(), "dropout", 8.0, r"got 8\.0"),
    ],
)
def test_what_is_no_regularizer_or_no_number_is_refused(estimator, name, n, message) -> None:
    with pytest.raises(ParameterError, match=message):
        regularization_path(estimator, name, n)
