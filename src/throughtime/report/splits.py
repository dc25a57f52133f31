"""How the series were divided, and what the folds have in common that they should not."""

from collections.abc import Sequence

from throughtime.generalization import leakage_in_words
from throughtime.report.parts import Absent, Facts, Line, Part, Table
from throughtime.report.subject import Subject
from throughtime.study import Run


def splits(subject: Subject) -> Sequence[Part]:
    """Folds and test, and the checks for leakage."""
    run = subject.run
    train = [fold.n_train for fold in run.folds]
    held = [fold.n_test for fold in run.folds]
    config, unit = run.config, unit_of(run)
    test = "none"
    if run.test_predictions is not None:
        n = len(set(run.test_predictions["series"].tolist()))
        where = f"{config['split']:.0%} set aside" if config["split"] is not None else config["test"]
        test = f"{n} series, {where}"
    rows = (
        ("folds", f"{len(run.folds)}" if isinstance(config["cv"], int) else f"{len(run.folds)} ({config['cv']})"),
        ("trained on, per fold", f"{_range(train)} {unit}"),
        ("held out, per fold", f"{_range(held)} {unit}"),
        ("test", test),
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


def _range(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"
