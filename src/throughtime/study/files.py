"""The files of a run: what was asked for and measured, the networks, the predictions, the pictures."""

import io
import platform
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray
from sklearn.base import is_classifier

from throughtime.data import describe
from throughtime.displays import (
    CalibrationDisplay,
    ConfusionMatrixDisplay,
    FlowMonitorDisplay,
    PredictionsDisplay,
    SearchDisplay,
    TrainingCurvesDisplay,
    shorten_texts,
)
from throughtime.errors import DataError
from throughtime.estimators import FACTS, WEIGHTS, SequenceEstimator, to_plain
from throughtime.shift import ShiftDiagnosis
from throughtime.stability import flow_to_arrays
from throughtime.storage import arrays_to_bytes, json_to_bytes
from throughtime.study.fingerprint import fingerprint_of
from throughtime.study.results import Results, Table
from throughtime.study.searching import Ranking, varied
from throughtime.study.shift_outcomes import outcome_of
from throughtime.study.shift_sample import absence_files, sample_files
from throughtime.study.tables import curves_of, out_of_fold_of, predictions_on_test, search_table, table_bytes

#: Gradients through time of the networks that have records of them.
FLOW = "flow.safetensors"
#: The shift from the training series to the test's.
TEST_SHIFT = "test_shift.json"


def run_files(results: Results) -> dict[str, bytes]:
    """Every file of a run by its name."""
    model, weights = to_plain(results.estimator)
    members, arrays = _members(results)
    files = {
        "config.json": json_to_bytes(results.config),
        "data.json": json_to_bytes(data_facts(results)),
        "folds.json": json_to_bytes(results.folds),
        "metrics.json": json_to_bytes(
            {
                "models": results.metrics.models,
                "intervals": results.metrics.intervals,
                "leakage": results.findings,
            }
        ),
        FACTS: json_to_bytes(model),
        WEIGHTS: arrays_to_bytes(weights),
        "members.json": json_to_bytes(members),
        "members.safetensors": arrays_to_bytes(arrays),
        "curves.csv": table_bytes(curves_of(results), "csv"),
        "curves.png": picture_bytes(_curves_display(results)),
    }
    for name, table, data in (
        ("out_of_fold", out_of_fold_of(results), results.train),
        ("test_predictions", predictions_on_test(results), results.test),
    ):
        if table is not None and data is not None:
            files[f"{name}.csv"] = table_bytes(table, "csv", data.X.time_zone)
            pictures = _class_pictures if is_classifier(results.estimator) else _value_pictures
            files |= pictures(name, table, results)
    files |= _sample_files(results)
    if results.shift_to_test is not None:
        files[TEST_SHIFT] = _test_shift(results.shift_to_test)
    if results.flow:
        files |= _flow_files(results)
    return files if results.search is None else files | _search_files(results.search, results)


def _sample_files(results: Results) -> dict[str, bytes]:
    """What shift tests compare new series with, or why there is nothing."""
    try:
        return sample_files(results.reference(), results.fold_members)
    except DataError as error:
        return absence_files(error)


def _test_shift(found: ShiftDiagnosis | str) -> bytes:
    """What the shift to the test came to, or why there is nothing."""
    return json_to_bytes({"reason": found} if isinstance(found, str) else {"outcome": outcome_of(found)})


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


def data_facts(results: Results) -> dict[str, Any]:
    """Descriptions of the data, and what tells the training series from others."""
    return {
        "train": describe(results.train),
        "test": results.test and describe(results.test),
        "fingerprint": fingerprint_of(results.train, results.sample_weight),
    }


def picture_bytes(display: Any) -> bytes:
    """What a display draws, as PNG."""
    return _drawn(display.plot, display.figsize)


def svg_bytes(display: Any) -> bytes:
    """What a display draws, as SVG: the same bytes each time."""
    return _saved(display.plot, display.figsize, format="svg", metadata={"Date": None})


def _drawn(draw: Callable[[Axes], object], size: tuple[float, float]) -> bytes:
    """A picture of some inches, as PNG."""
    return _saved(draw, size, format="png", dpi=150)


def _saved(draw: Callable[[Axes], object], size: tuple[float, float], **options: Any) -> bytes:
    """A picture as a file. A name from data is text, though it holds dollars or signs that the font lacks."""
    buffer = io.BytesIO()
    # without a salt every SVG has names of its own for its parts
    with rc_context({"text.parse_math": False, "svg.hashsalt": "throughtime"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure = Figure(figsize=size, layout="constrained")  # pyplot would look for a screen, and keep it
        draw(figure.subplots())
        shorten_texts(figure)
        figure.savefig(buffer, **options)
    return buffer.getvalue()


def _members(results: Results) -> tuple[list[dict[str, Any]], dict[str, ndarray]]:
    """Every trained network: what it is, and its arrays under a prefix of its own."""
    listed: list[dict[str, Any]] = []
    arrays: dict[str, ndarray] = {}
    for member in results.members:
        prefix = prefix_of(member.seed, member.fold)
        entry: dict[str, Any] = {"prefix": prefix, "seed": member.seed, "fold": member.fold}
        if member.estimator is None:
            listed.append(entry | {"failure": member.failure})
            continue
        facts, weights = to_plain(member.estimator)
        listed.append(entry | facts)
        arrays |= {f"{prefix}.{name}": value for name, value in weights.items()}
    return listed, arrays


def prefix_of(seed: int, fold: int | None) -> str:
    """What the names of a network's arrays begin with."""
    return f"seed{seed}.{'refit' if fold is None else f'fold{fold}'}"


def _flow_files(results: Results) -> dict[str, bytes]:
    """Gradients through time of every network that has records, and a picture where a monitor made some."""
    arrays = {
        f"{prefix_of(flow.seed, flow.fold)}.{name}": array
        for flow in results.flow
        for name, array in flow_to_arrays(flow.records).items()
    }
    files = {FLOW: arrays_to_bytes(arrays)}
    probed = [flow for flow in results.flow if any(record.kind == "probe" for record in flow.records)]
    if probed:
        files["flow.png"] = picture_bytes(FlowMonitorDisplay(probed[-1].records))
    return files


def _curves_display(results: Results) -> TrainingCurvesDisplay:
    """The loss of the folds' networks by epoch; of the network of all series where every fold failed."""
    of_folds = [
        member.estimator.history_
        for member in results.members
        if member.estimator is not None and member.fold is not None
    ]
    loss = "cross-entropy (nats)" if is_classifier(results.estimator) else "squared error (standardized)"
    return TrainingCurvesDisplay(of_folds or [results.estimator.history_], loss)


def _search_files(ranking: Ranking, results: Results) -> dict[str, bytes]:
    """The ranking, and its picture where one or two parameters vary."""
    files = {"search.csv": table_bytes(search_table(ranking.results), "csv")}
    names = varied(ranking.settings)
    if len(names) in (1, 2):
        settings = [{name: setting[name] for name in names} for setting in ranking.settings]
        means = np.array([interval.mean for interval in ranking.intervals])
        metric = results.config["scoring"][0]
        drawn = settings, means, ranking.errors, metric, ranking.chosen, ranking.simplest
        files["search.png"] = picture_bytes(SearchDisplay(*drawn))
    return files


def _value_pictures(name: str, table: Table, results: Results) -> Mapping[str, bytes]:
    """The first seed's predictions beside the truth."""
    first = table["seed"] == table["seed"][0]
    times = table.get("time")
    display = PredictionsDisplay(
        table["truth"][first],
        table["prediction"][first],
        None if times is None else times[first],
        results.train.target or "target",
        results.train.columns.time or "time",
    )
    return {f"{name}.png": picture_bytes(display)}


def _class_pictures(name: str, table: Table, results: Results) -> Mapping[str, bytes]:
    """Which class the first seed took for which, and whether its probabilities can be believed."""
    first = table["seed"] == table["seed"][0]
    truth, predicted = table["truth"][first], table["prediction"][first]
    classes = results.estimator.classes_
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
