"""The grid file of a search: settings to try, read and checked before anything is trained."""

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from throughtime.cli.model import by_class
from throughtime.cli.options import given, model_parameters, parse_value
from throughtime.data import Dataset
from throughtime.errors import ParameterError
from throughtime.estimators import SequenceClassifier, SequenceEstimator, SequenceRegressor
from throughtime.generalization import observed_targets, regularization_path
from throughtime.parameters import SCHEMAS, Parameter, check_value, declared

_FORMS = "a list of values, {path = n}, {loguniform = [a, b]}, {uniform = [a, b]} or {randint = [a, b]}"
#: Of the data or the machine, not of a network; scores over other steps could not be compared.
_FOR_ALL = ("layout", "burn_in", "device", "verbose")


@dataclass(frozen=True)
class Strengths:
    """So many strengths of a regularizer, which are numbers once the optimizer is known."""

    n: int


@dataclass(frozen=True)
class Grid:
    """Tables of what to try: by parameter a list of values or a distribution of scipy's.

    ``n_iter`` settings are drawn, or, where it is ``None``, every combination is tried; ``written`` is the file's
    content.
    """

    path: Path
    tables: list[dict[str, Any]]
    n_iter: int | None
    written: Any

    @property
    def names(self) -> list[str]:
        """The parameters that any of the tables names, in the file's order."""
        return list(dict.fromkeys(name for table in self.tables for name in table))


def read_grid(path: Path, n_iter: int | None, flags: Mapping[str, Any]) -> Grid:
    """Read ``--grid``: TOML or JSON, one table by parameter or, under ``grid``, one or several.

    Parameters
    ----------
    n_iter
        Settings to draw; ``None`` tries all.
    flags
        The estimator's parameters as they were typed, which the file may not contradict.

    Raises
    ------
    ParameterError
        "<file>: <key> needs <rule>, got <value>", for the first thing that is wrong.
    """
    return parse_grid(path, _content(path), n_iter, given(flags))


def parse_grid(path: Path, written: Any, n_iter: int | None, typed: Mapping[str, Any]) -> Grid:
    """The grid of a file with this content; ``typed`` are the parameters that it may not contradict."""
    tables = _tables(path, written)
    grid = Grid(path, [{name: _choice(path, name, table[name]) for name in table} for table in tables], n_iter, written)
    for name in grid.names:
        if name in typed:
            raise ParameterError(f"{path}: {name} is typed as --{name.replace('_', '-')} too; say it in one place")
    drawn = [
        name for table in grid.tables for name, choice in table.items() if not isinstance(choice, list | Strengths)
    ]
    if n_iter is None and drawn:
        raise ParameterError(f"{path}: {drawn[0]} is a distribution and needs --n-iter, the number of settings to draw")
    if n_iter is not None and n_iter < 1:
        raise ParameterError(f"--n-iter needs at least 1, got {n_iter}")
    if n_iter is not None and not drawn and n_iter > (n := _number_of_settings(grid.tables)):
        raise ParameterError(
            f"--n-iter needs at most {n}, all the settings of {path}, got {n_iter}; without it all are tried"
        )
    return grid


def fitting(grid: Grid, task: str, data: Dataset, model: SequenceEstimator) -> Grid:
    """The grid for what the data ask for: parameters of its estimator, weights by the classes, strengths as numbers.

    Raises
    ------
    ParameterError
        For a parameter of the other estimator, or a class that there is not; for strengths of two kinds of weight
        decay.
    """
    for name in grid.names:
        if name not in declared(SCHEMAS[task]):
            raise ParameterError(f"{grid.path}: {name} is not a parameter for {task}; --task says which the target is")
    return Grid(
        grid.path,
        [
            {
                name: _by_class(grid.path, choice, data)
                for name, choice in _with_numbers(grid.path, table, model).items()
            }
            for table in grid.tables
        ],
        grid.n_iter,
        grid.written,
    )


def _with_numbers(path: Path, table: Mapping[str, Any], model: SequenceEstimator) -> dict[str, Any]:
    """A table whose strengths are numbers."""
    found = dict(table)
    for name, choice in table.items():
        if isinstance(choice, Strengths):
            optimizers = table.get("optimizer", [model.optimizer])
            if name == "weight_decay" and "adamw" in optimizers and len(optimizers) > 1:
                raise ParameterError(
                    f"{path}: weight_decay.path needs optimizers of one kind of weight decay, got "
                    f"{', '.join(optimizers)}; put adamw into a table [[grid]] of its own"
                )
            found[name] = regularization_path(clone(model).set_params(optimizer=optimizers[0]), name, choice.n)
    return found


def _number_of_settings(tables: list[dict[str, Any]]) -> int:
    return len(
        ParameterGrid(
            [
                {name: range(choice.n) if isinstance(choice, Strengths) else choice for name, choice in table.items()}
                for table in tables
            ]
        )
    )


def _by_class(path: Path, choice: Any, data: Dataset) -> Any:
    if not isinstance(choice, list):
        return choice
    try:
        classes = np.unique(observed_targets(data.y))
        return [by_class(value, classes) if isinstance(value, dict) else value for value in choice]
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from error


def _content(path: Path) -> Any:
    kind = path.suffix.lower()
    if kind not in (".toml", ".json"):
        raise ParameterError(f"--grid needs a file that ends in .toml or .json, got {path}")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ParameterError(f"--grid needs a file that can be read, got {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ParameterError(f"{path} needs text in UTF-8, got {error}") from error
    if kind == ".json":
        try:
            return json.loads(text, object_pairs_hook=lambda pairs: _once(path, pairs))
        except (json.JSONDecodeError, RecursionError) as error:
            raise ParameterError(f"{path} needs JSON, got {error}") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        again = "overwrite" in str(error) or "twice" in str(error)
        if again:
            lines = text.splitlines()
            found = re.search(r"at line (\d+)", str(error))  # else at the end of the document
            number = int(found[1]) if found else len(lines)
            raise ParameterError(_twice(path, f"{lines[number - 1].strip()!r} again in line {number}")) from error
        raise ParameterError(f"{path} needs TOML, got {error}") from error


def _once(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ParameterError(_twice(path, f"{name!r} {names.count(name)} times"))
    return dict(pairs)


def _twice(path: Path, got: str) -> str:
    return f"{path} needs each key once in a table, got {got}; put all values into one list"


def _tables(path: Path, written: Any) -> list[dict[str, Any]]:
    tables = written
    if isinstance(written, dict) and "grid" in written:
        if others := [name for name in written if name != "grid"]:
            raise ParameterError(f"{path}: {others[0]} stands beside grid; put it into a table [[grid]]")
        tables = written["grid"]
    if isinstance(tables, dict):
        tables = [tables]
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) and table for table in tables):
        raise ParameterError(
            f"{path} needs a table of parameters with the values to try, such as lr = [0.01, 0.03], or several under "
            f"[[grid]], got {_short(written)}"
        )
    return tables


def _choice(path: Path, name: str, choice: Any) -> Any:
    """A list of values, or a distribution, each value checked."""
    known = model_parameters()
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {close[0]}?" if close else "; throughtime search --help lists them"
        raise ParameterError(f"{path}: {name} is not a parameter{hint}")
    if name in _FOR_ALL:
        raise ParameterError(f"{path}: {name} is one for all networks; --{name} sets it")
    if isinstance(choice, dict):
        return _distribution(path, known[name], choice)
    if not isinstance(choice, list):
        raise ParameterError(f"{path}: {name} needs {_FORMS}, got {_short(choice)}; try [{_short(choice)}]")
    if not choice:
        raise ParameterError(f"{path}: {name} needs at least one value, got []; leave it out to keep its default")
    values = [_value(path, known[name], value) for value in choice]
    if name == "random_state" and None in values:
        raise ParameterError(f"{path}: random_state needs seeds, got none; a search has to be repeatable")
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ParameterError(f"{path}: {name} needs each value once, got {_short(value)} twice")
    return values


def _value(path: Path, parameter: Parameter, value: Any) -> Any:
    try:
        # TOML has no null: none is a word there; other words stand for themselves
        if isinstance(value, str) and parameter.type in (int, float) and value.lower() != "none":
            check_value(parameter, value)
        return parse_value(parameter, value)
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from error


def _distribution(path: Path, parameter: Parameter, choice: dict[str, Any]) -> Any:
    name = parameter.name
    if list(choice) == ["path"]:
        return _strengths(path, name, choice["path"])
    if len(choice) != 1 or (kind := next(iter(choice))) not in ("loguniform", "uniform", "randint"):
        raise ParameterError(f"{path}: {name} needs {_FORMS}, got {_short(choice)}")
    if parameter.type not in (int, float):
        raise ParameterError(f"{path}: {name} needs a list of values, got {_short(choice)}")
    if (parameter.type is int) != (kind == "randint"):
        fits = "{randint = [a, b]}" if parameter.type is int else "{loguniform = [a, b]} or {uniform = [a, b]}"
        raise ParameterError(f"{path}: {name} needs a list of values or {fits}, got {_short(choice)}")
    ends = choice[kind]
    if not isinstance(ends, list) or len(ends) != 2 or not all(_is_number(parameter.type, end) for end in ends):
        what = "whole numbers" if parameter.type is int else "numbers"
        raise ParameterError(f"{path}: {name}.{kind} needs two {what}, [lowest, highest], got {_short(ends)}")
    low, high = ends
    if not low < high:
        raise ParameterError(f"{path}: {name}.{kind} needs its lowest value below its highest, got {_short(ends)}")
    if kind == "loguniform" and not low > 0:
        raise ParameterError(f"{path}: {name}.loguniform needs values above 0, got {_short(ends)}; uniform takes 0")
    for end in _ends(kind, low, high):
        _value(path, parameter, end)
    if kind == "randint":
        return stats.randint(low, high)
    return stats.loguniform(low, high) if kind == "loguniform" else stats.uniform(low, high - low)


def _strengths(path: Path, name: str, n: Any) -> Strengths:
    estimator = SequenceClassifier() if name in declared(SCHEMAS["classification"]) else SequenceRegressor()
    try:
        regularization_path(estimator, name, n)
    except ParameterError as error:
        raise ParameterError(f"{path}: {name}.path: {error}") from error
    return Strengths(n)


def _ends(kind: str, low: Any, high: Any) -> Iterator[Any]:
    yield low
    yield high - 1 if kind == "randint" else high  # scipy's randint stops before it


def _is_number(kind: type, value: Any) -> bool:
    return isinstance(value, int if kind is int else int | float) and not isinstance(value, bool) and value == value


def _short(value: Any) -> str:
    """A value as TOML would have it, not longer than a line."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
