"""The commands and what they take."""

import csv
import errno
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO, cast

import typer

from throughtime.cli.options import Task, with_model_flags
from throughtime.errors import DataWarning, ThroughtimeError
from throughtime.terminal import Lenient

app = typer.Typer(
    name="throughtime",
    help="Recurrent networks that generalize: folds, settings and seeds train in lockstep.",
    epilog="Exit codes: 0 done; 2 refused; 130 stopped by Ctrl-C; 74 done and written, but standard output could not "
    "be printed; 141 the same, since its reader had left (`| head`).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["--help", "-h"]},
)

Source = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="CSV, Parquet, .npz, .ts, a directory of files, or a built-in data set"),
]


def _of_data(flag: str, text: str, metavar: str = "COLUMN") -> Any:
    return typer.Option(flag, metavar=metavar, help=text, show_default=False, rich_help_panel="Data")


IdColumn = Annotated[str | None, _of_data("--id", "column that tells series apart")]
TimeColumn = Annotated[str | None, _of_data("--time", "column that orders the steps")]
TargetColumn = Annotated[str | None, _of_data("--target", "column to predict")]
GroupColumn = Annotated[str | None, _of_data("--group", "column of groups that folds keep whole")]
StaticColumns = Annotated[str | None, _of_data("--static", "columns that hold for a whole series", "A,B,...")]
ChannelColumns = Annotated[
    str | None,
    _of_data(
        "--channels", "input columns [default: all that are left; for a forecast also the target's past]", "A,B,..."
    ),
]
TargetKind = Annotated[
    Literal["auto", "series", "step"] | None,
    _of_data("--target-kind", "one target per series or one per step: auto, series, step [default: auto]", "WORD"),
]
Decimal = Annotated[
    Literal[".", ","] | None,
    _of_data(
        "--decimal", "decimal sign of CSV files; with a comma, semicolons or tabs part columns [default: .]", "SIGN"
    ),
]
Untargeted = Annotated[
    Literal["drop", "error"] | None,
    _of_data("--targets", "series without a target: drop leaves them out, error refuses them [default: drop]", "WORD"),
]


#: Exit codes of BSD's sysexits.h and of a program that SIGPIPE ended.
_NOT_PRINTED, _READER_LEFT = 74, 141


def main() -> None:
    """Run the command line; errors of ours are one message and exit code 2.

    Printing never ends a command.  If it did its work and standard output was lost, the exit code is 141 when whoever
    read it has left, as in ``| head``, and else 74.
    """
    for descriptor in range(3):  # or the next file that is opened becomes one of them, and is printed into
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    out, err = Lenient(sys.stdout), Lenient(sys.stderr)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
    code: Any = 0
    try:
        app()
    except SystemExit as end:
        code = end.code
    out.flush()
    if out.failure is not None and not code:
        code = _READER_LEFT if out.failure.errno == errno.EPIPE else _NOT_PRINTED
        if code == _NOT_PRINTED:
            print(f"error: all was done, but not all printed: {out.failure.strerror}", file=sys.stderr)
    sys.exit(code)


def report_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn the errors we raise into a message and an exit code."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            with _printed_warnings():
                command(*args, **kwargs)
        except ThroughtimeError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(2) from None
        except (MemoryError, RuntimeError) as error:
            message = str(error)
            if isinstance(error, RuntimeError) and "allocate memory" not in message and "out of memory" not in message:
                raise
            print("error: there is not enough memory for this; fewer or smaller networks need less", file=sys.stderr)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            print("stopped; no file was left half-written", file=sys.stderr)
            raise typer.Exit(130) from None

    return run


@contextmanager
def _printed_warnings() -> Iterator[None]:
    """Print what is said of the data as a line among the others, every time."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        show = warnings.showwarning

        def print_or_show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, DataWarning):
                show(message, category, *where, **more)
                return
            from throughtime.cli.screen import print_note

            print_note(str(message))

        warnings.showwarning = print_or_show
        yield


def _of_validation(flag: str, text: str, metavar: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=text, show_default=False, rich_help_panel="Validation")


_SCORES = "[default: accuracy, with two classes AUROC and AUPRC too; R2 of numbers]"
TestSource = Annotated[str | None, _of_validation("--test", "another source, never trained on, for a test", "SOURCE")]
TestFraction = Annotated[
    float | None, _of_validation("--split", "fraction of the series, or groups, set aside for a test", "NUMBER")
]
Folds = Annotated[
    str | None,
    _of_validation(
        "--cv",
        "10, kfold:10, stratified:10, group:10, group (leave one out), loo, time:5,gap=3, "
        "purged:5,purge=30 [default: 5]",
        "FOLDS",
    ),
]
TaskName = Annotated[
    Task | None,
    _of_data("--task", "what the target is, where its type does not tell: classification, regression", "WORD"),
]
Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="TOML with [model], [data], [validation]; flags win over it", show_default=False),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="new directory of the run [default: runs/SOURCE-TIME]", show_default=False),
]


def _fit(
    source: Source,
    test: TestSource = None,
    split: TestFraction = None,
    cv: Folds = None,
    scoring: Annotated[
        list[str] | None, _of_validation("--scoring", f"a scorer of scikit-learn, as often as wanted {_SCORES}", "NAME")
    ] = None,
    season: Annotated[
        int | None,
        _of_validation("--season", "steps of a season, for the naive forecast among the baselines", "INTEGER"),
    ] = None,
    seeds: Annotated[
        int | None, _of_validation("--seeds", "networks per fold, from as many seeds [default: 1]", "INTEGER")
    ] = None,
    task: TaskName = None,
    id: IdColumn = None,  # noqa: A002
    time: TimeColumn = None,
    target: TargetColumn = None,
    group: GroupColumn = None,
    static: StaticColumns = None,
    channels: ChannelColumns = None,
    target_kind: TargetKind = None,
    decimal: Decimal = None,
    targets: Untargeted = None,
    config: Config = None,
    out: Out = None,
    **given: Any,
) -> None:
    """Train on all folds in lockstep, say how well it will do on unseen series, and write the run."""
    from throughtime.cli.fit import fit

    data: dict[str, Any] = {"id": id, "time": time, "target": target, "group": group, "target_kind": target_kind}
    data |= {"static": _words(static), "channels": _words(channels), "test": test, "split": split}
    data |= {"decimal": decimal, "targets": targets}
    validation = {"cv": cv, "scoring": scoring or None, "season": season, "seeds": seeds}
    fit(source, data, validation, given, task=task, config=config, out=out)


app.command("fit")(report_errors(with_model_flags(_fit)))


def _of_search(flag: str, text: str, metavar: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=text, show_default=False, rich_help_panel="Search")


def _search(
    source: Source,
    grid: Annotated[
        Path,
        _of_search(
            "--grid",
            "TOML or JSON: by parameter a list of values, as lr = [0.01, 0.03]; several tables as [[grid]]; with "
            "--n-iter also {loguniform = [a, b]}, {uniform = [a, b]} or, whole numbers below b, {randint = [a, b]}",
            "FILE",
        ),
    ],
    n_iter: Annotated[
        int | None, _of_search("--n-iter", "settings to draw by --random-state [default: all are tried]", "INTEGER")
    ] = None,
    refit: Annotated[
        Literal["best", "one-standard-error"],
        _of_search(
            "--refit",
            "setting to train on all series: best, that of the best mean score; one-standard-error, the simplest "
            "within one standard error of it [default: best]",
            "WORD",
        ),
    ] = "best",
    memory_budget: Annotated[
        float,
        _of_search("--memory-budget", "GiB that networks training at a time may take [default: 2]", "NUMBER"),
    ] = 2.0,
    test: TestSource = None,
    split: TestFraction = None,
    cv: Folds = None,
    scoring: Annotated[
        list[str] | None,
        _of_validation(
            "--scoring", f"a scorer of scikit-learn, as often as wanted; the first decides {_SCORES}", "NAME"
        ),
    ] = None,
    task: TaskName = None,
    id: IdColumn = None,  # noqa: A002
    time: TimeColumn = None,
    target: TargetColumn = None,
    group: GroupColumn = None,
    static: StaticColumns = None,
    channels: ChannelColumns = None,
    target_kind: TargetKind = None,
    decimal: Decimal = None,
    targets: Untargeted = None,
    config: Config = None,
    out: Out = None,
    **given: Any,
) -> None:
    """Try every setting of a grid on all folds in lockstep, rank them, and write the run of the chosen one."""
    from throughtime.cli.search import search

    data: dict[str, Any] = {"id": id, "time": time, "target": target, "group": group, "target_kind": target_kind}
    data |= {"static": _words(static), "channels": _words(channels), "test": test, "split": split}
    data |= {"decimal": decimal, "targets": targets}
    search(
        source,
        grid,
        data,
        {"cv": cv, "scoring": scoring or None},
        given,
        n_iter=n_iter,
        refit=refit,
        memory_gib=memory_budget,
        task=task,
        config=config,
        out=out,
    )


app.command("search")(report_errors(with_model_flags(_search)))


@app.command("compare")
@report_errors
def _compare(
    first: Annotated[Path, typer.Argument(metavar="RUN", help="directory that fit or search wrote")],
    second: Annotated[Path, typer.Argument(metavar="RUN", help="another, of the same series, folds and scores")],
) -> None:
    """Compare two runs that were validated on the same folds, fold by fold: the difference, its interval and p value.

    The test is the two-sided corrected resampled t test (Nadeau & Bengio 2003). It takes the folds' differences for
    about normal, and their correlation for the test's fraction of the series, since training sets overlap. Seeds are
    averaged within a fold.
    """
    from throughtime.cli.compare import compare

    compare(first, second)


@app.command("predict")
@report_errors
def _predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="directory that fit wrote")],
    source: Source,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="new .csv or .parquet file")],
    decimal: Annotated[
        Literal[".", ","] | None,
        typer.Option(metavar="SIGN", help="decimal sign of CSV files [default: the run's]", show_default=False),
    ] = None,
) -> None:
    """Predict with a run's network, read as the run's data were, into a CSV or Parquet file."""
    from throughtime.cli.predict import predict

    predict(run, source, output, decimal)


def _flow(
    what: Annotated[
        str,
        typer.Argument(metavar="RUN|SOURCE", help="directory that fit wrote; or data, for a network at initialization"),
    ],
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[SOURCE]", help="data to measure a run's network on [default: the run's]", show_default=False
        ),
    ] = None,
    lag: Annotated[
        int | None, typer.Option("--lag", metavar="STEPS", help="steps back that the task needs", show_default=False)
    ] = None,
    task: TaskName = None,
    id: IdColumn = None,  # noqa: A002
    time: TimeColumn = None,
    target: TargetColumn = None,
    group: GroupColumn = None,
    static: StaticColumns = None,
    channels: ChannelColumns = None,
    target_kind: TargetKind = None,
    decimal: Decimal = None,
    targets: Untargeted = None,
    config: Config = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="new directory of pictures: lag curve, flow, graph", show_default=False),
    ] = None,
    **given: Any,
) -> None:
    """Measure how far back gradients reach, in a run's network or in one at initialization: table, curve, pictures."""
    from throughtime.cli.flow import flow

    data: dict[str, Any] = {"id": id, "time": time, "target": target, "group": group, "target_kind": target_kind}
    data |= {"static": _words(static), "channels": _words(channels), "decimal": decimal, "targets": targets}
    flow(what, source, data, given, lag=lag, task=task, config=config, out=out)


app.command("flow")(report_errors(with_model_flags(_flow)))


@app.command("data")
@report_errors
def _data(
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="what to describe; nothing lists the built-in data sets")
    ] = None,
    id: IdColumn = None,  # noqa: A002
    time: TimeColumn = None,
    target: TargetColumn = None,
    group: GroupColumn = None,
    static: StaticColumns = None,
    channels: ChannelColumns = None,
    target_kind: TargetKind = None,
    decimal: Decimal = None,
    targets: Untargeted = None,
) -> None:
    """List the built-in data sets, or describe a source."""
    from throughtime.cli.data import describe_source, list_built_in

    if source is None:
        list_built_in()
        return
    columns: dict[str, Any] = {"id": id, "time": time, "target": target, "group": group, "target_kind": target_kind}
    columns |= {"decimal": decimal, "targets": targets}
    describe_source(source, columns | {"static": _words(static), "channels": _words(channels)})


@app.command("demo")
@report_errors
def _demo(
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="new directory of the run [default: runs/fulda-TIME]", show_default=False),
    ] = None,
) -> None:
    """Predict the discharge of a river from the weather: the main job on real data."""
    from throughtime.cli.demo import demo

    demo(out)


def _words(text: str | None) -> list[str] | None:
    """Names between commas; in double quotes one may hold a comma itself."""
    if text is None:
        return None
    return [word.strip() for line in csv.reader([text], skipinitialspace=True) for word in line if word.strip()]
