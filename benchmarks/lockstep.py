"""Folds in lockstep against the same folds one after another, through this code: the ratio of the two.

``python benchmarks/lockstep.py`` trains the folds of a ten-fold cross-validation on japanese-vowels (270 ragged series)
both ways, in turn, and writes the median ratio per size to ``results/lockstep.csv``; and ten members of which one has
noise against ten without, to ``results/neighbor.csv``. ``THROUGHTIME_ISA=reference`` takes
the pure-torch path instead of the C++ kernels.
"""

import argparse
import os
import statistics
import time

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold

from recording import cpu_model, write_rows
from throughtime import SequenceClassifier, load
from throughtime.estimators import fit_members
from throughtime.parameters import CellName

SIZES: tuple[tuple[CellName, int], ...] = (
    ("gru", 16),
    ("gru", 32),
    ("gru", 64),
    ("lstm", 32),
    ("lstm", 64),
    ("rnn", 32),
)


def measure(cell: CellName, hidden_size: int, n_splits: int, epochs: int, repeats: int) -> dict[str, object]:
    """Seconds each way and their ratio, pair by pair; both ways give the same weights, bit for bit."""
    X, y = load("japanese-vowels", split="train")
    assert isinstance(y, np.ndarray)
    folds = list(StratifiedKFold(n_splits, shuffle=True, random_state=0).split(np.zeros(len(y)), y))
    model = SequenceClassifier(cell=cell, hidden_size=hidden_size, max_epochs=epochs, random_state=0)
    together, apart = [], []
    for _ in range(repeats):
        begin = time.perf_counter()
        members = fit_members([model] * n_splits, X, y, train_indices=[train for train, _ in folds])
        together.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        alone = [fit_members([model], X[train], y[train])[0] for train, _ in folds]
        apart.append(time.perf_counter() - begin)
    for one, other in zip(members, alone, strict=True):
        assert isinstance(one, SequenceClassifier)
        assert isinstance(other, SequenceClassifier)
        pairs = zip(one.module_.state_dict().values(), other.module_.state_dict().values(), strict=True)
        if not all(torch.equal(a, b) for a, b in pairs):
            raise AssertionError("a member trained in lockstep is not the one trained alone")
    ratios = [a / b for a, b in zip(apart, together, strict=True)]
    return {
        "cell": cell,
        "hidden_size": hidden_size,
        "folds": n_splits,
        "epochs": epochs,
        "lockstep_s": f"{statistics.median(together):.3f}",
        "one_by_one_s": f"{statistics.median(apart):.3f}",
        "ratio": f"{statistics.median(ratios):.2f}",
        "ratio_lowest": f"{min(ratios):.2f}",
        "ratio_highest": f"{max(ratios):.2f}",
    }


def measure_neighbor(noise: str, rate: float, epochs: int, repeats: int) -> dict[str, object]:
    """Seconds of ten folds of a GRU with 32 units, and of the same where one has noise."""
    X, y = load("japanese-vowels", split="train")
    assert isinstance(y, np.ndarray)
    folds = [train for train, _ in StratifiedKFold(10, shuffle=True, random_state=0).split(np.zeros(len(y)), y)]
    plain = SequenceClassifier(hidden_size=32, max_epochs=epochs, random_state=0)
    noisy = SequenceClassifier(hidden_size=32, max_epochs=epochs, random_state=0).set_params(**{noise: rate})
    groups = [plain] * 10, [noisy, *[plain] * 9]
    taken: tuple[list[float], list[float]] = ([], [])
    for models in groups:
        fit_members(models, X, y, train_indices=folds)  # once before the clock runs
    for _ in range(repeats):
        for models, seconds in zip(groups, taken, strict=True):
            begin = time.perf_counter()
            fit_members(models, X, y, train_indices=folds)
            seconds.append(time.perf_counter() - begin)
    ratios = [b / a for a, b in zip(*taken, strict=True)]
    return {
        "noise": f"{noise}={rate}",
        "epochs": epochs,
        "none_s": f"{statistics.median(taken[0]):.3f}",
        "one_of_ten_s": f"{statistics.median(taken[1]):.3f}",
        "ratio": f"{statistics.median(ratios):.2f}",
        "ratio_lowest": f"{min(ratios):.2f}",
        "ratio_highest": f"{max(ratios):.2f}",
    }


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "path": os.environ.get("THROUGHTIME_ISA", "kernels"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    rows = []
    for cell, hidden_size in SIZES:
        row = measure(cell, hidden_size, options.folds, options.epochs, options.repeats)
        rows.append(row | machine())
        print(
            f"{cell} {hidden_size}: {row['ratio']}x ({row['ratio_lowest']} to {row['ratio_highest']}), "
            f"{row['one_by_one_s']} s one by one, {row['lockstep_s']} s in lockstep",
            flush=True,
        )
    write_rows("lockstep.csv", rows)
    neighbors = []
    for noise, rate in (("dropout", 0.2), ("zoneout", 0.1)):
        row = measure_neighbor(noise, rate, 4 * options.epochs, options.repeats)
        neighbors.append(row | machine())
        print(f"one of ten with {row['noise']}: {row['ratio']} times the seconds of ten without", flush=True)
    write_rows("neighbor.csv", neighbors)


if __name__ == "__main__":
    main()
