"""Whatever trains goes on where it was stopped, with the results that it would have had."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline

from stopped import StopsAfter
from throughtime import (
    Checkpoints,
    LockstepSearchCV,
    SequenceClassifier,
    compare_estimators,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    diagnose,
    fit_members,
    learning_curve,
    nested_cross_validate,
    nested_cv_interval,
    permutation_test_score,
    validation_curve,
)
from throughtime.data import as_sequences
from throughtime.errors import ParameterError
from throughtime.training import GroupState, lockstep

pytestmark = [
    pytest.mark.usefixtures("types_unchecked"),
    pytest.mark.filterwarnings("ignore::throughtime.errors.FlowWarning"),
]

N = 24
RNG = np.random.default_rng(3)
X = as_sequences(RNG.normal(size=(N, 4, 2)).astype("float32"))
Y = np.arange(N) % 2
NET = SequenceClassifier(hidden_size=2, max_epochs=3, batch_size=8, random_state=0, cell="rnn")
WATCHED = clone(NET).set_params(monitor="flow", validation_fraction=0.25, early_stopping=True)
GRID = {"hidden_size": [2, 3], "lr": [0.01, 0.1]}


@pytest.fixture
def epochs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Which epochs were trained."""
    trained: list[int] = []
    real = lockstep._run_epoch

    def counted(group: Any, state: GroupState, *rest: Any) -> None:
        trained.append(state.epoch)
        real(group, state, *rest)

    monkeypatch.setattr(lockstep, "_run_epoch", counted)
    return trained


def plain(value: Any) -> Any:
    """What two calls must have in common: all but times."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items() if "time" not in str(name)}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if hasattr(value, "best_estimator_"):
        return plain([value.cv_results_, value.best_estimator_])
    if hasattr(value, "network_"):
        weights = {name: one.numpy().tobytes() for name, one in value.network_.state.items()}
        return [weights, repr(value.history_), value.best_epoch_, [repr(one) for one in getattr(value, "flow_", [])]]
    if hasattr(value, "steps"):
        return plain([part for _, part in value.steps])
    return re.sub(r"seconds=[\d.]+", "", repr(value))


def searched(**rest: Any) -> Any:
    return LockstepSearchCV(WATCHED, GRID, cv=3, **rest).fit(X, Y)


CALLS: dict[str, Callable[..., Any]] = {
    "fit_members": lambda **rest: fit_members(
        [clone(WATCHED).set_params(random_state=seed, hidden_size=2 + seed % 2) for seed in range(4)], X, Y, **rest
    ),
    "LockstepSearchCV": searched,
    "cross_validate": lambda **rest: cross_validate(WATCHED, X, Y, cv=3, return_estimator=True, **rest),
    "pipeline": lambda **rest: cross_validate(make_pipeline(NET), X, Y, cv=3, return_estimator=True, **rest),
    "cross_val_score": lambda **rest: cross_val_score(NET, X, Y, cv=3, **rest),
    "cross_val_predict": lambda **rest: cross_val_predict(NET, X, Y, cv=3, method="predict_proba", **rest),
    "permutation_test_score": lambda **rest: permutation_test_score(
        NET, X, Y, cv=3, n_permutations=3, random_state=0, **rest
    ),
    "learning_curve": lambda **rest: learning_curve(NET, X, Y, cv=KFold(2), train_sizes=[0.5, 1.0], **rest),
    "validation_curve": lambda **rest: validation_curve(
        NET, X, Y, param_name="hidden_size", param_range=[2, 3], cv=2, **rest
    ),
    "compare_estimators": lambda **rest: compare_estimators(NET, clone(NET).set_params(lr=0.1), X, Y, cv=3, **rest),
    "nested_cross_validate": lambda **rest: nested_cross_validate(
        NET, X, Y, param_grid=GRID, inner_cv=2, cv=2, return_estimator=True, **rest
    ),
    "nested_cv_interval": lambda **rest: nested_cv_interval(NET, X, Y, n_splits=3, n_repeats=2, random_state=0, **rest),
    "diagnose": lambda **rest: diagnose(
        clone(NET).set_params(lr=0.05), X, Y, cv=2, probes=["lr x4", "hidden_size x2"], repeats=1, **rest
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_was_stopped_and_made_again_gives_what_it_gives_at_once(name, epochs, tmp_path):
    call = CALLS[name]
    unbroken = plain(call())
    in_all = len(epochs)
    epochs.clear()
    stops = 0
    for writes in (1, 2, 3):
        try:
            call(checkpoints=StopsAfter(tmp_path, writes))
        except KeyboardInterrupt:
            stops += 1
    assert stops
    assert plain(call(checkpoints=Checkpoints(tmp_path, every=0))) == unbroken
    assert len(epochs) <= in_all  # none was trained twice
    epochs.clear()
    assert plain(call(checkpoints=str(tmp_path))) == unbroken
    assert epochs == []


def test_another_seed_data_or_setting_begins_anew(epochs, tmp_path):
    cross_validate(NET, X, Y, cv=3, checkpoints=tmp_path)
    for net, y, cv in (
        (clone(NET).set_params(random_state=1), Y, 3),
        (clone(NET).set_params(lr=0.02), Y, 3),
        (NET, Y[::-1].copy(), 3),
        (NET, Y, 2),
    ):
        epochs.clear()
        found = cross_validate(net, X, y, cv=cv, return_estimator=True, checkpoints=tmp_path)
        assert len(epochs) == NET.max_epochs
        assert plain(found) == plain(cross_validate(net, X, y, cv=cv, return_estimator=True))


def test_a_search_with_checkpoints_can_be_cloned_and_keeps_their_place(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    search = LockstepSearchCV(NET, GRID, checkpoints=checkpoints)
    assert clone(search).checkpoints is checkpoints
    assert clone(LockstepSearchCV(NET, GRID, checkpoints=tmp_path)).checkpoints == tmp_path


def test_what_is_no_place_is_refused():
    with pytest.raises(ParameterError, match="checkpoints need a directory as a path, got 3"):
        cross_validate(NET, X, Y, checkpoints=3)
    with pytest.raises(ParameterError, match="checkpoints need a directory as a path, got 3"):
        LockstepSearchCV(NET, GRID, checkpoints=3).fit(X, Y)
