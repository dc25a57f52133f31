"""A missing value that training had none of is told when it is first met, once."""

import warnings
from typing import Any

import numpy as np
import pytest
from estimator_data import classes, ragged, steps

from throughtime import SequenceClassifier, SequenceRegressor, cross_validate, fit_members
from throughtime.data import Sequences
from throughtime.errors import DataWarning
from throughtime.estimators import predict_members

SMALL: dict[str, Any] = {"hidden_size": 3, "max_epochs": 2, "random_state": 0}
WARNS = "where training missed none"


def spoiled(channels: tuple[int, ...] = (1,)) -> list[np.ndarray]:
    X = ragged()
    for channel in channels:
        X[7][1, channel] = np.nan
    return X


@pytest.mark.parametrize("normalize", ["standard", "none"])
def test_what_stands_for_a_value_never_missing_in_training_is_what_the_warning_says(normalize: Any) -> None:
    fitted = SequenceClassifier(**SMALL, normalize=normalize).fit(ragged(), classes())
    fill, said = {"standard": (np.concatenate(ragged())[:, 1].mean(), "the training mean"), "none": (0.0, "0")}[
        normalize
    ]
    with pytest.warns(DataWarning, match=f"^X misses values in channel 1, {WARNS}: {said} stands there"):
        found = fitted.predict_proba(spoiled())
    filled = spoiled()
    filled[7][1, 1] = fill
    np.testing.assert_allclose(found, fitted.predict_proba(filled), rtol=1e-9)


def test_a_channel_that_never_missed_a_value_is_told_beside_one_that_did() -> None:
    X = ragged()
    X[3][0, 0] = np.nan
    fitted = SequenceClassifier(**SMALL).fit(X, classes())
    fitted.predict(spoiled((0,)))
    named = Sequences.from_arrays(spoiled((0, 1)), channel_names=["flow", "rain"])
    other = SequenceClassifier(**SMALL).fit(Sequences.from_arrays(X, channel_names=["flow", "rain"]), classes())
    with pytest.warns(DataWarning, match=f"in channel 'rain', {WARNS}"):
        other.predict(named)


def test_static_features_are_told_too() -> None:
    static = np.arange(len(ragged()), dtype=float)
    fitted = SequenceClassifier(**SMALL).fit(Sequences.from_arrays(ragged(), static=static), classes())
    static[4] = np.nan
    with pytest.warns(DataWarning, match=f"^X misses values in the static features, {WARNS}"):
        fitted.predict(Sequences.from_arrays(ragged(), static=static))


def test_a_forecast_is_told_of_the_rows_it_reads() -> None:
    fitted = SequenceRegressor(**SMALL, horizon=1).fit(ragged(), steps())
    X = ragged()
    X[2][-1] = np.nan  # the row to forecast: nothing of it is read
    fitted.predict(X)
    X[2][-2, 0] = np.nan
    with pytest.warns(DataWarning, match=f"in channel 0, {WARNS}"):
        fitted.predict(X)


def test_many_members_are_told_once() -> None:
    X = Sequences.from_arrays(spoiled((0, 1)))
    whole = np.delete(np.arange(len(X)), 7)
    members = fit_members(
        [SequenceClassifier(**SMALL)] * 3, X, classes(), train_indices=[whole, whole[:20], whole[10:]]
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        predict_members(members, X, [np.arange(len(X))] * 3)  # type: ignore[arg-type]
        predict_members(members, X, [whole] * 3)  # type: ignore[arg-type]
    assert [str(one.message).partition(", where")[0] for one in told] == ["X misses values in channels 0, 1"]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        cross_validate(SequenceClassifier(**SMALL), X, classes(), cv=3)
    assert len(told) == 1
