"""How often ``throughtime predict`` says that series have left the training distribution when they have not, or have.

``python benchmarks/shift_unasked.py [RUNS]`` trains a small GRU per run, writes it, and checks fresh series against it
as ``predict`` does: ragged autoregressive series of three channels; series of persons, each with a level of its own;
and utterances of japanese-vowels, a random half against the other. Moved are the same series with a quarter or a half
of a standard deviation of its steps added to one channel. ``results/shift_unasked.csv``, which `docs/guide/shift.md`
shows.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray
from numpy.random import Generator
from scipy.signal import lfilter

from recording import cpu_model, write_rows
from throughtime import SequenceClassifier, evaluate, load
from throughtime.data import Dataset, Sequences
from throughtime.study import Run, inputs_left

RUNS, DRAWS, DRAWS_MOVED, TRAINED = 20, 25, 5, 120
DEPLOYED = (20, 100)
MOVES = (0.0, 0.25, 0.5)

Sample = Callable[[Generator, int], Dataset]


def series(phi: float, persons: int | None) -> Sample:
    """Classes tell themselves by the level of a channel; persons have levels of their own, eight series each."""

    def sample(rng: Generator, n: int) -> Dataset:
        lengths, y = rng.integers(12, 31, n), rng.integers(0, 2, n)
        noise = [lfilter([1], [1, -phi], rng.normal(size=(length + 50, 3)), axis=0)[50:] for length in lengths]
        values = [array * np.sqrt(1 - phi**2) for array in noise]
        groups = None
        if persons is not None:
            groups = np.arange(n) // persons + int(rng.integers(10**9))
            levels = np.repeat(rng.normal(size=(-(-n // persons), 3)), persons, axis=0)[:n]
            values = [array + level for array, level in zip(values, levels, strict=True)]
        for array, label in zip(values, y, strict=True):
            array[:, 0] += label
        return dataset(Sequences.from_arrays(values, groups=groups), y)

    return sample


def dataset(X: Sequences, y: ndarray) -> Dataset:
    return Dataset(X, y, tuple(map(str, range(len(X)))), "drawn", "y", X.groups)


def moved(data: Dataset, by: float) -> Dataset:
    values = data.X.values.copy()
    values[:, 1] += by * data.X.values[:, 1].std()
    X = Sequences(values, data.X.offsets, groups=data.X.groups)
    return dataset(X, data.y)  # type: ignore[arg-type]


def said(case: str, run: int, draws: int, rows: dict[tuple[str, int, float], list[bool]]) -> None:
    """Train on one sample and check others against it."""
    rng = np.random.default_rng(run)
    if case == "vowels":
        X, y = load("japanese-vowels", split="train")
        assert isinstance(y, ndarray)
        order = rng.permutation(len(X))
        halves = [dataset(X[part], y[part]) for part in np.split(order, 2)]
        train, sizes, draws = halves[0], [len(halves[1].X)], 1
    else:
        sample = {"AR 0": series(0.0, None), "AR .9": series(0.9, None), "persons": series(0.5, 8)}[case]
        train, sizes = sample(rng, TRAINED), list(DEPLOYED)
    model = SequenceClassifier(hidden_size=8, max_epochs=5, random_state=run)
    study = evaluate(model, train, cv=5, baselines=False)
    with tempfile.TemporaryDirectory() as place:
        study.save(Path(place) / "run")
        opened = Run.open(Path(place) / "run")
        for n in sizes:
            for draw in range(draws):
                data = halves[1] if case == "vowels" else sample(rng, n)
                for by in MOVES if draw < DRAWS_MOVED else MOVES[:1]:
                    rows.setdefault((case, n, by), []).append(inputs_left(opened, moved(data, by)) is not None)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    rows: dict[tuple[str, int, float], list[bool]] = {}
    for case in ("AR 0", "AR .9", "persons", "vowels"):
        for run in range(runs):
            said(case, run, DRAWS, rows)
        for (of, n, by), found in rows.items():
            if of == case:
                print(f"{case}, {n} series, moved by {by} sd: said in {np.mean(found):.3f} of {len(found)}", flush=True)
    table = [
        {
            "case": case,
            "trained_on": 135 if case == "vowels" else TRAINED,
            "deployed": n,
            "moved_sd": by,
            "said": f"{np.mean(found):.4f}",
            "of": len(found),
            "runs": runs,
            "cpu": cpu_model(),
            "cores": os.cpu_count(),
            "numpy": np.__version__,
            "torch": torch.__version__,
        }
        for (case, n, by), found in rows.items()
    ]
    write_rows("shift_unasked.csv", table)


if __name__ == "__main__":
    main()
