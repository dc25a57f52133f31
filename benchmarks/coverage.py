"""How often intervals miss: the true error of least squares lies outside a nominal 90 % interval so often.

``python benchmarks/coverage.py`` draws data sets of n examples with p standard normal features and unit noise, fits
least squares without an intercept, and asks of each interval of its 10-fold squared error whether it holds the true
error of the fit on all n examples, 1 + |coefficients' error|^2. Rates and their Monte Carlo errors go to
``results/coverage.csv``.

The setting is that of Bates, Hastie & Tibshirani (2024), https://arxiv.org/abs/2104.00673, figures 1 and 5. Leaving
examples out of least squares is a matter of the hat matrix, so that no model is fitted twice.
"""

import argparse
import os
import time

import numpy as np
from numpy.typing import NDArray

from recording import write_rows
from throughtime.generalization.intervals import Interval, corrected_interval, naive_interval, nested_interval

LEVEL = 0.9
FOLDS = 10
FEATURES = 20
#: what generalization.md, after the paper, expects
EXPECTED = {(40, "naive"): 0.37, (100, "naive"): 0.19, (400, "naive"): 0.127, (100, "nested"): 0.087}

Array = NDArray[np.float64]


class LeastSquares:
    """A data set, the least squares fit of all of it, and the errors of what any examples were left out of."""

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        x, noise = rng.normal(size=(n, FEATURES)), rng.normal(size=n)
        # the coefficients are zero: least squares errs alike whatever they are
        basis, _ = np.linalg.qr(x)
        coefficients = np.linalg.lstsq(x, noise, rcond=None)[0]
        self.true_error = 1 + float(coefficients @ coefficients)
        self.hat = basis @ basis.T
        self.residual = noise - self.hat @ noise

    def errors(self, rows: NDArray[np.intp]) -> Array:
        """Squared errors of some examples by the fit without them."""
        left_out = np.eye(len(rows)) - self.hat[np.ix_(rows, rows)]
        squared: Array = np.linalg.solve(left_out, self.residual[rows]) ** 2
        return squared


def intervals(n: int, rng: np.random.Generator, repeats: int) -> tuple[float, dict[str, Interval]]:
    """The true error, and each kind of interval of the same data set."""
    data = LeastSquares(n, rng)
    outer, inner = [], []
    for _ in range(max(1, repeats)):
        folds = np.array_split(rng.permutation(n), FOLDS)
        outer.append([data.errors(fold) for fold in folds])
        if not repeats:
            break
        within: list[list[Array]] = [[np.empty(0)] * FOLDS for _ in range(FOLDS)]
        for k in range(FOLDS):
            for j in range(k):
                both = data.errors(np.concatenate([folds[k], folds[j]]))
                within[j][k], within[k][j] = both[: len(folds[k])], both[len(folds[k]) :]
        inner.append(within)
    folds_mean = [float(fold.mean()) for fold in outer[0]]
    found = {
        "naive": naive_interval(np.concatenate(outer[0]), LEVEL),
        "corrected t": corrected_interval(folds_mean, n - n // FOLDS, n // FOLDS, LEVEL),
    }
    if repeats:
        found["nested"] = nested_interval(outer, inner, LEVEL)
    return data.true_error, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, default=4000, help="data sets a size")
    parser.add_argument("--nested-datasets", type=int, default=1000, help="of which nested intervals are made")
    parser.add_argument("--repeats", type=int, default=10, help="random folds of a nested interval")
    options = parser.parse_args()
    rows = []
    for n, datasets, repeats in (
        (40, options.datasets, 0),
        (100, options.datasets, 0),
        (400, options.datasets, 0),
        (100, options.nested_datasets, options.repeats),
    ):
        begin = time.perf_counter()
        rng = np.random.default_rng([n, repeats])
        misses: dict[str, list[bool]] = {}
        widths: dict[str, list[float]] = {}
        for _ in range(datasets):
            true_error, found = intervals(n, rng, repeats)
            for kind, interval in found.items():
                assert interval.low is not None
                assert interval.high is not None
                misses.setdefault(kind, []).append(not interval.low <= true_error <= interval.high)
                widths.setdefault(kind, []).append(interval.high - interval.low)
        for kind, missed in misses.items():
            if repeats and kind != "nested":
                continue
            rate = float(np.mean(missed))
            row = {
                "n": n,
                "features": FEATURES,
                "interval": kind,
                "nominal": f"{1 - LEVEL:.2f}",
                "missed": f"{rate:.4f}",
                "monte_carlo_error": f"{np.sqrt(rate * (1 - rate) / datasets):.4f}",
                "expected": EXPECTED.get((n, kind), ""),
                "median_width": f"{np.median(widths[kind]):.4f}",
                "datasets": datasets,
                "repeats": repeats,
                "seconds": f"{time.perf_counter() - begin:.0f}",
                "cores": os.cpu_count(),
                "numpy": np.__version__,
            }
            rows.append(row)
            print(f"n={n} {kind}: missed {rate:.3f}, nominal .10, expected {row['expected']}", flush=True)
    write_rows("coverage.csv", rows)


if __name__ == "__main__":
    main()
