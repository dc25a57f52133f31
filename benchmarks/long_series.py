"""One long series with a target each step: memory and time of an epoch with full, checkpointed and truncated BPTT.

``python benchmarks/long_series.py`` trains a forecast of a noisy sine, each case in a process of its own, and notes the
growth of the peak resident set from before ``fit``, of which the inputs are a part; ``results/long_series.csv``.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
import torch

from recording import cpu_model, write_rows
from throughtime import SequenceRegressor
from throughtime.data import Sequences

CASES = [(steps, bptt) for steps in (10_000, 100_000) for bptt in ("full", "checkpointed", "truncated")]
UNITS, CHANNELS, K2, EPOCHS = 64, 2, 200, 2


def fit(steps: int, **parameters: Any) -> SequenceRegressor:
    """Forecast the first channel five steps ahead."""
    rng = np.random.default_rng(0)
    x = (np.sin(np.arange(steps) / 7)[:, None] + 0.1 * rng.normal(size=(steps, CHANNELS))).astype("float32")
    net = SequenceRegressor(cell="lstm", hidden_size=UNITS, max_epochs=EPOCHS, horizon=5, random_state=0, **parameters)
    return net.fit(Sequences.from_arrays([x]), [x[:, 0].astype("float64")])


def measure(steps: int, bptt: str) -> tuple[float, float, float]:
    """Megabytes that ``fit`` adds to the peak, seconds of an epoch, the last epoch's loss."""
    fit(300)  # what is loaded at the first call is nobody's
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    fitted = fit(steps, bptt=bptt, **({"k2": K2} if bptt == "truncated" else {}))
    seconds = (time.perf_counter() - start) / EPOCHS
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, seconds, fitted.history_[-1].train_loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, metavar="X", help="one case: steps and bptt")
    options = parser.parse_args()
    if options.one:
        print(*measure(int(options.one[0]), options.one[1]))
        return
    rows = []
    for steps, bptt in CASES:
        command = [sys.executable, __file__, "--one", str(steps), bptt]
        megabytes, seconds, loss = map(
            float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        )
        rows.append(
            {
                "steps": steps,
                "bptt": bptt,
                "k2": K2 if bptt == "truncated" else "",
                "added_megabytes": f"{megabytes:.1f}",
                "seconds_an_epoch": f"{seconds:.2f}",
                "train_loss": f"{loss:.4f}",
                "cpu": cpu_model(),
                "cores": os.cpu_count(),
                "torch": torch.__version__,
            }
        )
        print({key: rows[-1][key] for key in list(rows[-1])[:6]}, flush=True)
    write_rows("long_series.csv", rows)


if __name__ == "__main__":
    main()
