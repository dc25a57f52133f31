"""What moved: channels, stretches of time, classes."""

from dataclasses import replace

import numpy as np
import pytest

from embedded import embedding, reference
from throughtime.data import Sequences
from throughtime.shift import Embedding, estimate_priors
from throughtime.shift.moved import channel_shifts, class_shifts_of, stretch_shifts, target_shifts
from throughtime.shift.sides import Sides, sides_of
from throughtime.shift.summaries import stretch_means


def both(known: Embedding, found: Embedding) -> Sides:
    return sides_of(known, found, 199, 0)


def test_a_channel_that_moved_comes_first_by_as_much_as_it_moved() -> None:
    known, found = embedding(), embedding(seed=1)
    found.summaries[:, 2] += 2.0

    first, *others = channel_shifts(known, found, both(known, found))

    pooled = np.sqrt(np.mean([side.summaries[:, 2].var() for side in (known, found)]) * 300 / 298)
    distance = found.summaries[:, 2].mean() - known.summaries[:, 2].mean()
    assert (first.channel, first.summary) == ("c", "mean")
    assert first.effect == pytest.approx(distance / pooled, rel=1e-6)
    assert first.low < first.effect < first.high
    assert first.p_value == 0.005
    assert all(other.p_value > 0.05 for other in others)


def test_the_length_is_of_no_channel_and_a_constant_is_left_out() -> None:
    known, found = embedding(), embedding(seed=1)
    for side in (known, found):
        side.summaries[:, 0] = 1.0

    moved = channel_shifts(known, found, both(known, found))

    assert sorted((one.channel, one.summary) for one in moved) == [
        ("", "length"),
        ("b", "mean"),
        ("c", "mean"),
        ("d", "mean"),
    ]


def test_p_is_adjusted_for_the_number_of_channels() -> None:
    """Of 40 nulls the smallest of five p-values is below .05 about as often as one should be."""
    smallest = []
    for seed in range(40):
        known, found = embedding(n=60, seed=2 * seed), embedding(n=60, seed=2 * seed + 1)
        smallest.append(min(one.p_value for one in channel_shifts(known, found, both(known, found))))

    assert np.sum(np.array(smallest) <= 0.05) <= 6  # with a chance of .99


def test_the_stretch_that_moved_comes_first() -> None:
    known, found = embedding(), embedding(seed=1)
    assert found.stretches is not None
    found.stretches[:, 3, 1] += 2.0

    first, *others = stretch_shifts(known, found, ("a", "b", "c", "d"), both(known, found))

    assert (first.begin, first.end, first.channel) == (0.75, 1.0, "b")
    assert first.effect > 1
    assert first.p_value == 0.005
    assert {one.begin for one in others} == {0.0, 0.25, 0.5}


def test_targets_that_are_numbers_move_and_classes_are_told_by_their_fractions() -> None:
    known, found = (embedding("label" if seed else "none", seed=seed, numbers=True) for seed in (0, 1))
    assert known.target is not None
    assert found.target is not None

    (moved,) = target_shifts(known, found, both(known, found))
    distance = found.target.mean() - known.target.mean()
    pooled = np.sqrt(np.mean([known.target.var(), found.target.var()]) * 300 / 298)

    assert (moved.channel, moved.summary) == ("", "the target")
    assert moved.effect == pytest.approx(distance / pooled, rel=1e-6)
    assert moved.p_value == 0.005
    assert not target_shifts(known, replace(found, target=None), both(known, found))
    assert not target_shifts(embedding(), embedding(seed=1), both(known, found))


def test_without_stretches_none_is_told() -> None:
    known, found = replace(embedding(), stretches=None), embedding(seed=1)

    assert not stretch_shifts(known, found, ("a", "b", "c", "d"), both(known, found))


def test_stretches_are_quarters_of_each_series_own_length() -> None:
    values = np.arange(13.0)[:, None] * [1.0, -1.0]
    values[3, 1] = np.nan
    X = Sequences(values, [0, 8, 13])

    means = stretch_means(X)

    assert means[0, :, 0].tolist() == [0.5, 2.5, 4.5, 6.5]
    assert means[0, :, 1].tolist() == [-0.5, -2.0, -4.5, -6.5]
    assert means[1, :, 0].tolist() == [8.5, 10.0, 11.0, 12.0]  # of five steps the first quarter has two


def test_a_series_shorter_than_its_stretches_leaves_some_without_a_mean() -> None:
    means = stretch_means(Sequences(np.array([[3.0], [1.0], [2.0]]), [0, 1, 3]))

    assert np.isnan(means[:, :, 0]).tolist() == [[False, True, True, True], [False, True, False, True]]


def test_classes_come_by_how_far_their_fractions_moved() -> None:
    whole, found = reference(), embedding("label")
    known = whole.embedding
    assert known.target is not None
    assert whole.classes is not None
    priors = estimate_priors(known.outputs, known.target, found.outputs, found.target)

    moved = class_shifts_of(priors, whole.classes)

    distances = [abs(one.deployed - one.reference) for one in moved]
    assert distances == sorted(distances, reverse=True)
    assert {one.label for one in moved} == {"ebb", "flow", "slack"}
    assert {one.source for one in moved} == {"labels"}
    assert sum(one.deployed for one in moved) == pytest.approx(1)
    assert not class_shifts_of(replace(priors, method="none"), whole.classes)
