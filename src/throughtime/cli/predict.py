"""``throughtime predict``: a run's network on new series, read as the run's data were."""

import shlex
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.base import is_classifier

from throughtime import storage
from throughtime.cli.runs import open_run
from throughtime.cli.screen import as_typed, console, print_note
from throughtime.data import Dataset, Decimal, Sequences, TargetKind, read, reads_columns
from throughtime.errors import DataError, ParameterError
from throughtime.estimators import NAMES, SequenceEstimator, predict_members
from throughtime.generalization import predictions_of
from throughtime.shift import plural_of
from throughtime.study import inputs_left, match_names, merged_table, prediction_table, refuse_uneven, table_bytes


def predict(
    run: Path,
    source: str,
    output: Path,
    decimal: Decimal | None = None,
    *,
    merge: bool = False,
    shift_check: bool = True,
) -> None:
    """Write a prediction for every series, window or step, and the probabilities of the classes.

    Parameters
    ----------
    merge
        Whether a step that several windows cover is one row, their mean, instead of a row per window.
    shift_check
        Whether to say when the series have left the distribution of those that the network was trained on.

    Raises
    ------
    StorageError
        When the run is damaged, or the output exists or cannot be written.
    """
    kind = output.suffix.lower().removeprefix(".")
    if kind not in ("csv", "parquet"):
        raise ParameterError(f"--output needs a name that ends in .csv or .parquet, got {output}")
    storage.claim_file(output)
    opened = open_run(run)
    model, settings = opened.estimator, opened.config
    if merge and settings["columns"]["window"] is None:
        raise ParameterError(f"--merge needs a run of windows (fit --window), got {run}, a run of whole series")
    data = with_names(read_alike(source, settings, model, decimal, groups=shift_check), model, settings)
    if model.horizon_:
        refuse_uneven(model, None, data, model.clock_)
    (outputs,) = predict_members([model], data.X, [np.arange(len(data.X))])
    table = (merged_table if merge else prediction_table)(model, data, outputs)
    storage.write_file(output, table_bytes(table, kind, data.X.time_zone))
    what = "steps" if merge or model.by_step_ else "series" if data.series_ids is None else "windows"
    score = _score(model, data, outputs, " of the windows" if merge else "")
    made = table["prediction"]
    n = np.count_nonzero(made == made)  # the first steps of a series have no forecast, but NaN
    console().print(f"{n} {what} predicted into {as_typed(output)}{score}", soft_wrap=True)
    left = inputs_left(opened, data) if shift_check else None
    if left is not None:
        command = shlex.join(["throughtime", "shift", str(run), source])
        print_note(
            f"these series are unlike those that the network was trained on (p {left.p_value:.3f}, {left.n_deployed} "
            f"against {left.n_reference} {plural_of(left.unit)}): {command} says how"
        )


def read_alike(
    source: str,
    settings: dict[str, Any],
    model: SequenceEstimator,
    decimal: Decimal | None = None,
    *,
    groups: bool = False,
    labels: bool = False,
) -> Dataset:
    """Read a source with the columns of a run, its decimal sign unless another is given; needs no groups.

    Parameters
    ----------
    groups
        Whether to read the run's column of groups where the source has it.
    labels
        Whether targets are needed; series without are left out then, with a warning.
    """
    columns = {name: value for name, value in settings["columns"].items() if value is not None and name != "group"}
    if not reads_columns(source):
        data = read(source, require_target=labels, layout=model.layout, own_past=columns["own_past"])
        if "window" not in columns:
            return data
        # Without a target it would not be known that a shorter window at a series' end is wanted.
        kind: TargetKind = "step" if model.by_step_ else "series"
        data = replace(data, columns=replace(data.columns, target_kind=kind))
        return data.windows(columns["window"], columns.get("stride"), history=columns["history"])
    if settings["channels"] is not None:
        columns["channels"] = settings["channels"]
    if decimal is not None:
        columns["decimal"] = decimal
    if groups and settings["columns"]["group"] is not None:
        with suppress(DataError):  # without groups, or unreadable, which is then said
            return read(source, **columns, group=settings["columns"]["group"], require_target=labels)
    return read(source, **columns, require_target=labels)


def with_names(data: Dataset, model: SequenceEstimator, settings: dict[str, Any]) -> Dataset:
    """The data as `match_names` gives them; the networks of earlier versions keep no names, their runs do."""
    named = {"feature_names_in_": settings["channels"], "static_names_in_": settings["columns"]["static"]} | vars(model)
    channels, static = (None if named[name] is None else list(named[name]) for name in NAMES)
    matched = match_names(data, channels, static or None, settings["target"], print_note)
    if any(hasattr(model, name) for name in NAMES):
        return matched
    return replace(matched, X=matched.X.replace(channel_names=(), static_names=()))


def _score(model: SequenceEstimator, data: Dataset, outputs: ndarray, of_what: str) -> str:
    """The score when the source brings a target of the kind the model was fitted on."""
    if data.y is None or isinstance(data.y, Sequences) != model.by_step_:
        return ""
    name = "accuracy" if is_classifier(model) else "R2"
    predictions = predictions_of(model, data.X, data.y, outputs)
    return f"; {name}{of_what} {predictions.score(predictions, predictions.truth):.3f}"
