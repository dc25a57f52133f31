"""Flags made from declarations: every parameter of the estimators is one, and a config file may hold the same."""

import tomllib
from collections.abc import Callable, Mapping
from inspect import Parameter as Argument
from inspect import Signature
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from throughtime.errors import ParameterError
from throughtime.parameters import ClassifierParameters, Parameter, RegressorParameters, check_value, declared

Task = Literal["classification", "regression"]
SCHEMAS: dict[str, type] = {"classification": ClassifierParameters, "regression": RegressorParameters}


def model_parameters() -> dict[str, Parameter]:
    """Every parameter of either estimator."""
    return declared(ClassifierParameters) | declared(RegressorParameters)


def with_model_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Add a flag for every parameter to a command that takes them as ``**given``; one not typed is ``None``."""
    own = [
        argument
        for argument in Signature.from_callable(command, eval_str=True).parameters.values()
        if argument.kind is not Argument.VAR_KEYWORD
    ]
    flags = [
        Argument(name, Argument.KEYWORD_ONLY, default=None, annotation=_flag(parameter))
        for name, parameter in model_parameters().items()
    ]
    arguments = [argument.replace(kind=Argument.KEYWORD_ONLY) for argument in own] + flags
    command.__signature__ = Signature(arguments)  # type: ignore[attr-defined]
    command.__annotations__ = {argument.name: argument.annotation for argument in arguments}
    return command


def _flag(parameter: Parameter) -> Any:
    """The typer annotation of one parameter."""
    option = parameter.option
    default = "none" if option.default is None else str(option.default).lower()
    shown = f"{option.help} [default: {default}]"  # typer would set a word of ours in brackets of its own
    words: dict[str, Any] = {"help": shown, "show_default": False, "rich_help_panel": "Network and training"}
    if parameter.type is bool:
        return Annotated[bool | None, typer.Option(**words)]
    kinds = {int: "INTEGER", float: "NUMBER", str: "TEXT"}
    metavar = "|".join(parameter.choices) or kinds.get(parameter.type, "balanced|CLASS=WEIGHT,...")
    if parameter.optional:
        metavar += "|none"
    return Annotated[str | None, typer.Option(metavar=metavar, **words)]


def parse_value(parameter: Parameter, text: str | bool) -> Any:
    """A parameter's value from what was typed.

    Raises
    ------
    ParameterError
        When it is not one, in the words of ``throughtime.parameters``.
    """
    value: Any = text
    if isinstance(text, str):
        if parameter.optional and text.lower() == "none":
            return None
        if parameter.type in (int, float):
            value = _number(parameter.type, text)
        elif parameter.name == "class_weight" and "=" in text:
            value = dict(_class_weight(part) for part in text.split(","))
    check_value(parameter, value)
    return value


def read_config(path: Path) -> dict[str, dict[str, Any]]:
    """The tables of a config file: ``[model]``, ``[data]``, ``[validation]``.

    Raises
    ------
    ParameterError
        When there is no such file, it is not TOML, or holds a table or a name that is not known.
    """
    from pydantic import BaseModel, ConfigDict, ValidationError

    class Data(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        id: str | None = None
        time: str | None = None
        target: str | None = None
        group: str | None = None
        static: list[str] | None = None
        channels: list[str] | None = None
        target_kind: Literal["auto", "series", "step"] | None = None
        test: str | None = None
        split: float | None = None

    class Validation(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        cv: str | int | None = None
        scoring: list[str] | None = None
        seeds: int | None = None

    class Config(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        model: dict[str, Any] = {}
        data: Data = Data()
        validation: Validation = Validation()

    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(f"--config needs a file that can be read, got {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(f"--config needs TOML, got {path}: {error}") from error
    try:
        config = Config.model_validate(tables)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ParameterError(f"{path}: {where}: {first['msg'].lower()}") from error
    known = model_parameters()
    for name, value in config.model.items():
        if name not in known:
            raise ParameterError(f"{path}: model.{name} is not a parameter; there are {', '.join(known)}")
        # TOML has no null: none is a word there too
        config.model[name] = parse_value(known[name], value) if isinstance(value, str) else value
        check_value(known[name], config.model[name])
    return {
        "model": config.model,
        "data": config.data.model_dump(exclude_none=True),
        "validation": config.validation.model_dump(exclude_none=True),
    }


def given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that were typed, as values."""
    known = model_parameters()
    return {name: parse_value(known[name], text) for name, text in flags.items() if text is not None}


def _number(kind: type, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        return text  # check_value says what is wrong with it


def _class_weight(part: str) -> tuple[Any, float]:
    label, _, weight = part.rpartition("=")
    try:
        return (int(label) if label.lstrip("-").isdigit() else label), float(weight)
    except ValueError as error:
        raise ParameterError(f"class_weight needs CLASS=WEIGHT, got {part!r}") from error
