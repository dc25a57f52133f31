"""A study's tables: the epochs of every network, predictions beside the truth, settings that were tried."""

import io
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy import ndarray
from sklearn.base import is_classifier

from throughtime.data import Dataset, Sequences, steps_within
from throughtime.errors import DataError
from throughtime.estimators import SequenceEstimator
from throughtime.generalization import CachedPredictions
from throughtime.study.results import Results, Table


def table_bytes(columns: Mapping[str, Any], kind: str, time_zone: str | None = None) -> bytes:
    """A table as CSV or Parquet, datetimes in their zone, CSV in UTC: one column, one offset."""
    arrays = {name: pa.array(values) for name, values in columns.items()}
    if time_zone is not None:
        zoned = pa.timestamp("ns", time_zone if kind == "parquet" else "UTC")
        arrays |= {name: array.cast(zoned) for name, array in arrays.items() if pa.types.is_timestamp(array.type)}
    table = pa.table(arrays)
    buffer = io.BytesIO()
    if kind == "parquet":
        pa.parquet.write_table(table, buffer)
    else:
        pa.csv.write_csv(table, buffer)
    return buffer.getvalue()


def curves_of(results: Results) -> Table:
    """The history of every network, a row per epoch."""
    rows = [
        {"seed": member.seed, "fold": "refit" if member.fold is None else str(member.fold), **asdict(record)}
        for member in results.members
        if member.estimator is not None
        for record in member.estimator.history_
    ]
    return {name: np.array([np.nan if row[name] is None else row[name] for row in rows]) for name in rows[0]}


def out_of_fold_of(results: Results) -> Table | None:
    """Every target predicted by the networks that did not train on it; ``None`` when every fold failed."""
    parts = []
    for seed, held_out in enumerate(results.assessment.out_of_fold):
        for fold, (predictions, (_, rows)) in enumerate(zip(held_out, results.splits, strict=True)):
            if predictions is not None:
                columns = _scored_columns(predictions, results.train, rows)
                n = len(predictions.truth)
                parts.append({"seed": np.full(n, seed), "fold": np.full(n, fold), **columns})
    return _stacked(parts)


def predictions_on_test(results: Results) -> Table | None:
    """Every target of the test series, predicted by the networks trained on all training series."""
    if results.test is None:
        return None
    parts = [
        {
            "seed": np.full(len(predictions.truth), seed),
            **_scored_columns(predictions, results.test, np.arange(len(results.test.X))),
        }
        for seed, predictions in enumerate(results.assessment.test_predictions)
        if predictions is not None
    ]
    return _stacked(parts)


def prediction_table(model: SequenceEstimator, data: Dataset, outputs: ndarray) -> Table:
    """Series, step or time, prediction and probabilities of every series, or step, from a network's outputs.

    Of windows, also where each begins and ends in its series, and when it begins; of their steps only their own.
    """
    X, by_step = data.X, model.by_step_
    predicted, probabilities = _predicted(model, X, outputs)
    windows = None if data.series_ids is None else X.source
    columns: Table = {"series": np.array(data.ids, object)}
    steps = steps_within(X.lengths)
    if windows is not None:
        columns = {
            "series": np.array(data.series_ids, object)[windows.series],
            "begin": windows.begins + windows.history,
            "end": windows.begins + X.lengths,
        }
        steps += np.repeat(windows.begins, X.lengths)
        if X.times is not None and not by_step:
            columns["begin_time"] = X.times[X.offsets[:-1] + windows.history]
    if by_step:
        columns = {name: np.repeat(column, X.lengths) for name, column in columns.items()}
        columns |= {"step": steps} if X.times is None else {"time": X.times}
    columns["prediction"] = predicted
    if probabilities is not None:
        columns |= _probability_columns(model.classes_, probabilities)
    if by_step and windows is not None:
        own = steps >= columns["begin"]
        columns = {name: column[own] for name, column in columns.items()}
    return columns


def merged_table(model: SequenceEstimator, data: Dataset, outputs: ndarray) -> Table:
    """Series, step or time, prediction and probabilities of every step that a window covers.

    A value is the mean of those of all windows over the step, a class the one of the highest mean probability; steps
    that a window takes in as history are not its own. A step without any value, as the first of a forecast, is left
    out.

    Raises
    ------
    DataError
        For series that are no windows.
    """
    X, source = data.X, data.X.source
    if data.series_ids is None or source is None:
        raise DataError("--merge needs windows, of a run that was fitted with --window, got whole series")
    predicted, probabilities = _predicted(model, X, outputs)
    values = predicted[:, None] if probabilities is None else probabilities
    ends = np.zeros(len(data.series_ids), np.int64)
    np.maximum.at(ends, source.series, source.begins + X.lengths)
    edges = np.concatenate([[0], np.cumsum(ends)])
    first = edges[source.series] + source.begins
    sums, counts = np.zeros((edges[-1], values.shape[1])), np.zeros((edges[-1], values.shape[1]), np.int64)
    clock, offsets = X.times, X.offsets  # both made anew each time they are asked for
    times = None if clock is None else np.zeros(edges[-1], clock.dtype)
    for place in range(int(X.lengths.max(initial=0))):  # no two windows have the same step in one place
        windows = np.flatnonzero((source.history <= place) & (place < X.lengths))
        steps = first[windows] + place
        found = values[offsets[windows] + place if model.by_step_ else windows]
        sums[steps] += np.nan_to_num(found)
        counts[steps] += ~np.isnan(found)
        if times is not None and clock is not None:
            times[steps] = clock[offsets[windows] + place]
    covered = np.flatnonzero(counts.all(1))
    means = sums[covered] / counts[covered]
    series = np.searchsorted(edges, covered, "right") - 1
    columns: Table = {"series": np.array(data.series_ids, object)[series]}
    columns |= {"step": covered - edges[series]} if times is None else {"time": times[covered]}
    if probabilities is None:
        return columns | {"prediction": means[:, 0]}
    return columns | {"prediction": model.classes_[means.argmax(1)]} | _probability_columns(model.classes_, means)


def _predicted(model: SequenceEstimator, X: Sequences, outputs: ndarray) -> tuple[ndarray, ndarray | None]:
    """The predictions of every series, or step, and of a classifier the probabilities."""
    predicted = model.predictions(X, outputs)
    flat = predicted.values[:, 0] if isinstance(predicted, Sequences) else predicted
    if not is_classifier(model):
        return flat, None
    probabilities = model.probabilities(X, outputs)
    return flat, probabilities.values if isinstance(probabilities, Sequences) else probabilities


def search_table(results: Mapping[str, Any]) -> dict[str, Any]:
    """``cv_results_`` as columns of numbers and text."""
    table: dict[str, Any] = {}
    for name, column in results.items():
        if name == "params":
            continue
        values = column.tolist()  # of a masked array, None where a setting has no such parameter
        if len({type(value) for value in values if value is not None}) > 1 or any(isinstance(v, dict) for v in values):
            values = [None if value is None else value_in_words(value) for value in values]
        table[name] = values
    return table


def value_in_words(value: Any) -> str:
    """A parameter's value as it is written: drawn numbers to four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return " ".join(f"{key}={weight:g}" for key, weight in value.items())
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _scored_columns(predictions: CachedPredictions, data: Dataset, rows: ndarray) -> Table:
    """Series, step, group, truth, prediction and probabilities of predictions on some series of a data set."""
    names = np.array(data.ids, object)[rows]
    columns: Table = {}
    if predictions.steps is None:
        series = np.arange(len(names))
        columns["series"] = names
    else:
        series, step = predictions.steps
        columns["series"] = names[series]
        part = data.X[rows]
        if part.times is None:
            windows = None if data.series_ids is None else part.source
            columns["step"] = step if windows is None else step + windows.begins[series]
        else:
            columns["time"] = part.times[part.offsets[series] + step]
    if data.groups is not None:
        columns["group"] = np.array([str(label) for label in data.groups[rows].tolist()], object)[series]
    columns |= {"truth": predictions.truth, "prediction": predictions.predicted}
    if predictions.probabilities is not None:
        columns |= _probability_columns(predictions.classes_, predictions.probabilities)
    return columns


def _probability_columns(classes: ndarray, probabilities: ndarray) -> Table:
    return {f"probability_{label}": probabilities[:, k] for k, label in enumerate(classes.tolist())}


def _stacked(parts: list[Table]) -> Table | None:
    """Tables below each other; a probability that a fold does not know is NaN there."""
    if not parts:
        return None
    names = list(dict.fromkeys(name for part in parts for name in part))
    return {
        name: np.concatenate([part.get(name, np.full(len(part["truth"]), np.nan)) for part in parts]) for name in names
    }
