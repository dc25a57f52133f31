"""``throughtime predict``: a run's network on new series, read as its own data were."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from throughtime import storage
from throughtime.cli.run_contents import settings_of
from throughtime.cli.run_files import table_bytes
from throughtime.cli.screen import console
from throughtime.cli.sources import match_names, refuse_uneven
from throughtime.data import Dataset, Decimal, Sequences, read, reads_columns
from throughtime.errors import ParameterError
from throughtime.estimators import (
    FACTS,
    NAMES,
    WEIGHTS,
    Outputs,
    SequenceClassifier,
    SequenceEstimator,
    execute,
    from_plain,
)
from throughtime.generalization import predictions_of


def predict(run: Path, source: str, output: Path, decimal: Decimal | None = None) -> None:
    """Write a prediction for every series, or every step, and the probabilities of the classes.

    Raises
    ------
    StorageError
        When the run is damaged, or the output exists or cannot be written.
    """
    kind = output.suffix.lower().removeprefix(".")
    if kind not in ("csv", "parquet"):
        raise ParameterError(f"--output needs a name that ends in .csv or .parquet, got {output}")
    storage.claim_file(output)
    opened = storage.read_run(run)
    model = from_plain(opened.json(FACTS), opened.arrays(WEIGHTS), str(run))
    settings = settings_of(opened)
    data = _with_names(read_alike(source, settings, model.layout, decimal), model, settings)
    if model.horizon_:
        refuse_uneven(model, None, data, model.clock_)
    outputs = execute(Outputs(model, data.X))
    columns = prediction_columns(model, data, outputs)
    storage.write_file(output, table_bytes(columns, kind, data.X.time_zone))
    what = "steps" if model.by_step_ else "series"
    score = _score(model, data, outputs)
    console().print(f"{len(outputs)} {what} predicted into {output}{score}", soft_wrap=True)


def read_alike(source: str, settings: dict[str, Any], layout: Any = "ntc", decimal: Decimal | None = None) -> Dataset:
    """Read a source with the columns of a run, its decimal sign unless another is given; needs no target, no groups."""
    if not reads_columns(source):
        return read(source, require_target=False, layout=layout, own_past=settings["columns"]["own_past"])
    columns = {name: value for name, value in settings["columns"].items() if value is not None and name != "group"}
    if settings["channels"] is not None:
        columns["channels"] = settings["channels"]
    if decimal is not None:
        columns["decimal"] = decimal
    return read(source, **columns, require_target=False)


def _with_names(data: Dataset, model: SequenceEstimator, settings: dict[str, Any]) -> Dataset:
    """The data as `match_names` gives them; the networks of earlier versions keep no names, their runs do."""
    named = {"feature_names_in_": settings["channels"], "static_names_in_": settings["columns"]["static"]} | vars(model)
    channels, static = (None if named[name] is None else list(named[name]) for name in NAMES)
    return match_names(data, channels, static or None, settings["target"])


def prediction_columns(model: SequenceEstimator, data: Dataset, outputs: ndarray) -> dict[str, ndarray]:
    """Series, step or time, prediction and probabilities, from what the network gave."""
    predicted = model.predictions(data.X, outputs)
    columns: dict[str, ndarray] = {"series": np.array(data.ids, object)}
    if isinstance(predicted, Sequences):
        columns["series"] = np.repeat(columns["series"], data.X.lengths)
        times = data.X.times
        steps = np.arange(data.X.n_steps) - np.repeat(data.X.offsets[:-1], data.X.lengths)
        columns |= {"step": steps} if times is None else {"time": times}
        predicted = predicted.values[:, 0]
    columns["prediction"] = predicted
    if isinstance(model, SequenceClassifier):
        shares = model.probabilities(data.X, outputs)
        table = shares.values if isinstance(shares, Sequences) else shares
        columns |= {f"probability_{label}": table[:, k] for k, label in enumerate(model.classes_.tolist())}
    return columns


def _score(model: SequenceEstimator, data: Dataset, outputs: ndarray) -> str:
    """The score when the source brings a target of the kind the model was fitted on."""
    if data.y is None or isinstance(data.y, Sequences) != model.by_step_:
        return ""
    name = "accuracy" if isinstance(model, SequenceClassifier) else "R2"
    predictions = predictions_of(model, data.X, data.y, outputs)
    return f"; {name} {predictions.score(predictions, predictions.truth):.3f}"
