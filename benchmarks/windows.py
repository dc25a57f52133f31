"""What random folds of windows seem to reach, beside folds by person: the watch set, three seeds.

``python benchmarks/windows.py`` cuts the recordings of ten people into windows of 128 steps, 64 apart, and trains a GRU
of 64 units on five folds of either kind; ``results/windows.csv``, which `docs/guide/windows.md` shows. The networks of
a kind train in lockstep.
"""

import os
import warnings

import numpy as np
import torch

from recording import cpu_model, write_rows
from throughtime import SequenceClassifier, evaluate, read
from throughtime.errors import DataWarning
from throughtime.generalization import leakage_in_words

FOLDS = {"at random": "kfold:5", "by person": "group:5"}
SEEDS, EPOCHS = 3, 5
WINDOW, STRIDE = 128, 64


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # of steps at the ends, too few for a window
        watch = read("watch", window=WINDOW, stride=STRIDE)
    gru = SequenceClassifier(cell="gru", hidden_size=64, max_epochs=EPOCHS, random_state=0)
    rows = []
    for folds, cv in FOLDS.items():
        study = evaluate(gru, watch, cv=cv, seeds=SEEDS, baselines=False)
        for seed, by_fold in enumerate(study.metrics.models[-1].validation["accuracy"]):
            rows.append(
                {
                    "folds": folds,
                    "seed": seed,
                    "accuracy": f"{np.mean(by_fold):.4f}",
                    "lowest_fold": f"{min(by_fold):.4f}",
                    "highest_fold": f"{max(by_fold):.4f}",
                    "found": leakage_in_words(study.findings),
                    "windows": len(watch.X),
                    "epochs": EPOCHS,
                    "cpu": cpu_model(),
                    "cores": os.cpu_count(),
                    "numpy": np.__version__,
                    "torch": torch.__version__,
                }
            )
            print({key: rows[-1][key] for key in list(rows[-1])[:6]}, flush=True)
    write_rows("windows.csv", rows)


if __name__ == "__main__":
    main()
