"""Validation in lockstep beside scikit-learn's loops over skorch: the same networks, steps and folds.

``python benchmarks/validation.py`` cross-validates, leaves one out and searches a grid on japanese-vowels (270 ragged
series), and trains 10 to 1,000 members; ``results/validation.csv``. ``--quick`` takes one pair of few epochs and writes
nothing.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
from functools import partial
from importlib.metadata import version
from itertools import product
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import LeaveOneOut, StratifiedKFold
from sklearn.model_selection import cross_validate as one_by_one

from peers.skorch_net import arrays, classifier
from recording import cpu_model, write_rows
from throughtime import LockstepSearchCV, SequenceClassifier, cross_validate, fit_members, load
from throughtime.kernels import CELLS, Kind
from throughtime.parameters import CellName
from timing import Call, paired, ratios, rested_seconds, seconds
from timing.peak import peak

KINDS: dict[CellName, Kind] = {"gru": "gru", "lstm": "lstm"}
#: cell, units, how many times faster than skorch
FOLDS: tuple[tuple[CellName, int, float], ...] = (("gru", 32, 20), ("gru", 64, 15), ("lstm", 64, 6))
GRID = {"lr": [0.003, 0.01, 0.03], "weight_decay": [0.0, 0.1, 1.0]}
MEMBERS = (10, 100, 1000)

Row = dict[str, Any]


class Contest:
    """Ours and skorch on the same series; ``accuracy`` keeps what each side's last call reached."""

    def __init__(self, cell: CellName, hidden_size: int, epochs: int) -> None:
        self.X, y = load("japanese-vowels", split="train")
        self.y = np.unique(np.asarray(y), return_inverse=True)[1]
        self.padded = arrays(self.X)
        self.model = SequenceClassifier(cell=cell, hidden_size=hidden_size, max_epochs=epochs, random_state=0)
        self.nets = {
            packed: classifier(cell, self.X.n_channels, 9, hidden_size, epochs, packed) for packed in (False, True)
        }
        self.accuracy = {"ours": 0.0, "theirs": 0.0}

    def ours(self, splits: list[Any]) -> None:
        """Cross-validate in lockstep."""
        self.accuracy["ours"] = float(cross_validate(self.model, self.X, self.y, cv=splits)["test_score"].mean())

    def search(self, splits: list[Any]) -> None:
        """Search the grid in lockstep; the accuracy is of the setting that the peer is timed on."""
        found = LockstepSearchCV(self.model, GRID, cv=splits, refit=False).fit(self.X, self.y)
        at_peers_setting = found.cv_results_["params"].index({"lr": 0.01, "weight_decay": 0.0})
        self.accuracy["ours"] = float(found.cv_results_["mean_test_score"][at_peers_setting])

    def operations(self, splits: list[Any]) -> float:
        """Multiplications and additions of the matrix products of training alone, without gradients of x."""
        steps = sum(int(self.X.lengths[train].sum()) for train, _ in splits)
        hidden = int(self.model.hidden_size)
        rows = 2.0 * self.model.max_epochs * steps * len(CELLS[KINDS[self.model.cell]].gates) * hidden
        found: float = rows * (2 * self.X.n_channels + 3 * hidden)
        return found

    def theirs(self, splits: list[Any], setting: tuple[bool, int, int]) -> None:
        """Cross-validate one after the other, or in two processes."""
        packed, n_jobs, threads = setting
        before = torch.get_num_threads()
        torch.set_num_threads(threads)  # joblib's workers take cores / n_jobs each
        found = one_by_one(self.nets[packed], self.padded, self.y, cv=splits, n_jobs=n_jobs, error_score="raise")
        torch.set_num_threads(before)
        self.accuracy["theirs"] = float(found["test_score"].mean())

    def best_setting(self, splits: list[Any]) -> tuple[bool, int, int]:
        """The peer's fastest: padded or packed, one or two processes, one or two threads; workers started before."""
        settings = [
            (packed, n_jobs, threads) for packed, (n_jobs, threads) in product((False, True), ((1, 1), (1, 2), (2, 1)))
        ]
        self.theirs(splits[:2], settings[-1])
        return min(settings, key=lambda setting: seconds(lambda: self.theirs(splits, setting)))


def row(
    task: str,
    contest: Contest,
    ours: Call,
    splits: list[Any],
    scale: float,
    target: float,
    operations: float,
    rounds: int,
) -> Row:
    """Pairs of both sides; the peer's seconds are multiplied with what it was spared."""
    setting = contest.best_setting(splits[:4])
    ours()
    best = peak(os.cpu_count() or 1)
    mine, other = paired(ours, lambda: contest.theirs(splits, setting), rounds, rested_seconds)
    best = max(best, peak(os.cpu_count() or 1))
    other = [scale * one for one in other]
    found = ratios(mine, other)
    return {
        "task": task,
        "cell": contest.model.cell,
        "hidden_size": contest.model.hidden_size,
        "epochs": contest.model.max_epochs,
        "ours_s": f"{statistics.median(mine):.3f}",
        "theirs_s": f"{statistics.median(other):.3f}",
        "ratio": f"{statistics.median(found):.2f}",
        "ratio_lowest": f"{min(found):.2f}",
        "ratio_highest": f"{max(found):.2f}",
        "target": target,
        "peak_gflops": f"{best / 1e9:.1f}",
        "ours_percent": f"{100 * operations / statistics.median(mine) / best:.1f}",
        "ratio_at_peak": f"{statistics.median(other) * best / operations:.1f}",
        "theirs_scaled_by": scale,
        "ours_accuracy": f"{contest.accuracy['ours']:.4f}",
        "theirs_accuracy": f"{contest.accuracy['theirs']:.4f}",
        "theirs_batches": "packed" if setting[0] else "padded",
        "theirs_processes": setting[1],
        "theirs_threads": setting[2],
    }


def many(members: int) -> tuple[float, int]:
    """Seconds per member, and the peak resident bytes of this process: GRU 16, 100 series of 12 channels, 5 epochs."""
    X, y = load("japanese-vowels", split="train")
    rows = np.random.default_rng(0).permutation(len(X))[:100]
    models = [SequenceClassifier(hidden_size=16, max_epochs=5, random_state=m) for m in range(members)]
    taken = seconds(lambda: fit_members(models, X[rows], np.asarray(y)[rows]))
    return taken / members, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one pair of few epochs, nothing written")
    parser.add_argument("--many", type=int, metavar="MEMBERS", help="time and memory of so many, in this process")
    options = parser.parse_args()
    if options.many:
        print(*many(options.many))
        return
    rounds, epochs = (1, 2) if options.quick else (3, 20)
    rows = []

    def add(
        task: str, contest: Contest, ours: Call, splits: list[Any], scale: float, target: float, operations: float
    ) -> None:
        rows.append(row(task, contest, ours, splits, scale, target, operations, rounds))
        print(" ".join(f"{key}={value}" for key, value in rows[-1].items()), flush=True)

    for cell, units, target in FOLDS:
        contest = Contest(cell, units, epochs)
        y = contest.y
        folds = list(StratifiedKFold(10, shuffle=True, random_state=0).split(y, y))
        add("10 folds", contest, partial(contest.ours, folds), folds, 1, target, contest.operations(folds))
    contest = Contest("gru", 32, min(5, epochs))
    left_out = list(LeaveOneOut().split(contest.y))
    # every tenth series, of all classes
    work = contest.operations(left_out)
    add("leave one out", contest, partial(contest.ours, left_out), left_out[::10], 10, 40, work)
    grid = Contest("gru", 32, epochs)
    add("grid of 9, 10 folds", grid, partial(grid.search, folds), folds, 9, 20, 9 * grid.operations(folds))
    for members in MEMBERS[:2] if options.quick else MEMBERS:
        command = [sys.executable, __file__, "--many", str(members)]
        taken, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        rows.append(
            dict.fromkeys(rows[0], "")
            | {
                "task": f"{members} members",
                "cell": "gru",
                "hidden_size": 16,
                "epochs": 5,
                "ours_s": f"{float(taken):.5f}",
            }
            | {"peak_gib": f"{int(peak) / 2**30:.2f}", "target": "4 GiB, seconds per member flat"}
        )
        print(f"{members} members: {float(taken):.5f} s each, {int(peak) / 2**30:.2f} GiB", flush=True)
    if options.quick:
        return
    machine = {"cpu": cpu_model(), "cores": os.cpu_count(), "isa": torch.backends.cpu.get_cpu_capability()}
    versions = {name: version(name) for name in ("torch", "scikit-learn", "skorch")}
    write_rows("validation.csv", [one | {"peak_gib": one.get("peak_gib", "")} | machine | versions for one in rows])


if __name__ == "__main__":
    main()
