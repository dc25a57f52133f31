"""The flags of a table's columns, declared once for the commands that read a source."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter as Argument
from inspect import Signature
from typing import Annotated, Any, Literal, get_type_hints

import typer

from throughtime.cli.options import set_arguments

#: Of columns, those of which there may be several.
LISTS = ("static", "channels")


def of_data(flag: str, text: str, metavar: str = "COLUMN") -> Any:
    """A flag that says what a source holds."""
    return typer.Option(flag, metavar=metavar, help=text, show_default=False, rich_help_panel="Data")


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are, and the windows of any source, as typed; ``None`` where nothing was."""

    id: Annotated[str | None, of_data("--id", "column that tells series apart")] = None
    time: Annotated[str | None, of_data("--time", "column that orders the steps")] = None
    target: Annotated[str | None, of_data("--target", "column to predict")] = None
    group: Annotated[str | None, of_data("--group", "column of groups that folds keep whole")] = None
    static: Annotated[str | None, of_data("--static", "columns that hold for a whole series", "A,B,...")] = None
    channels: Annotated[
        str | None,
        of_data(
            "--channels", "input columns [default: all that are left; for a forecast also the target's past]", "A,B,..."
        ),
    ] = None
    target_kind: Annotated[
        Literal["auto", "series", "step"] | None,
        of_data("--target-kind", "one target per series or one per step: auto, series, step [default: auto]", "WORD"),
    ] = None
    decimal: Annotated[
        Literal[".", ","] | None,
        of_data(
            "--decimal", "decimal sign of CSV files; with a comma, semicolons or tabs part columns [default: .]", "SIGN"
        ),
    ] = None
    targets: Annotated[
        Literal["drop", "error"] | None,
        of_data(
            "--targets", "series without a target: drop leaves them out, error refuses them [default: drop]", "WORD"
        ),
    ] = None
    window: Annotated[
        int | None,
        of_data("--window", "cut series into windows of so many steps; a table needs no --id then", "STEPS"),
    ] = None
    stride: Annotated[
        int | None, of_data("--stride", "steps from one window to the next [default: those of a window]", "STEPS")
    ] = None
    history: Annotated[
        int | None,
        of_data("--history", "steps before a window to read from, of a target each step [default: 0]", "STEPS"),
    ] = None

    def typed(self) -> dict[str, Any]:
        """Those that were typed, as `throughtime.data.read` takes them."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return given | {name: split_words(given[name]) for name in LISTS if name in given}


def with_column_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes ``columns`` a flag for each in its place."""
    flags = [
        Argument(name, Argument.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in get_type_hints(Columns, include_extras=True).items()
    ]

    @wraps(command)
    def run(**typed: Any) -> None:
        columns = Columns(**{flag.name: typed.pop(flag.name) for flag in flags})
        command(columns=columns, **typed)

    arguments: list[Argument] = []
    for argument in Signature.from_callable(command, eval_str=True).parameters.values():
        arguments += flags if argument.annotation is Columns else [argument]
    return set_arguments(run, arguments)


def split_words(text: str) -> list[str]:
    """Names between commas; in double quotes one may hold a comma itself."""
    return [word.strip() for line in csv.reader([text], skipinitialspace=True) for word in line if word.strip()]
