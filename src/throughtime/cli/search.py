"""``throughtime search``: try every setting of a grid on all folds in lockstep, choose one, and write its run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from throughtime import study
from throughtime.cli.command_request import CommandRequest
from throughtime.cli.fit import number_of_networks, print_study, print_written, train
from throughtime.cli.grid import Grid, fitting, parse_grid, read_grid
from throughtime.cli.options import Task
from throughtime.cli.plan import place_of, plan_of, tables_of
from throughtime.cli.run_in_progress import SEARCHED, RunInProgress, begun, resumed
from throughtime.cli.screen import console, print_table, print_text
from throughtime.errors import ParameterError
from throughtime.storage import UnfinishedRun
from throughtime.study import Plan, Ranking, Refit, number, value_in_words, varied

#: Of a longer ranking the first ones are shown; the file has all.
_MOST_SETTINGS = 20
#: More parameters than these have no column each.
_MOST_COLUMNS = 3
#: Columns of a terminal from which on settings in words leave room for intervals.
_WIDE = 100


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
    report: bool = True,
) -> study.Study:
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
        As ``fit`` takes them.
    report
        Whether to write a page of the run.
    """
    if not memory_gib > 0:
        raise ParameterError(f"--memory-budget needs a number of GiB above 0, got {memory_gib:g}")
    grid = read_grid(grid_file, n_iter, flags)
    options = {
        "grid_file": str(grid_file),
        "grid": json.dumps(grid.written),  # as text, which keeps the order of its names
        "n_iter": n_iter,
        "refit": refit,
        "memory_gib": memory_gib,
        "report": report,
    }
    asked = CommandRequest("search", source, task, tables_of(data, validation, flags, config), options)
    place = place_of(source, out)
    plan, fitted = _planned(asked, grid)
    asked = asked.with_seed(plan.model.random_state)
    marks, facts = study.marks_of_plan(plan), study.run_facts(plan.model)
    n_settings = study.number_of_settings(fitted.tables, n_iter)
    with begun(place, asked, marks, facts, n_settings * len(plan.splits) + number_of_networks(plan)) as in_progress:
        return _made(plan, fitted, refit, memory_gib, in_progress)


def go_on(run: UnfinishedRun, asked: CommandRequest) -> study.Study:
    """Do what is left of a search in a run that was begun."""
    options = asked.options
    grid = parse_grid(Path(options["grid_file"]), json.loads(options["grid"]), options["n_iter"], {})
    plan, fitted = _planned(asked, grid)
    with resumed(run, study.marks_of_plan(plan)) as in_progress:
        return _made(plan, fitted, options["refit"], options["memory_gib"], in_progress)


def _planned(asked: CommandRequest, grid: Grid) -> tuple[Plan, Grid]:
    """The plan, and the grid as the data ask for it."""
    plan = plan_of(asked)
    fitted = fitting(grid, plan.config["task"], plan.train, plan.model)
    study.check_search(plan, fitted.tables, asked.options["refit"])
    return plan, fitted


def _made(plan: Plan, grid: Grid, refit: Refit, memory_gib: float, in_progress: RunInProgress) -> study.Study:
    budget = memory_gib * 2**30
    ranking = _search(plan, grid, refit, budget, in_progress)
    _print_ranking(plan, ranking, refit)
    console().print(
        f"Trained with the setting chosen ({_in_words(ranking.settings[ranking.chosen])}), beside what it must beat:\n"
    )
    finished = train(study.chosen_plan(plan, ranking), in_progress, ranking, budget)
    try:
        in_progress.finish(finished)
    finally:  # scores are worth reading though their run could not be kept
        print_study(finished)
        _print_optimism(plan, ranking, grid.path)
    print_written(in_progress.run.directory, in_progress.report)
    return finished


def _search(plan: Plan, grid: Grid, refit: Refit, budget: float, in_progress: RunInProgress) -> Ranking:
    """Train and score every setting on every fold, with what failed on the screen."""
    n_settings, n_folds = study.number_of_settings(grid.tables, grid.n_iter), len(plan.splits)
    console().print(
        f"{n_settings} settings x {n_folds} folds = {n_settings * n_folds} networks in lockstep, "
        f"as many at a time as {budget / 2**30:g} GiB hold"
    )
    names = [{"setting": setting, "fold": fold} for setting in range(n_settings) for fold in range(n_folds)]
    try:
        ranking = study.search(
            plan,
            grid.tables,
            n_iter=grid.n_iter,
            refit=refit,
            memory_budget=budget,
            checkpoints=in_progress.checkpoints,
            observers=[in_progress.metric_log(SEARCHED, names)],
            written=grid.written,
        )
    except ParameterError as error:
        raise ParameterError(f"{grid.path}: {error}") from error
    for reason in ranking.failures:
        print_text(f"some networks failed: {escape(reason)}", "red")
    console().print(f"done in {ranking.seconds:.0f} s\n")
    return ranking


def _print_ranking(plan: Plan, ranking: Ranking, refit: Refit) -> None:
    metric = plan.metrics[0]
    ranks = np.asarray(ranking.results[f"rank_test_{metric}"])
    order = np.argsort(ranks, kind="stable")
    shown = [int(index) for index in order[:_MOST_SETTINGS]]
    shown += [index for index in dict.fromkeys((ranking.chosen, ranking.simplest)) if index not in (*shown, None)]  # type: ignore[misc]
    names = varied(ranking.settings)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("rank", justify="right", no_wrap=True)
    by_column = len(names) <= _MOST_COLUMNS
    for name in names if by_column else ["setting"]:
        table.add_column(name, overflow="fold", justify="right" if by_column else "left")
    wide = by_column or console().width >= _WIDE
    for name in (metric, "SE", *(["95 % interval"] if wide else []), "fit s"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for index in shown:
        setting, interval = {name: ranking.settings[index][name] for name in names}, ranking.intervals[index]
        low, high = interval.low, interval.high
        table.add_row(
            f"{ranks[index]}" if np.isfinite(interval.mean) else "-",
            *(
                [escape(value_in_words(value)) for value in setting.values()]
                if by_column
                else [escape(_in_words(setting))]
            ),
            number(interval.mean),
            number(float(ranking.errors[index])),
            *([] if not wide else ["-" if low is None or high is None else f"{number(low)} to {number(high)}"]),
            f"{ranking.results['mean_fit_time'][index]:.2f}",
            _mark(index, ranking),
            style="bold" if index == ranking.chosen else None,
        )
    print_table(table)
    if len(order) > len(shown):
        console().print(f"and {len(order) - len(shown)} more in search.csv", style="dim")
    constant = {name: value for name, value in ranking.settings[0].items() if name not in names}
    if constant:
        print_text(f"all with {escape(_in_words(constant))}", "dim")
    line = f"{metric}: mean over {len(plan.splits)} folds; SE: its standard error, "
    line += "and the interval, " if wide else ""
    line += "corrected for training sets that overlap (Nadeau & Bengio 2003); fit s: a network's part of the time, in "
    line += "seconds."
    if ranking.simplest is not None:
        line += " 1-SE: the simplest setting within one SE of the best"
        line += "." if refit != "best" else "; --refit one-standard-error chooses it."
    console().print(f"\n{line}\n", style="dim")


def _mark(index: int, ranking: Ranking) -> str:
    names = [(ranking.best, "best"), (ranking.simplest, "1-SE"), (ranking.chosen, "chosen")]
    return ", ".join(name for place, name in names if place == index)


def _print_optimism(plan: Plan, ranking: Ranking, grid_file: Path) -> None:
    n = len(ranking.settings)
    if n == 1:
        return
    line = f"The setting was chosen among {n} on these very folds, so its score on them is optimistic"
    if plan.test is not None:
        line += "; that of the test series is not"
    else:
        line += ": set series aside by --split or --test, or"
        line += f" repeat the search in every fold, throughtime.nested_cross_validate with the grid of {grid_file.name}"
    console().print(f"\n[yellow]{escape(line)}.[/yellow]")


def _in_words(setting: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value_in_words(value)}" for name, value in setting.items())
