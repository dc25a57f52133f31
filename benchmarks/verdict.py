"""Is the verdict of ``diagnose`` right? On planted cases, whose truth is measured on fresh series.

``python benchmarks/verdict.py`` diagnoses every case of both sets, measures which remedies help there, and writes a row
per case, as it goes, to ``results/verdict_cases.csv`` and a row per kind to ``results/verdict.csv``; README.md says how
to read them. ``--resume`` keeps what is there; ``--cases N`` takes N seeds of each kind.
"""

import argparse
import csv
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from sklearn.model_selection import train_test_split

from recording import RESULTS, cpu_model, write_rows

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "planted"))

import verdict_cases
import verdict_held_out
from verdict_cases import Case, case

from counterfactuals import Gain, Remedy, Truth, dummy_losses, losses_of, remedies, truth
from counterfactuals.truth import MARGIN
from throughtime.generalization import Diagnosis, Effect, diagnose

SETS = {"first": verdict_cases.KINDS, "second": verdict_held_out.KINDS}
#: Seeds of a kind; of "healthy" more, for the false alarms.
CASES, HEALTHY_CASES = 20, 40
#: Of a kind, how many are diagnosed a second time, without racing.
UNRACED = 4
#: What "healthy" allows of the base's loss on fresh series, in units of the dummy's: the rule's .25 and the margin.
HEALTHY = 0.25 + MARGIN
#: The gap between training and test score, as a part of the latter, that skore 0.28 (SKD001) and others warn of.
GAP = 0.10
NONE = ("healthy", "noise- or feature-limited")


def is_right(verdicts: Sequence[str], known: Truth) -> bool:
    """Whether every cause named has a remedy that helps on fresh series, and "none" is said only where none does."""
    if known.leak > MARGIN:
        return tuple(verdicts) == ("leaky",)
    rules: dict[str, Callable[[], bool]] = {
        "leaky": lambda: False,
        "no signal": lambda: known.skill < MARGIN,
        "healthy": lambda: not known.causes and known.tempered < HEALTHY,
        "noise- or feature-limited": lambda: known.causes <= {"noise- or feature-limited"},
    }
    return all(rules.get(name, lambda name=name: name in known.causes)() for name in verdicts)


def measure(which: str, kind: str, seed: int) -> dict[str, Any]:
    """The row of one case."""
    one = case(kind, seed, SETS[which])
    found = diagnosed(one, racing=True)
    begin = time.perf_counter()
    known = truth(one, more_remedies(one, found))
    seconds = time.perf_counter() - begin
    whole = diagnosed(one, racing=False) if seed < UNRACED else None
    intervals, doubling = covered(found, known)
    remedy = None if found.remedy is None else gain_of(found.remedy.probe, known)
    gap, skore = peers(one)
    return {
        "set": which,
        "kind": kind,
        "seed": seed,
        "n": one.plan.n,
        "verdict": found.verdict,
        "right": int(is_right(found.verdicts, known)),
        "causes": "+".join(sorted(known.causes)),
        "base": f"{known.base:.3f}",
        "tempered": f"{known.tempered:.3f}",
        "skill": f"{known.skill:.3f}",
        "leak": f"{known.leak:.3f}",
        "remedy": "" if found.remedy is None else found.remedy.probe,
        "remedy_gain": "" if remedy is None else f"{max(remedy.raw, remedy.tempered):.3f}",
        "intervals": len(intervals),
        "covered": sum(intervals),
        "doubling_covered": "" if doubling is None else int(doubling),
        "members": found.members,
        "saved": found.members_saved,
        "verdict_without_racing": "" if whole is None else whole.verdict,
        "skore": skore,
        "skore_right": int(is_right([skore], known)),
        "gap_rule": gap,
        "gap_rule_right": int(is_right([gap], known)),
        "diagnose_s": f"{found.seconds:.2f}",
        "truth_s": f"{seconds:.2f}",
    }


def diagnosed(one: Case, racing: bool) -> Diagnosis:
    """The diagnosis of a case; its probes are those asked for as well."""
    drawn, parameters = one.drawn, one.estimator.get_params()
    asked = [name for name in one.plan.asked if name.partition(":")[0] in parameters]
    return diagnose(one.estimator, drawn.X, drawn.y, groups=drawn.groups, cv=one.plan.cv, probes=["auto", *asked],
                    racing=racing, random_state=one.seed)  # fmt: skip


def more_remedies(one: Case, found: Diagnosis) -> list[Remedy]:
    """Settings that a diagnosis tried besides, such as augmentations, features, and two remedies at once."""
    known = {remedy.name for remedy in remedies(one)}
    settings = [effect for effect in found.effects if effect.parameters and effect.probe not in known]
    return [Remedy(effect.probe, effect.cause, effect.parameters, one.drawn) for effect in settings]


def gain_of(probe: str, known: Truth) -> Gain | None:
    """What is true of a probe of ``diagnose``."""
    return next((gain for gain in known.gains if gain.remedy == probe), None)


def covered(found: Diagnosis, known: Truth) -> tuple[list[bool], bool | None]:
    """Whether each interval holds the true gain, in the loss that it was judged by; and that of twice the data."""

    def holds(effect: Effect) -> bool | None:
        gain = gain_of(effect.probe, known)
        if gain is None or known.leak > MARGIN:  # of folds that leak no gain is true
            return None
        true = gain.raw if effect.loss == found.loss_name else gain.tempered
        return bool(effect.low <= true * found.chance <= effect.high)

    by_name = {effect.probe: holds(effect) for effect in found.effects}
    doubling = by_name.pop("twice the data", None)
    return [one for one in by_name.values() if one is not None], doubling


def peers(one: Case) -> tuple[str, str]:
    """Verdicts from the curve of one fit on four fifths: the plain gap rule's, and skore's, by its published rules.

    skore's SKD001 is over-fitting where training beats test by 10 % in most metrics, SKD002 under-fitting where neither
    beats a dummy by 10 %; both are applied here to the loss and the bounded loss, as skore is not installed.
    """
    X, y = one.drawn.X, one.drawn.y
    train, test = train_test_split(np.arange(len(X)), test_size=0.2, random_state=one.seed)
    fitted = one.estimator.fit(X[train], y[train])
    sides = [losses_of(one, [fitted], X[rows], y[rows]) for rows in (train, test)]
    dummies = [dummy_losses(one, y[rows]) for rows in (train, test)]
    (fit, seen), (low, chance) = (
        [[float(getattr(side, kind).mean()) for kind in ("raw", "bounded")] for side in pair]
        for pair in (sides, dummies)
    )
    if seen[0] - fit[0] > GAP * chance[0]:
        gap = "over-fit"
    else:
        gap = "under-fit" if fit[0] > (1 - GAP) * low[0] else "healthy"
    over = [seen[i] > (1 + GAP) * fit[i] for i in range(2)]
    under = [max(fit[i] / low[i], seen[i] / chance[i]) > 1 - GAP for i in range(2)]
    skore = "under-fit" if all(under) else "over-fit" if all(over) else "healthy"
    return gap, skore


def summary(rows: Sequence[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """One row per kind, per set, of all healthy ones and of all."""
    parts: list[tuple[str, str, list[Mapping[str, Any]]]] = []
    for which in SETS:
        own = [row for row in rows if row["set"] == which]
        parts += [(which, kind, [row for row in own if row["kind"] == kind]) for kind in SETS[which]]
        parts += [(which, "all", own)]
    parts += [
        ("both", "healthy, all", [row for row in rows if row["kind"].startswith("healthy")]),
        ("both", "all", [*rows]),
    ]
    for which, kind, own in parts:
        if own:
            yield {"set": which, "kind": kind} | figures(own)


def figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is demanded, of some cases."""
    conclusive = [row for row in rows if row["verdict"] != "inconclusive"]
    right = sum(int(row["right"]) for row in conclusive)
    low, high = (
        stats.binomtest(right, len(conclusive)).proportion_ci(method="wilson") if conclusive else (np.nan, np.nan)
    )
    controls = [row for row in conclusive if row["kind"].startswith("healthy")]
    alarms = sum(not int(row["right"]) and row["verdict"] not in NONE for row in controls)
    remedies = [float(row["remedy_gain"]) for row in rows if row["remedy_gain"] != ""]
    doublings = [int(row["doubling_covered"]) for row in rows if row["doubling_covered"] != ""]
    raced = [row for row in rows if row["verdict_without_racing"]]
    intervals = sum(int(row["intervals"]) for row in rows)
    members, saved = (sum(int(row[name]) for row in rows) for name in ("members", "saved"))
    return {
        "cases": len(rows),
        "right": right,
        "inconclusive": len(rows) - len(conclusive),
        "wrong": len(conclusive) - right,
        "right_of_conclusive": _part(right, len(conclusive)),
        "low": f"{low:.3f}",
        "high": f"{high:.3f}",
        "false_alarms": alarms,
        "remedies": len(remedies),
        "remedies_that_gain": sum(gain > 0 for gain in remedies),
        "intervals": intervals,
        "coverage": _part(sum(int(row["covered"]) for row in rows), intervals),
        "doublings": len(doublings),
        "doubling_coverage": _part(sum(doublings), len(doublings)),
        "saved_by_racing": _part(saved, members + saved),
        "raced_twice": len(raced),
        "same_verdict": sum(row["verdict"] == row["verdict_without_racing"] for row in raced),
        "skore_right": _part(sum(int(row["skore_right"]) for row in rows), len(rows)),
        "gap_rule_right": _part(sum(int(row["gap_rule_right"]) for row in rows), len(rows)),
        "diagnose_s": f"{np.mean([float(row['diagnose_s']) for row in rows]):.1f}",
        "truth_s": f"{np.mean([float(row['truth_s']) for row in rows]):.1f}",
    }


def _part(count: int, of: int) -> str:
    return f"{count / of:.3f}" if of else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resume", action="store_true", help="keep the rows of results/verdict_cases.csv")
    parser.add_argument("--cases", type=int, help="seeds of each kind")
    parser.add_argument("--set", choices=SETS, action="append")
    parser.add_argument("--kind", action="append")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    path = RESULTS / "verdict_cases.csv"
    rows: list[dict[str, Any]] = []
    if options.resume and path.exists():
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    done = {(row["set"], row["kind"], int(row["seed"])) for row in rows}
    wanted = [
        (which, kind, seed)
        for which, kinds in SETS.items()
        for kind in kinds
        for seed in range(options.cases or (HEALTHY_CASES if kind == "healthy" else CASES))
        if which in (options.set or SETS) and kind in (options.kind or kinds)
    ]
    # each kind's first seeds first: an interrupted run has some of everything
    left = sorted((key for key in wanted if key not in done), key=lambda key: key[2])
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(measure, *key): key for key in left}
        for count, finished in zip(itertools.count(1), as_completed(running)):
            which, kind, seed = running[finished]
            rows.append(finished.result())
            write_rows(path.name, sorted(rows, key=lambda row: (row["set"], row["kind"], int(row["seed"]))))
            row = rows[-1]
            outcome = "inconclusive" if row["verdict"] == "inconclusive" else "right" if row["right"] else "WRONG"
            print(
                f"{count}/{len(left)} {which} {kind} {seed}: {row['verdict']} ({outcome}; {row['causes']})", flush=True
            )
    machine = {"cpu": cpu_model(), "cores": os.cpu_count(), "processes": options.processes}
    table = [row | machine for row in summary(rows)]
    write_rows("verdict.csv", table)
    for row in table:
        print(*(row[name] for name in ("set", "kind", "cases", "right", "inconclusive", "wrong", "right_of_conclusive",
                                       "false_alarms", "coverage", "doubling_coverage")), sep="\t")  # fmt: skip


if __name__ == "__main__":
    main()
