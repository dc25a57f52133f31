"""Scores of folds taken together, where they mean something."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from throughtime import SequenceClassifier, SequenceRegressor
from throughtime.data import Sequences
from throughtime.study import assess, assess_baselines, scorers_for

RNG = np.random.default_rng(0)
N = 12
X = Sequences.from_arrays([RNG.normal(size=(4, 2)) for _ in range(N)])
Y = np.array([1, 1, 1, 0, 1, 0, 0, 0, 0, 1, 1, 0])
UNEQUAL = [(np.arange(6, N), np.arange(6)), (np.arange(6), np.arange(6, N))]
ONE_OUT = [(np.delete(np.arange(N), k), np.array([k])) for k in range(N)]
METRICS = ("accuracy", "roc_auc", "average_precision", "matthews_corrcoef", "neg_log_loss")


def small(**settings: Any) -> SequenceClassifier:
    return SequenceClassifier(hidden_size=3, max_epochs=2, random_state=0, **settings)


@pytest.mark.parametrize("splits", [UNEQUAL, ONE_OUT])
def test_what_tells_no_example_from_another_has_no_pooled_rank(splits: Any) -> None:
    # the artifact itself: prevalence in training runs against that of the test, so constants rank the folds backwards
    shares = np.concatenate([np.full(len(test), Y[train].mean()) for train, test in splits])
    truth = np.concatenate([Y[test] for _, test in splits])
    assert roc_auc_score(truth, shares) < 0.5
    model = small()
    scorers = scorers_for(model, Y, METRICS)
    majority, linear, _ = assess_baselines(model, X, Y, splits, scorers)
    for name in ("AUROC", "AUPRC", "matthews_corrcoef"):
        assert np.isnan(majority.pooled[name]).all()
        assert np.isfinite(linear.pooled[name]).all()
    for name in ("accuracy", "neg_log_loss"):
        assert np.isfinite(majority.pooled[name]).all()
    found = assess([model], X, Y, splits, scorers)
    assert np.isfinite(found.scores.pooled["AUROC"]).all()


def test_a_mean_keeps_its_pooled_error() -> None:
    y = RNG.normal(size=N)
    model = SequenceRegressor(hidden_size=3, max_epochs=2, random_state=0)
    mean, *_ = assess_baselines(model, X, y, UNEQUAL, scorers_for(model, y))
    predicted = np.concatenate([np.full(len(test), y[train].mean()) for train, test in UNEQUAL])
    truth = np.concatenate([y[test] for _, test in UNEQUAL])
    expected = 1 - ((truth - predicted) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
    assert mean.pooled["R2"] == [pytest.approx(expected)]
