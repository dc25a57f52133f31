"""How well each kind of shift explains the sides: by closed form, where there is no shift, and of series told twice."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import xlogy

from embedded import embedding
from throughtime.shift import Embedding
from throughtime.shift.embedding import take
from throughtime.shift.explanations import Explanations, explanations


def of_speakers(codes: np.ndarray, seed: int) -> Embedding:
    """Series of nine classes that a network tells apart without much doubt."""
    rng = np.random.default_rng(seed)
    outputs = 6 * np.eye(9)[codes] + rng.normal(size=(len(codes), 9))
    return Embedding(
        summaries=rng.normal(size=(len(codes), 2)),
        summary_names=("a mean", "b mean"),
        outputs=outputs - outputs.mean(1, keepdims=True),
        states=np.zeros((len(codes), 0)),
        member=np.zeros(len(codes), int),
        target=codes,
    )


def one_class_alone(n: int, seed: int) -> Explanations:
    return explanations(of_speakers(np.arange(270) % 9, seed), of_speakers(np.zeros(n, int), 100 + seed))


@pytest.mark.parametrize("n", [12, 30])
def test_a_class_alone_gains_what_its_fraction_says(n: int) -> None:
    """One chance is all that is fitted: of the deployed side, or of it within the class."""

    def log_likelihood(of_reference: int) -> float:
        whole = of_reference + n
        return float(xlogy(of_reference, of_reference / whole) + xlogy(n, n / whole))

    assert one_class_alone(n, 0).label == pytest.approx(log_likelihood(30) - log_likelihood(270), abs=0.3)


@pytest.mark.parametrize("n", [12, 30])
def test_a_class_alone_is_a_label_shift_however_sure_the_network_is_of_it(n: int) -> None:
    found = [one_class_alone(n, seed) for seed in range(20)]

    assert sum(one.label < one.covariate for one in found) <= 2, found


def test_without_a_shift_classes_cost_half_of_what_chance_fits() -> None:
    """Two fractions of three fit chance by half a nat each in the mean, and pay one each."""
    gains = [explanations(embedding(seed=seed), embedding(seed=100 + seed)).label for seed in range(60)]

    assert np.mean(gains) == pytest.approx(-1, abs=4 * 1 / np.sqrt(60))  # chi-square of 2, halved


def test_series_that_are_told_three_times_say_no_more() -> None:
    sides = embedding(n=60), embedding("label", n=60, seed=1)
    thrice = [
        replace(take(side, np.repeat(np.arange(60), 3)), groups=np.repeat(np.arange(60), 3) + first, unit="group")
        for side, first in zip(sides, (0, 100), strict=True)
    ]

    assert explanations(*thrice) == pytest.approx(explanations(*sides), abs=0.01)
