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

from throughtime.data import Dataset, Sequences
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
    """Series, step or time, prediction and probabilities of every series, or step, from a network's outputs."""
    predicted = model.predictions(data.X, outputs)
    columns: Table = {"series": np.array(data.ids, object)}
    if isinstance(predicted, Sequences):
        columns["series"] = np.repeat(columns["series"], data.X.lengths)
        times = data.X.times
        steps = np.arange(data.X.n_steps) - np.repeat(data.X.offsets[:-1], data.X.lengths)
        columns |= {"step": steps} if times is None else {"time": times}
        predicted = predicted.values[:, 0]
    columns["prediction"] = predicted
    if is_classifier(model):
        probabilities = model.probabilities(data.X, outputs)
        table = probabilities.values if isinstance(probabilities, Sequences) else probabilities
        columns |= _probability_columns(model.classes_, table)
    return columns


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
    """Series, step, truth, prediction and probabilities of predictions on some series of a data set."""
    names = np.array(data.ids, object)[rows]
    columns: Table = {}
    if predictions.steps is None:
        columns["series"] = names
    else:
        series, step = predictions.steps
        columns["series"] = names[series]
        part = data.X[rows]
        if part.times is None:
            columns["step"] = step
        else:
            columns["time"] = part.times[part.offsets[series] + step]
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
