"""Tasks whose calls are executed as one batch: which go together, and what nobody may notice of it."""

import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GroupKFold, KFold, LeaveOneOut, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.utils.parallel import Parallel, delayed

from throughtime import (
    LockstepSearchCV,
    PurgedTimeSeriesSplit,
    SequenceClassifier,
    SequenceRegressor,
    cross_val_predict,
    cross_validate,
    learning_curve,
    nested_cross_validate,
    permutation_test_score,
)
from throughtime.data import Sequences, as_sequences
from throughtime.estimators import members
from throughtime.generalization import call_batcher
from throughtime.generalization.call_batcher import batch_calls

RNG = np.random.default_rng(3)
N = 18
CUBE = RNG.normal(size=(N, 4, 2)).astype("float32")
X = as_sequences(CUBE)
Y = np.arange(N) % 2
NET = SequenceClassifier(hidden_size=2, max_epochs=1, batch_size=8, random_state=0, cell="rnn")


class Plus(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    def __init__(self, amount: float = 0.0) -> None:
        self.amount = amount

    def fit(self, X: Any, y: Any = None) -> "Plus":  # noqa: ARG002
        return self

    def transform(self, X: Any) -> Any:
        return np.asarray(X) + np.float32(self.amount)


@pytest.fixture
def companies(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many members trained in each lockstep run."""
    sizes: list[int] = []
    others = threading.active_count()
    real = members.train_jobs

    def counted(jobs: Any, **rest: Any) -> Any:
        sizes.extend(len(job.members) for job in jobs)
        return real(jobs, **rest)

    monkeypatch.setattr(members, "train_jobs", counted)
    yield sizes
    assert threading.active_count() == others  # no task is left waiting


def test_all_folds_train_in_one_run(companies: list[int]) -> None:
    cross_validate(NET, X, Y, cv=LeaveOneOut())
    assert companies == [N]


def test_the_folds_of_a_pipeline_train_in_one_run(companies: list[int]) -> None:
    cross_validate(make_pipeline(Plus(1.0), NET), CUBE, Y, cv=3)
    assert companies == [3]


def test_sizes_and_folds_of_a_learning_curve_train_in_one_run(companies: list[int]) -> None:
    learning_curve(NET, X, Y, cv=3, train_sizes=[4, 8])
    assert companies == [6]


def test_shuffles_of_a_permutation_test_train_together(companies: list[int]) -> None:
    permutation_test_score(NET, X, Y, cv=2, n_permutations=5)
    assert companies == [1, 1, 5, 5]


def test_settings_of_one_shape_train_together_and_others_in_their_own_run(companies: list[int]) -> None:
    LockstepSearchCV(NET, {"lr": [0.01, 0.1], "hidden_size": [2, 3]}, cv=3).fit(X, Y)
    assert sorted(companies) == [1, 6, 6]  # and the refit


def test_the_folds_of_all_searches_of_a_nested_cross_validation_train_together(companies: list[int]) -> None:
    nested_cross_validate(NET, X, Y, param_grid={"lr": [0.01, 0.1], "dropout": [0.0, 0.2]}, cv=3, inner_cv=2)
    assert companies == [3 * 4 * 2, 3]  # every fold of every search; the refits


def test_a_search_inside_a_cross_validation_is_the_same_alone() -> None:
    search = LockstepSearchCV(NET, {"lr": [0.01, 0.1]}, cv=2)
    found = cross_validate(search, X, Y, cv=3, return_estimator=True, return_indices=True)
    for fold, train in zip(found["estimator"], found["indices"]["train"], strict=True):
        alone = LockstepSearchCV(NET, {"lr": [0.01, 0.1]}, cv=2).fit(X[train], Y[train])
        np.testing.assert_array_equal(fold.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
        np.testing.assert_array_equal(fold.predict_proba(X), alone.predict_proba(X))


def test_a_budget_divides_a_group_into_runs_of_even_size_and_changes_no_bit(companies: list[int]) -> None:
    whole = cross_val_predict(NET, X, Y, cv=6, method="predict_proba")
    del companies[:]
    divided = cross_val_predict(NET, X, Y, cv=6, method="predict_proba", memory_budget=1)
    assert companies == [1] * 6
    np.testing.assert_array_equal(whole, divided)


def test_the_progress_says_which_run_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("throughtime.training.progress.LINE_EVERY", 0.0)
    cross_validate(NET, X, Y, cv=3, memory_budget=1, verbose=1)
    told = capsys.readouterr().err
    assert all(f"run {run} of 3" in told for run in (1, 2, 3))


def test_more_tasks_than_may_wait_are_all_done(monkeypatch: pytest.MonkeyPatch, companies: list[int]) -> None:
    monkeypatch.setattr(call_batcher, "MOST_WAITING", 4)
    found = cross_validate(NET, X, Y, cv=LeaveOneOut())
    assert sum(companies) == N
    assert max(companies) == 4
    np.testing.assert_array_equal(found["test_score"], cross_validate(NET, X, Y, cv=LeaveOneOut())["test_score"])


def test_fit_time_is_a_members_share_of_the_common_time() -> None:
    begin = time.perf_counter()
    found = cross_validate(NET, X, Y, cv=LeaveOneOut(), return_train_score=True)
    seconds = time.perf_counter() - begin
    assert (found["fit_time"] > 0).all()
    # were the waits counted in, the sum would be about N times the wall time
    assert found["fit_time"].sum() + found["score_time"].sum() < 1.1 * seconds


@pytest.mark.parametrize("model", [NET, LockstepSearchCV(NET, {"lr": [0.01, 0.1]}, cv=4)], ids=["net", "search"])
@pytest.mark.parametrize("most", [3, 1024])
def test_an_interruption_ends_every_task(monkeypatch: pytest.MonkeyPatch, model: Any, most: int) -> None:
    monkeypatch.setattr(call_batcher, "MOST_WAITING", most)
    others = threading.active_count()

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(members, "train_jobs", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cross_validate(model, X, Y, cv=6)
    assert threading.active_count() == others
    cross_validate(NET, X, Y, cv=2)


def test_warnings_of_one_task_stay_its_own() -> None:
    def task(mute: bool) -> Any:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("ignore" if mute else "always")
            NET.fit(X, Y)  # here the others run
            warnings.warn("said after the fit", UserWarning, stacklevel=1)
        return [str(each.message) for each in heard]

    before = list(warnings.filters), warnings.showwarning
    with batch_calls():
        heard = Parallel()(delayed(task)(mute) for mute in (True, False, True, False))
    assert heard == [[], ["said after the fit"]] * 2
    assert (list(warnings.filters), warnings.showwarning) == before


def test_foreign_estimators_inside_tasks_run_as_ever() -> None:
    net_and_forest = make_pipeline(Plus(), NET)
    search = LockstepSearchCV(
        net_and_forest,
        {"sequenceclassifier": [NET, RandomForestClassifier(3, random_state=0, n_jobs=2)], "plus": [None]},
        cv=2,
    )
    search.fit(CUBE[:, :, 0], Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def steps_of(X: Sequences) -> list[Any]:
    return [np.cumsum(x[:, 0]) for x in X]


RAGGED = Sequences.from_arrays([RNG.normal(size=(3 + i % 3, 2)).astype("float32") for i in range(N)])
STEP_NET = SequenceRegressor(hidden_size=2, max_epochs=1, batch_size=8, random_state=0, cell="rnn")


def test_targets_at_every_step_are_scored_over_the_steps_of_the_test_series() -> None:
    y = steps_of(RAGGED)
    found = cross_validate(
        STEP_NET, RAGGED, y, cv=3, scoring=["neg_mean_squared_error", "r2"], return_estimator=True, return_indices=True
    )
    for fold, test in enumerate(found["indices"]["test"]):
        predicted = found["estimator"][fold].predict(RAGGED[test]).values[:, 0]
        truth = np.concatenate([y[i] for i in test]).astype("float32")
        # float32 targets: the mean of squares in another order differs by a few of its roundings
        error = np.mean((predicted.astype(float) - truth) ** 2)
        assert -found["test_neg_mean_squared_error"][fold] == pytest.approx(error, rel=1e-5)
    default = cross_validate(STEP_NET, RAGGED, y, cv=3)
    np.testing.assert_allclose(default["test_score"], found["test_r2"], rtol=1e-6)


def test_out_of_fold_predictions_of_steps_come_in_the_order_of_the_series() -> None:
    y = steps_of(RAGGED)
    cv = KFold(3, shuffle=True, random_state=0)
    found = cross_val_predict(STEP_NET, RAGGED, y, cv=cv)
    assert isinstance(found, Sequences)
    for train, test in cv.split(y):
        fold = SequenceRegressor(**STEP_NET.get_params()).fit(RAGGED[train], [y[i] for i in train])
        np.testing.assert_array_equal(found[test].values, fold.predict(RAGGED[test]).values)


def test_a_search_takes_targets_at_every_step() -> None:
    search = LockstepSearchCV(STEP_NET, {"lr": [0.01, 0.1]}, cv=3, scoring="r2").fit(RAGGED, steps_of(RAGGED))
    assert (search.cv, search.scoring) == (3, "r2")
    assert search.cv_results_["mean_test_score"].shape == (2,)
    assert search.score(RAGGED, steps_of(RAGGED)) == pytest.approx(
        search.best_estimator_.score(RAGGED, steps_of(RAGGED)), rel=1e-6
    )


@pytest.mark.parametrize("cv", [None, 3, KFold(3), LeaveOneOut()])
def test_folds_that_may_divide_a_group_are_warned_of(cv: Any) -> None:
    with pytest.warns(UserWarning, match="^X has groups, and these folds may put one on both sides"):
        cross_validate(NET, X.replace(groups=np.arange(N) // 2), Y, cv=cv)


@pytest.mark.parametrize("cv", [GroupKFold(3), TimeSeriesSplit(2), PurgedTimeSeriesSplit(3)])
def test_folds_by_groups_or_time_are_not_warned_of(cv: Any) -> None:
    cross_validate(NET, X.replace(groups=np.arange(N) // 2), Y, cv=cv)  # a warning would be an error


def test_groups_of_one_series_each_are_not_warned_of() -> None:
    cross_validate(NET, X.replace(groups=np.arange(N)), Y, cv=2)
