"""GEN018 on one kind of series with two labels: which of two pulses comes first, and which way one of them points.

Permuting segments takes the first label away and leaves the second, which nothing about the series alone can tell.
"""

import os
from functools import cache
from typing import Any, Literal

import numpy as np
import pytest

from throughtime import SequenceClassifier, augmentation_findings, fit_members
from throughtime.data import Sequences

# Shapes are checked by the packages' own tests, and take longer than the training.
pytestmark = pytest.mark.usefixtures("types_unchecked")

SEEDS = range(20 if "THROUGHTIME_SOAK" in os.environ else 8)
FOLDS, SERIES, FRESH, TIME = 4, 60, 300, 24
PERMUTATION = "permutation:4"
Label = Literal["order", "direction"]


def draw(rng: np.random.Generator, count: int, label: Label) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a pulse of three steps in each of two channels, at two of six places."""
    x = rng.normal(size=(count, TIME, 2)) * 0.5
    classes = np.arange(count) % 2
    for row, one in enumerate(classes):
        places = 1 + 4 * np.sort(rng.choice(6, 2, replace=False))
        signs = rng.choice([-1, 1], 2)
        if label == "order":
            signs[:], places = 1, places[:: 1 if one else -1]
        else:
            signs[0] = 1 if one else -1
        for channel in range(2):
            x[row, places[channel] : places[channel] + 3, channel] += 1.5 * signs[channel]
    return x.astype(np.float32), classes


@cache
def studies(label: Label) -> list[dict[str, Any]]:
    """Each seed's series, the networks of its folds, and the accuracy on fresh series with and without permutation."""
    sets = [draw(np.random.default_rng([seed, 7]), SERIES + FRESH, label) for seed in SEEDS]
    x, y = Sequences.from_arrays([series for x, _ in sets for series in x]), np.concatenate([y for _, y in sets])
    own = [seed * (SERIES + FRESH) + np.arange(SERIES) for seed in SEEDS]
    of_fold = np.arange(SERIES) // 2 % FOLDS  # both classes in each
    folds = [np.flatnonzero(of_fold != fold) for fold in range(FOLDS)]
    nets, train = [], []
    for seed in SEEDS:
        shared = {"hidden_size": 16, "lr": 0.03, "max_epochs": 25, "batch_size": 16, "random_state": seed}
        nets += [SequenceClassifier(**shared) for _ in range(FOLDS + 1)]
        nets.append(SequenceClassifier(**shared, augment=PERMUTATION))
        train += [own[seed][fold] for fold in folds] + [own[seed]] * 2
    fitted = fit_members(nets, x, y, train_indices=train)
    found = []
    for seed in SEEDS:
        of_seed = fitted[seed * (FOLDS + 2) :][: FOLDS + 2]
        fresh = own[seed][-1] + 1 + np.arange(FRESH)
        found.append(
            {
                "estimators": of_seed[:FOLDS],
                "train_indices": folds,
                "X": x[own[seed]],
                "y": y[own[seed]],
                "random_state": seed,
                "accuracies": [one.score(x[fresh], y[fresh]) for one in of_seed[FOLDS:]],
            }
        )
    return found


def verdicts(label: Label, augment: str) -> list[str]:
    arguments = [{name: part for name, part in one.items() if name != "accuracies"} for one in studies(label)]
    return [augmentation_findings(augment=augment, **one)[0].verdict for one in arguments]


def test_an_augmentation_that_breaks_the_label_is_found_in_every_seed() -> None:
    assert verdicts("order", PERMUTATION) == ["found"] * len(SEEDS)
    # and it does harm on fresh series
    assert all(augmented < plain for plain, augmented in (one["accuracies"] for one in studies("order")))


def test_the_same_augmentation_is_let_pass_where_the_label_stays_and_wins() -> None:
    assert verdicts("direction", PERMUTATION) == ["clear"] * len(SEEDS)
    gains = [augmented - plain for plain, augmented in (one["accuracies"] for one in studies("direction"))]
    assert np.mean(gains) > 3 * np.std(gains) / np.sqrt(len(gains))


@pytest.mark.parametrize("label", ["order", "direction"])
def test_noise_that_both_labels_bear_is_let_pass_though_the_networks_know_their_series_by_heart(label: Label) -> None:
    assert verdicts(label, "jitter:0.5") == ["clear"] * len(SEEDS)
