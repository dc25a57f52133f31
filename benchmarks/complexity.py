"""The complexity curve: validation finds the number of units that is best on fresh series, or the one beside it.

``python benchmarks/complexity.py`` fits GRUs of 1 to 128 units on planted series, two bits' parity with a tenth of the
classes flipped, and writes training, out-of-fold and fresh log loss to ``results/complexity.csv``, a row per size.
"""

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from recording import cpu_model, write_rows

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "planted"))

from verdict_cases import Case, Plan, pulses

from counterfactuals import losses_of
from throughtime import validation_curve
from throughtime.estimators import fit_members

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
SERIES, FRESH, FOLDS = 160, 2000, 5
PLAN = Plan(partial(pulses, bits=2, channels=3, amplitude=1.6, flips=0.1), SERIES, {"lr": 0.01, "max_epochs": 60})


def measure(repeat: int, seeds: int) -> list[dict[str, Any]]:
    """The curve of one data set, a row per size; losses are means over seeds of the networks' weights."""
    rng = np.random.default_rng(repeat)
    case = Case("complexity", repeat, PLAN, PLAN.law(rng, SERIES))
    X, y, fresh = case.drawn.X, case.drawn.y, PLAN.law(rng, FRESH)
    curves = []
    for seed in range(seeds):
        net = case.estimator.set_params(random_state=seed)
        curves.append(validation_curve(net, X, y, param_name="hidden_size", param_range=SIZES, cv=FOLDS,
                                       scoring="neg_log_loss"))  # fmt: skip
    train, validation = (-np.mean(scores, axis=(0, 2)) for scores in zip(*curves, strict=True))
    nets = [clone(case.estimator).set_params(hidden_size=n, random_state=seed) for n in SIZES for seed in range(seeds)]
    fitted = np.array(fit_members(nets, X, y), dtype=object).reshape(-1, seeds)
    truth = [losses_of(case, list(row), fresh.X, fresh.y).raw.mean() for row in fitted]
    return [
        {"data_set": repeat, "hidden_size": size, "train": f"{a:.4f}", "validation": f"{b:.4f}", "fresh": f"{c:.4f}"}
        for size, a, b, c in zip(SIZES, train, validation, truth, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-sets", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=4, help="of the networks, per size")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    machine = {"cpu": cpu_model(), "cores": os.cpu_count()}
    rows: list[dict[str, Any]] = []
    for repeat in range(options.data_sets):
        own = measure(repeat, options.seeds)
        losses = {name: [float(one[name]) for one in own] for name in ("validation", "fresh")}
        validation, fresh = (int(np.argmin(losses[name])) for name in ("validation", "fresh"))
        found = {
            "best_by_validation": SIZES[validation],
            "best_on_fresh": SIZES[fresh],
            "apart": abs(validation - fresh),
        }
        rows += [one | found | machine for one in own]
        write_rows("complexity.csv", rows)
        print(repeat, *(f"{one['hidden_size']}: {one['train']}/{one['validation']}/{one['fresh']}" for one in own))
        print("  lowest at", found, flush=True)


if __name__ == "__main__":
    main()
