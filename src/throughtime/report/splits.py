"""How the series were divided, and what the folds have in common that they should not."""

from collections.abc import Sequence

from throughtime.generalization import leakage_in_words
from throughtime.report.description import Described, described
from throughtime.report.parts import Absent, Facts, Line, Part, Table
from throughtime.report.subject import Subject
from throughtime.study import Run


def splits(subject: Subject) -> Sequence[Part]:
    """Folds and test, and the checks for leakage."""
    run = subject.run
    train = [fold.n_train for fold in run.folds]
    held = [fold.n_test for fold in run.folds]
    config, unit = run.config, unit_of(run)
    rows = (
        ("folds", f"{len(run.folds)}" if isinstance(config["cv"], int) else f"{len(run.folds)} ({config['cv']})"),
        ("trained on, per fold", f"{_counted(train, unit)}"),
        ("held out, per fold", f"{_counted(held, unit)}"),
        ("test", _test(run)),
        ("networks per fold", str(run.seeds)),
    )
    parts: list[Part] = [Facts(rows)]
    if not run.findings:
        return [*parts, Absent("This run, of an early version, was not checked for leakage.", "throughtime fit SOURCE")]
    checks = tuple((f"{one.code} {one.title}", one.verdict, one.detail) for one in run.findings)
    leaks = any(one.verdict == "found" and one.severity == "error" for one in run.findings)
    parts.append(Line(f"Leakage: {leakage_in_words(run.findings)}.", "bad" if leaks else "plain"))
    return [*parts, Table("What was looked for in the folds", ("check", "verdict", "where"), checks)]


def unit_of(run: Run) -> str:
    """What the folds count and keep whole: each series, or several of them."""
    if all(fold.n_test == len(fold.test) and fold.n_train == len(fold.train) for fold in run.folds):
        return "series"
    return "groups" if run.out_of_fold is None or "group" in run.out_of_fold else "blocks of time"


def _test(run: Run) -> str:
    """How many series are for the test and how many are left, as what was asked for does not say of whole groups."""
    if run.test_predictions is None:
        return "none"
    config, test, train = run.config, described(run, "test"), described(run)
    tested = _series(test) if test is not None else f"{len(set(run.test_predictions['series'].tolist()))} series"
    if config["split"] is None:
        return f"{tested}, {config['test']}"
    left = "" if train is None else f", {_series(train)} left to train on"
    units = "groups" if "group" in run.test_predictions else "series"
    return f"{tested}{left}; asked for {100 * config['split']:g} % of the {units}"


def _series(facts: Described) -> str:
    groups = "" if facts.n_groups is None else f" ({_counted([facts.n_groups], 'groups')})"
    return f"{facts.n_series} series{groups}"


def _counted(counts: Sequence[int], units: str) -> str:
    low, high = min(counts), max(counts)
    if high == 1:
        units = units.replace("groups", "group").replace("blocks", "block")
    return f"{low} {units}" if low == high else f"{low} to {high} {units}"
