"""Observers of cross-validations and searches know every member, and change no bit."""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from throughtime import LockstepSearchCV, MetricLog, SequenceClassifier, cross_validate, read_metric_log
from throughtime.errors import ParameterError
from throughtime.generalization import call_batcher

X = np.random.default_rng(0).normal(size=(24, 6))
Y = np.arange(24) % 2
NET = SequenceClassifier(hidden_size=2, max_epochs=2, random_state=0)
SPACE = {"lr": [0.01, 0.1]}
NAMES = [{"setting": lr, "fold": fold} for lr in SPACE["lr"] for fold in range(3)] + [{"setting": "best", "fold": None}]


def losses(lines: list[dict[str, Any]], **names: Any) -> list[float]:
    return [line["train_loss"] for line in lines if all(line[name] == value for name, value in names.items())]


@pytest.mark.parametrize("pipeline", [False, True])
@pytest.mark.parametrize("at_a_time", [1024, 4], ids=["one batch", "several"])
def test_members_of_a_search_are_numbered_by_setting_and_fold_and_the_refit_last(
    pipeline, at_a_time, tmp_path, monkeypatch
):
    monkeypatch.setattr(call_batcher, "MOST_WAITING", at_a_time)
    net = make_pipeline(StandardScaler(), NET) if pipeline else NET
    space = {f"{'sequenceclassifier__' * pipeline}lr": SPACE["lr"]}
    search = LockstepSearchCV(net, space, cv=3).fit(X, Y, observers=[MetricLog(tmp_path / "log", NAMES)])
    lines = read_metric_log(tmp_path / "log")
    assert len(lines) == 2 * len(NAMES)
    best = search.best_estimator_[-1] if pipeline else search.best_estimator_
    assert losses(lines, setting="best") == [record.train_loss for record in best.history_]
    for lr in SPACE["lr"]:
        folds = cross_validate(net.set_params(**dict.fromkeys(space, lr)), X, Y, cv=3, return_estimator=True)
        for fold, fitted in enumerate(folds["estimator"]):
            history = (fitted[-1] if pipeline else fitted).history_
            assert losses(lines, setting=lr, fold=fold) == [record.train_loss for record in history]


def test_observers_of_a_cross_validation_change_no_bit(tmp_path):
    options: dict[str, Any] = {"cv": 3, "return_train_score": True}
    watched = cross_validate(NET, X, Y, observers=[MetricLog(tmp_path / "log")], **options)
    plain = cross_validate(NET, X, Y, **options)
    assert [line["member"] for line in read_metric_log(tmp_path / "log")] == [0, 1, 2] * 2
    for name in ("test_score", "train_score"):
        np.testing.assert_array_equal(watched[name], plain[name])


def test_observers_of_a_cross_validation_over_a_search_see_its_members(tmp_path):
    search = LockstepSearchCV(NET, SPACE, cv=2)
    cross_validate(search, X, Y, cv=2, observers=[MetricLog(tmp_path / "log")])
    assert {line["member"] for line in read_metric_log(tmp_path / "log")} == set(range(2 * (2 * 2 + 1)))


def test_observers_that_nobody_would_call_are_refused(tmp_path):
    log = MetricLog(tmp_path / "log")
    foreign = LogisticRegression()
    for fit in (
        lambda: cross_validate(foreign, X, Y, observers=[log]),
        lambda: LockstepSearchCV(foreign, {"C": [1.0]}).fit(X, Y, observers=[log]),
    ):
        with pytest.raises(ParameterError, match="network of throughtime to watch, got LogisticRegression"):
            fit()
    with pytest.raises(ParameterError, match="observers needs a list"):
        cross_validate(NET, X, Y, observers=log)
    search = LockstepSearchCV(NET, SPACE, cv=2, error_score="raise")
    with pytest.raises(ParameterError, match="outermost cross-validation or search"):
        cross_validate(search, X, Y, cv=2, params={"observers": [log]}, error_score="raise")
    with pytest.raises(ParameterError, match="give them to that one"):
        cross_validate(NET, X, Y, cv=2, params={"observers": [log]}, error_score="raise")
