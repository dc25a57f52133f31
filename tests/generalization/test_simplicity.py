"""The simplest setting that is not measurably worse than the best."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from throughtime import LockstepSearchCV, SequenceClassifier, one_standard_error
from throughtime.errors import ParameterError


def results(scores: list[list[float]], params: list[dict[str, Any]], metric: str = "score") -> dict[str, Any]:
    table = np.array(scores, dtype=float)
    found: dict[str, Any] = {f"split{fold}_test_{metric}": column for fold, column in enumerate(table.T)}
    return found | {f"mean_test_{metric}": table.mean(1), "params": params}


SIZES = [{"hidden_size": 64}, {"hidden_size": 16}, {"hidden_size": 4}]
#: the best has mean .9 and, with five folds, a naive error of .01 and a corrected one of .015
BEST = list(0.9 + 0.01 * np.sqrt(5) * np.array([-1, 1, 0, -1, 1]))


@pytest.mark.parametrize(("deficit", "chosen"), [(0.0149, 1), (0.0151, 0)])
def test_the_error_is_the_corrected_one(deficit: float, chosen: int) -> None:
    assert np.std(BEST, ddof=1) / np.sqrt(5) == pytest.approx(0.01)
    assert one_standard_error(results([BEST, [0.9 - deficit] * 5, [0.5] * 5], SIZES)) == chosen


def test_the_share_of_the_test_series_can_be_given() -> None:
    found = results([BEST, [0.9 - 0.0149] * 5, [0.5] * 5], SIZES)
    assert one_standard_error(found, test_to_train=0.0) == 0  # the naive error, .01


def test_of_equally_simple_settings_the_better_is_chosen() -> None:
    settings = [{"hidden_size": 8, "lr": 0.1}, {"hidden_size": 4, "lr": 0.1}, {"hidden_size": 4, "lr": 0.1}]
    assert one_standard_error(results([BEST, [0.895] * 5, [0.899] * 5], settings)) == 2


@pytest.mark.parametrize(
    ("simple", "complex_"),
    [
        ({"hidden_size": 4, "lr": 0.1}, {"hidden_size": 8, "lr": 0.01}),
        ({"num_layers": 1, "hidden_size": 8}, {"num_layers": 2, "hidden_size": 4}),
        ({"weight_decay": 10.0}, {"weight_decay": 1.0}),
        ({"dropout": 0.5}, {"dropout": 0.0}),
        ({"recurrent_dropout": 0.5, "hidden_size": 4}, {"recurrent_dropout": 0.0, "hidden_size": 4}),
        ({"zoneout": 0.5}, {"zoneout": 0.0}),
        ({"net__weight_decay": 1.0, "scale": 3}, {"net__weight_decay": 0.1, "scale": 1}),
    ],
)
def test_less_capacity_and_more_restraint_are_simpler(simple: dict[str, Any], complex_: dict[str, Any]) -> None:
    assert one_standard_error(results([BEST, [0.899] * 5], [complex_, simple])) == 1
    assert one_standard_error(results([BEST, [0.899] * 5], [simple, complex_])) == 0


def test_a_setting_without_a_score_is_never_chosen() -> None:
    assert one_standard_error(results([BEST, [np.nan] * 5, [0.5] * 5], SIZES)) == 0


def test_one_of_several_metrics_and_another_measure_can_be_named() -> None:
    found = results([BEST, [0.899] * 5, [0.5] * 5], [{"cell": "lstm"}, {"cell": "rnn"}, {"cell": "gru"}], "roc_auc")
    assert one_standard_error(found, metric="roc_auc", complexity=lambda setting: len(setting["cell"])) == 1


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (results([[0.5], [0.6], [0.7]], SIZES), "needs the scores of at least 2 splits, got 1"),
        (results([[np.nan] * 2] * 3, SIZES), "needs a setting with a finite mean score, got none"),
        (results([BEST], [{"cell": "gru"}]), "needs a parameter that tells what is simple, .*, got cell; give complex"),
    ],
)
@pytest.mark.filterwarnings("ignore:All-NaN")
def test_what_cannot_be_chosen_from_is_refused(found: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        one_standard_error(found)


def test_a_search_refits_what_the_rule_chooses() -> None:
    X = np.random.default_rng(0).normal(size=(24, 5, 1)).astype("float32")
    net = SequenceClassifier(max_epochs=1, random_state=0, cell="rnn")
    rule = partial(one_standard_error, test_to_train=1e9)  # everything is within
    search = LockstepSearchCV(net, {"hidden_size": [4, 3, 2]}, cv=3, refit=rule).fit(X, np.arange(24) % 2)
    assert search.best_params_ == {"hidden_size": 2}
    assert search.best_estimator_.hidden_size == 2
