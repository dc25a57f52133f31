"""What the commands read again of a run's files, each value of its type though the files were edited."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from throughtime.cli.options import SCHEMAS
from throughtime.data.dataset import Columns
from throughtime.errors import ParameterError, StorageError
from throughtime.parameters import check_values, declared, renamed
from throughtime.storage import Run, typed

_Natural = Annotated[int, Field(ge=0)]
_Positive = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class _Search:
    n_settings: _Positive


@dataclass(frozen=True)
class _Settings:
    """What ``config.json`` holds and a command reads."""

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


@dataclass(frozen=True)
class _Fold:
    train: list[_Natural]
    test: Annotated[list[_Natural], Field(min_length=1)]
    n_train: _Positive
    n_test: _Positive


@dataclass(frozen=True)
class _Scores:
    name: str
    validation: dict[str, Annotated[list[list[float | None]], Field(min_length=1)]]


@dataclass(frozen=True)
class _Metrics:
    models: Annotated[list[_Scores], Field(min_length=1)]


@dataclass(frozen=True)
class _Fingerprint:
    targets: str
    inputs: str


@dataclass(frozen=True)
class _Data:
    fingerprint: _Fingerprint | None = None


def settings_of(run: Run) -> dict[str, Any]:
    """What was asked for, as ``fit`` and ``search`` wrote it.

    Raises
    ------
    StorageError
        When a value is not of its type, or a parameter not one that an estimator takes.
    """
    source = str(run.directory / "config.json")
    checked = typed(run.json("config.json"), _Settings, source, "the settings of a run")
    schema = SCHEMAS[checked.task]
    try:
        parameters = renamed(checked.parameters)
        if "random_state" not in parameters:
            raise ParameterError("random_state needs a value, got none")
        check_values(schema, {name: value for name, value in parameters.items() if name in declared(schema)})
    except ParameterError as error:
        raise StorageError(f"{source} needs to hold the settings of a run, but {error}") from error
    columns = {
        name: list(value) if isinstance(value, tuple) else value for name, value in asdict(checked.columns).items()
    }
    return asdict(checked) | {"columns": columns, "parameters": parameters}  # nothing that was not looked at


def folds_of(run: Run) -> list[dict[str, Any]]:
    """The series on either side of every fold."""
    folds: list[dict[str, Any]] = run.json("folds.json")
    typed(folds, Annotated[list[_Fold], Field(min_length=1)], str(run.directory / "folds.json"), "folds")
    return folds


def fingerprint_of(run: Run) -> dict[str, str] | None:
    """What tells the run's series from others; a run of an early version has none."""
    found = typed(run.json("data.json"), _Data, str(run.directory / "data.json"), "the description of data")
    return None if found.fingerprint is None else asdict(found.fingerprint)


def scores_of(run: Run, metrics: list[str], n_folds: int) -> tuple[str, dict[str, list[list[float | None]]]]:
    """The network's name and its scores by metric, a row per seed and a column per fold; ``None`` is no score."""
    source = str(run.directory / "metrics.json")
    net = typed(run.json("metrics.json"), _Metrics, source, "the scores of a run").models[-1]
    for metric in metrics:
        if any(len(row) != n_folds for row in net.validation.get(metric, [[]])):
            raise StorageError(f"{source} needs to hold a score of {metric} on each of {n_folds} folds, got others")
    return net.name, {metric: net.validation[metric] for metric in metrics}
