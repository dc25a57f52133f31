"""Two models on the same folds."""

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, ShuffleSplit, cross_val_score

from throughtime import SequenceClassifier, compare_estimators
from throughtime.errors import ParameterError
from throughtime.generalization import corrected_interval, paired_comparison
from throughtime.training import executor

RNG = np.random.default_rng(9)
X = RNG.normal(size=(30, 5)).astype("float32")
Y = np.arange(30) % 2
NET = SequenceClassifier(hidden_size=2, max_epochs=1, batch_size=8, random_state=0, cell="rnn")


def test_the_difference_has_the_corrected_interval_and_its_p() -> None:
    one, other = RNG.normal(size=10) + 0.5, RNG.normal(size=10)
    found = paired_comparison(one, other, 90, 10, level=0.9)
    assert found.difference == corrected_interval(one - other, 90, 10, level=0.9)
    statistic = np.mean(one - other) / np.sqrt(np.var(one - other, ddof=1) * (1 / 10 + 1 / 9))
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(statistic), 9), rel=1e-9)  # float64, one way back to SE
    # the uncorrected test would call it clearer
    assert found.p_value > stats.ttest_rel(one, other).pvalue


def test_p_is_the_level_at_which_the_interval_touches_zero() -> None:
    one, other = RNG.normal(size=8) + 1.0, RNG.normal(size=8)
    p = paired_comparison(one, other, 70, 10).p_value
    assert p is not None
    touching = paired_comparison(one, other, 70, 10, level=1 - p).difference
    assert min(abs(touching.low or 1), abs(touching.high or 1)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("gap", "p"), [(0.0, 1.0), (0.25, 0.0)])
def test_a_difference_that_never_varies_is_certain(gap: float, p: float) -> None:
    scores = np.array([0.5, 0.75, 0.25])
    assert paired_comparison(scores + gap, scores, 20, 10).p_value == p


def test_a_fold_in_which_either_failed_is_left_out() -> None:
    found = paired_comparison([0.5, np.nan, 0.7, 0.9], [0.4, 0.5, np.nan, 0.7], 9, 3)
    assert found.difference.mean == pytest.approx(0.15)
    assert "2 of 4 folds left out" in found.difference.method
    single = paired_comparison([0.5, np.nan], [0.4, 0.5], 9, 3)
    assert (single.p_value, single.difference.low) == (None, None)


def test_other_folds_cannot_be_compared() -> None:
    with pytest.raises(ParameterError, match=r"^a comparison needs the same splits of both, got scores \(2,\) and \(3"):
        paired_comparison([1, 2], [1, 2, 3], 1, 1)


def test_estimators_train_together_on_folds_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = executor.train
    monkeypatch.setattr(executor, "train", lambda *args, **named: sizes.append(len(args[3])) or real(*args, **named))
    faster = SequenceClassifier(**NET.get_params() | {"lr": 0.1})
    found = compare_estimators(NET, faster, X, Y, cv=ShuffleSplit(4, test_size=0.3, random_state=None))
    assert sizes == [8]
    assert len(found.first) == len(found.second) == 4
    same = compare_estimators(NET, NET, X, Y, cv=ShuffleSplit(4, random_state=None))
    assert same.first == same.second  # with other folds they would differ
    assert same.p_value == 1.0


def test_a_network_is_compared_with_an_estimator_of_scikit_learn() -> None:
    found = compare_estimators(NET, LogisticRegression(), X, Y, cv=KFold(3), scoring="roc_auc")
    np.testing.assert_array_equal(
        found.second, cross_val_score(LogisticRegression(), X, Y, cv=KFold(3), scoring="roc_auc")
    )
    np.testing.assert_array_equal(found.first, cross_val_score(NET, X, Y, cv=KFold(3), scoring="roc_auc"))


def test_one_score_is_compared_at_a_time() -> None:
    with pytest.raises(ParameterError, match=r"^compare_estimators needs one score, got .*test_accuracy"):
        compare_estimators(NET, NET, X, Y, cv=2, scoring=["accuracy", "f1"])
