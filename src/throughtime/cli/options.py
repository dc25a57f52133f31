"""Flags made from declarations: every parameter of the estimators is one."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import Parameter as Argument
from inspect import Signature
from typing import Annotated, Any, Literal, Union

import typer

from throughtime.errors import ParameterError
from throughtime.parameters import (
    COMMAND_DEFAULTS,
    RENAMED,
    Augmentation,
    ClassifierParameters,
    Parameter,
    RegressorParameters,
    check_value,
    declared,
    renamed,
)

Task = Literal["classification", "regression"]
_METAVARS: dict[Any, str] = {
    int: "INTEGER",
    float: "NUMBER",
    str: "TEXT",
    Sequence[int | str]: "A,B,...",
    Union[str, Sequence[Augmentation]]: "NAME:S@P,...",  # noqa: UP007
}
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
    return set_arguments(command, typed + flags)


def set_arguments(command: Callable[..., None], arguments: Iterable[Argument]) -> Callable[..., None]:
    """Let a command show these arguments, all by name, to whoever asks for its signature, as typer does."""
    by_name = [
        argument if argument.kind is Argument.VAR_KEYWORD else argument.replace(kind=Argument.KEYWORD_ONLY)
        for argument in arguments
    ]
    command.__signature__ = Signature(by_name)  # type: ignore[attr-defined]
    command.__annotations__ = {argument.name: argument.annotation for argument in by_name}
    return command


def _flags(parameter: Parameter) -> Iterator[tuple[str, Any]]:
    """The typer annotations of one parameter by their names: one, or two for what is true or false."""
    option = parameter.option
    flag = f"--{parameter.name.replace('_', '-')}"
    default = COMMAND_DEFAULTS.get(parameter.name, option.default)
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


def hint_at(word: str, known: Iterable[str]) -> str:
    """Which name was perhaps meant, for the end of a message."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"
