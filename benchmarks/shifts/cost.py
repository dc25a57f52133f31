"""What tests of 1,000 series a side, 64 columns and 199 permutations take."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from shifts.part import Part, Row
from throughtime.data import Sequences
from throughtime.shift import (
    Embedding,
    classifier_two_sample_test,
    covariate_test,
    mean_shift_test,
    mmd_test,
    summarize,
    target_test,
)

N, COLUMNS, TARGET_SECONDS, REPEATS = 1000, 64, 5.0, 5
TESTS: dict[str, Any] = {
    "means": mean_shift_test,
    "mmd": mmd_test,
    "classifier": classifier_two_sample_test,
    "X": covariate_test,
    "Y": target_test,
}


def embedding(rng: np.random.Generator) -> Embedding:
    names = tuple(f"x{column} mean" for column in range(COLUMNS))
    return Embedding(
        summaries=rng.normal(size=(N, COLUMNS)),
        summary_names=names,
        outputs=rng.normal(size=(N, 3)),
        states=rng.normal(size=(N, 16)),
        member=rng.integers(5, size=N),
        target=rng.integers(3, size=N),
    )


def jobs(_: str, rounds: int | None) -> list[tuple[int]]:
    return [(number,) for number in range(rounds or REPEATS)]


def measure(number: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(number)
    sides = embedding(rng), embedding(rng)
    series = Sequences.from_arrays(rng.normal(size=(N, 100, COLUMNS)).astype(np.float32))
    rows = []
    for name, test in TESTS.items():
        begin = time.perf_counter()
        test(*sides)
        rows.append({"test": name, "seconds": f"{time.perf_counter() - begin:.3f}"})
    begin = time.perf_counter()
    summarize(series)
    return [*rows, {"test": "summaries of 64 channels, 100 steps", "seconds": f"{time.perf_counter() - begin:.3f}"}]


def summary(rows: Sequence[Row]) -> Iterable[dict[str, Any]]:
    """Medians."""
    for test in dict.fromkeys(row["test"] for row in rows):
        seconds = np.median([float(row["seconds"]) for row in rows if row["test"] == test])
        yield {"test": test, "series": N, "columns": COLUMNS, "permutations": 199, "seconds": f"{seconds:.2f}",
               "target_seconds": TARGET_SECONDS}  # fmt: skip


COST_PART = Part(("repeat",), jobs, measure, summary)
