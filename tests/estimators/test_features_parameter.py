"""``features``: a network reads what it names as if the series had had it, alone, in lockstep and from a file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from estimator_data import N, classes, ragged, series, steps, values
from sklearn.pipeline import make_pipeline

from throughtime import Differences, FourierFeatures, RollingStatistics, SummaryFeatures, storage
from throughtime.data import Sequences, concatenate
from throughtime.errors import DataError, DataWarning, ParameterError, StorageError
from throughtime.estimators import (
    SequenceClassifier,
    SequenceRegressor,
    at_initialization,
    fit_members,
    gradient_flow_of,
    module_call,
    predict_members,
)
from throughtime.estimators.files import FACTS, WEIGHTS

SMALL = {"hidden_size": 4, "max_epochs": 2, "batch_size": 8, "random_state": 0}
TEXT = "diff,rolling:3:mean,fourier:4"
DAYS = [np.datetime64("2001-01-01") + np.arange(len(x)) for x in ragged()]


def weights(fitted: Any) -> dict[str, bytes]:
    return {name: weight.numpy().tobytes() for name, weight in fitted.module_.state_dict().items()}


def by_hand(X: Sequences, *transformers: Any) -> Sequences:
    """Series with what transformers make of their own channels, in order."""
    found = [transformer.fit_transform(X) for transformer in transformers]
    columns = [X.values, *(one.values[:, X.n_channels :] for one in found)]
    names = [f"c{k}" for k in range(sum(column.shape[1] for column in columns))]
    return X.with_channels(np.concatenate(columns, axis=1), names)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_reads_features_as_if_the_series_had_had_them(dtype: type) -> None:
    X = Sequences.from_arrays(ragged(dtype), times=DAYS, static=np.arange(N) % 5)
    made = by_hand(X, Differences(), RollingStatistics(3, "mean"), FourierFeatures(4))
    fitted = SequenceClassifier(**SMALL, features=TEXT).fit(X, classes())
    expected = SequenceClassifier(**SMALL).fit(made, classes())
    assert weights(fitted) == weights(expected)
    np.testing.assert_array_equal(fitted.predict_proba(X[5:]), expected.predict_proba(made[5:]))
    assert fitted.n_features_in_ == 2
    assert fitted.network_.net.n_inputs == 2 + 2 + 2 + 2 + 1


def test_summaries_named_apart_are_read_as_those_named_together() -> None:
    X = series(static=np.arange(N) % 5)
    apart, together = (
        SequenceRegressor(**SMALL, features=text).fit(X, values())
        for text in ("summary:mean,diff,summary:slope", "summary:mean:slope,diff")
    )
    assert apart.network_.net.n_inputs == X.n_channels * 4 + 1
    assert weights(apart) == weights(together)


def test_a_summary_is_read_as_static_features_are() -> None:
    X = series(static=np.arange(N) % 5)
    fitted = SequenceRegressor(**SMALL, features="summary:mean:slope,diff").fit(X, values())
    summed = SummaryFeatures(["mean", "slope"]).fit_transform(by_hand(X, Differences()))
    static = np.asarray(summed.static)[:, [0, 1, 2, 5, 6]]  # what is made of the difference is no part of it
    expected = SequenceRegressor(**SMALL).fit(summed.replace(static=static), values())
    assert weights(fitted) == weights(expected)
    assert fitted.n_static_ == 1


def test_a_pipeline_of_transformers_is_the_parameter() -> None:
    X = series()
    pipeline = make_pipeline(Differences(), SequenceClassifier(**SMALL)).fit(X, classes())
    fitted = SequenceClassifier(**SMALL, features="diff").fit(X, classes())
    assert weights(pipeline[-1]) == weights(fitted)
    np.testing.assert_array_equal(pipeline.predict_proba(X[3:9]), fitted.predict_proba(X[3:9]))


def test_members_of_other_features_are_bit_for_bit_what_each_is_alone() -> None:
    texts = [None, "diff", "lag", "rolling:3,fourier:4", "diff, rolling:5:max", "summary", "diff:1"]
    arrays = ragged()
    for array in arrays[:4]:
        array[1] = np.nan
    rng = np.random.default_rng(0)
    members = [SequenceClassifier(**SMALL | {"random_state": m}, features=text) for m, text in enumerate(texts)]
    rows = [np.sort(rng.choice(N, 20, replace=False)) for _ in texts]
    together = fit_members(members, Sequences.from_arrays(arrays), classes(), train_indices=rows)
    predicted = predict_members(together, Sequences.from_arrays(arrays), rows)
    for member, own, fitted, outputs in zip(members, rows, together, predicted, strict=True):
        alone_X = Sequences.from_arrays([arrays[row] for row in own])
        alone = member.fit(alone_X, classes()[own])
        assert weights(fitted) == weights(alone)
        (solo,) = predict_members([alone], alone_X, [np.arange(len(own))])
        assert outputs.tobytes() == solo.tobytes()


def test_windows_are_read_as_series_of_their_own() -> None:
    rng = np.random.default_rng(0)
    whole = Sequences.from_arrays([rng.normal(size=(60, 2)), rng.normal(size=(40, 2))])
    windows = whole.windows(10, 3)
    y = np.arange(len(windows)) % 2
    net = SequenceClassifier(**SMALL, features="lag:2,rolling:4,fourier:5")
    copies = Sequences.from_arrays([*windows])
    of_windows = weights(net.fit(windows, y))
    assert of_windows == weights(net.fit(copies, y))


@pytest.mark.parametrize("known", [None, ["b"]])
def test_a_forecast_reads_features_of_what_it_may_read_and_the_season_of_its_own_step(known: Any) -> None:
    horizon = 2
    arrays = [np.random.default_rng(n).normal(size=(12 + n, 2)) for n in range(8)]
    times = [np.datetime64("2001-01-01") + np.arange(len(x)) for x in arrays]
    X = Sequences.from_arrays(arrays, times=times, channel_names=["a", "b"])
    y = [x[:, 0] for x in arrays]
    own = SequenceRegressor(**SMALL, horizon=horizon, known=known, features=TEXT).fit(X, y)
    ahead = 0 if known is None else horizon
    read = [np.stack([x[: len(x) - horizon, 0], x[ahead : len(x) - horizon + ahead, 1]], axis=1).copy() for x in arrays]
    shifted = Sequences.from_arrays(read, times=[t[horizon:] for t in times])
    expected = SequenceRegressor(**SMALL).fit(
        by_hand(shifted, Differences(), RollingStatistics(3, "mean"), FourierFeatures(4)), [t[horizon:] for t in y]
    )
    assert weights(own) == weights(expected)

    # what is measured after a step's horizon changes nothing
    changed = [x.copy() for x in arrays]
    changed[0][7:, 0] = -9.0
    again = Sequences.from_arrays(changed, times=times, channel_names=["a", "b"])
    before, after = own.predict(X)[0], own.predict(again)[0]
    np.testing.assert_array_equal(before[: 7 + horizon], after[: 7 + horizon])
    assert (before[7 + horizon :] != after[7 + horizon :]).any()


def test_a_season_without_times_counts_the_steps_of_a_forecast_too() -> None:
    arrays = [np.random.default_rng(n).normal(size=(12, 1)) for n in range(6)]
    y = [x[:, 0] for x in arrays]
    numbered = Sequences.from_arrays(arrays, times=[np.arange(12.0)] * 6)
    net = SequenceRegressor(**SMALL, horizon=3, features="fourier:4")
    assert weights(net.fit(arrays, y)) == weights(net.fit(numbered, y))


@pytest.mark.parametrize("text", [TEXT, "summary,lag:1:2"])
def test_a_loaded_estimator_predicts_the_same_on_new_series(tmp_path: Path, text: str) -> None:
    X = Sequences.from_arrays(ragged(), times=DAYS, static=np.arange(N) % 5)
    arrays = ragged()
    arrays[0][1] = np.nan
    gappy = Sequences.from_arrays(arrays, times=DAYS, static=np.arange(N) % 5)
    for number, data in enumerate((X, gappy)):
        fitted = SequenceClassifier(**SMALL, features=text).fit(data, classes())
        fitted.save(tmp_path / str(number))
        loaded = SequenceClassifier.load(tmp_path / str(number))
        assert loaded.get_params() == fitted.get_params()
        assert loaded.time_units_ == fitted.time_units_
        new = concatenate([data[10:], data[:3]])
        np.testing.assert_array_equal(loaded.predict_proba(new), fitted.predict_proba(new))


def rewritten(source: Path, target: Path, edit: Any) -> None:
    run = storage.read_run(source)
    facts = run.json(FACTS)
    edit(facts)
    files = {FACTS: json.dumps(facts).encode(), WEIGHTS: storage.arrays_to_bytes(run.arrays(WEIGHTS))}
    storage.write_run(target, files, {"kind": "estimator"})


def test_an_estimator_from_before_features_loads_without_and_an_edited_one_is_refused(tmp_path: Path) -> None:
    SequenceClassifier(**SMALL).fit(series(), classes()).save(tmp_path / "plain")

    def before(facts: Any) -> None:
        del facts["parameters"]["features"], facts["time_units"]

    rewritten(tmp_path / "plain", tmp_path / "old", before)
    assert SequenceClassifier.load(tmp_path / "old").features is None
    SequenceClassifier(**SMALL, features=TEXT).fit(series(), classes()).save(tmp_path / "new")
    for number, (edit, message) in enumerate(
        [
            (lambda facts: facts["parameters"].update(features="diff,fourier:4"), "n_inputs needs to be 6"),
            (lambda facts: facts["parameters"].update(features="diff,diff"), "each feature once"),
            (lambda facts: facts["parameters"].update(features="diff,rolling:3:mean,lag"), "time_units"),
            (lambda facts: facts.update(time_units=None), "time_units needs to be those of a Fourier feature"),
            (lambda facts: facts.update(time_units="weeks"), "time_units"),
            (lambda facts: facts["parameters"].update(features="lag:1:2:3,fourier:4"), "n_inputs needs to be 10"),
        ]
    ):
        rewritten(tmp_path / "new", tmp_path / f"edited{number}", edit)
        with pytest.raises(StorageError, match=message):
            SequenceClassifier.load(tmp_path / f"edited{number}")


def test_series_to_predict_need_times_of_the_kind_in_fit() -> None:
    timed = Sequences.from_arrays(ragged(), times=DAYS)
    fitted = SequenceClassifier(**SMALL, features="fourier:4").fit(timed, classes())
    message = "X needs dates as times, as SequenceClassifier with features='fourier:4' was fitted on, got no times"
    with pytest.raises(DataError, match=message):
        fitted.predict(series())
    assert SequenceClassifier(**SMALL, features="diff").fit(timed, classes()).predict(series()).shape == (N,)


def test_other_channels_than_in_fit_are_refused_by_their_own_number() -> None:
    fitted = SequenceClassifier(**SMALL, features=TEXT).fit(series(), classes())
    with pytest.raises(DataError, match="X needs the 2 channels that SequenceClassifier was fitted on, got 8"):
        fitted.predict([np.zeros((4, 8))] * 2)


def test_gaps_that_training_had_none_of_are_warned_of_once_by_the_channels_given() -> None:
    nets = [SequenceClassifier(**SMALL, features=text) for text in (None, "diff,fourier:4", "lag", "summary")]
    fitted = fit_members(nets, series(), classes())
    assert not any(one.masked_ for one in fitted)
    new = ragged()[0]
    new[:, 0] = np.nan
    with pytest.warns(DataWarning, match="X misses values in channel 0, where training missed none") as found:
        predict_members(fitted, Sequences.from_arrays([new]), [np.array([0])] * len(fitted))
    assert len(found) == 1
    arrays = ragged()
    for array in arrays:
        array[1, 1] = np.nan
    gappy = SequenceClassifier(**SMALL, features="diff").fit(arrays, classes())
    with pytest.warns(DataWarning, match="X misses values in channel 0, where"):
        gappy.predict([new])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rollin:7", "features needs names among .* got 'rollin:7'; did you mean rolling?"),
        ("", "features needs names among"),
        (7, "features needs a word or None, got 7"),
        (["diff"], r"features needs a word or None, got \['diff'\]"),
    ],
)
def test_what_names_no_feature_is_refused_before_anything_is_trained(text: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SequenceClassifier(**SMALL, features=text).fit(series(), classes())


def test_a_member_is_refused_alone_for_what_its_features_cannot_be_made_of() -> None:
    X = Sequences.from_arrays([*ragged(np.float32)[:-1], np.array([[-3e38, 0], [3e38, 0]], np.float32)])
    members = [SequenceClassifier(**SMALL, features=text, normalize="none") for text in (None, "diff", "lag")]
    plain, changes, later = fit_members(members, X, classes())
    assert isinstance(changes, DataError)
    assert "channel 'x0:diff1'" in str(changes)
    assert not isinstance(plain, DataError)
    assert not isinstance(later, DataError)


def test_a_summary_needs_one_target_per_series() -> None:
    with pytest.raises(DataError, match="features='summary' needs one target per series, got one per step"):
        SequenceRegressor(**SMALL, features="summary").fit(series(), steps())
    with pytest.raises(DataError, match="needs one target per series"):
        SequenceRegressor(**SMALL, features="summary", horizon=1).fit(series(), steps())


def test_a_module_of_the_users_own_is_made_for_the_features_and_measured_with_them() -> None:
    widths = []

    class Mean(torch.nn.Module):
        def __init__(self, n_channels: int, n_outputs: int) -> None:
            super().__init__()
            widths.append(n_channels)
            self.layer = torch.nn.Linear(n_channels, n_outputs)

        def forward(self, x: Any, lengths: Any) -> Any:
            inside = torch.arange(x.shape[1])[None] < lengths[:, None]
            return self.layer(torch.where(inside[..., None], x, 0.0).sum(1) / lengths[:, None])

    fitted = SequenceClassifier(max_epochs=2, random_state=0, module=Mean, features="diff").fit(series(), classes())
    assert set(widths) == {4}
    assert module_call(fitted, series()).x.shape[2] == 4
    assert fitted.predict(series()).shape == (N,)


def test_flow_and_start_of_a_network_are_of_what_it_reads() -> None:
    start = at_initialization(SequenceClassifier(**SMALL, features=TEXT), series(), classes())
    assert start.network_.net.n_inputs == 8
    call = module_call(start, series())
    expected = by_hand(series(), Differences(), RollingStatistics(3, "mean"), FourierFeatures(4))
    np.testing.assert_array_equal(call.x.numpy()[0, : expected.lengths[0]], expected[0])
    assert gradient_flow_of(start, series(), classes()).layers


def test_truncated_bptt_takes_features() -> None:
    X, y = [np.random.default_rng(0).normal(size=(40, 1))] * 4, [np.arange(40.0)] * 4
    net = {**SMALL, "bptt": "truncated", "k2": 5}
    own = SequenceRegressor(**net, features="diff").fit(X, y)
    made = SequenceRegressor(**net).fit(Differences().fit_transform(X), y)
    assert weights(own) == weights(made)
