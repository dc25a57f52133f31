"""All checks of ``leakage_report`` on 100,000 windows: seconds, and what they add to the peak of memory.

``python benchmarks/leakage.py`` cuts windows of 128 steps and 3 channels from 50 recordings, a label and a group each,
and looks at five folds by group, each case in a process of its own; ``results/leakage.csv``. ``views`` are windows of
one buffer, a million steps; ``copies`` the same windows as one 3-D array; ``apart`` windows that share no step.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import GroupKFold

from recording import cpu_model, write_rows
from throughtime import leakage_report
from throughtime.data import Sequences

CASES = ("views", "dated views", "copies", "apart")
WINDOWS, LENGTH, STRIDE, CHANNELS, RECORDINGS = 100_000, 128, 10, 3, 50


def windows(case: str, n: int) -> Sequences:
    """Of smooth recordings, each as long as it takes."""
    rng = np.random.default_rng(0)
    if case == "apart":
        return Sequences.from_arrays(rng.normal(size=(n, LENGTH, CHANNELS)).astype("float32"))
    steps = (n // RECORDINGS - 1) * STRIDE + LENGTH
    values = rng.normal(size=(RECORDINGS * steps, CHANNELS)).astype("float32").cumsum(0)
    times = np.datetime64("2024-01-01") + np.arange(len(values)) * np.timedelta64(1, "s") if "dated" in case else None
    views = Sequences(values, np.arange(RECORDINGS + 1) * steps, times=times).windows(LENGTH, STRIDE)
    return views if "views" in case else Sequences.from_arrays(views.padded())


def measure(case: str, n: int) -> tuple[float, float, str]:
    """Seconds, megabytes beyond those of the windows, and what was found."""
    leakage_report(windows(case, RECORDINGS), np.arange(RECORDINGS) % 2, cv=2)  # what is loaded at the first call
    X = windows(case, n)
    groups = np.repeat(np.arange(RECORDINGS), n // RECORDINGS)
    y = np.random.default_rng(1).integers(0, 2, n)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts anew, from what is resident
    before, start = peak(), time.perf_counter()
    report = leakage_report(X, y, groups=groups, cv=GroupKFold(5))
    seconds = time.perf_counter() - start
    found = " ".join(finding.code for finding in report if finding.verdict == "found")
    return seconds, peak() - before, found or "none"


def peak() -> float:
    """Megabytes that were resident at the most."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", metavar="CASE", help="one case, in this process")
    parser.add_argument("--windows", type=int, default=WINDOWS, help="how many")
    options = parser.parse_args()
    if options.one:
        print(*measure(options.one, options.windows), sep=",")
        return
    rows = []
    for case in CASES:
        command = [sys.executable, __file__, "--one", case, "--windows", str(options.windows)]
        seconds, megabytes, found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split(
            ","
        )
        rows.append(
            {
                "case": case,
                "windows": options.windows,
                "seconds": f"{float(seconds):.2f}",
                "added_megabytes": f"{float(megabytes):.0f}",
                "found": found.strip(),
                "cpu": cpu_model(),
                "cores": os.cpu_count(),
                "numpy": np.__version__,
                "torch": torch.__version__,
            }
        )
        print({key: rows[-1][key] for key in list(rows[-1])[:5]}, flush=True)
    write_rows("leakage.csv", rows)


if __name__ == "__main__":
    main()
