"""Power on handwritten digits, rows of 8 pixels: shifted by one pixel, a class left out, two classes swapped.

The networks are trained once, on the training digits; rounds draw deployed series from the test digits.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy import ndarray
from sklearn.model_selection import StratifiedKFold

from shifts.part import Part, Row, below, fraction
from throughtime import SequenceClassifier
from throughtime.data import Sequences, load_dataset
from throughtime.estimators import fit_members
from throughtime.shift import (
    Reference,
    classifier_two_sample_test,
    diagnose_shift,
    embed,
    mmd_test,
    output_test,
    predicted_class_test,
    reference_of,
)

ROUNDS, FOLDS, TEST, PERMUTATIONS = 100, 5, 500, 199
#: What is done to the deployed digits, and how many they are.
PLANTS = {"none, n=50": 50, "1 pixel, n=50": 50, "none, n=200": 200, "class left out, n=200": 200,
          "none, n=300": 300, "two classes swapped, n=300": 300}  # fmt: skip
#: Of the digits of two classes, how many change names.
SWAPPED = 0.6
SINGLE: dict[str, Any] = {
    "mmd": mmd_test,
    "classifier": classifier_two_sample_test,
    "predicted classes": predicted_class_test,
    "outputs": output_test,
}


def halves() -> tuple[Sequences, ndarray, Sequences, ndarray]:
    """Training and test digits at random: the data set's own test digits are by other writers, which is a shift."""
    data = load_dataset("digits")
    order = np.random.default_rng(0).permutation(len(data.X))
    train, test, y = np.sort(order[TEST:]), np.sort(order[:TEST]), np.asarray(data.y)
    return data.X[train], y[train], data.X[test], y[test]


@lru_cache(maxsize=1)
def reference() -> Reference:
    X, y, *_ = halves()
    splits = list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(np.zeros(len(X)), y))
    net = SequenceClassifier(hidden_size=16, lr=0.02, max_epochs=15)
    members = fit_members([net] * FOLDS, X, y, train_indices=[train for train, _ in splits])
    return reference_of(members, X, y, splits)  # type: ignore[arg-type]


def planted(name: str, n: int, rng: np.random.Generator) -> tuple[Sequences, ndarray]:
    *_, X, y = halves()
    two = rng.choice(10, 2, replace=False)
    pool = np.flatnonzero(y != two[0]) if name.startswith("class left out") else np.arange(len(y))
    rows = rng.permutation(pool)[:n]
    images, y = np.stack([X[int(row)] for row in rows]), y[rows]
    if name.startswith("1 pixel"):
        images[: n // 2] = np.concatenate([np.zeros_like(images[: n // 2, :, :1]), images[: n // 2, :, :-1]], 2)
    if name.startswith("two classes"):
        swapped = rng.random(n) < SWAPPED
        y = np.where(swapped & (y == two[0]), two[1], np.where(swapped & (y == two[1]), two[0], y))
    return Sequences.from_arrays(list(images), channel_names=X.channel_names), y


def jobs(_: str, rounds: int | None) -> list[tuple[int]]:
    return [(number,) for number in range(rounds or ROUNDS)]


def measure(number: int) -> list[dict[str, Any]]:
    rows = []
    for plant, n in PLANTS.items():
        X, y = planted(plant, n, np.random.default_rng([number, n, len(plant)]))
        own = reference()
        deployed = embed(own, X, y, random_state=number)
        found = diagnose_shift(own, deployed, permutations=PERMUTATIONS, random_state=number)
        p = {test.name: test.p_value for test in found.tests}
        p |= {name: test(own.embedding, deployed, random_state=number).p_value for name, test in SINGLE.items()}
        columns = ("X", "Y", "concept", *SINGLE)
        row = {"plant": plant, "verdict": found.verdict}
        rows.append(row | {name: f"{p[name]:.4g}" if name in p else "" for name in columns})
    return rows


def summary(rows: Sequence[Row]) -> Iterable[dict[str, Any]]:
    """Per plant: how often each test finds it at .05, and how often any shift is named."""
    for plant in PLANTS:
        own = [row for row in rows if row["plant"] == plant]
        if own:
            named = sum(row["verdict"] not in ("none detected", "insufficient") for row in own)
            yield {"plant": plant, "test": "any name", "rounds": len(own)} | fraction(named, len(own))
            for test in ("X", "Y", "concept", *SINGLE):
                count, of = below(own, test, 0.05)
                yield {"plant": plant, "test": test, "rounds": of} | fraction(count, of)


DIGIT_PART = Part(("round",), jobs, measure, summary)
