"""Flags made from declarations: every parameter of the estimators is one, and a config file may hold the same."""

import difflib
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import Parameter as Argument
from inspect import Signature
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from throughtime.errors import ParameterError
from throughtime.parameters import (
    RENAMED,
    ClassifierParameters,
    Parameter,
    RegressorParameters,
    check_value,
    declared,
    renamed,
)

Task = Literal["classification", "regression"]
#: Where the command line differs from the estimators: a run can be repeated, and a person sees what it does.
OWN_DEFAULTS = {"random_state": 0, "verbose": 1}
_METAVARS = {int: "INTEGER", float: "NUMBER", str: "TEXT", Sequence[int | str]: "A,B,..."}
#: How the arguments of flags that say no begin.
_NO = "no_"


def model_parameters() -> dict[str, Parameter]:
    """Every parameter of either estimator."""
    return {**declared(ClassifierParameters), **declared(RegressorParameters)}


def with_model_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Add a flag for every parameter to a command that takes them as ``**given``; one not typed is ``None``."""
    typed = [
        argument
        for argument in Signature.from_callable(command, eval_str=True).parameters.values()
        if argument.kind is not Argument.VAR_KEYWORD
    ]
    flags = [
        Argument(name, Argument.KEYWORD_ONLY, default=None, annotation=annotation)
        for parameter in model_parameters().values()
        for name, annotation in _flags(parameter)
    ]
    arguments = [argument.replace(kind=Argument.KEYWORD_ONLY) for argument in typed] + flags
    command.__signature__ = Signature(arguments)  # type: ignore[attr-defined]
    command.__annotations__ = {argument.name: argument.annotation for argument in arguments}
    return command


def _flags(parameter: Parameter) -> Iterator[tuple[str, Any]]:
    """The typer annotations of one parameter by their names: one, or two for what is true or false."""
    option = parameter.option
    flag = f"--{parameter.name.replace('_', '-')}"
    default = OWN_DEFAULTS.get(parameter.name, option.default)
    text = option.help
    if parameter.choices:  # in the help, where they can be wrapped between words
        text += f": {', '.join(parameter.choices)}"
    if parameter.type is bool:
        text += f"; --no-{flag[2:]} where a config says so"
    shown = f"{text} [default: {'none' if default is None else str(default).lower()}]"
    words: dict[str, Any] = {"help": shown, "show_default": False, "rich_help_panel": "Network and training"}
    if parameter.type is bool:
        # Typer's own pair of flags takes a column of its own, and leaves none for the help.
        yield parameter.name, Annotated[bool | None, typer.Option(flag, metavar="", **words)]
        yield _NO + parameter.name, Annotated[bool, typer.Option(f"--no-{flag[2:]}", hidden=True)]
        return
    metavar = "WORD" if parameter.choices else _METAVARS.get(parameter.type, "A=1,...")
    yield parameter.name, Annotated[str | None, typer.Option(flag, metavar=metavar, **words)]
    for old, name in RENAMED.items():
        if name == parameter.name:
            yield old, Annotated[str | None, typer.Option(f"--{old.replace('_', '-')}", hidden=True)]


def parse_value(parameter: Parameter, text: Any) -> Any:
    """A parameter's value from what was typed; what is no text stays as it is.

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
        elif parameter.type == Sequence[int | str]:
            words = [word.strip() for word in text.split(",") if word.strip()]
            value = [int(word) if word.isdecimal() else word for word in words]
        elif parameter.name == "class_weight" and "=" in text:
            value = _class_weights(text)
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
        decimal: Literal[".", ","] | None = None
        targets: Literal["drop", "error"] | None = None
        test: str | None = None
        split: float | None = None

    class Validation(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        cv: str | int | None = None
        season: int | None = None
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
        *within, name = map(str, first["loc"])
        where = ".".join([*within, name])
        if first["type"] != "extra_forbidden":
            raise ParameterError(f"{path}: {where}: {first['msg'].lower()}, got {first['input']!r:.60}") from error
        model = {"data": Data, "validation": Validation}[within[0]] if within else Config
        what = "is not known" if within else "is not a table of a config"
        raise ParameterError(f"{path}: {where} {what}{_hint(name, model.__annotations__)}") from error
    parameters = {}
    known = model_parameters()
    for name, value in renamed(config.model, warn_at=2).items():
        if name not in known:
            raise ParameterError(f"{path}: model.{name} is not a parameter{_hint(name, known)}")
        try:
            # TOML has no null: none is a word there too
            parameters[name] = parse_value(known[name], value)
        except ParameterError as error:
            raise ParameterError(f"{path}: {error}") from error
    return {
        "model": parameters,
        "data": config.data.model_dump(exclude_none=True),
        "validation": config.validation.model_dump(exclude_none=True),
    }


def given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that were typed, as values."""
    known = model_parameters()
    typed = renamed({name: flags[name] for name in (*known, *RENAMED) if flags.get(name) is not None}, warn_at=2)
    typed = {name: parse_value(known[name], typed[name]) for name in known if name in typed}
    refused = [name for name in known if flags.get(_NO + name)]
    if both := [name for name in refused if name in typed]:
        flag = both[0].replace("_", "-")
        raise ParameterError(f"--{flag} and --no-{flag} contradict each other; choose one")
    return typed | dict.fromkeys(refused, False)


def _number(kind: type, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        return text  # check_value says what is wrong with it


def _class_weights(text: str) -> dict[str, float]:
    """Weights by the classes' names; which classes these are is seen when there are data."""
    weights: dict[str, float] = {}
    for part in text.split(","):
        label, _, weight = part.rpartition("=")
        number = _number(float, weight)
        if not label or isinstance(number, str):
            raise ParameterError(f"class_weight needs CLASS=WEIGHT, got {part!r}")
        if label in weights:
            raise ParameterError(f"class_weight needs each class once, got {label!r} twice")
        weights[label] = number
    return weights


def _hint(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"
