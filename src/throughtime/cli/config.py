"""A config file: the flags by their names, in tables."""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from throughtime.cli.columns import LISTS, Columns
from throughtime.cli.options import hint_at, model_parameters, parse_value
from throughtime.errors import ParameterError
from throughtime.parameters import renamed


def read_config(path: Path) -> dict[str, dict[str, Any]]:
    """The tables of a config file: ``[model]``, ``[data]``, ``[validation]``.

    Raises
    ------
    ParameterError
        When there is no such file, it is not TOML, or holds a table or a name that is not known.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(f"--config needs a file that can be read, got {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(f"--config needs TOML, got {path}: {error}") from error
    return checked_tables(tables, path)


def checked_tables(tables: Mapping[str, Any], path: Path) -> dict[str, dict[str, Any]]:
    """Tables as a config file has them, each value of its type; errors name ``path``.

    Raises
    ------
    ParameterError
        For a table or a name that is not known, and a value that is none of its kind.
    """
    from pydantic import BaseModel, ConfigDict, ValidationError, create_model

    class Table(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)

    class Validation(Table):
        cv: str | int | None = None
        season: int | None = None
        scoring: list[str] | None = None
        seeds: int | None = None

    class TestSeries(Table):
        test: str | None = None
        split: float | None = None

    kinds = get_type_hints(Columns) | dict.fromkeys(LISTS, list[str] | None)
    columns: dict[str, Any] = {name: (kind, None) for name, kind in kinds.items()}
    Data = create_model("Data", __base__=TestSeries, **columns)
    Config = create_model(
        "Config",
        __base__=Table,
        model=(dict[str, Any], {}),
        data=(Data, Data()),
        validation=(Validation, Validation()),
    )

    try:
        config = Config.model_validate(tables).model_dump(exclude_none=True)
    except ValidationError as error:
        first = error.errors()[0]
        *within, name = map(str, first["loc"])
        where = ".".join([*within, name])
        if first["type"] != "extra_forbidden":
            raise ParameterError(f"{path}: {where}: {first['msg'].lower()}, got {first['input']!r:.60}") from error
        schemas: dict[str, type[BaseModel]] = {"data": Data, "validation": Validation}
        known = list((schemas[within[0]] if within else Config).model_fields)
        what = "is not known" if within else "is not a table of a config"
        raise ParameterError(f"{path}: {where} {what}{hint_at(name, known)}") from error
    parameters = {}
    declared = model_parameters()
    for name, value in renamed(config["model"], warn_at=2).items():
        if name not in declared:
            raise ParameterError(f"{path}: model.{name} is not a parameter{hint_at(name, declared)}")
        try:
            # TOML has no null: none is a word there too
            parameters[name] = parse_value(declared[name], value)
        except ParameterError as error:
            raise ParameterError(f"{path}: {error}") from error
    return config | {"model": parameters}


def config_text(tables: Mapping[str, Mapping[str, Any]], comment: Iterable[str] = ()) -> str:
    """A config file that `read_config` gives back as these tables, under lines of comment.

    Raises
    ------
    ParameterError
        For a value that a config file cannot hold.
    """
    declared = model_parameters()
    lines = [f"# {''.join(letter if letter.isprintable() else ' ' for letter in line)}" for line in comment]
    for name, table in tables.items():
        if table:
            lines += ["", f"[{name}]"]
        for key, value in table.items():
            if name == "model":
                parse_value(declared[key], value)  # a parameter may be an object, which has no words
            lines.append(f"{_key(key)} = {_toml(value)}")
    return "\n".join(lines).lstrip("\n") + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: Any) -> str:
    """A value as TOML has it, where none is a word."""
    match value:
        case None:
            return '"none"'
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str():  # JSON's escapes are TOML's, but for this one
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case Mapping():
            return f"{{{', '.join(f'{_key(key)} = {_toml(part)}' for key, part in value.items())}}}"
        case _:
            raise ParameterError(f"a config file needs numbers, words, lists and tables, got {value!r:.60}")
