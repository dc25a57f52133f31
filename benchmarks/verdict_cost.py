"""What a diagnosis costs: over the training of its members, in ten-fold cross-validations, and under a budget.

``python benchmarks/verdict_cost.py`` writes a row per planted case to ``results/verdict_cost.csv``.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from recording import cpu_model, write_rows

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "planted"))

from verdict_cases import case

from throughtime import cross_validate
from throughtime.estimators import fit_requests
from throughtime.generalization import diagnose
from throughtime.generalization.diagnosis import experiment

KINDS = ("healthy", "over-fit", "noise-limited", "healthy regression", "not optimized steps")
#: Of the case whose members are the dearest, with as many repeats as would take minutes.
BUDGET_KIND, MANY_REPEATS = "noise-limited", 200


def measure(kind: str, rounds: int) -> dict[str, Any]:
    """Medians of rounds, in which all sides take turns; without racing, which saves what it saves."""
    one = case(kind, 0)
    X, y, net = one.drawn.X, one.drawn.y, one.estimator
    times: list[tuple[float, float, float]] = []
    for _ in range(rounds):
        trained = 0.0

        def timed(*arguments: Any, **options: Any) -> Any:
            nonlocal trained
            begin = time.perf_counter()
            results = fit_requests(*arguments, **options)
            trained += time.perf_counter() - begin
            return results

        begin = time.perf_counter()
        with mock.patch.object(experiment, "fit_requests", timed):
            found = diagnose(net, X, y, racing=False)
        whole, begin = time.perf_counter() - begin, time.perf_counter()
        cross_validate(net, X, y, cv=10)
        times.append((whole, trained, time.perf_counter() - begin))
    whole, trained, ten_folds = np.median(times, axis=0)
    ratios = np.median([(a / b, a / c) for a, b, c in times], axis=0)
    return {
        "case": kind,
        "members": found.members,
        "diagnose_s": f"{whole:.2f}",
        "training_s": f"{trained:.2f}",
        "over_training": f"{ratios[0]:.3f}",
        "ten_fold_s": f"{ten_folds:.2f}",
        "ten_folds": f"{ratios[1]:.1f}",
        "budget_s": "",
        "target": 1.1,
    }


def within(budget: float) -> dict[str, Any]:
    """How long a diagnosis takes that would take longer."""
    one = case(BUDGET_KIND, 0)
    begin = time.perf_counter()
    found = diagnose(one.estimator, one.drawn.X, one.drawn.y, repeats=MANY_REPEATS, budget=budget, racing=False)
    return {
        "case": f"{BUDGET_KIND}, {MANY_REPEATS} repeats asked for",
        "members": found.members,
        "diagnose_s": f"{time.perf_counter() - begin:.2f}",
        "budget_s": budget,
        "target": 1.1 * budget,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--budget", type=float, default=60.0, help="seconds")
    options = parser.parse_args()
    machine = {"cpu": cpu_model(), "cores": os.cpu_count()}
    rows = [measure(kind, options.rounds) for kind in KINDS]
    rows.append(dict.fromkeys(rows[0], "") | within(options.budget))
    for row in rows:
        print(*row.values(), sep="\t")
    write_rows("verdict_cost.csv", [row | machine for row in rows])


if __name__ == "__main__":
    main()
