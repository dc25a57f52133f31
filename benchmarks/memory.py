"""Bytes that one more member takes while it trains, measured, beside the estimate that budgets go by.

``python benchmarks/memory.py`` trains few and many members of one shape, each number in a process of its own, and
divides the growth of the peak resident set by the members added; ``results/memory.csv``.
"""

import argparse
import os
import resource
import subprocess
import sys
from typing import Literal

import numpy as np
import torch

from recording import write_rows
from throughtime import SequenceClassifier, fit_members
from throughtime.estimators.memory import bytes_a_member
from throughtime.nn import Architecture
from throughtime.parameters import CellName

Pooled = Literal["last", "mean"]

SHAPES: tuple[tuple[CellName, int, int, int, Pooled, float], ...] = (
    # cell, units, steps, layers, pooling, zoneout
    ("rnn", 32, 100, 1, "mean", 0),
    ("gru", 16, 100, 1, "mean", 0),
    ("gru", 32, 30, 1, "mean", 0),
    ("gru", 64, 100, 1, "mean", 0),
    ("lstm", 32, 100, 1, "mean", 0),
    ("lstm", 64, 30, 1, "mean", 0),
    ("gru", 32, 100, 2, "last", 0),
    ("gru", 32, 100, 1, "last", 0.1),
    ("gru", 32, 100, 1, "last", 0),  # whole steps in the kernels
    ("linear", 32, 100, 1, "last", 0),  # in plain torch
    ("peephole_lstm", 32, 100, 1, "last", 0),
)
CHANNELS, BATCH = 4, 32


def peak(cell: CellName, units: int, steps: int, layers: int, pooling: Pooled, zoneout: float, members: int) -> int:
    """Peak resident bytes of this process after training so many members for two steps."""
    x = np.random.default_rng(0).normal(size=(2 * BATCH, steps, CHANNELS)).astype("float32")
    net = SequenceClassifier(
        cell=cell,
        hidden_size=units,
        num_layers=layers,
        pooling=pooling,
        zoneout=zoneout,
        batch_size=BATCH,
        max_epochs=1,
    )
    fit_members([net] * members, x, np.arange(len(x)) % 2, memory_budget=None)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=7, metavar="X", help="one peak: the columns of SHAPES, and members")
    parser.add_argument("--members", type=int, nargs=2, default=(8, 40), help="few and many")
    options = parser.parse_args()
    if options.one:
        cell, units, steps, layers, pooling, zoneout, members = options.one
        print(peak(cell, int(units), int(steps), int(layers), pooling, float(zoneout), int(members)))
        return
    rows = []
    for shape in SHAPES:
        cell, units, steps, layers, pooling, zoneout = shape
        peaks = []
        for members in options.members:
            command = [sys.executable, __file__, "--one", *map(str, (*shape, members))]
            peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        measured = (peaks[1] - peaks[0]) / (options.members[1] - options.members[0])
        net = Architecture(cell, CHANNELS, units, layers, False, pooling, 2)
        estimate = bytes_a_member(net, BATCH, steps, 4, training=True, masks=zoneout > 0)
        rows.append(
            {
                "cell": cell,
                "hidden_size": units,
                "steps": steps,
                "num_layers": layers,
                "pooling": pooling,
                "zoneout": zoneout,
                "batch_size": BATCH,
                "measured_bytes": f"{measured:.0f}",
                "estimated_bytes": estimate,
                "numbers_a_unit_and_step": f"{measured / (4 * units * steps * layers * BATCH):.1f}",
                "cores": os.cpu_count(),
                "torch": torch.__version__,
            }
        )
        print({key: rows[-1][key] for key in list(rows[-1])[:10]}, flush=True)
    write_rows("memory.csv", rows)


if __name__ == "__main__":
    main()
