"""The planted cases for `diagnose`: what each law says of its series, and that a kind and a seed say all of a case."""

import numpy as np
import pytest
from numpy import ndarray
from verdict_cases import KINDS, PULSE, TIME, Kinds, case, copies, latches, motifs, pulses
from verdict_held_out import KINDS as SECOND

from throughtime.data import Sequences

N = 4000
SETS = [*((KINDS, kind) for kind in KINDS), *((SECOND, kind) for kind in SECOND)]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def values(y: ndarray | Sequences) -> ndarray:
    return y.values if isinstance(y, Sequences) else y


def matched(X: Sequences, bits: int) -> ndarray:
    """The product of the pulses' means, as who knows where they are would take it."""
    x = X.padded()
    ends = [TIME - 3 - PULSE * bit for bit in range(bits)]
    return np.prod([x[:, end - PULSE : end, bit].mean(1) for bit, end in enumerate(ends)], 0)


@pytest.mark.parametrize(("kinds", "kind"), SETS)
def test_a_case_follows_from_its_kind_and_seed(kinds: Kinds, kind: str) -> None:
    for seed in (0, 1):
        one, same, other = (case(kind, number, kinds) for number in (seed, seed, seed + 2))
        assert one.drawn.X == same.drawn.X
        np.testing.assert_array_equal(values(one.drawn.y), values(same.drawn.y))
        assert one.estimator.get_params() == same.estimator.get_params()
        assert one.drawn.X != other.drawn.X


@pytest.mark.parametrize(("kinds", "kind"), SETS)
def test_fresh_series_are_others_of_the_same_law(kinds: Kinds, kind: str) -> None:
    one = case(kind, 1, kinds)
    fresh = one.fresh(200)
    assert fresh.X == one.fresh(200).X
    assert fresh.X != one.fresh(200, stream=2).X
    assert fresh.X.n_channels == one.drawn.X.n_channels
    assert type(fresh.y) is type(one.drawn.y)
    assert {x.tobytes() for x in fresh.X}.isdisjoint(x.tobytes() for x in one.drawn.X)


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_the_class_is_the_parity_of_the_pulses(bits: int) -> None:
    drawn = pulses(rng(), N, bits=bits, channels=4, amplitude=6.0, ragged=True)
    np.testing.assert_array_equal(matched(drawn.X, bits) > 0, drawn.y == 1)


def test_the_target_is_the_product_of_the_pulses() -> None:
    drawn = pulses(rng(), N, bits=2, channels=3, amplitude=40.0, noise=0.0)
    np.testing.assert_allclose(matched(drawn.X, 2) / 40**2, drawn.y, atol=0.2)


def test_classes_are_flipped_and_turned_as_often_as_said() -> None:
    for planted in ({"flips": 0.25}, {"hidden": 0.25}):
        drawn = pulses(rng(), N, bits=1, channels=2, amplitude=6.0, **planted)
        wrong = (matched(drawn.X, 1) > 0) != drawn.y
        assert abs(wrong.mean() - 0.25) < 3 * np.sqrt(0.25 * 0.75 / N), planted


def test_the_hidden_channel_tells_which_classes_are_turned() -> None:
    drawn = pulses(rng(), N, bits=1, channels=2, amplitude=6.0, hidden=0.25)
    assert drawn.feature is not None
    turned = drawn.feature[drawn.X.offsets[:-1], 0] > 0
    np.testing.assert_array_equal((matched(drawn.X, 1) > 0) ^ turned, drawn.y)


def test_differences_tell_what_a_level_hides() -> None:
    drawn = pulses(rng(), N, bits=1, channels=2, amplitude=6.0, level=100.0)
    assert drawn.feature is not None
    rise = drawn.feature.reshape(N, TIME, 2)[:, TIME - 3 - PULSE, 0]
    assert ((rise > 0) == drawn.y).mean() > 0.999
    assert abs(((matched(drawn.X, 1) > 0) == drawn.y).mean() - 0.5) < 0.05


def test_without_a_signal_the_series_tell_nothing() -> None:
    drawn = pulses(rng(), N, bits=1, channels=2, amplitude=6.0, signal=False)
    assert abs(((matched(drawn.X, 1) > 0) == drawn.y).mean() - 0.5) < 3 * 0.5 / np.sqrt(N)


def test_near_copies_have_one_target() -> None:
    drawn = copies(rng(), 103, size=5, spread=0.1, channels=3, amplitude=0.5, regression=True)
    assert drawn.groups is not None
    assert sorted(np.bincount(drawn.groups)) == [3, *[5] * 20]
    x = drawn.X.padded()
    for group in range(21):
        own = drawn.groups == group
        assert np.ptp(drawn.y[own]) == 0
        assert x[own].std(0).max() < 0.3


@pytest.mark.parametrize("regression", [False, True])
def test_a_target_each_step_is_what_the_last_pulses_were(regression: bool) -> None:
    drawn = latches(rng(), 200, bits=2, regression=regression, spread=0.0)
    assert isinstance(drawn.y, Sequences)
    for x, y in zip(drawn.X, drawn.y, strict=True):
        assert not np.isnan(y).all()
        last = np.full(2, np.nan)
        for step, value in zip(x, y[:, 0], strict=True):
            last = np.where(step == 0, last, step)
            expected = last.prod() if regression else np.where(np.isnan(last.prod()), np.nan, last.prod() > 0)
            np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_segments_in_another_order_turn_the_class_of_ordered_pulses_alone() -> None:
    for ordered in (False, True):
        drawn = motifs(rng(), N, ordered=ordered, amplitude=12.0)
        x = drawn.X.padded()[:, :, 0]
        first, second = x[:, :12].sum(1), x[:, 12:].sum(1)
        if ordered:
            assert (np.sign(first) == -np.sign(second)).mean() > 0.99
        told, exchanged = (a - b if ordered else a + b for a, b in ((first, second), (second, first)))
        assert ((told > 0) == drawn.y).mean() > 0.99
        assert ((exchanged > 0) == drawn.y).mean() < 0.01 if ordered else ((exchanged > 0) == drawn.y).mean() > 0.99
