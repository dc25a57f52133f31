"""The files of a run: what was asked, what was found, the networks, the predictions, the pictures."""

import hashlib
import io
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from throughtime.data import Dataset, Sequences, describe
from throughtime.displays import CalibrationDisplay, ConfusionMatrixDisplay, PredictionsDisplay, TrainingCurvesDisplay
from throughtime.estimators import SequenceClassifier, SequenceEstimator
from throughtime.estimators.persistence import FACTS, WEIGHTS, to_plain
from throughtime.generalization import CachedPredictions, fold_sizes, interval_of
from throughtime.storage import arrays_to_bytes, json_to_bytes

if TYPE_CHECKING:
    from throughtime.cli.fit import Study

_TEXT_AT_ONCE = 1 << 20  # bytes


def run_files(study: "Study") -> dict[str, bytes]:
    """Every file of a run by its name."""
    found = study.assessment
    model, weights = to_plain(_succeeded(found.refits)[0])
    members, arrays = _members(study)
    files = {
        "config.json": json_to_bytes(study.settings),
        "data.json": json_to_bytes(
            {
                "train": describe(study.train),
                "test": study.test and describe(study.test),
                "fingerprint": fingerprint(study.train),
            }
        ),
        "folds.json": json_to_bytes(_folds(study)),
        "metrics.json": json_to_bytes(_metrics(study)),
        FACTS: json_to_bytes(model),
        WEIGHTS: arrays_to_bytes(weights),
        "members.json": json_to_bytes(members),
        "members.safetensors": arrays_to_bytes(arrays),
        "curves.csv": table_bytes(_curves(study), "csv"),
        "curves.png": picture_bytes(
            TrainingCurvesDisplay(
                [member.history_ for seed in found.folds for member in _succeeded(seed)]
                or [_succeeded(found.refits)[0].history_],
                "cross-entropy (nats)" if _classifies(study) else "squared error (standardized)",
            )
        ),
    }
    held = {"out_of_fold": (_out_of_fold(study), study.train)}
    if study.test is not None:
        held["test_predictions"] = (_test_predictions(study), study.test)
    for name, (table, data) in held.items():
        if table is not None:
            files[f"{name}.csv"] = table_bytes(table, "csv", data.X.time_zone)
            files |= _class_pictures(name, table, study) if _classifies(study) else _value_pictures(name, table, study)
    return files


def fingerprint(data: Dataset) -> dict[str, str]:
    """What tells data sets apart: ``targets``, with series' names, lengths and groups, and ``inputs``; SHA-256."""
    y = data.y.values if isinstance(data.y, Sequences) else data.y
    static = None if data.X.static is None else data.X.static.astype(np.float64)
    own = {
        "targets": [np.array(data.ids, object), data.X.lengths, y, data.groups],
        "inputs": [
            *(x.astype(np.float64) for x in data.X),
            static,
        ],  # one file may hold in float32 what another does not
    }
    return {name: _digest(parts) for name, parts in own.items()}


def _digest(parts: Sequence[Any]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        array = np.asarray("none" if part is None else part)
        text = array.dtype.kind == "O"
        dtype = np.dtype((np.str_, max(map(len, array), default=1) or 1)) if text else array.dtype
        # the shape too, so that no value can pass for one of its neighbor's
        digest.update(f"{dtype.str}{array.shape}".encode())
        if not text:
            digest.update(array.tobytes())
            continue
        at_once = max(1, _TEXT_AT_ONCE // dtype.itemsize)  # every label takes the room of the longest
        for start in range(0, len(array), at_once):
            digest.update(array[start : start + at_once].astype(dtype).tobytes())
    return digest.hexdigest()


def _folds(study: "Study") -> list[dict[str, Any]]:
    """The series on either side of every fold, and how many units these are: series, or groups."""
    sizes = zip(*fold_sizes(study.splits, study.train.groups), strict=True)
    return [
        {"train": train, "test": test, "n_train": n_train, "n_test": n_test}
        for (train, test), (n_train, n_test) in zip(study.splits, sizes, strict=True)
    ]


def run_facts(model: SequenceEstimator) -> dict[str, Any]:
    """What the bits of a result depend on."""
    return {
        "kind": "fit",
        "device": model.device,
        # a member has the bits of its single fit: true of the built-in network, on the CPU
        "bitwise_reproducible": torch.device(model.device).type == "cpu" and model.module is None,
        "machine": platform.machine(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
    }


def picture_bytes(display: Any) -> bytes:
    """What a display draws, as PNG."""
    return _drawn(display.plot, display.figsize)


def _drawn(draw: Callable[[Axes], object], size: tuple[float, float]) -> bytes:
    """A picture of some inches, as PNG."""
    buffer = io.BytesIO()
    figure = Figure(figsize=size, layout="constrained")  # pyplot would look for a screen, and keep it
    draw(figure.subplots())
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


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


def prediction_columns(predictions: CachedPredictions, data: Dataset, rows: ndarray) -> dict[str, ndarray]:
    """Series, step, truth, prediction and probabilities of predictions on some rows of a data set."""
    names = np.array(data.ids, object)[rows]
    columns: dict[str, ndarray] = {}
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
        columns |= {
            f"probability_{label}": predictions.probabilities[:, k]
            for k, label in enumerate(predictions.classes_.tolist())
        }
    return columns


def _succeeded(members: list[SequenceEstimator | Exception]) -> list[SequenceEstimator]:
    return [member for member in members if isinstance(member, SequenceEstimator)]


def _classifies(study: "Study") -> bool:
    return isinstance(_succeeded(study.assessment.refits)[0], SequenceClassifier)


def _members(study: "Study") -> tuple[list[dict[str, Any]], dict[str, ndarray]]:
    """Every trained network: what it is, and its arrays under a prefix of its own."""
    found = study.assessment
    listed: list[dict[str, Any]] = []
    arrays: dict[str, ndarray] = {}
    for seed, (folds, refit) in enumerate(zip(found.folds, found.refits, strict=True)):
        for fold, member in [*enumerate(folds), (None, refit)]:
            prefix = f"seed{seed}.{'refit' if fold is None else f'fold{fold}'}"
            entry: dict[str, Any] = {"prefix": prefix, "seed": seed, "fold": fold}
            if isinstance(member, Exception):
                listed.append(entry | {"failure": str(member)})
                continue
            facts, own = to_plain(member)
            listed.append(entry | facts)
            arrays |= {f"{prefix}.{name}": value for name, value in own.items()}
    return listed, arrays


def _metrics(study: "Study") -> dict[str, Any]:
    models = [*study.baselines, study.assessment.scores]
    return {
        "models": models,
        "leakage": study.leakage,
        "intervals": {
            model.name: {
                metric: asdict(interval_of(model, metric, study.splits, study.train.groups)) for metric in study.metrics
            }
            for model in models
        },
    }


def _curves(study: "Study") -> dict[str, ndarray]:
    """The history of every member, a row an epoch."""
    found = study.assessment
    rows = [
        {"seed": seed, "fold": "refit" if fold is None else str(fold), **asdict(record)}
        for seed, (folds, refit) in enumerate(zip(found.folds, found.refits, strict=True))
        for fold, member in [*enumerate(folds), (None, refit)]
        if isinstance(member, SequenceEstimator)
        for record in member.history_
    ]
    return {name: np.array([np.nan if row[name] is None else row[name] for row in rows]) for name in rows[0]}


def _out_of_fold(study: "Study") -> dict[str, ndarray] | None:
    parts = []
    for seed, held in enumerate(study.assessment.out_of_fold):
        for fold, (predictions, (_, rows)) in enumerate(zip(held, study.splits, strict=True)):
            if predictions is not None:
                columns = prediction_columns(predictions, study.train, rows)
                n = len(predictions.truth)
                parts.append({"seed": np.full(n, seed), "fold": np.full(n, fold), **columns})
    return _stacked(parts)


def _test_predictions(study: "Study") -> dict[str, ndarray] | None:
    assert study.test is not None
    parts = [
        {
            "seed": np.full(len(predictions.truth), seed),
            **prediction_columns(predictions, study.test, np.arange(len(study.test.X))),
        }
        for seed, predictions in enumerate(study.assessment.test_predictions)
        if predictions is not None
    ]
    return _stacked(parts)


def _stacked(parts: list[dict[str, ndarray]]) -> dict[str, ndarray] | None:
    """Tables below each other; a probability that a fold does not know is NaN there."""
    if not parts:
        return None
    names = list(dict.fromkeys(name for part in parts for name in part))
    return {
        name: np.concatenate([part.get(name, np.full(len(part["truth"]), np.nan)) for part in parts]) for name in names
    }


def _value_pictures(name: str, table: dict[str, ndarray], study: "Study") -> dict[str, bytes]:
    """The first seed's predictions beside the truth."""
    first = table["seed"] == table["seed"][0]
    times = table.get("time")
    display = PredictionsDisplay(
        table["truth"][first],
        table["prediction"][first],
        None if times is None else times[first],
        study.train.target or "target",
        study.train.columns.time or "time",
    )
    return {f"{name}.png": picture_bytes(display)}


def _class_pictures(name: str, table: dict[str, ndarray], study: "Study") -> dict[str, bytes]:
    """Which class the first seed took for which, and whether its probabilities can be believed."""
    first = table["seed"] == table["seed"][0]
    truth, predicted = table["truth"][first], table["prediction"][first]
    classes = _succeeded(study.assessment.refits)[0].classes_
    known = np.isin([f"probability_{label}" for label in classes.tolist()], list(table))
    columns = [table[f"probability_{label}"][first] for label in classes[known].tolist()]
    probabilities = np.nan_to_num(np.column_stack(columns))  # a fold that does not know a class gives it none
    labels = np.union1d(classes, truth)  # a test set may hold a class that the network never saw
    draw_matrix = partial(ConfusionMatrixDisplay.from_predictions, truth, predicted, labels=labels)
    draw_curve = partial(
        CalibrationDisplay.from_predictions, truth, probabilities, labels=classes[known], name="network"
    )
    return {
        f"{name}.png": _drawn(lambda ax: draw_matrix(ax=ax), ConfusionMatrixDisplay.size_of(len(labels))),
        f"{name}_calibration.png": _drawn(lambda ax: draw_curve(ax=ax), CalibrationDisplay.figsize),
    }
