"""``throughtime search``: try every setting of a grid on all folds in lockstep, choose one, and write its run."""

import re
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy import ndarray
from rich.markup import escape
from rich.table import Table
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import ParameterGrid

from throughtime import storage
from throughtime.cli.fit import Study, print_study, print_written, studied
from throughtime.cli.grid import Grid, fitting, read_grid
from throughtime.cli.options import Task
from throughtime.cli.plan import Plan, plan_of
from throughtime.cli.run_files import picture_bytes, run_facts, run_files, table_bytes
from throughtime.cli.screen import console, number
from throughtime.displays import SearchDisplay
from throughtime.errors import ParameterError
from throughtime.generalization import (
    Interval,
    LockstepSearchCV,
    ModelScores,
    fold_sizes,
    interval_of,
    observed_targets,
    one_standard_error,
)

Refit = Literal["best", "one-standard-error"]
#: Of a longer ranking the first ones are shown; the file has all.
_MOST_SETTINGS = 20
#: More parameters than these have no column each.
_MOST_COLUMNS = 3
#: Columns of a terminal from which on settings in words leave room for intervals.
_WIDE = 100


@dataclass(frozen=True)
class Found:
    """What a search found: settings by all parameters that any of them names, and what was chosen."""

    results: dict[str, Any]
    settings: list[dict[str, Any]]
    intervals: list[Interval]
    errors: ndarray
    best: int
    simplest: int | None
    chosen: int
    seconds: float


def search(
    source: str,
    grid_file: Path,
    data: Mapping[str, Any],
    validation: Mapping[str, Any],
    flags: Mapping[str, Any],
    *,
    n_iter: int | None = None,
    refit: Refit = "best",
    memory_gib: float = 2.0,
    task: Task | None = None,
    config: Path | None = None,
    out: Path | None = None,
) -> Study:
    """Search, and train the chosen setting as ``fit`` would.

    Parameters
    ----------
    grid_file, n_iter
        As `read_grid` takes them.
    refit
        Which setting to choose: that of the best mean, or the simplest within one standard error of it.
    memory_gib
        What members may take at a time, in GiB.
    source, data, validation, flags, task, config, out
        As `plan_of` takes them.
    """
    if not memory_gib > 0:
        raise ParameterError(f"--memory-budget needs a number of GiB above 0, got {memory_gib:g}")
    grid = read_grid(grid_file, n_iter, flags)
    plan = plan_of(source, data, validation, flags, task=task, config=config, out=out)
    if plan.seeds > 1:
        raise ParameterError(
            f"a search trains one network per setting and fold, got seeds {plan.seeds}; fit takes seeds"
        )
    grid = fitting(grid, plan.settings["task"], plan.train)
    if refit == "one-standard-error":
        _refuse_unordered(grid)
    _refuse_unscored(plan)
    budget = memory_gib * 2**30
    found = _found(plan, grid, refit, budget)
    _print_ranking(plan, found, refit)
    chosen = plan.model.set_params(**found.results["params"][found.chosen])
    console().print(
        f"Trained with the setting chosen ({_told(found.settings[found.chosen])}), beside what it must beat:\n"
    )
    study = studied(replace(plan, model=chosen), budget)
    kept = {
        "grid": grid.written,
        "n_iter": n_iter,
        "refit": refit,
        "n_settings": len(found.settings),
        "seconds": found.seconds,
    }
    study = replace(study, settings=study.settings | {"search": kept})
    try:
        storage.write_run(plan.out, run_files(study) | _search_files(plan, found), run_facts(plan.model))
    finally:  # scores are worth reading though their run could not be kept
        print_study(study)
        _print_optimism(plan, found, grid_file)
    print_written(plan.out)
    return study


def _search_files(plan: Plan, found: Found) -> dict[str, bytes]:
    """The ranking, and its picture where one or two parameters vary."""
    files = {"search.csv": table_bytes(_table(found.results), "csv")}
    varied = _varied(found.settings)
    if len(varied) in (1, 2):
        shown = [{name: setting[name] for name in varied} for setting in found.settings]
        means = np.array([interval.mean for interval in found.intervals])
        files["search.png"] = picture_bytes(SearchDisplay(shown, means, found.errors, plan.metrics[0], found.chosen))
    return files


def _found(plan: Plan, grid: Grid, refit: Refit, budget: float) -> Found:
    """Train and score every setting on every fold."""
    drawn = grid.n_iter is not None
    n_settings = len(ParameterGrid(grid.tables)) if grid.n_iter is None else grid.n_iter
    n_folds = len(plan.splits)
    console().print(
        f"{n_settings} settings x {n_folds} folds = {n_settings * n_folds} networks in lockstep, "
        f"as many at a time as {budget / 2**30:g} GiB hold"
    )
    searched = LockstepSearchCV(
        plan.model,
        param_grid=None if drawn else grid.tables,
        param_distributions=grid.tables if drawn else None,
        n_iter=grid.n_iter or 10,
        random_state=plan.model.random_state,
        scoring=dict(plan.scorers),
        cv=list(plan.splits),
        refit=False,  # the chosen one trains with its folds below, for their networks and predictions
        memory_budget=budget,
    )
    begin = time.perf_counter()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("ignore", UserWarning)  # of folds that have no score, which the table shows
        warnings.simplefilter("always", FitFailedWarning)
        try:
            searched.fit(plan.train.X, plan.train.y)
        except ValueError as error:
            if "fits failed" not in str(error):
                raise
            raise ParameterError(f"{grid.path}: no setting could be trained: {'; '.join(_reasons(error))}") from error
    seconds = time.perf_counter() - begin
    for warning in told:
        if not issubclass(warning.category, FitFailedWarning):
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
            continue
        for reason in _reasons(warning.message):
            console().print(f"[red]some networks failed: {escape(reason)}[/red]", soft_wrap=True)
    console().print(f"done in {seconds:.0f} s\n")
    return _chosen(plan, grid, searched.cv_results_, refit, seconds)


def _chosen(plan: Plan, grid: Grid, results: dict[str, Any], refit: Refit, seconds: float) -> Found:
    metric = plan.metrics[0]
    defaults = plan.model.get_params(deep=False)
    settings = [{name: setting.get(name, defaults[name]) for name in grid.names} for setting in results["params"]]
    scores = np.array([results[f"split{fold}_test_{metric}"] for fold in range(len(plan.splits))], dtype=float).T
    means = np.asarray(results[f"mean_test_{metric}"], dtype=float)
    if not np.isfinite(means).any():
        raise ParameterError(f"no setting of {grid.path} has a score on every fold; choose fewer folds or a --scoring")
    intervals = [
        interval_of(ModelScores("", {metric: [own.tolist()]}, {}, {}, {}), metric, plan.splits, plan.train.groups)
        if np.isfinite(mean)
        else Interval(float("nan"), None, None, 0.95, "a fold has no score")
        for own, mean in zip(scores, means, strict=True)
    ]
    n_train, n_test = (np.array(sizes) for sizes in fold_sizes(plan.splits, plan.train.groups))
    ratio = float(np.mean(n_test / n_train))
    errors = np.sqrt(scores.var(axis=1, ddof=1) * (1 / len(plan.splits) + ratio))
    simple = partial(one_standard_error, metric=metric, test_to_train=ratio)
    simplest = simple(results | {"params": settings}) if _is_ordered(grid) else None
    best = int(np.nanargmax(means))
    chosen = best if refit == "best" or simplest is None else simplest
    return Found(results, settings, intervals, errors, best, simplest, chosen, seconds)


def _is_ordered(grid: Grid) -> bool:
    """Whether the parameters tell which of two settings is the simpler one."""
    try:
        _refuse_unordered(grid)
    except ParameterError:
        return False
    return True


def _refuse_unordered(grid: Grid) -> None:
    """Say before training what ``one_standard_error`` would say after it."""
    same = np.zeros(1)
    one = {"params": [dict.fromkeys(grid.names, 0.0)], "mean_test_score": same}
    try:
        one_standard_error(one | {"split0_test_score": same, "split1_test_score": same})
    except ParameterError as error:
        told = str(error).removesuffix("; give complexity").removeprefix("one_standard_error ")
        raise ParameterError(f"--refit one-standard-error {told}; use --refit best") from error


def _refuse_unscored(plan: Plan) -> None:
    """Say before training that folds are too small to rank settings by a score."""
    metric = plan.metrics[0]
    smallest = min(len(observed_targets(plan.train.y[rows])) for _, rows in plan.splits)  # type: ignore[index]
    if smallest < 2 and metric in ("R2", "AUROC", "AUPRC"):
        raise ParameterError(
            f"a search by {metric} needs at least 2 targets in every fold, got {smallest}; use fewer folds or another "
            "--scoring"
        )


def _print_ranking(plan: Plan, found: Found, refit: Refit) -> None:
    metric = plan.metrics[0]
    ranks = np.asarray(found.results[f"rank_test_{metric}"])
    order = np.argsort(ranks, kind="stable")
    shown = [int(index) for index in order[:_MOST_SETTINGS]]
    shown += [index for index in dict.fromkeys((found.chosen, found.simplest)) if index not in (*shown, None)]  # type: ignore[misc]
    varied = _varied(found.settings)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("rank", justify="right", no_wrap=True)
    each = len(varied) <= _MOST_COLUMNS
    for name in varied if each else ["setting"]:
        table.add_column(name, overflow="fold", justify="right" if each else "left")
    wide = each or console().width >= _WIDE
    for name in (metric, "SE", *(["95 % interval"] if wide else []), "fit s"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for index in shown:
        setting, interval = {name: found.settings[index][name] for name in varied}, found.intervals[index]
        low, high = interval.low, interval.high
        table.add_row(
            f"{ranks[index]}" if np.isfinite(interval.mean) else "-",
            *([escape(_word(value)) for value in setting.values()] if each else [escape(_told(setting))]),
            number(interval.mean),
            number(float(found.errors[index])),
            *([] if not wide else ["-" if low is None or high is None else f"{number(low)} to {number(high)}"]),
            f"{found.results['mean_fit_time'][index]:.2f}",
            _mark(index, found),
            style="bold" if index == found.chosen else None,
        )
    console().print(table)
    if len(order) > len(shown):
        console().print(f"and {len(order) - len(shown)} more in search.csv", style="dim")
    constant = {name: value for name, value in found.settings[0].items() if name not in varied}
    if constant:
        console().print(f"all with {escape(_told(constant))}", style="dim", soft_wrap=True)
    told = f"{metric}: mean over {len(plan.splits)} folds; SE: its standard error, "
    told += "and the interval, " if wide else ""
    told += "corrected for training sets that overlap (Nadeau & Bengio 2003); fit s: a network's share of the time, in "
    told += "seconds."
    if found.simplest is not None:
        told += " 1-SE: the simplest setting within one SE of the best"
        told += "." if refit != "best" else "; --refit one-standard-error chooses it."
    console().print(f"\n{told}\n", style="dim")


def _mark(index: int, found: Found) -> str:
    names = [(found.best, "best"), (found.simplest, "1-SE"), (found.chosen, "chosen")]
    return ", ".join(name for place, name in names if place == index)


def _print_optimism(plan: Plan, found: Found, grid_file: Path) -> None:
    n = len(found.settings)
    if n == 1:
        return
    told = f"The setting was chosen among {n} on these very folds, so its score on them is optimistic"
    if plan.test is not None:
        told += "; that of the test series is not"
    else:
        told += ": set series aside by --split or --test, or"
        told += f" repeat the search in every fold, throughtime.nested_cross_validate with the grid of {grid_file.name}"
    console().print(f"\n[yellow]{escape(told)}.[/yellow]")


def _varied(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The parameters that are not the same in all settings; all of them when there is one setting."""
    first = settings[0]
    return [name for name in first if any(setting[name] != first[name] for setting in settings)] or list(first)


def _told(setting: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_word(value)}" for name, value in setting.items())


def _word(value: Any) -> str:
    """A value as it is written: drawn numbers to four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return " ".join(f"{key}={share:g}" for key, share in value.items())
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _reasons(told: object) -> list[str]:
    """What the fits failed with: the last line of every traceback in scikit-learn's message."""
    found = re.findall(r"^(?:[\w.]+\.)?\w*(?:Error|Exception): (.+)$", str(told), re.MULTILINE)
    return list(dict.fromkeys(found)) or [str(told).strip().splitlines()[-1]]


def _table(results: Mapping[str, Any]) -> dict[str, Any]:
    """``cv_results_`` as columns of numbers and text."""
    table: dict[str, Any] = {}
    for name, column in results.items():
        if name == "params":
            continue
        values = column.tolist()  # of a masked array, None where a setting has no such parameter
        if len({type(value) for value in values if value is not None}) > 1 or any(isinstance(v, dict) for v in values):
            values = [None if value is None else _word(value) for value in values]
        table[name] = values
    return table
