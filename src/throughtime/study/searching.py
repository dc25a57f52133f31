"""Many settings on the folds of a plan, trained in lockstep, ranked, and one chosen."""

import re
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy import ndarray
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import ParameterGrid

from throughtime.errors import DataWarning, ParameterError
from throughtime.estimators import DEFAULT_BUDGET
from throughtime.generalization import (
    Interval,
    LockstepSearchCV,
    observed_targets,
    one_standard_error,
)
from throughtime.study.planning import Plan, parameters_in_config
from throughtime.study.scores import ModelScores, fold_sizes, interval_of
from throughtime.training import CheckpointsOrPath, Observer

Refit = Literal["best", "one-standard-error"]


@dataclass(frozen=True, repr=False, eq=False)
class Ranking:
    """What a search measured, and what was chosen.

    Attributes
    ----------
    results
        ``cv_results_`` of the search.
    settings
        Each setting by all parameters that any of them names.
    intervals
        Of each setting's mean score, by the first metric.
    errors
        Standard error of each mean, corrected for training sets that overlap.
    best, simplest, chosen
        Places among the settings: of the best mean, of the simplest within one standard error of it (``None`` where
        the parameters do not tell what is simple), and of the one to train.
    seconds
        What it took.
    failures
        What networks failed with, each reason once.
    config
        Plain values that a run keeps of the search.
    """

    results: dict[str, Any]
    settings: list[dict[str, Any]]
    intervals: list[Interval]
    errors: ndarray
    best: int
    simplest: int | None
    chosen: int
    seconds: float
    failures: tuple[str, ...]
    config: dict[str, Any]

    def __repr__(self) -> str:
        mean = self.intervals[self.chosen].mean
        return (
            f"Ranking of {len(self.settings)} settings, chosen {self.settings[self.chosen]} with a mean of {mean:.4g}"
        )


def search(
    plan: Plan,
    grid: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    n_iter: int | None = None,
    refit: Refit = "best",
    memory_budget: float | None = DEFAULT_BUDGET,
    checkpoints: CheckpointsOrPath | None = None,
    observers: Sequence[Observer] = (),
    written: Any = None,
) -> Ranking:
    """Train and score every setting of a grid on every fold of a plan.

    Parameters
    ----------
    plan
        With one seed.
    grid
        By parameter a list of values, or, with ``n_iter``, a distribution of scipy's; or several such tables.
    n_iter
        Settings to draw by the model's ``random_state``; ``None`` tries all.
    refit
        Which setting to choose: that of the best mean, or the simplest within one standard error of it.
    memory_budget
        Bytes that members may take at a time; ``None`` for no bound.
    checkpoints, observers
        As `fit_members` takes them; members are setting by setting, of each fold by fold.
    written
        What a run keeps of the grid; by default its values as text.

    Raises
    ------
    ParameterError
        When no setting can be trained or scored, or settings cannot be ordered for ``one-standard-error``.
    """
    tables = [dict(table) for table in ([grid] if isinstance(grid, Mapping) else grid)]
    check_search(plan, tables, refit)
    drawn = n_iter is not None
    searched = LockstepSearchCV(
        plan.model,
        param_grid=None if drawn else tables,
        param_distributions=tables if drawn else None,
        n_iter=n_iter or 10,
        random_state=plan.model.random_state,
        scoring=dict(plan.scorers),
        cv=list(plan.splits),
        refit=False,  # the chosen one trains with its folds afterwards, for their networks and predictions
        memory_budget=memory_budget,
        checkpoints=checkpoints,
    )
    weights: dict[str, Any] = {} if plan.sample_weight is None else {"sample_weight": plan.sample_weight}
    begin = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        # Of folds that have no score, which the results show; and of gradients, which the chosen one's training tells.
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("always", FitFailedWarning)
        warnings.simplefilter("default", DataWarning)
        try:
            searched.fit(plan.train.X, plan.train.y, observers=observers, **weights)
        except ValueError as error:
            if "fits failed" not in str(error):
                raise
            raise ParameterError(f"no setting could be trained: {'; '.join(_reasons(error))}") from error
    seconds = time.perf_counter() - begin
    failures: list[str] = []
    for warning in caught:
        if issubclass(warning.category, FitFailedWarning):
            failures += _reasons(warning.message)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    config = {
        "grid": [_plain(table) for table in tables] if written is None else written,
        "n_iter": n_iter,
        "refit": refit,
        "n_settings": len(searched.cv_results_["params"]),
        "seconds": seconds,
    }
    return _ranked(plan, tables, searched.cv_results_, refit, seconds, tuple(dict.fromkeys(failures)), config)


def chosen_plan(plan: Plan, ranking: Ranking) -> Plan:
    """The plan with the setting that a search chose."""
    model = clone(plan.model).set_params(**ranking.results["params"][ranking.chosen])
    config = plan.config | {"parameters": parameters_in_config(model), "search": ranking.config}
    return replace(plan, model=model, config=config)


def check_search(plan: Plan, tables: Sequence[Mapping[str, Any]], refit: Refit) -> None:
    """Refuse, before training, a search that could not be ranked.

    Raises
    ------
    ParameterError
        For several seeds, folds too small for the score, settings without an order of simplicity.
    """
    if plan.seeds > 1:
        raise ParameterError(
            f"a search trains one network per setting and fold, got seeds {plan.seeds}; fit takes seeds"
        )
    if refit not in ("best", "one-standard-error"):
        raise ParameterError(f"--refit needs best or one-standard-error, got {refit!r}")
    if not tables or not all(tables):
        raise ParameterError("--grid needs at least one parameter with values to try, got none")
    if refit == "one-standard-error":
        _refuse_unordered(_names(tables))
    metric = plan.metrics[0]
    smallest = min(len(observed_targets(plan.train.y[rows])) for _, rows in plan.splits)  # type: ignore[index]
    if smallest < 2 and metric in ("R2", "AUROC", "AUPRC"):
        raise ParameterError(
            f"a search by {metric} needs at least 2 targets in every fold, got {smallest}; use fewer folds or another "
            "--scoring"
        )


def number_of_settings(tables: Sequence[Mapping[str, Any]], n_iter: int | None) -> int:
    """How many settings a search tries."""
    return len(ParameterGrid([dict(table) for table in tables])) if n_iter is None else n_iter


def varied(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The parameters that are not the same in all settings; all of them when there is one setting."""
    first = settings[0]
    return [name for name in first if any(setting[name] != first[name] for setting in settings)] or list(first)


def _ranked(
    plan: Plan,
    tables: Sequence[Mapping[str, Any]],
    results: dict[str, Any],
    refit: Refit,
    seconds: float,
    failures: tuple[str, ...],
    config: dict[str, Any],
) -> Ranking:
    metric = plan.metrics[0]
    defaults = plan.model.get_params(deep=False)
    names = _names(tables)
    settings = [{name: setting.get(name, defaults[name]) for name in names} for setting in results["params"]]
    scores = np.array([results[f"split{fold}_test_{metric}"] for fold in range(len(plan.splits))], dtype=float).T
    means = np.asarray(results[f"mean_test_{metric}"], dtype=float)
    if not np.isfinite(means).any():
        raise ParameterError("no setting has a score on every fold; choose fewer folds or a --scoring")
    intervals = [
        interval_of(ModelScores("", {metric: [row.tolist()]}, {}, {}, {}), metric, plan.splits, plan.units)
        if np.isfinite(mean)
        else Interval(float("nan"), None, None, 0.95, "a fold has no score")
        for row, mean in zip(scores, means, strict=True)
    ]
    n_train, n_test = (np.array(sizes) for sizes in fold_sizes(plan.splits, plan.units))
    ratio = float(np.mean(n_test / n_train))
    errors = np.sqrt(scores.var(axis=1, ddof=1) * (1 / len(plan.splits) + ratio))
    simple = partial(one_standard_error, metric=metric, test_to_train=ratio)
    simplest = simple(results | {"params": settings}) if _is_ordered(names) else None
    best = int(np.nanargmax(means))
    chosen = best if refit == "best" or simplest is None else simplest
    return Ranking(results, settings, intervals, errors, best, simplest, chosen, seconds, failures, config)


def _names(tables: Iterable[Mapping[str, Any]]) -> list[str]:
    """The parameters that any of the tables names, in their order."""
    return list(dict.fromkeys(name for table in tables for name in table))


def _is_ordered(names: Sequence[str]) -> bool:
    """Whether the parameters tell which of two settings is the simpler one."""
    try:
        _refuse_unordered(names)
    except ParameterError:
        return False
    return True


def _refuse_unordered(names: Sequence[str]) -> None:
    """Say before training what ``one_standard_error`` would say after it."""
    equal = np.zeros(1)
    results = {"params": [dict.fromkeys(names, 0.0)], "mean_test_score": equal}
    try:
        one_standard_error(results | {"split0_test_score": equal, "split1_test_score": equal})
    except ParameterError as error:
        rule = str(error).removesuffix("; give complexity").removeprefix("one_standard_error ")
        raise ParameterError(f"--refit one-standard-error {rule}; use --refit best") from error


def _reasons(message: object) -> list[str]:
    """What the fits failed with: the last line of every traceback in scikit-learn's message."""
    lines = re.findall(r"^(?:[\w.]+\.)?\w*(?:Error|Exception): (.+)$", str(message), re.MULTILINE)
    return list(dict.fromkeys(lines)) or [str(message).strip().splitlines()[-1]]


def _plain(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table of a grid as plain values; a distribution by what scipy calls it and its arguments."""
    return {
        name: f"{choice.dist.name}{choice.args}" if hasattr(choice, "dist") else [_value(value) for value in choice]
        for name, choice in table.items()
    }


def _value(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
