"""A streaming graph, fed a few steps at a time, comes to what the graph of whole series says of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import SHAPES, series
from onnx_runs import (
    answers,
    assert_alike,
    feeds_of,
    random_model,
    read_rows,
    run,
    session_of,
    start_of,
    streamed,
)

from throughtime.errors import ParameterError
from throughtime.export import export_onnx

MODELS: dict[str, dict[str, Any]] = {
    "an rnn of two layers": {"cell": "rnn", "num_layers": 2},
    "relu, the largest": {"cell": "rnn", "nonlinearity": "relu", "pooling": "max"},
    "a gru's mean": {"pooling": "mean", "num_layers": 3},
    "an lstm's largest": {"cell": "lstm", "num_layers": 2, "pooling": "max"},
    "a linear one, float64": {"cell": "linear", "dtype": "float64"},
    "peepholes": {"cell": "peephole_lstm", "pooling": "mean"},
    "an lstm by its equations": {"cell": "lstm", "zoneout": 0.1, "cell_zoneout": 0.3, "num_layers": 2},
    "float64, the largest": {"dtype": "float64", "pooling": "max"},
    "missing values": {"missing": True, "pooling": "mean"},
    "missing values and static features": {"missing": True, "static": True},
    "missing values in features": {"missing": True, "features": "diff:1:3,rolling:2:5:mean:std:min:max"},
    "what was before": {"features": "lag:1:6,diff:2"},
    "times": {"features": "fourier:7,lag:3", "times": "days"},
    "numbers as times": {"features": "fourier:3:24.5", "times": "numbers"},
    "steps as times": {"features": "fourier:5", "cell": "lstm"},
    "an answer per step": {"by_step": True},
    "a number per step": {"by_step": True, "classes": False, "missing": True},
    "a forecast": {"by_step": True, "classes": False, "horizon": 2},
    "a forecast, some known": {"by_step": True, "classes": False, "horizon": 3, "known": [0, 2], "static": True},
    "a forecast's features": {
        "by_step": True, "classes": False, "horizon": 2, "known": [1], "features": "rolling:4,fourier:5",
        "missing": True,
    },
    "a forecast's times": {
        "by_step": True, "classes": False, "horizon": 1, "features": "fourier:7", "times": "days", "shortest": 4
    },
}  # fmt: skip
OF_SERIES = ("missing", "static", "times", "shortest")


def parts(model: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the series, and parameters of the estimator."""
    options = {name: value for name, value in model.items() if name in OF_SERIES}
    parameters = {name: value for name, value in model.items() if name not in OF_SERIES}
    return {"dtype": "float64", "shortest": 4} | options, parameters


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_a_stream_comes_to_what_whole_series_do(model: dict[str, Any], tmp_path: Path) -> None:
    options, parameters = parts(model)
    estimator = random_model(series(8, 14, **options), **parameters)
    whole = session_of(estimator, tmp_path / "whole.onnx")
    stream = session_of(estimator, tmp_path / "stream.onnx", streaming=True)
    for n, longest in SHAPES:
        X = series(n, longest, seed=7, **options)
        feeds = feeds_of(estimator, X)
        outputs = run(whole, feeds)
        expected = answers(estimator, outputs, feeds["lengths"])
        rows = read_rows(estimator, feeds)
        if estimator.horizon_:  # what comes of a row is the forecast that it is the last for
            expected = expected[~np.isnan(expected)]
        for most in (1, 4):
            found = streamed(stream, rows, most, estimator.by_step_)
            assert np.isfinite(found).all()
            assert_alike(estimator, found, expected)


def test_a_stream_in_one_call_has_the_bits_of_whole_series(tmp_path: Path) -> None:
    X = series(5, 9, missing=True, dtype="float64")
    estimator = random_model(X, pooling="mean", features="lag:3,rolling:3", num_layers=2)
    feeds = feeds_of(estimator, X)
    expected = run(session_of(estimator, tmp_path / "whole.onnx"), feeds)
    stream = session_of(estimator, tmp_path / "stream.onnx", streaming=True)
    found = run(stream, feeds | start_of(stream, len(X)))
    for name in ("logits", "probabilities", "label"):
        np.testing.assert_array_equal(found[name], expected[name])


def test_a_series_without_a_step_in_a_call_keeps_its_state(tmp_path: Path) -> None:
    X = series(4, 9, missing=True, dtype="float64")
    estimator = random_model(X, cell="lstm", pooling="max", features="lag:2")
    stream = session_of(estimator, tmp_path / "stream.onnx", streaming=True)
    feeds = feeds_of(estimator, X)
    before = run(stream, feeds | start_of(stream, 4))
    states = {name: before[f"next_{name}"] for name in start_of(stream, 4)}
    after = run(stream, feeds | {"lengths": np.array([0, 1, 0, 2])} | states)
    for name in states:
        np.testing.assert_array_equal(after[f"next_{name}"][[0, 2]], states[name][[0, 2]])
        if name != "refused":
            assert (after[f"next_{name}"][[1, 3]] != states[name][[1, 3]]).any()
    np.testing.assert_array_equal(after["probabilities"][[0, 2]], before["probabilities"][[0, 2]])


def test_a_stream_that_has_not_begun_has_no_answer(tmp_path: Path) -> None:
    X = series(3, 9, dtype="float64")
    estimator = random_model(X, pooling="mean")
    stream = session_of(estimator, tmp_path / "stream.onnx", streaming=True)
    outputs = run(stream, feeds_of(estimator, X) | {"lengths": np.array([0, 2, 0])} | start_of(stream, 3))
    assert np.isnan(outputs["probabilities"]).all(1).tolist() == [True, False, True]
    assert (outputs["label"] == "").tolist() == [True, False, True]


def test_a_stream_that_was_refused_once_stays_refused(tmp_path: Path) -> None:
    X = series(4, 5, dtype="float64", ragged=False)
    estimator = random_model(X)
    stream = session_of(estimator, tmp_path / "stream.onnx", streaming=True)
    feeds, states = feeds_of(estimator, X), start_of(stream, 4)
    feeds["x"][1, 2, 0] = -np.inf
    feeds["lengths"][2:] = -1, 6
    for _ in range(2):
        outputs = run(stream, feeds | states)
        assert np.isnan(outputs["probabilities"]).all(1).tolist() == [False, True, True, True]
        states = {name: outputs[f"next_{name}"] for name in states}
        feeds = feeds_of(estimator, X)


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"bidirectional": True}, "bidirectional"),
        ({"features": "diff,summary:mean"}, "summary"),
    ],
)
def test_what_reads_a_whole_series_is_not_streamed(parameters: dict[str, Any], reason: str, tmp_path: Path) -> None:
    estimator = random_model(series(8, 9), **parameters)
    with pytest.raises(ParameterError, match=f"(?s)streaming needs.*{reason}.*without streaming"):
        export_onnx(estimator, tmp_path / "model.onnx", streaming=True)
    assert not list(tmp_path.iterdir())
