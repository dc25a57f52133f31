"""The commands and what they take."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from throughtime.cli.columns import Columns, of_data, split_words, with_column_flags
from throughtime.cli.exit_codes import report_errors, run_to_exit
from throughtime.cli.options import Task, with_model_flags
from throughtime.cli.printed_warnings import print_warnings

app = typer.Typer(
    name="throughtime",
    help="Recurrent networks that generalize: folds, settings and seeds train in lockstep.",
    epilog="Exit codes: 0 done; 2 refused; 130 stopped by Ctrl-C, 143 by SIGTERM (`throughtime resume` goes on with a "
    "run); 74 done and written, but standard output could not be printed; 141 the same, since its reader had left "
    "(`| head`).",
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


def main() -> None:
    """Run the command line; errors of ours are one message and exit code 2."""
    run_to_exit(app)


def _command(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command of this name, whose errors and warnings are printed as its own words."""
    return lambda function: app.command(name)(report_errors(print_warnings(function)))


def _of_validation(flag: str, text: str, metavar: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=text, show_default=False, rich_help_panel="Validation")


_SCORES = "[default: accuracy, with two classes AUROC and AUPRC too; R2 of numbers]"
TestSource = Annotated[str | None, _of_validation("--test", "another source, never trained on, for a test", "SOURCE")]
TestFraction = Annotated[
    float | None,
    _of_validation(
        "--split",
        "fraction of the series, or groups, set aside for a test; of windows of one series the last",
        "NUMBER",
    ),
]
Folds = Annotated[
    str | None,
    _of_validation(
        "--cv",
        "10, kfold:10, stratified:10, group:10, group (leave one out), loo, time:5,gap=3, forward:5,gap=30, "
        "purged:5,purge=30 [default: 5; of windows of one series purged:5]",
        "FOLDS",
    ),
]
TaskName = Annotated[
    Task | None,
    of_data("--task", "what the target is, where its type does not tell: classification, regression", "WORD"),
]
Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="TOML with [model], [data], [validation]; flags win over it", show_default=False),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="new directory of the run [default: runs/SOURCE-TIME]", show_default=False),
]
NoReport = Annotated[bool, typer.Option("--no-report", help="write no report.html into the run")]


@_command("fit")
@with_model_flags
@with_column_flags
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
    *,
    columns: Columns,
    config: Config = None,
    out: Out = None,
    no_report: NoReport = False,
    **given: Any,
) -> None:
    """Train on all folds in lockstep, say how well it will do on unseen series, and write the run."""
    from throughtime.cli.fit import fit

    data = columns.typed() | {"test": test, "split": split}
    validation = {"cv": cv, "scoring": scoring or None, "season": season, "seeds": seeds}
    fit(source, data, validation, given, task=task, config=config, out=out, report=not no_report)


def _of_search(flag: str, text: str, metavar: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=text, show_default=False, rich_help_panel="Search")


@_command("search")
@with_model_flags
@with_column_flags
def _search(
    source: Source,
    grid: Annotated[
        Path,
        _of_search(
            "--grid",
            "TOML or JSON: by parameter a list of values, as lr = [0.01, 0.03], or weight_decay = {path = 8}, so many "
            "strengths of a regularizer on a logarithmic scale, 0 first; several tables as [[grid]]; with "
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
    *,
    columns: Columns,
    config: Config = None,
    out: Out = None,
    no_report: NoReport = False,
    **given: Any,
) -> None:
    """Try every setting of a grid on all folds in lockstep, rank them, and write the run of the chosen one."""
    from throughtime.cli.search import search

    data = columns.typed() | {"test": test, "split": split}
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
        report=not no_report,
    )


@_command("resume")
def _resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="directory that fit, search or diagnose --out had begun")],
    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="where its data are now [default: where they were]", show_default=False),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="the same of its test series", show_default=False),
    ] = None,
) -> None:
    """Go on with a run that was stopped or killed, also on another machine: bit for bit what it would have been."""
    from throughtime.cli.resume import resume

    resume(run, source, test)


@_command("runs")
def _runs(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="directory of runs", show_default=True)] = Path(
        "runs"
    ),
) -> None:
    """List the runs in a directory: which are finished, stopped, running or damaged, and their scores."""
    from throughtime.cli.list_runs import list_runs

    list_runs(directory)


@_command("compare")
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


@_command("report")
def _report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="directory that fit or search wrote")],
    other: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN]", help="another, to be set beside it", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="new .html file [default: RUN-report.html]", show_default=False
        ),
    ] = None,
    diagnosis: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="what diagnose --out wrote of the run", show_default=False),
    ] = None,
    shift: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="what shift --out wrote of the run", show_default=False),
    ] = None,
) -> None:
    """Write what is known of a run as one HTML page, which needs no network and runs no script; or two side by side."""
    from throughtime.cli.report import report

    report(run, other, output, diagnosis=diagnosis, shift=shift)


@_command("predict")
def _predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="directory that fit wrote")],
    source: Source,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="new .csv or .parquet file")],
    decimal: Annotated[
        Literal[".", ","] | None,
        typer.Option(metavar="SIGN", help="decimal sign of CSV files [default: the run's]", show_default=False),
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="of windows: a row per step, the mean of the windows over it")
    ] = False,
    no_shift_check: Annotated[
        bool,
        typer.Option(
            "--no-shift-check", help="do not look whether the series have left the distribution of those of training"
        ),
    ] = False,
) -> None:
    """Predict with a run's network, read as the run's data were, into a CSV or Parquet file."""
    from throughtime.cli.predict import predict

    predict(run, source, output, decimal, merge=merge, shift_check=not no_shift_check)


@_command("export")
def _export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="directory that fit or search wrote")],
    kind: Annotated[
        Literal["torch", "onnx"],
        typer.Option("--format", help="torch: a directory with a Python file and its weights; onnx: one file"),
    ] = "torch",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR|FILE",
            help="new directory, or file, of the model [default: RUN-torch, RUN.onnx]",
            show_default=False,
        ),
    ] = None,
    streaming: Annotated[
        bool, typer.Option("--streaming", help="a model that goes on from a state, a step or more at a time")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            metavar="INTEGER",
            help="which network of a run with several, from 1 [default: 1]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a run's network so that it runs without throughtime: as plain torch, or ONNX.

    Scaling, masks of missing values, features and class names are inside: it takes raw values.
    """
    from throughtime.cli.export import export

    export(run, kind, output, streaming=streaming, seed=seed)


@_command("shift")
def _shift(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="directory that fit or search wrote")],
    source: Source,
    labels: Annotated[
        bool,
        typer.Option("--labels", help="use the labels in SOURCE; without them concept shift cannot be seen"),
    ] = False,
    decimal: Annotated[
        Literal[".", ","] | None,
        typer.Option(metavar="SIGN", help="decimal sign of CSV files [default: the run's]", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="new directory of the diagnosis and its pictures", show_default=False),
    ] = None,
) -> None:
    """Say whether new series are still those that a run was trained on, and what changed: covariates, labels, concept.

    They are read as the run's data were, and compared with the run's series as networks saw them that did not train on
    them.
    """
    from throughtime.cli.shift import shift

    shift(run, source, decimal, labels=labels, out=out)


@_command("flow")
@with_model_flags
@with_column_flags
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
    *,
    columns: Columns,
    config: Config = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="new directory of pictures: lag curve, flow, graph", show_default=False),
    ] = None,
    **given: Any,
) -> None:
    """Measure how far back gradients reach, in a run's network or in one at initialization: table, curve, pictures."""
    from throughtime.cli.flow import flow

    flow(what, source, columns.typed(), given, lag=lag, task=task, config=config, out=out)


def _of_diagnosis(flag: str, text: str, metavar: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=text, show_default=False, rich_help_panel="Diagnosis")


@_command("diagnose")
@with_model_flags
@with_column_flags
def _diagnose(
    what: Annotated[
        str,
        typer.Argument(metavar="SOURCE|RUN", help="data, and a network by its flags; or directory that fit wrote"),
    ],
    margin: Annotated[
        float | None,
        _of_diagnosis("--margin", "least gain that counts, a fraction of a dummy's loss [default: 0.05]", "NUMBER"),
    ] = None,
    probes: Annotated[
        str | None,
        _of_diagnosis(
            "--probes",
            "what to try: auto, names as the table has them, settings as dropout=0.3 or features:diff,rolling:7 "
            "[default: auto]",
            "A,B,...",
        ),
    ] = None,
    repeats: Annotated[
        int | None, _of_diagnosis("--repeats", "times that all folds are trained [default: 2]", "INTEGER")
    ] = None,
    budget: Annotated[
        float | None,
        _of_diagnosis("--budget", "seconds it may take; probes are dropped to keep them [default: none]", "SECONDS"),
    ] = None,
    no_racing: Annotated[
        bool, typer.Option("--no-racing", help="repeat hopeless probes too", rich_help_panel="Diagnosis")
    ] = False,
    level: Annotated[
        float | None, _of_diagnosis("--level", "coverage of the intervals [default: 0.95]", "NUMBER")
    ] = None,
    memory_budget: Annotated[
        float | None,
        _of_diagnosis("--memory-budget", "GiB that networks training at a time may take [default: 2]", "NUMBER"),
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="new TOML file of the configuration with the remedy, for fit --config",
            show_default=False,
        ),
    ] = None,
    split: TestFraction = None,
    cv: Folds = None,
    task: TaskName = None,
    *,
    columns: Columns,
    config: Config = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="new directory of the diagnosis and its pictures", show_default=False),
    ] = None,
    **given: Any,
) -> None:
    """Say what limits a network, under-fit, over-fit or fine: remedies are tried on the same folds, in lockstep."""
    from throughtime.cli.diagnose import diagnose

    options = {
        "margin": margin,
        "probes": None if probes is None else split_words(probes),
        "repeats": repeats,
        "budget": budget,
        "racing": False if no_racing else None,
        "level": level,
        "memory_gib": memory_budget,
    }
    diagnose(
        what,
        columns.typed() | {"split": split},
        {"cv": cv},
        given,
        options,
        task=task,
        config=config,
        out=out,
        apply=apply,
    )


@_command("data")
@with_column_flags
def _data(
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="what to describe; nothing lists the built-in data sets")
    ] = None,
    *,
    columns: Columns,
) -> None:
    """List the built-in data sets, or describe a source."""
    from throughtime.cli.data import describe_source, list_built_in

    if source is None:
        list_built_in()
        return
    describe_source(source, columns.typed())


@_command("demo")
def _demo(
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="new directory of the run [default: runs/fulda-TIME]", show_default=False),
    ] = None,
) -> None:
    """Predict the discharge of a river from the weather: the main job on real data."""
    from throughtime.cli.demo import demo

    demo(out)
