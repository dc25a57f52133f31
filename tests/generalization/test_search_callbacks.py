"""scikit-learn's callbacks on a search of ours see what they see on scikit-learn's."""

import io
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import pytest
import rich
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from throughtime import LockstepSearchCV, SequenceClassifier, SequenceRegressor

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")

X = np.random.default_rng(0).normal(size=(24, 6))
Y = np.arange(24) % 2
NET = SequenceClassifier(hidden_size=2, max_epochs=1, random_state=0)
SPACE = {"lr": [0.01, 0.1]}


class Log:
    """Every call, in scikit-learn's protocol."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def setup(self, estimator: Any, context: Any) -> None:  # noqa: ARG002
        self.calls.append(("setup", context.task_name))

    def on_fit_task_begin(self, estimator: Any, context: Any, **_: Any) -> None:  # noqa: ARG002
        self.calls.append(("begin", context.task_name, context.task_id, context.max_subtasks))

    def on_fit_task_end(self, estimator: Any, context: Any, **_: Any) -> None:  # noqa: ARG002
        self.calls.append(("end", context.task_name, context.task_id, context.max_subtasks))

    def teardown(self, estimator: Any, context: Any) -> None:  # noqa: ARG002
        self.calls.append(("teardown", context.task_name))


def calls_of(search: Any, y: Any = Y) -> list[tuple[Any, ...]]:
    log = Log()
    search.set_callbacks(log).fit(X, y)
    return log.calls


@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize(
    "estimator", [NET, LogisticRegression(), make_pipeline(StandardScaler(), NET)], ids=["network", "other", "pipeline"]
)
def test_a_search_makes_the_calls_of_grid_search(estimator: Any, refit: bool) -> None:
    name = {LogisticRegression: "C", SequenceClassifier: "lr"}.get(type(estimator), "sequenceclassifier__lr")
    grid = {name: [0.01, 0.1]}
    ours = calls_of(LockstepSearchCV(estimator, grid, cv=2, refit=refit))
    theirs = calls_of(GridSearchCV(estimator, grid, cv=2, refit=refit))
    # folds end together, not one after the other
    assert sorted(ours, key=str) == sorted(theirs, key=str)
    assert [call for call in ours if call[0] != "end"] == [call for call in theirs if call[0] != "end"]
    assert ours[-2:] == theirs[-2:]


def test_a_sampled_search_makes_the_calls_of_randomized_search() -> None:
    options: dict[str, Any] = {"n_iter": 2, "random_state": 0, "cv": 2}
    ours = calls_of(LockstepSearchCV(NET, param_distributions=SPACE, **options))
    assert sorted(ours, key=str) == sorted(calls_of(RandomizedSearchCV(NET, SPACE, **options)), key=str)


def test_a_search_by_steps_makes_the_same_calls() -> None:
    net = SequenceRegressor(hidden_size=2, max_epochs=1, random_state=0)
    by_series = calls_of(LockstepSearchCV(net, SPACE, cv=2), X[:, 0])
    assert calls_of(LockstepSearchCV(net, SPACE, cv=2), X) == by_series


@pytest.mark.parametrize(
    ("estimator", "grid", "depth", "inner"),
    [
        (LogisticRegression(), {"C": [0.1, 1.0]}, 1, "LogisticRegression - fit"),
        (NET, SPACE, 1, "SequenceClassifier - fit"),
        (make_pipeline(StandardScaler(), NET), {"sequenceclassifier__lr": [0.01]}, 2, "SequenceClassifier - fit"),
    ],
    ids=["other", "network", "pipeline"],
)
def test_scikit_learns_progress_bar_reaches_its_end(
    estimator: Any, grid: Any, depth: int, inner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LINES", "50")
    monkeypatch.setattr(rich, "_console", None)  # one for all, as wide as when it was made
    search = LockstepSearchCV(estimator, grid, cv=2)
    with redirect_stdout(io.StringIO()) as shown:
        search.set_callbacks(callback.ProgressBar(max_propagation_depth=depth)).fit(X, Y)
    assert "LockstepSearchCV - search" in shown.getvalue()
    assert inner in shown.getvalue()
    assert "100%" in shown.getvalue()


class Epochs(Log):
    """Is handed on to the networks inside, and hears of epochs by the path of their tasks."""

    max_propagation_depth = None

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:  # noqa: ARG002
        if context.task_name == "epoch":
            path = [context]
            while path[0].parent is not None:
                path.insert(0, path[0].parent)
            self.calls.append(tuple((one.task_name, one.task_id) for one in path[1:]))


@pytest.mark.parametrize("targets", [Y, X], ids=["per series", "per step"])
def test_a_callback_of_a_search_hears_the_epochs_of_every_member_and_changes_no_bit(targets: Any) -> None:
    kind = SequenceRegressor if targets is X else SequenceClassifier
    net = kind(hidden_size=2, max_epochs=2, random_state=0)
    log = Epochs()
    watched = LockstepSearchCV(net, SPACE, cv=2, return_train_score=True).set_callbacks(log).fit(X, targets)
    epochs = [call for call in log.calls if isinstance(call[0], tuple)]
    searched = [(("search", 0), ("fit", member), ("epoch", epoch)) for epoch in range(2) for member in range(4)]
    assert epochs == [*searched, *((("fit", 1), ("epoch", epoch)) for epoch in range(2))]
    plain = LockstepSearchCV(net, SPACE, cv=2, return_train_score=True).fit(X, targets)
    for name in ("mean_test_score", "mean_train_score", "split0_test_score"):
        np.testing.assert_array_equal(watched.cv_results_[name], plain.cv_results_[name])
    assert watched.best_estimator_.history_ == plain.best_estimator_.history_


def test_scikit_learns_scoring_monitor_scores_each_member_inside_a_search() -> None:
    monitor = callback.ScoringMonitor(scoring="accuracy")
    net = SequenceClassifier(hidden_size=2, max_epochs=2, random_state=0).set_callbacks(monitor)
    search = LockstepSearchCV(net, SPACE, cv=2, return_train_score=True).fit(X, Y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "fit"]
    by_member = {row["task_id_path"]: row["accuracy"] for row in rows}
    trained = [search.cv_results_[f"split{fold}_train_score"][setting] for setting in (0, 1) for fold in (0, 1)]
    assert [by_member[0, 0, member] for member in range(4)] == trained
    assert by_member[0, 1] == search.best_estimator_.score(X, Y)
    assert len(monitor.get_logs().data) == 5 * 3


def test_what_a_callback_raises_at_an_epoch_ends_the_search() -> None:
    class Raises(Epochs):
        def on_fit_task_end(self, estimator: Any, context: Any) -> None:  # noqa: ARG002
            if context.task_name == "epoch":
                raise TimeoutError("enough")

    log = Raises()
    with pytest.raises(TimeoutError, match="enough"):
        LockstepSearchCV(NET, SPACE, cv=2).set_callbacks(log).fit(X, Y)
    assert log.calls[-1] == ("teardown", "fit")
