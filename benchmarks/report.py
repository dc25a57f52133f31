"""How long a report takes and how large it is, of 10 folds and of 200 networks.

``python benchmarks/report.py`` writes a row per run to ``results/report.csv``; ``--quick`` prints one, and writes none.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recording import cpu_model, write_rows
from throughtime import SequenceClassifier, SequenceRegressor, evaluate
from throughtime.data import Sequences, load
from throughtime.errors import FlowWarning
from throughtime.report import run_page
from throughtime.study import Run, Study
from timing import seconds

#: By networks of folds: seconds of the command, bytes.
TARGETS = {10: (5, 1_000_000), 200: (20, 1_000_000)}
FOLDS = 10


def vowels(seeds: int) -> Study:
    """270 series of 9 speakers, 7 to 26 steps of 12 channels."""
    X, y = load("japanese-vowels", split="train")
    model = SequenceClassifier(hidden_size=16, max_epochs=20, monitor="flow", random_state=0)
    return evaluate(model, X, y, cv=FOLDS, seeds=seeds, test=0.2)


def days(seeds: int) -> Study:
    """A number each day of a year, of 40 series: 14,600 predictions of each seed."""
    rng = np.random.default_rng(0)
    x = rng.gamma(0.5, 4.0, (40, 365, 2))
    y = np.stack([np.convolve(rain, 0.9 ** np.arange(60))[:365] for rain in x[:, :, 0]])
    X = Sequences.from_arrays(x.astype("float32"), channel_names=["rain", "heat"])
    model = SequenceRegressor(hidden_size=16, max_epochs=4, monitor="flow", random_state=0)
    return evaluate(model, X, list(y), cv=FOLDS, seeds=seeds, test=0.2, baselines=False)


def work_of_children() -> float:
    """Seconds that a processor worked for processes that have ended: less than the time, where others work too."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(make: Callable[[int], Study], networks: int, rounds: int) -> dict[str, Any]:
    """Seconds of the command in a process of its own, and of the page alone once everything is imported."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place) / "run"
        make(networks // FOLDS).save(directory)
        command = [sys.executable, "-m", "throughtime", "report", str(directory), "-o"]
        commands, works, pages = [], [], []
        for k in range(rounds):
            begin, before = time.perf_counter(), work_of_children()
            subprocess.run([*command, str(Path(place) / f"{k}.html")], check=True, stdout=subprocess.DEVNULL)
            commands.append(time.perf_counter() - begin)
            works.append(work_of_children() - before)
            run_page(Run.open(directory))  # fonts are looked up once
            pages.append(seconds(lambda: run_page(Run.open(directory))))
        size = (Path(place) / "0.html").stat().st_size
    target_s, target_bytes = TARGETS[networks]
    return {
        "data": make.__name__,
        "networks": networks,
        "command_s": f"{statistics.median(commands):.2f}",
        "command_cpu_s": f"{statistics.median(works):.2f}",
        "page_s": f"{statistics.median(pages):.2f}",
        "target_s": target_s,
        "bytes": size,
        "target_bytes": target_bytes,
        "rounds": rounds,
        "load": f"{os.getloadavg()[0]:.1f}",
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore", FlowWarning)  # whether these networks learn is not asked
    if options.quick:
        print(measure(vowels, 10, 1))
        return
    rows = []
    for make in (vowels, days):
        for networks in TARGETS:
            rows.append(measure(make, networks, options.rounds))
            print(rows[-1], flush=True)
    write_rows("report.csv", rows)


if __name__ == "__main__":
    main()
