"""An estimator diagnosed on a data set, divided into folds as a study would divide it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.base import clone, is_classifier

from throughtime.data import Dataset
from throughtime.errors import DataError
from throughtime.estimators import SequenceEstimator, check_device
from throughtime.generalization import Diagnosis, Probe, diagnose
from throughtime.records import Record
from throughtime.study.checks import refuse_missing, refuse_other_task, refuse_uneven
from throughtime.study.fingerprint import fingerprint_of
from throughtime.study.planning import (
    columns_in_config,
    first_seed,
    folds_for,
    grouped_by_series,
    parameters_in_config,
    set_aside,
    taken,
)
from throughtime.training import CheckpointsOrPath


@dataclass(frozen=True, repr=False, eq=False)
class DiagnosisReport(Record):
    """A diagnosis, and what it is of.

    Attributes
    ----------
    model
        The estimator, unfitted.
    data
        The series it was diagnosed on, without those set aside for a test.
    diagnosis
        The verdict and what it rests on.
    config
        Plain values: the source, its columns, the folds, the estimator's parameters, what was asked for.
    """

    model: SequenceEstimator
    data: Dataset
    diagnosis: Diagnosis
    config: dict[str, Any]


def report_diagnosis(
    model: SequenceEstimator,
    data: Dataset,
    split: float | None = None,
    *,
    cv: Any = None,
    probes: str | Sequence[str | Probe] = "auto",
    checkpoints: CheckpointsOrPath | None = None,
    **options: Any,
) -> DiagnosisReport:
    """Diagnose an estimator.

    Parameters
    ----------
    model
        Unfitted, and left as it is; its ``random_state`` is that of the diagnosis.
    data
        The series, with a target.
    split
        The fraction of the series, or groups, that a study sets aside for a test: they are not looked at.
    cv
        As `plan` takes it and with its defaults, but folds may put a group on both sides: that is something to find.
    probes, checkpoints, **options
        As ``throughtime.diagnose`` takes them.

    Raises
    ------
    DataError, ParameterError
        For data that the estimator cannot be trained on, and what ``throughtime.diagnose`` refuses.
    """
    if data.y is None:
        raise DataError(f"{data.source} needs a target to be diagnosed; --target names its column")
    model = clone(model)
    model.random_state = first_seed(model.random_state, 1)
    check_device(model.device)
    refuse_other_task(model, data)
    refuse_missing(model, data)
    data = grouped_by_series(data)
    refuse_uneven(model, None, data, None)
    if split is not None:
        data = taken(data, set_aside(data, split, model)[0])
    cv = folds_for(data, cv)
    asked = {"probes": _names(probes), **options}
    diagnosis = diagnose(
        model,
        data.X,
        data.y,
        cv=cv,
        groups=data.groups,
        probes=probes,
        random_state=model.random_state,
        verbose=model.verbose,
        checkpoints=checkpoints,
        **options,
    )
    config = {
        "source": data.source,
        "split": split,
        "task": "classification" if is_classifier(model) else "regression",
        "columns": columns_in_config(data),
        "channels": data.X.channel_names,
        "target": data.target,
        "fingerprint": fingerprint_of(data),
        "cv": cv if isinstance(cv, int | str) else "given",
        "parameters": parameters_in_config(model),
        "diagnosis": asked,
    }
    return DiagnosisReport(model, data, diagnosis, config)


def _names(probes: str | Sequence[str | Probe]) -> list[str]:
    given = [probes] if isinstance(probes, str) else probes
    return [probe.name if isinstance(probe, Probe) else probe for probe in given]
