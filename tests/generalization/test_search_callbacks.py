"""scikit-learn's callbacks on a search of ours see what they see on scikit-learn's."""

import io
import warnings
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import pytest
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
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not support callbacks", category=UserWarning)
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


def test_scikit_learns_progress_bar_reaches_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    search = LockstepSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2)
    with redirect_stdout(io.StringIO()) as shown:
        search.set_callbacks(callback.ProgressBar()).fit(X, Y)
    assert "search" in shown.getvalue()
    assert "100%" in shown.getvalue()
