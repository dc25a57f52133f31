"""What each augmentation changes and what it leaves: its law, its rate, and what moves along."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from throughtime.augmentation_specs import AUGMENTATIONS
from throughtime.errors import ParameterError
from throughtime.training import (
    AUGMENTATION_CLASSES,
    Augmentation,
    ChannelDropout,
    Jitter,
    MagnitudeWarp,
    Mixup,
    Permutation,
    Scaling,
    Series,
    TimeWarp,
    WindowSlice,
)

#: Standard errors that a mean may be off: once in two million.
ERRORS = 5
LENGTH = 26  # steps 0, 5, ..., 25 are the knots of smooth curves


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def series_of(
    lengths: list[int], channels: int = 2, missing: float | None = None, static: bool = False, by_step: bool = False
) -> Series:
    """Normal values; targets are numbers of their own."""
    numbers, time, count = rng(len(lengths), channels), max(lengths), len(lengths)
    x = torch.from_numpy(numbers.normal(size=(time, count, channels)))
    flags = None if missing is None else torch.from_numpy(numbers.random(x.shape) < missing)
    shape = (time, count) if by_step else (count,)
    return Series(
        x if flags is None else x.masked_fill(flags, 0),
        torch.tensor(lengths),
        torch.arange(int(np.prod(shape)), dtype=torch.float64).reshape(shape),
        torch.ones(shape, dtype=torch.float64),
        flags,
        torch.from_numpy(numbers.normal(size=(count, 3))) if static else None,
    )


def augmented(augmentation: Augmentation, series: Series, seed: int = 0) -> Series:
    found = augmentation.transform(series, rng(seed))
    assert found is not None
    return found


def own_steps(series: Series, row: int) -> np.ndarray:
    return series.x[: int(series.lengths[row]), row].numpy()


def assert_moments(values: np.ndarray, mean: float, deviation: float) -> None:
    """Of independent normal numbers."""
    count = values.size
    assert abs(values.mean() - mean) < ERRORS * deviation / np.sqrt(count)
    assert abs(values.std() - deviation) < ERRORS * deviation / np.sqrt(2 * count)


def same(one: Tensor | None, other: Tensor | None) -> bool:
    return one is other or (one is not None and other is not None and torch.equal(one, other))


MANY = [LENGTH] * 400


def test_jitter_adds_noise_of_its_deviation_on_each_value():
    series = series_of(MANY)
    found = augmented(Jitter(0.3), series)
    noise = (found.x - series.x).numpy()
    assert_moments(noise, 0, 0.3)
    # independent in time and between channels
    assert abs(np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1]) < ERRORS / np.sqrt(noise.size)
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < ERRORS / np.sqrt(noise[..., 0].size)


def test_scaling_multiplies_a_channel_of_a_series_by_one_number_around_one():
    series = series_of(MANY)
    factors = (augmented(Scaling(0.2), series).x / series.x).numpy()
    np.testing.assert_allclose(factors, np.broadcast_to(factors[0], factors.shape), rtol=1e-12)
    assert_moments(factors[0], 1, 0.2)


def test_magnitude_warp_multiplies_by_a_smooth_curve_around_one():
    series = series_of(MANY)
    curves = (augmented(MagnitudeWarp(0.2), series).x / series.x).numpy()
    knots = curves[::5]
    assert_moments(knots, 1, 0.2)
    # a cubic spline of six points without kinks at the second and the last but one: one cubic on the first two pieces
    basis = np.vander(np.arange(11), 4)
    first = curves[:11].reshape(11, -1)
    np.testing.assert_allclose(basis @ np.linalg.lstsq(basis, first, rcond=None)[0], first, atol=1e-9)


def test_time_warp_reads_a_series_forwards_from_its_first_step_to_its_last():
    lengths = [26, 9, 1, 2, *[26] * 300]
    series = series_of(lengths, channels=1, by_step=True)
    steps = torch.arange(26.0, dtype=torch.float64)[:, None].expand(-1, len(lengths))
    series = replace(series, x=steps[..., None].clone(), targets=steps.clone())
    found = augmented(TimeWarp(0.5), series)
    places = found.x[..., 0].numpy()
    for row, length in enumerate(lengths):
        assert places[0, row] == 0
        assert places[length - 1, row] == pytest.approx(length - 1, abs=1e-9)
        assert (np.diff(places[:length, row]) > 0).all()
        # targets are those of the nearest step
        assert (np.abs(found.targets[:length, row].numpy() - places[:length, row]) <= 0.5).all()
    assert same(found.lengths, series.lengths)
    # the middle is early as often as late
    middle = places[12:14, 4:].mean(0) - 12.5
    assert abs(middle.mean()) < ERRORS * middle.std() / np.sqrt(len(middle))
    assert middle.std() > 1


def test_a_speed_is_e_to_a_normal_number_at_the_knots():
    series = series_of([LENGTH] * 2000, channels=1)
    steps = torch.arange(float(LENGTH), dtype=torch.float64)[:, None, None].expand(-1, 2000, -1)
    places = augmented(TimeWarp(0.1), replace(series, x=steps.clone())).x[..., 0].numpy()
    # the whole is brought back to its length, so that ratios of speeds are what is drawn
    ratios = np.log(np.diff(places, axis=0)[4] / np.diff(places, axis=0)[14])  # onto the steps 5 and 15
    assert_moments(ratios, 0, 0.1 * np.sqrt(2))


def test_window_slice_keeps_a_window_from_anywhere_with_the_targets_of_its_steps():
    lengths = [10, 7, 1, *[10] * 800]
    series = series_of(lengths, by_step=True)
    found = augmented(WindowSlice(0.7), series)
    assert found.lengths[:3].tolist() == [7, 5, 1]  # rounded up
    assert len(found.x) == 7
    begins = []
    for row, length in enumerate(lengths):
        kept = int(found.lengths[row])
        begin = int((series.x[:length, row] == found.x[0, row]).all(1).nonzero()[0])
        assert torch.equal(found.x[:kept, row], series.x[begin : begin + kept, row])
        assert torch.equal(found.targets[:kept, row], series.targets[begin : begin + kept, row])
        begins.append(begin)
    counts = np.bincount(begins[3:], minlength=4)
    assert len(counts) == 4  # steps 0 to 3
    assert (np.abs(counts - 200) < ERRORS * np.sqrt(800 * 0.25 * 0.75)).all()


def test_permutation_shuffles_so_many_segments_with_their_targets():
    lengths = [12, 5, 2, 1]
    series = series_of(lengths, by_step=True)
    series = replace(series, targets=torch.arange(12.0, dtype=torch.float64)[:, None].expand(-1, 4).clone())
    for seed in range(20):
        found = augmented(Permutation(3), series, seed)
        for row, length in enumerate(lengths):
            order = found.targets[:length, row].long()
            assert sorted(order.tolist()) == list(range(length))
            assert torch.equal(found.x[:length, row], series.x[order, row])
            assert (order.diff() != 1).sum() <= min(3, length) - 1  # segments hold together


def test_segments_are_cut_anywhere_and_put_in_any_order():
    series = series_of([4] * 4000, channels=1, by_step=True)
    series = replace(series, targets=torch.arange(4.0, dtype=torch.float64)[:, None].expand(-1, 4000).clone())
    orders, counts = np.unique(augmented(Permutation(2), series).targets.numpy().T, axis=0, return_counts=True)
    # a cut at one of three places; changed places or not
    assert orders.tolist() == [[0, 1, 2, 3], [1, 2, 3, 0], [2, 3, 0, 1], [3, 0, 1, 2]]
    expected = np.array([1 / 2, 1 / 6, 1 / 6, 1 / 6])
    assert (np.abs(counts - 4000 * expected) < ERRORS * np.sqrt(4000 * expected * (1 - expected))).all()


def test_channel_dropout_silences_whole_channels_at_its_rate_and_enlarges_none():
    series = series_of(MANY, channels=5)
    found = augmented(ChannelDropout(0.2), series)
    dropped = (found.x == 0).all(0)
    assert torch.equal(found.x, series.x.masked_fill(dropped, 0))
    assert abs(dropped.double().mean() - 0.2) < ERRORS * np.sqrt(0.2 * 0.8 / dropped.numel())


def test_mixup_mixes_values_targets_and_static_features_by_one_number():
    series = series_of(MANY, static=True)
    # a target that is linear in the inputs stays so
    targets = series.x.sum((0, 2)) + series.static.sum(1)
    found = augmented(Mixup(0.7), replace(series, targets=targets))
    torch.testing.assert_close(found.targets, found.x.sum((0, 2)) + found.static.sum(1), rtol=0, atol=1e-9)
    assert not torch.equal(found.targets, targets)
    assert torch.equal(found.weights, series.weights)


@pytest.mark.parametrize("strength", [1e-3, 0.2, 3.0])
def test_mixups_number_is_of_a_beta_distribution(strength):
    series = series_of([2] * 4000, channels=1)
    series = replace(series, x=torch.zeros_like(series.x), targets=torch.arange(4000.0, dtype=torch.float64))
    generator = rng(0)
    generator.random(4000)  # which series are augmented
    partners = torch.from_numpy(generator.permutation(4000)).double()
    found = augmented(Mixup(strength), series).targets
    distinct = partners != series.targets
    fractions = ((found - partners) / (series.targets - partners))[distinct].numpy()
    variance = 1 / (4 * (2 * strength + 1))
    assert abs(fractions.mean() - 0.5) < ERRORS * np.sqrt(variance / len(fractions))
    # the fourth moment of a number within [0, 1] around its middle is at most 1/16
    assert abs(fractions.var() - variance) < ERRORS / 4 / np.sqrt(len(fractions))


def test_mixup_draws_one_of_two_classes_with_the_probability_of_its_part():
    # of class c all values are c, so that what is mixed tells lambda
    classes = torch.arange(2000) % 2
    series = series_of([3] * 2000, channels=1)
    series = replace(series, x=classes.double().expand(3, -1)[..., None].clone(), targets=classes)
    found = augmented(Mixup(1.0), series)
    parts = found.x[0, :, 0].numpy()  # of class 1
    assert found.targets.dtype == torch.int64
    for low in np.arange(0, 1, 0.25):
        within = (parts > low) & (parts < low + 0.25)
        expected = parts[within].mean()
        error = np.sqrt(expected * (1 - expected) / within.sum())
        assert abs(found.targets.numpy()[within].mean() - expected) < ERRORS * error
    assert set(found.targets.numpy()[parts == 0]) == {0}
    assert set(found.targets.numpy()[parts == 1]) == {1}


def test_a_partner_of_another_length_is_stretched():
    lengths = [2, 5, 11, 7] * 10
    series = series_of(lengths, channels=1)
    for row, length in enumerate(lengths):  # each runs from 0 to 1: so does any mixture
        series.x[:length, row, 0] = torch.linspace(0, 1, length, dtype=torch.float64)
    found = augmented(Mixup(1.0), series)
    assert same(found.lengths, series.lengths)
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(own_steps(found, row)[:, 0], np.linspace(0, 1, length), atol=1e-12)


def test_mixup_never_mixes_a_target_that_was_not_observed():
    weights = torch.tensor([1.0, 0.0] * 50, dtype=torch.float64)
    targets = torch.where(weights > 0, 1.0, 999.0)
    found = augmented(Mixup(1.0), replace(series_of([3] * 100), weights=weights, targets=targets.double()))
    assert torch.equal(found.targets[weights > 0], torch.ones(50, dtype=torch.float64))
    assert torch.equal(found.weights, weights)


ALL = {name: made() for name, made in AUGMENTATION_CLASSES.items()} | {"window_slice": WindowSlice(0.6)}
RAGGED = [9, 3, 12, 1, 7, 2] * 20


@pytest.mark.parametrize("name", ALL)
def test_the_strength_of_identity_changes_nothing(name):
    known = AUGMENTATIONS[name]
    assert AUGMENTATION_CLASSES[name](known.identity).transform(series_of(RAGGED), rng()) is None


@pytest.mark.parametrize("name", ALL)
def test_each_series_is_augmented_with_the_probability_and_else_left_to_the_bit(name):
    series = series_of(RAGGED, missing=0.2, static=True)
    always, sometimes = (augmented(replace(ALL[name], probability=p), series) for p in (1, 0.3))
    chosen = rng(0).random(len(RAGGED)) < 0.3
    assert 0 < chosen.sum() < len(RAGGED)
    for row, one in enumerate(chosen):
        expected = always if one else series
        length = int(expected.lengths[row])
        assert sometimes.lengths[row] == length
        assert torch.equal(sometimes.x[:length, row], expected.x[:length, row])
        assert torch.equal(sometimes.missing[:length, row], expected.missing[:length, row])
        assert torch.equal(sometimes.static[row], expected.static[row])
        assert sometimes.targets[row] == expected.targets[row]


@pytest.mark.parametrize("by_step", [False, True])
@pytest.mark.parametrize("name", ALL)
@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=6), seed=st.integers(0, 10**6))
def test_what_is_missing_stays_zero_and_ragged_series_legal(name, by_step, lengths, seed):
    series = series_of(lengths, missing=0.4, static=True, by_step=by_step)
    found = augmented(ALL[name], series, seed)
    assert found.lengths.min() >= 1
    assert len(found.x) == found.lengths.max()
    assert (found.lengths <= series.lengths).all()
    assert found.missing.shape == found.x.shape
    assert (found.x[found.missing] == 0).all()
    assert found.x.isfinite().all()
    assert found.targets.shape == (found.x.shape[:2] if by_step else series.targets.shape)
    assert found.weights.shape == found.targets.shape
    if name != "mixup":
        assert same(found.static, series.static)
        if not by_step:
            assert same(found.targets, series.targets)
    if name in ("jitter", "scaling", "magnitude_warp", "channel_dropout", "mixup"):
        assert same(found.missing, series.missing)


def test_a_value_beside_a_missing_one_is_not_made_up():
    x = torch.tensor([1.0, 0, 3, 4, 5], dtype=torch.float64)[:, None, None].expand(-1, 200, -1).clone()
    missing = torch.zeros(x.shape, dtype=torch.bool)
    missing[1] = True
    series = replace(series_of([5] * 200, channels=1), x=x, missing=missing)
    found = augmented(TimeWarp(0.5), series)
    seen = found.x[~found.missing]
    # between 1 and 3 lies the missing step: nothing of there is seen
    assert ((seen == 1) | (seen >= 3)).all()
    assert 0 < found.missing[2].sum() < 200


def test_a_series_whose_only_target_would_be_lost_stays_whole():
    series = series_of([10] * 200, by_step=True)
    weights = torch.zeros(10, 200, dtype=torch.float64)
    weights[9] = 1
    weights[:, 0] = 0  # none was there
    found = augmented(WindowSlice(0.5), replace(series, weights=weights))
    inside = torch.arange(len(found.x))[:, None] < found.lengths
    assert ((found.weights * inside).sum(0)[1:] == 1).all()
    assert set(found.lengths[1:].tolist()) == {5, 10}
    assert found.lengths[0] == 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Jitter(-0.1), "augment needs for jitter a number of at least 0, the standard deviation of the noise"),
        (lambda: WindowSlice(0), "window_slice a number above 0 and of at most 1, .* got 0"),
        (lambda: Permutation(2.5), "permutation a whole number of at least 1, .* got 2.5"),
        (lambda: Mixup(0.2, 0), "mixup a probability above 0 and of at most 1 behind its @, got 0"),
        (lambda: Scaling(float("nan")), "scaling .* got nan"),
        (lambda: TimeWarp(True), "time_warp .* got True"),
    ],
)
@pytest.mark.usefixtures("types_unchecked")
def test_numbers_that_an_augmentation_cannot_have_are_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()
