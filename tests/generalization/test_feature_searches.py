"""Features in folds and searches: made inside the fold, and members that differ in them train in lockstep."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from throughtime import Differences, LockstepSearchCV, RollingStatistics, SequenceClassifier, cross_validate
from throughtime.data import Sequences
from throughtime.estimators import members

N = 18
RNG = np.random.default_rng(3)
X = Sequences.from_arrays([RNG.normal(size=(3 + i % 4, 2)).astype("float32") for i in range(N)])
Y = np.arange(N) % 2
NET = SequenceClassifier(hidden_size=2, max_epochs=1, batch_size=8, random_state=0, cell="rnn")


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many members trained in each lockstep run."""
    found: list[int] = []
    real = members.train_jobs

    def counted(jobs, **rest):
        found.extend(len(job.members) for job in jobs)
        return real(jobs, **rest)

    monkeypatch.setattr(members, "train_jobs", counted)
    return found


@pytest.mark.parametrize(
    "model",
    [
        NET.set_params(features="diff,rolling:3"),
        make_pipeline(Differences(), RollingStatistics(3), SequenceClassifier(**NET.get_params() | {"features": None})),
    ],
    ids=["parameter", "pipeline"],
)
def test_folds_train_in_lockstep_each_as_alone(model, sizes):
    found = cross_validate(model, X, Y, cv=3, return_estimator=True, return_indices=True)
    assert sizes == [3]
    for fold, fitted in enumerate(found["estimator"]):
        train, test = (found["indices"][part][fold] for part in ("train", "test"))
        alone = model.fit(X[train], Y[train])
        np.testing.assert_array_equal(alone.predict_proba(X[test]), fitted.predict_proba(X[test]))


def test_a_search_tries_features_each_kind_in_lockstep(sizes):
    grid = {"features": [None, "diff", "rolling:3:mean"], "lr": [0.01, 0.1]}
    net = SequenceClassifier(hidden_size=2, max_epochs=1, batch_size=8, random_state=0, cell="rnn")
    search = LockstepSearchCV(net, grid, cv=3).fit(X, Y)
    assert sizes[:3] == [6, 6, 6]  # two learning rates on three folds
    for features, score in zip(
        search.cv_results_["param_features"], search.cv_results_["mean_test_score"], strict=True
    ):
        assert features in (None, "diff", "rolling:3:mean")
        assert np.isfinite(score)
