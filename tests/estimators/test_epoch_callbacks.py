"""scikit-learn's callbacks on an estimator hear of its epochs, and change no bit of it."""

import builtins
import importlib
import io
import pickle
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

from throughtime import SequenceClassifier, SequenceRegressor, fit_members
from throughtime.errors import DataError
from throughtime.estimators import callbacks, execute, intercept
from throughtime.training import GroupState, Observer

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")

X = np.random.default_rng(0).normal(size=(24, 6))
Y = np.arange(24) % 2
NET = SequenceClassifier(hidden_size=3, max_epochs=3, batch_size=8, random_state=0, lr_schedule="constant")


class Log:
    """Every call, and what a fitted estimator of that moment gives."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.fitted: list[Any] = []

    def setup(self, estimator: Any, context: Any) -> None:  # noqa: ARG002
        self.calls.append(("setup",))

    def on_fit_task_begin(self, estimator: Any, context: Any, *, X: Any, y: Any) -> None:  # noqa: ARG002
        self.calls.append(("begin", context.task_name, context.task_id, context.max_subtasks, len(X), len(y)))

    def on_fit_task_end(self, estimator: Any, context: Any, *, metadata: Any, fitted_estimator: Any) -> bool:  # noqa: ARG002
        self.calls.append(("end", context.task_name, context.task_id, metadata))
        self.fitted.append(fitted_estimator)
        return True

    def teardown(self, estimator: Any, context: Any) -> None:  # noqa: ARG002
        self.calls.append(("teardown",))


def same_bits(one: Any, other: Any) -> bool:
    pairs = zip(one.module_.state_dict().values(), other.module_.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and one.history_ == other.history_


def test_a_callback_hears_of_the_fit_and_of_each_epoch_in_order():
    log = Log()
    weights = {"sample_weight": [1.0] * 24}
    clone(NET).set_callbacks(log).fit(X, Y, **weights)
    epochs = [
        (when, "epoch", epoch, *rest)
        for epoch in range(3)
        for when, rest in (("begin", (0, 24, 24)), ("end", (weights,)))
    ]
    assert log.calls == [
        ("setup",),
        ("begin", "fit", 0, 3, 24, 24),
        *epochs,
        ("end", "fit", 0, weights),
        ("teardown",),
    ]


def test_a_callback_changes_no_bit_and_what_it_returns_ends_nothing():
    log = Log()
    watched = clone(NET).set_callbacks(log).fit(X, Y)
    assert same_bits(watched, clone(NET).fit(X, Y))
    assert len(log.fitted) == 4


@pytest.mark.parametrize("epoch", [0, 1, 2])
@pytest.mark.parametrize("early", [False, True], ids=["all epochs", "early stopping"])
def test_the_fitted_estimator_of_an_epoch_is_the_one_whose_fit_ended_there(epoch, early):
    net = clone(NET).set_params(early_stopping=early, patience=5, lr=0.3)
    log = Log()
    net.set_callbacks(log).fit(X, Y)
    shorter = clone(net).set_callbacks().set_params(max_epochs=epoch + 1).fit(X, Y)
    assert same_bits(log.fitted[epoch], shorter)
    np.testing.assert_array_equal(log.fitted[epoch].predict_proba(X), shorter.predict_proba(X))
    assert same_bits(log.fitted[-1], net)


def test_scikit_learns_scoring_monitor_has_the_score_of_every_epoch():
    monitor = callback.ScoringMonitor(scoring="accuracy")
    net = clone(NET).set_callbacks(monitor).fit(X, Y)
    rows = monitor.get_logs().data
    scores = [clone(NET).set_params(max_epochs=epochs).fit(X, Y).score(X, Y) for epochs in (1, 2, 3)]
    assert [row["accuracy"] for row in rows if row["task_name"] == "epoch"] == scores
    assert [row["accuracy"] for row in rows if row["task_name"] == "fit"] == [net.score(X, Y)]


def test_scikit_learns_scoring_monitor_takes_an_estimators_own_score_of_steps():
    monitor = callback.ScoringMonitor(scoring={"own": lambda net, *data: net.score(*data)})
    net = SequenceRegressor(hidden_size=3, max_epochs=2, random_state=0).set_callbacks(monitor).fit(X, X)
    assert [row["own"] for row in monitor.get_logs().data if row["task_name"] == "fit"] == [net.score(X, X)]


def test_scikit_learns_progress_bar_reaches_its_end(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    with redirect_stdout(io.StringIO()) as shown:
        clone(NET).set_callbacks(callback.ProgressBar()).fit(X, Y)
    assert "SequenceClassifier - fit" in shown.getvalue()
    assert "100%" in shown.getvalue()


@pytest.mark.parametrize("when", ["setup", "on_fit_task_begin", "on_fit_task_end", "teardown"])
def test_what_a_callback_raises_comes_out(when):
    class Raises(Log):
        pass

    def fail(self: Any, estimator: Any, context: Any) -> None:  # noqa: ARG001
        if getattr(context, "task_name", "epoch") == "epoch" or when in ("setup", "teardown"):
            raise TimeoutError("enough")

    setattr(Raises, when, fail)
    with pytest.raises(TimeoutError, match="enough"):
        clone(NET).set_callbacks(Raises()).fit(X, Y)


def test_a_fit_that_fails_tears_its_callbacks_down():
    log = Log()
    net = clone(NET).set_params(missing="error").set_callbacks(log)
    with pytest.raises(DataError, match="got NaN"):
        net.fit(np.where(np.arange(6) == 2, np.nan, X), Y)
    assert log.calls[-1] == ("teardown",)
    assert not [name for name in vars(net) if "callback_fit" in name]


def test_a_network_that_was_watched_can_be_saved_and_pickled(tmp_path):
    net = clone(NET).set_callbacks(Log()).fit(X, Y)
    net.save(tmp_path / "net")
    assert same_bits(SequenceClassifier.load(tmp_path / "net"), net)
    assert same_bits(pickle.loads(pickle.dumps(net)), net)


def test_without_callbacks_in_scikit_learn_estimators_are_as_they_were(monkeypatch):
    """Before 1.9 there is no sklearn.callback."""
    original = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "sklearn.callback":
            raise ImportError(name)
        return original(name, *arguments, **named)

    try:
        with monkeypatch.context() as patched:
            patched.setattr(builtins, "__import__", without)
            importlib.reload(callbacks)
        assert not hasattr(callbacks.CallbackSupportMixin, "set_callbacks")
        assert callbacks.with_callbacks(len) is len
        assert callbacks.begin_fit(clone(NET), X, Y, None) is None
    finally:
        importlib.reload(callbacks)


class Epochs(Observer):
    def __init__(self) -> None:
        self.heard: list[tuple[int, list[int]]] = []

    def on_epoch(self, state: GroupState) -> None:
        self.heard.append((state.epoch, [member.place for member in state.members]))


def test_an_observer_of_a_fit_hears_its_epochs_and_changes_no_bit():
    observer = Epochs()
    watched = clone(NET).fit(X, Y, observers=[observer])
    assert observer.heard == [(1, [0]), (2, [0]), (3, [0])]
    assert same_bits(watched, clone(NET).fit(X, Y))
    (member,) = fit_members([NET], X, Y)
    assert same_bits(watched, member)


def test_an_observer_where_the_fit_is_one_of_many_is_refused():
    with (
        intercept(execute),
        pytest.raises(ValueError, match="observers, got them inside a cross-validation or a search"),
    ):
        clone(NET).fit(X, Y, observers=[Epochs()])
