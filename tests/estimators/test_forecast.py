"""A forecast: what it reads, what it must not, and where it stands."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline

from throughtime import (
    LockstepSearchCV,
    SequenceRegressor,
    cross_val_predict,
    cross_validate,
    fit_members,
)
from throughtime.data import Sequences
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import Outputs, predict_requests
from throughtime.estimators.features import features_of
from throughtime.estimators.forecast import forecast_inputs

N, HORIZON, KNOWN = 16, 2, [1]
SMALL: dict[str, Any] = {"cell": "rnn", "hidden_size": 4, "max_epochs": 2, "batch_size": 5, "random_state": 0}
AHEAD = SMALL | {"horizon": HORIZON, "known": KNOWN}
RNG = np.random.default_rng(3)
ARRAYS = [RNG.normal(size=(length, 3)) for length in RNG.integers(5, 12, N)]
TARGETS = [np.where(np.arange(len(x)) % 4 == 1, np.nan, x[:, 0] + x[:, 1]) for x in ARRAYS]


def by_hand(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The series that a forecast reads, cut and put together channel by channel."""
    return [np.stack([x[:-2, 0], x[2:, 1], x[:-2, 2]], 1) for x in arrays]


def gappy() -> list[np.ndarray]:
    return [np.where(RNG.random(x.shape) < 0.15, np.nan, x) for x in ARRAYS]


OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any], Any]] = {
    "plain": ({}, {}, {}),
    "missing values": ({"arrays": gappy()}, {}, {}),
    "static": ({"static": RNG.normal(size=(N, 2))}, {}, {}),
    "burn-in": ({}, {"burn_in": 2}, {}),
    "weights": ({}, {}, {"sample_weight": 1.0 + np.arange(N)}),
    "an inner split": ({"groups": np.arange(N) // 2}, {"early_stopping": True}, {}),
    "a transform": ({}, {"target_transform": "log1p"}, {}),
    "two layers of lstm": ({}, {"cell": "lstm", "num_layers": 2, "dropout": 0.3}, {}),
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_forecast_is_the_regression_on_series_shifted_by_hand(kind: str) -> None:
    extras, parameters, given = OPTIONS[kind]
    extras = dict(extras)
    arrays = extras.pop("arrays", ARRAYS)
    y = [np.exp(t) for t in TARGETS] if "target_transform" in parameters else TARGETS
    X, shifted = (Sequences.from_arrays(part, **extras) for part in (arrays, by_hand(arrays)))
    one = SequenceRegressor(**AHEAD | parameters).fit(X, y, **given)
    other = SequenceRegressor(**SMALL | parameters).fit(shifted, [t[2:] for t in y], **given)
    for name, weight in other.module_.state_dict().items():
        assert torch.equal(one.module_.state_dict()[name], weight), name
    assert one.history_ == other.history_
    found, expected = one.predict(X), other.predict(shifted)
    assert np.array_equal(found.lengths, X.lengths)
    for row in range(N):
        assert np.isnan(found[row][:HORIZON]).all()
        assert np.array_equal(found[row][HORIZON:], expected[row])
    assert one.score(X, y) == other.score(shifted, [t[2:] for t in y])


def test_a_forecast_knows_nothing_after_its_horizon_but_the_known_channels() -> None:
    fitted = SequenceRegressor(**AHEAD).fit(ARRAYS, TARGETS)
    x = ARRAYS[0]
    before = fitted.predict([x])[0]
    for step in range(len(x)):
        for channel in range(3):
            other = x.copy()
            other[step, channel] += 1.0
            changed = np.flatnonzero(fitted.predict([other])[0][:, 0] != before[:, 0])
            # NaN differs from itself: the steps without a forecast always count
            first = max(step + (0 if channel in KNOWN else HORIZON), HORIZON)
            reached = changed[changed >= HORIZON]
            if channel in KNOWN and step < HORIZON:
                assert not len(reached)  # it is over before the first forecast
            else:
                assert reached.tolist() == list(range(first, len(x)))


def test_steps_after_the_end_are_forecast_from_rows_that_hold_only_what_is_known() -> None:
    fitted = SequenceRegressor(**AHEAD, missing="error").fit(ARRAYS, TARGETS)
    x = ARRAYS[0].copy()
    whole = fitted.predict([x])[0]
    x[-HORIZON:, [0, 2]] = np.nan
    assert np.array_equal(fitted.predict([x])[0], whole, equal_nan=True)
    x[-HORIZON - 1, 2] = np.nan
    with pytest.raises(DataError, match=r'^X needs every value with missing="error", got NaN$'):
        fitted.predict([x])


def test_what_only_a_known_channel_can_tell_is_learned_from_it_alone() -> None:
    # y(t) = a(t - 2) + k(t), both standard normal: without k no forecast explains more than half
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(40, 2)).astype("float32") for _ in range(120)]
    y = [np.concatenate([np.full(2, np.nan), x[:-2, 0] + x[2:, 1]]) for x in arrays]
    options = {"hidden_size": 12, "max_epochs": 15, "lr": 0.02, "horizon": 2, "random_state": 0}
    scores = [
        SequenceRegressor(**options, known=known).fit(arrays[:80], y[:80]).score(arrays[80:], y[80:])
        for known in ([1], None)
    ]
    assert scores[0] > 0.95
    # 40 series of 38 steps: the share of variance that a explains has a deviation of 0.013
    assert 0.4 < scores[1] < 0.5 + 3 * 0.013


def test_members_with_a_horizon_are_bit_for_bit_what_they_are_alone() -> None:
    members = [SequenceRegressor(**AHEAD | {"random_state": seed, "hidden_size": 3 + seed % 2}) for seed in range(4)]
    X, y = Sequences.from_arrays(ARRAYS), Sequences.from_arrays(TARGETS)
    train = [np.arange(m, N - m) for m in range(4)]
    found = fit_members(members, X, y, train_indices=train, eval_indices=[np.arange(2)] * 4)
    for member, rows, fitted in zip(members, train, found, strict=True):
        alone = clone(member).fit(X[rows], y[rows])
        for name, weight in alone.module_.state_dict().items():
            assert torch.equal(fitted.module_.state_dict()[name], weight)
        assert fitted.predict(X) == alone.predict(X)
    with pytest.raises(ParameterError, match=r"^members that share one data set need the same horizon$"):
        fit_members([SequenceRegressor(**SMALL), SequenceRegressor(**SMALL, horizon=1)], X, y)


def test_horizons_searched_together_give_what_each_gives_alone() -> None:
    X, y = Sequences.from_arrays(ARRAYS), Sequences.from_arrays(TARGETS)
    folds = KFold(2)
    search = LockstepSearchCV(SequenceRegressor(**SMALL), {"horizon": [0, 1, 4]}, cv=folds).fit(X, y)
    for place, horizon in enumerate([0, 1, 4]):
        for fold, (train, test) in enumerate(folds.split(ARRAYS)):
            alone = SequenceRegressor(**SMALL, horizon=horizon).fit(X[train], y[train])
            assert search.cv_results_[f"split{fold}_test_score"][place] == alone.score(X[test], y[test])


def test_series_too_short_for_one_horizon_are_predicted_beside_it_with_another() -> None:
    near, far = (SequenceRegressor(**SMALL, horizon=horizon).fit(ARRAYS, TARGETS) for horizon in (1, 4))
    short, long = (Sequences.from_arrays([x[:steps] for x in ARRAYS]) for steps in (2, 5))
    together = predict_requests([Outputs(near, short), Outputs(far, long), Outputs(far, short)])
    assert np.array_equal(together[0], predict_requests([Outputs(near, short)])[0])
    assert np.array_equal(together[1], predict_requests([Outputs(far, long)])[0])
    assert "horizon=4 needs more than 4 steps in every series, got 2 in series 0" in str(together[2])


class Scaled(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Divides by the largest value seen."""

    def fit(self, X: Any, y: Any = None) -> "Scaled":  # noqa: ARG002
        self.scale_ = np.abs(X.values).max()
        return self

    def transform(self, X: Sequences) -> Sequences:
        return Sequences(X.values / self.scale_, X.offsets)


@pytest.mark.parametrize("piped", [False, True])
@pytest.mark.parametrize("scoring", [None, "r2", "neg_mean_absolute_error"])
def test_folds_score_a_forecast_over_its_own_steps(piped: bool, scoring: str | None) -> None:
    X, y = Sequences.from_arrays(ARRAYS), Sequences.from_arrays(TARGETS)
    model: Any = SequenceRegressor(**AHEAD, burn_in=1)
    model = make_pipeline(Scaled(), model) if piped else model
    found = cross_validate(model, X, y, cv=KFold(3), scoring=scoring)["test_score"]
    predicted = cross_val_predict(model, X, y, cv=KFold(3))
    assert isinstance(predicted, Sequences)
    for score, (_, test) in zip(found, KFold(3).split(ARRAYS), strict=True):
        truth, guess = (np.concatenate([part[row][3:, 0] for row in test]) for part in (y, predicted))
        seen = ~np.isnan(truth)
        expected = r2_score(truth[seen], guess[seen])
        if scoring == "neg_mean_absolute_error":
            expected = -np.abs(truth - guess)[seen].mean()
        assert score == pytest.approx(expected, rel=1e-12)


def test_channels_are_known_by_name_or_number() -> None:
    X = Sequences.from_arrays(ARRAYS, channel_names=["load", "holiday", "wind"])
    named, numbered = (
        SequenceRegressor(**SMALL, horizon=2, known=known).fit(X, TARGETS) for known in (["holiday"], (1, 1))
    )
    assert named.known_ == numbered.known_ == [1]
    assert named.predict(X) == numbered.predict(X)
    for copied in (pickle.loads(pickle.dumps(named)), clone(named).fit(X, TARGETS)):
        assert copied.predict(X) == named.predict(X)


def test_a_saved_forecast_comes_back_with_its_horizon(tmp_path: Any) -> None:
    fitted = SequenceRegressor(**AHEAD).fit(ARRAYS, TARGETS)
    fitted.save(tmp_path / "model")
    loaded = SequenceRegressor.load(tmp_path / "model")
    assert loaded.get_params() == fitted.get_params()
    assert (loaded.horizon_, loaded.known_) == (HORIZON, KNOWN)
    assert loaded.predict(ARRAYS) == fitted.predict(ARRAYS)


def test_series_as_seen_share_their_values_and_windows_stay_windows() -> None:
    X = Sequences.from_arrays(ARRAYS, groups=np.arange(N)).windows(5)
    seen = forecast_inputs(X, 2)
    assert np.shares_memory(seen.buffer, X.buffer)
    assert np.array_equal(seen.groups, X.groups)
    with_known = forecast_inputs(X, 2, KNOWN)
    assert len(with_known.buffer) == len(X.buffer)
    for own, expected in zip(with_known, by_hand(list(X)), strict=True):
        assert np.array_equal(own, expected)
    assert forecast_inputs(X, 0) is X
    assert features_of(forecast_inputs(X, 0), False).values is X.buffer


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"known": [0]}, r"^known needs a horizon of at least 1, got 0 and known=\[0\]: without a horizon every"),
        ({"horizon": 2, "known": [3]}, r"^known needs channels of X, 0 to 2, got 3$"),
        ({"horizon": 2, "known": [-1]}, r"^known needs channels of X, 0 to 2, got -1$"),
        ({"horizon": 2, "known": ["rian"]}, r"^known needs channels of X, got 'rian'; did you mean 'rain'\?$"),
        ({"horizon": 2, "known": ["z"]}, r"^known needs channels of X, got 'z'; there are flow, rain, wind$"),
        ({"horizon": 2, "known": "rain"}, r"^known needs a list of channels, by name or number or None, got 'rain'$"),
        ({"horizon": 2, "bidirectional": True}, r"^horizon needs bidirectional=False: "),
        ({"horizon": -1}, r"^horizon needs a whole number of at least 0 and of at most 1,000,000,000, got -1$"),
        ({"horizon": 5}, r"^horizon=5 needs more than 5 steps in every series, got 5 in series 1$"),
        ({"horizon": 2, "burn_in": 9}, r"^y needs an observed target after the first 11 steps \(burn_in and horizon\)"),
    ],
)
def test_what_no_forecast_can_be_made_of_is_refused(parameters: dict[str, Any], message: str) -> None:
    X = Sequences.from_arrays([*ARRAYS[:1], ARRAYS[1][:5], *ARRAYS[2:]], channel_names=["flow", "rain", "wind"])
    y = [*TARGETS[:1], TARGETS[1][:5], *TARGETS[2:]]
    with pytest.raises((ParameterError, DataError), match=message):
        SequenceRegressor(**SMALL | parameters).fit(X, y)


def test_a_forecast_needs_steps_names_and_series_that_are_long_enough() -> None:
    with pytest.raises(DataError, match=r"^horizon=2 needs a target at each step, got one per series$"):
        SequenceRegressor(**SMALL, horizon=2).fit(ARRAYS, np.arange(N))
    with pytest.raises(ParameterError, match=r"^known needs channels by number where X has no channel names, got 'a'$"):
        SequenceRegressor(**SMALL, horizon=2, known=["a"]).fit(ARRAYS, TARGETS)
    fitted = SequenceRegressor(**AHEAD).fit(ARRAYS, TARGETS)
    with pytest.raises(DataError, match=r"^horizon=2 needs more than 2 steps in every series, got 2 in series 1$"):
        fitted.predict([ARRAYS[0], ARRAYS[1][:2]])


def days(n: int, lacking: int | None = None, hours: int = 24) -> np.ndarray:
    times = np.datetime64("2023-01-01", "ns") + np.arange(n) * np.timedelta64(hours, "h")
    return times if lacking is None else np.delete(times, lacking)


def dated(lacking: int | None = None, n: int = 8, hours: int = 24) -> tuple[Sequences, Sequences]:
    """Series of days, of which one row lacks in series 5."""
    times = [days(12, lacking if row == 5 else None, hours) for row in range(n)]
    values = [np.random.default_rng(row).normal(size=len(own)) for row, own in enumerate(times)]
    X = Sequences.from_arrays(values, times=times)
    return X, Sequences.from_arrays(values)


GAP = "^horizon=2 counts steps and needs times without gaps, got 2023-01-04 and 2023-01-06, .* in series"


def test_rows_are_steps_only_where_times_say_so() -> None:
    model = SequenceRegressor(**SMALL, horizon=2)
    X, y = dated()
    gappy, short = dated(lacking=4)
    with pytest.raises(DataError, match=GAP + " '5'"):
        model.fit(gappy, short)
    fitted = model.fit(X, y)
    with pytest.raises(DataError, match=GAP + " '5'"):
        fitted.predict(gappy)
    with pytest.raises(DataError, match=GAP + " '0'"):
        fitted.score(gappy[5:6], short[5:6])
    rows_alone = Sequences(gappy.values, gappy.offsets)  # without times, rows are what is counted
    assert fitted.predict(rows_alone).n_steps == rows_alone.n_steps
    SequenceRegressor(**SMALL).fit(gappy, short).predict(gappy)  # a regression counts no steps ahead


def test_a_forecast_keeps_to_the_step_it_was_trained_on(tmp_path: Any) -> None:
    X, y = dated()
    fitted = SequenceRegressor(**SMALL, horizon=2).fit(X, y)
    fitted.save(tmp_path / "saved")
    hourly, _ = dated(hours=1)
    for model in (fitted, SequenceRegressor.load(tmp_path / "saved"), pickle.loads(pickle.dumps(fitted))):
        assert model.clock_ == fitted.clock_
        with pytest.raises(DataError, match=r"steps, of 1 day in fit, got steps of 1 hour: .* in series '0'"):
            model.predict(hourly)
        with pytest.raises(DataError, match=GAP):
            model.predict(Sequences.from_arrays([np.zeros(5)], times=[days(6, 4)]))


def test_a_gap_in_one_series_is_the_failure_of_the_members_that_have_it() -> None:
    X, y = dated(lacking=4)
    rows = [np.array([0, 1, 2]), np.array([4, 5, 6])]
    good, bad = fit_members([SequenceRegressor(**SMALL, horizon=2)] * 2, X, y, train_indices=rows)
    assert isinstance(bad, DataError)
    assert isinstance(good, SequenceRegressor)
    alone = SequenceRegressor(**SMALL, horizon=2).fit(X[rows[0]], y[rows[0]])
    assert np.array_equal(good.predict(X[:2]).values, alone.predict(X[:2]).values, equal_nan=True)
