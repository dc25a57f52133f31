"""What the files of a run hold, each value of its type though the files were edited."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy import ndarray
from pydantic import Field

from throughtime.data import Columns
from throughtime.errors import ParameterError, StorageError
from throughtime.estimators import init_from_plain
from throughtime.generalization import Finding, Interval
from throughtime.parameters import SCHEMAS, CellName, check_values, declared, renamed
from throughtime.records import Records
from throughtime.storage import typed
from throughtime.study.results import Fold, Table
from throughtime.study.scores import Metrics, ModelScores

#: Columns of ``curves.csv`` by what earlier versions called them.
_RENAMED = {"watched_loss": "eval_loss"}

_Natural = Annotated[int, Field(ge=0)]
_Positive = Annotated[int, Field(ge=1)]
#: By metric a row per seed and a column per fold; ``None`` is no score.
_BySeedAndFold = dict[str, Annotated[list[list[float | None]], Field(min_length=1)]]
_BySeed = dict[str, list[float | None]]


@dataclass(frozen=True)
class _Search:
    n_settings: _Positive


@dataclass(frozen=True)
class _Config:
    """What ``config.json`` holds and is read again."""

    source: str
    test: str | None
    split: float | None
    task: Literal["classification", "regression"]
    columns: Columns
    channels: list[str] | None
    target: str | None
    cv: str | int
    scoring: Annotated[list[str], Field(min_length=1)]
    scorers: list[str] | None
    seeds: _Positive
    parameters: dict[str, Any]
    search: _Search | None = None
    season: int | None = None


@dataclass(frozen=True)
class _Fold:
    train: list[_Natural]
    test: Annotated[list[_Natural], Field(min_length=1)]
    n_train: _Positive
    n_test: _Positive


@dataclass(frozen=True)
class _Scores:
    name: str
    validation: _BySeedAndFold
    training: dict[str, list[list[float | None]]]
    pooled: _BySeed
    test: _BySeed


@dataclass(frozen=True)
class _Interval:
    mean: float | None
    low: float | None
    high: float | None
    level: float
    method: str


@dataclass(frozen=True)
class _Metrics:
    models: Annotated[list[_Scores], Field(min_length=1)]
    intervals: dict[str, dict[str, _Interval]]


@dataclass(frozen=True)
class _Leakage:
    leakage: list[Finding] | None = None  # runs of early versions have none


@dataclass(frozen=True)
class _Fingerprint:
    targets: str
    inputs: str
    weights: str | None = None


@dataclass(frozen=True)
class DataFacts:
    """What a run keeps of its data: descriptions, as ``throughtime.data.describe`` gives them, and the fingerprint.

    ``fingerprint`` is ``None`` in runs of early versions.
    """

    train: dict[str, Any]
    test: dict[str, Any] | None
    fingerprint: dict[str, str] | None


@dataclass(frozen=True)
class _Data:
    train: dict[str, Any] | None = None
    test: dict[str, Any] | None = None
    fingerprint: _Fingerprint | None = None


@dataclass(frozen=True)
class ShiftToTest:
    """What ``test_shift.json`` holds: why there is no diagnosis, or the diagnosis."""

    reason: str | None = None
    outcome: dict[str, Any] | None = None


@dataclass(frozen=True)
class MemberEntry:
    """What ``members.json`` says of a network: whose it is, where its arrays are, and why there are none."""

    prefix: str
    seed: _Natural
    fold: _Natural | None
    failure: str | None = None


def config_of(value: Any, source: str) -> dict[str, Any]:
    """What was asked for, as ``config.json`` holds it.

    Raises
    ------
    StorageError
        When a value is not of its type, or a parameter not one that an estimator takes.
    """
    checked = typed(value, _Config, source, "the settings of a run")
    schema = SCHEMAS[checked.task]
    try:
        parameters = renamed(checked.parameters)
        if "random_state" not in parameters:
            raise ParameterError("random_state needs a value, got none")
        known = {name: value for name, value in parameters.items() if name in declared(schema)}
        if _is_name_of_own_cell(known.get("cell")):
            del known["cell"]
        known["init"] = init_from_plain(known.get("init", "torch"))
        check_values(schema, known)
    except ParameterError as error:
        raise StorageError(f"{source} needs to hold the settings of a run, but {error}") from error
    columns = {
        name: list(value) if isinstance(value, tuple) else value for name, value in asdict(checked.columns).items()
    }
    return asdict(checked) | {"columns": columns, "parameters": parameters}  # nothing that was not looked at


def _is_name_of_own_cell(cell: Any) -> bool:
    """Whether a cell may be one of the user's own, of which a run has the name alone; the estimator's file says so."""
    return isinstance(cell, str) and cell.isidentifier() and cell not in get_args(CellName)


def folds_of(value: Any, source: str) -> list[Fold]:
    """The series on either side of every fold."""
    folds = typed(value, Annotated[list[_Fold], Field(min_length=1)], source, "folds")
    return [
        Fold(np.array(fold.train, np.intp), np.array(fold.test, np.intp), fold.n_train, fold.n_test) for fold in folds
    ]


def data_facts_of(value: Any, source: str) -> DataFacts:
    """What the data hold, and what tells them from others."""
    data = typed(value, _Data, source, "the description of data")
    marks = None if data.fingerprint is None else asdict(data.fingerprint)
    fingerprint = None if marks is None else {name: mark for name, mark in marks.items() if mark is not None}
    return DataFacts(data.train or {}, data.test, fingerprint)


def metrics_of(value: Any, source: str, names: Sequence[str], n_folds: int | None) -> Metrics:
    """The scores of all models; NaN where there is none.

    Raises
    ------
    StorageError
        When a value is not of its type, or the network, the last of the models, lacks a score on some fold.
    """
    checked = typed(value, _Metrics, source, "the scores of a run")
    network = checked.models[-1]
    for name in names:
        if n_folds is not None and any(len(row) != n_folds for row in network.validation.get(name, [[]])):
            raise StorageError(f"{source} needs to hold a score of {name} on each of {n_folds} folds, got others")
    models = [
        ModelScores(
            model.name,
            {name: [_numbers(row) for row in rows] for name, rows in _in_order(model.validation, names).items()},
            {name: [_numbers(row) for row in rows] for name, rows in _in_order(model.training, names).items()},
            {name: _numbers(row) for name, row in _in_order(model.pooled, names).items()},
            {name: _numbers(row) for name, row in _in_order(model.test, names).items()},
        )
        for model in checked.models
    ]
    intervals = {
        model: {
            name: Interval(_number(one.mean), one.low, one.high, one.level, one.method)
            for name, one in _in_order(by_metric, names).items()
        }
        for model, by_metric in _in_order(checked.intervals, [model.name for model in models]).items()
    }
    return Metrics(models, intervals)


def findings_of(value: Any, source: str) -> Records[Finding]:
    """What the folds have in common that they should not; nothing in runs of early versions."""
    return Records(typed(value, _Leakage, source, "findings").leakage or ())


def shift_to_test_of(value: Any, source: str) -> ShiftToTest:
    """The shift from the training series to the test's, not looked into, or why there is none."""
    kept: ShiftToTest = typed(value, ShiftToTest, source, "the shift to the test")
    return kept


def member_entries_of(value: Any, source: str) -> list[MemberEntry]:
    """The networks of a run, without what they are."""
    entries: list[MemberEntry] = typed(value, list[MemberEntry], source, "the networks of a run")
    return entries


def member_arrays(arrays: Mapping[str, ndarray], prefix: str) -> dict[str, ndarray]:
    """The arrays of one network, without its prefix."""
    return {name[len(prefix) + 1 :]: array for name, array in arrays.items() if name.startswith(f"{prefix}.")}


def curves_of(content: bytes, source: str) -> Table:
    """The epochs of every network; NaN for a loss that there is not."""
    table = _table(content, source, {"seed": pa.int64(), "fold": pa.string(), "epoch": pa.int64()}, pa.float64())
    return {_RENAMED.get(name, name): column for name, column in table.items()}


def predictions_of(content: bytes, source: str, target: np.dtype[Any]) -> Table:
    """Predictions beside the truth; ``target`` is the type of both."""
    types = {"seed": pa.int64(), "fold": pa.int64(), "series": pa.string(), "step": pa.int64(), "time": None}
    types["group"] = pa.string()
    kinds = {"b": pa.bool_(), "i": pa.int64(), "u": pa.uint64(), "f": pa.float64()}
    types |= dict.fromkeys(("truth", "prediction"), kinds.get(target.kind, pa.string()))
    table = _table(content, source, types, pa.float64())
    for name in ("truth", "prediction"):
        if name not in table:
            raise StorageError(f"{source} needs to hold predictions, got no column {name!r}")
        if target.kind in "biuf":
            table[name] = table[name].astype(target)
        elif target.kind == "U":
            table[name] = table[name].astype(np.str_)
    return table


def search_of(content: bytes, source: str) -> Table:
    """The settings that were tried: columns of scikit-learn's ``cv_results_``."""
    return _table(content, source, {}, None)


def _table(content: bytes, source: str, types: Mapping[str, Any], other: Any) -> Table:
    """A CSV file's columns: of ``types``, where ``None`` is what the values look like, and else of ``other``."""
    try:
        names = pa.csv.read_csv(io.BytesIO(content.split(b"\n", 1)[0] + b"\n")).column_names
        kinds = {name: types.get(name, other) for name in names}
        options = pa.csv.ConvertOptions(
            column_types={name: kind for name, kind in kinds.items() if kind is not None},
            null_values=["", "nan", "NaN"],
        )
        table = pa.csv.read_csv(
            io.BytesIO(content),
            parse_options=pa.csv.ParseOptions(newlines_in_values=True),
            convert_options=options,
        )
        return {name: _column(table[name]) for name in names}
    except (pa.ArrowException, ValueError) as error:
        raise StorageError(f"{source} needs to be a table that this version wrote, got {error}") from error


def _column(values: pa.ChunkedArray) -> ndarray:
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("ns"))  # in UTC, as series hold their times
    return np.asarray(values.to_numpy())


def _in_order(by_name: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The entries in the order of ``names``, which JSON does not keep; those of other names after them."""
    return {name: by_name[name] for name in (*names, *by_name) if name in by_name}


def _numbers(scores: Sequence[float | None]) -> list[float]:
    return [_number(score) for score in scores]


def _number(score: float | None) -> float:
    return float("nan") if score is None else score
