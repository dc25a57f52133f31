"""What an exported graph answers in ONNX Runtime is what the estimator answers.

A sample by default; ``THROUGHTIME_SOAK=1`` takes every combination.
"""

import os
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import SHAPES, series
from onnx_runs import assert_alike, check, feeds_of, random_model, run, session_of

from throughtime import SequenceClassifier
from throughtime.data import Sequences
from throughtime.errors import DataError

CELLS = {
    "rnn": {"cell": "rnn"},
    "relu": {"cell": "rnn", "nonlinearity": "relu"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
    "linear": {"cell": "linear"},
    "peephole": {"cell": "peephole_lstm"},
}
#: By how the layers are computed: an operator of ONNX, or its Scan.
PRECISIONS = {
    "operators": {},
    "float64": {"dtype": "float64"},
    "zoneout": {"zoneout": 0.2},
    "zoneout of c": {"cell_zoneout": 0.3},
}
GRID = list(
    product(
        CELLS,
        PRECISIONS,
        (1, 2, 3),  # layers
        (False, True),  # both directions
        ("last", "mean", "max", "steps", "forecast"),
        (True, False),  # classes
        (False, True),  # missing values
        (False, True),  # static features
    )
)


def possible(case: tuple) -> bool:
    cell, precision, _, both, pooling, classes, *_ = case
    if precision == "zoneout of c" and cell not in ("lstm", "peephole"):
        return False
    return pooling != "forecast" or not (both or classes)


#: Prime to the number of values of each part, so that all of them come, and all pairs of most.
STRIDE = 1 if os.environ.get("THROUGHTIME_SOAK") else 61


@pytest.mark.parametrize("case", list(filter(possible, GRID))[::STRIDE], ids=lambda case: "-".join(map(str, case)))
def test_a_graph_answers_as_its_estimator_at_shapes_it_has_not_seen(case: tuple, tmp_path: Path) -> None:
    cell, precision, layers, both, pooling, classes, missing, static = case
    options = {"missing": missing, "static": static, "dtype": "float64"}
    parameters = CELLS[cell] | PRECISIONS[precision] | {"num_layers": layers, "bidirectional": both}
    by_step = pooling in ("steps", "forecast")
    parameters |= {"horizon": 2, "known": [1]} if pooling == "forecast" else {} if by_step else {"pooling": pooling}
    estimator = random_model(series(8, 14, **options), by_step=by_step, classes=classes, **parameters)
    session = session_of(estimator, tmp_path / "model.onnx")
    for n, longest in SHAPES:
        check(estimator, session, series(n, longest, seed=7, **options))


FEATURES = [
    "diff",
    "lag:1:6",
    "rolling:2:5:7:mean:std:min:max",
    "fourier:5:2.5",
    "fourier:3e12",  # of which 12 decimals keep a digit or two
    "summary",
    "rolling:3:max,summary:slope:mean,lag:2,fourier:7,diff:40",
]


@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("missing", [False, True])
def test_features_are_made_in_the_graph(features: str, missing: bool, tmp_path: Path) -> None:
    options = {"missing": missing, "static": True, "dtype": "float64"}
    estimator = random_model(series(8, 14, **options), features=features, pooling="mean", dtype="float64")
    session = session_of(estimator, tmp_path / "model.onnx")
    for n, longest in SHAPES:
        check(estimator, session, series(n, longest, seed=7, **options))


@pytest.mark.parametrize("kind", ["days", "numbers", None])
@pytest.mark.parametrize("horizon", [0, 3])
def test_seasons_are_of_the_times_given_and_of_the_step_that_is_predicted(
    kind: str | None, horizon: int, tmp_path: Path
) -> None:
    options = {"times": kind, "dtype": "float64", "shortest": 4}
    estimator = random_model(
        series(8, 14, **options), features="fourier:7:0.5", by_step=True, classes=False, horizon=horizon
    )
    session = session_of(estimator, tmp_path / "model.onnx")
    for n, longest in SHAPES:
        check(estimator, session, series(n, longest, seed=7, **options))


def test_times_before_zero_have_their_season(tmp_path: Path) -> None:
    X = Sequences.from_arrays(np.random.default_rng(0).normal(size=(5, 9, 3)), times=[np.arange(9) - 20.5] * 5)
    estimator = random_model(X, features="fourier:7:2")
    check(estimator, session_of(estimator, tmp_path / "model.onnx"), X)


@pytest.mark.parametrize("transform", ["log", "log1p", "sqrt"])
def test_numbers_come_back_in_the_targets_own_unit(transform: str, tmp_path: Path) -> None:
    X = series(40, 12, dtype="float64")
    estimator = random_model(X, classes=False, target_transform=transform, dtype="float64")
    estimator.target_mean_, estimator.target_scale_ = 0.1, 3.0  # on both sides of zero, where sqrt has its edge
    outputs = run(session_of(estimator, tmp_path / "model.onnx"), feeds_of(estimator, X))
    expected = estimator.predict(X)
    assert transform != "sqrt" or (expected == 0).any()
    np.testing.assert_allclose(outputs["prediction"], expected, rtol=1e-12)


def test_log1p_keeps_the_digits_of_small_numbers(tmp_path: Path) -> None:
    X = series(8, 12, dtype="float64")
    estimator = random_model(X, classes=False, target_transform="log1p", dtype="float64")
    estimator.target_mean_, estimator.target_scale_ = 0.0, 1e-9
    outputs = run(session_of(estimator, tmp_path / "model.onnx"), feeds_of(estimator, X))
    np.testing.assert_allclose(outputs["prediction"], estimator.predict(X), rtol=1e-12)


@pytest.mark.parametrize(
    "classes", [[-3, 0, 2**40], [0.0, 1.0, 7.0], ["", "ä\n", "zoë"], np.array(["b", "a", "c"], object)]
)
def test_labels_are_the_classes_themselves(classes: Any, tmp_path: Path) -> None:
    X = series(9, 12, dtype="float64")
    model = SequenceClassifier(hidden_size=4, max_epochs=1, random_state=0).fit(X, np.resize(np.array(classes), 9))
    check(model, session_of(model, tmp_path / "model.onnx"), X)


def test_two_classes_may_be_true_and_false(tmp_path: Path) -> None:
    X = series(9, 12, dtype="float64")
    model = SequenceClassifier(hidden_size=4, max_epochs=1, random_state=0).fit(X, np.arange(9) % 2 == 0)
    outputs = run(session_of(model, tmp_path / "model.onnx"), feeds_of(model, X))
    assert outputs["label"].dtype == np.bool_
    np.testing.assert_array_equal(outputs["label"], model.predict(X))


@pytest.mark.parametrize(
    ("classes", "dtype", "none"),
    [
        (np.array([1, 2**63 + 5], np.uint64), np.uint64, 2**64 - 1),
        (np.array([2**63 + 4, 2**63 + 5], np.uint64), np.uint64, 2**64 - 1),
        (np.array([1, 2**62], np.uint64), np.int64, -(2**63)),
        (np.array([1, 255], np.uint8), np.int64, -(2**63)),
        (np.array([1.0, 2.0]), np.float64, np.nan),
        (np.array([False, True]), np.bool_, False),
    ],
)
def test_a_series_without_an_answer_has_a_label_for_none(classes: Any, dtype: type, none: Any, tmp_path: Path) -> None:
    X = series(9, 12, dtype="float64")
    model = SequenceClassifier(hidden_size=4, max_epochs=1, random_state=0).fit(X, np.resize(classes, 9))
    session, feeds = session_of(model, tmp_path / "model.onnx"), feeds_of(model, X)
    feeds["lengths"][0] = 0
    found = run(session, feeds)
    assert found["label"].dtype == dtype
    np.testing.assert_array_equal(found["label"][0], np.array(none, dtype))
    np.testing.assert_array_equal(found["label"][1:], model.predict(X)[1:])
    np.testing.assert_array_equal(np.isnan(found["probabilities"]).all(1), np.arange(9) == 0)


def test_flat_rows_are_series_of_one_channel(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(8, 11))
    estimator = random_model(X[:, :, None], normalize="none")
    estimator.n_steps_, estimator.n_features_in_ = 11, 11
    outputs = run(session_of(estimator, tmp_path / "model.onnx"), {"x": X[:, :, None], "lengths": np.full(8, 11)})
    assert_alike(estimator, outputs["probabilities"], estimator.predict_proba(X))


def test_means_are_subtracted_before_anything_is_rounded_to_float32(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(8, 20, 1)) + 1e8
    estimator = random_model(x)
    outputs = run(session_of(estimator, tmp_path / "model.onnx"), {"x": x, "lengths": np.full(8, 20)})
    assert_alike(estimator, outputs["probabilities"], estimator.predict_proba(x))


@pytest.mark.parametrize("by_step", [False, True])
def test_what_predict_refuses_is_nan_and_spoils_no_other_series(by_step: bool, tmp_path: Path) -> None:
    X = series(8, 9, dtype="float64", ragged=False)
    estimator = random_model(X, missing="error", by_step=by_step, bidirectional=True)
    session, feeds = session_of(estimator, tmp_path / "model.onnx"), feeds_of(estimator, X)
    expected = run(session, feeds)
    feeds["x"][1, 3, 2], feeds["x"][2, 8, 0], feeds["x"][3, 0, 1] = np.nan, np.inf, 1e300
    feeds["lengths"][4:7] = 0, 10, -1
    found = run(session, feeds)
    with pytest.raises(DataError, match="NaN"):
        estimator.predict(feeds["x"][[1]])
    with pytest.raises(DataError, match="finite values"):
        estimator.predict(feeds["x"][[2]])
    with pytest.raises(DataError, match="float32"):
        estimator.predict(feeds["x"][[3]])
    for name in ("logits", "probabilities"):
        assert np.isnan(found[name][1:7]).all()
        np.testing.assert_array_equal(found[name][[0, 7]], expected[name][[0, 7]])
    none = np.iinfo(np.int64).min if by_step else ""
    assert (found["label"][1:7] == none).all()
    np.testing.assert_array_equal(found["label"][[0, 7]], expected["label"][[0, 7]])


def test_steps_without_a_forecast_and_beyond_the_end_are_nan(tmp_path: Path) -> None:
    X = series(4, 9, dtype="float64", shortest=4)
    estimator = random_model(X, by_step=True, classes=False, horizon=3)
    feeds = feeds_of(estimator, X)
    feeds["lengths"][3] = 3  # no step of this one has a forecast
    found = run(session_of(estimator, tmp_path / "model.onnx"), feeds)["prediction"]
    steps = np.arange(9)
    there = (steps >= 3) & (steps < feeds["lengths"][:, None])
    np.testing.assert_array_equal(np.isfinite(found), there)


@pytest.mark.parametrize("time", [0, 1, 3])
@pytest.mark.parametrize(
    "parameters",
    [
        {"cell": "lstm", "horizon": 3},
        {"dtype": "float64", "horizon": 3, "features": "fourier:7:3,diff", "missing": "mask"},
        {"by_step": False, "pooling": "max"},
    ],
)
def test_no_step_to_read_is_no_answer(parameters: dict[str, Any], time: int, tmp_path: Path) -> None:
    X = series(8, 9, dtype="float64", shortest=4, missing="missing" in parameters)
    estimator = random_model(X, **{"by_step": True, "classes": False} | parameters)
    feeds = {"x": np.ones((2, time, 3)), "lengths": np.full(2, time)}
    found = run(session_of(estimator, tmp_path / "model.onnx"), feeds)["prediction"]
    assert found.shape == ((2, time) if estimator.by_step_ else (2,))
    assert np.isnan(found).all() == (estimator.by_step_ or time == 0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_time_that_is_none_is_refused_like_a_value(wrong: float, tmp_path: Path) -> None:
    X = series(3, 9, dtype="float64", times="numbers")
    estimator = random_model(X, features="fourier:7")
    session, feeds = session_of(estimator, tmp_path / "model.onnx"), feeds_of(estimator, X)
    feeds["clock"][1, 0] = wrong
    found = run(session, feeds)["probabilities"]
    assert np.isnan(found).all(1).tolist() == [False, True, False]
