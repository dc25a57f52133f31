"""``augment_series``: series augmented once, with everything that is theirs."""

import numpy as np
import pytest
from estimator_data import N, classes, ragged, series, steps

from throughtime import augment_series
from throughtime.augmentation_specs import AUGMENTATIONS
from throughtime.data import Sequences
from throughtime.errors import ParameterError


def test_the_identity_gives_the_series_back() -> None:
    X = series(groups=np.arange(N) // 3, static=np.arange(2.0 * N).reshape(N, 2))
    found, y = augment_series(X, "jitter:0,window_slice:1", classes())
    # float64: standardized and brought back
    np.testing.assert_allclose(found.values, X.values, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.static, X.static, rtol=1e-12)
    assert found.groups.tolist() == X.groups.tolist()
    assert y.tolist() == classes().tolist()


def test_noise_is_on_the_scale_of_each_channel() -> None:
    X = Sequences(np.random.default_rng(0).normal(size=(6000, 2)) * [100, 0.1] + [50, -3], np.arange(0, 6001, 20))
    found, _ = augment_series(X, "jitter:0.2")
    noise = (found.values - X.values) / X.values.std(0)
    assert (abs(noise.std(0) / 0.2 - 1) < 5 / np.sqrt(2 * 6000)).all()


def test_targets_times_and_gaps_go_where_their_steps_go() -> None:
    times = [np.arange(len(x)) * 10.0 for x in ragged()]
    arrays = [np.column_stack([clock, np.full(len(clock), np.nan)]) for clock in times]
    for array in arrays:
        array[::3, 1] = 1.0
    X = Sequences.from_arrays(arrays, times=times)
    y = Sequences.from_arrays([clock * 2 for clock in times])
    found, moved = augment_series(X, "window_slice:0.5", y, random_state=4)
    assert found.n_steps < X.n_steps
    np.testing.assert_allclose(found.values[:, 0], found.times, atol=1e-9)
    np.testing.assert_allclose(moved.values[:, 0], 2 * found.times)
    assert (np.isnan(found.values[:, 1]) == (found.times % 30 != 0)).all()
    assert augment_series(X, "permutation", y)[0].times is None


def test_mixup_gives_the_target_of_one_of_the_two() -> None:
    X = Sequences.from_arrays([np.full((4, 1), float(k % 2)) for k in range(600)])
    found, y = augment_series(X, "mixup:1", np.array(["no", "yes"])[np.arange(600) % 2])
    parts = np.array([x[0, 0] for x in found])  # of yes
    certain = (parts < 1e-9) | (parts > 1 - 1e-9)
    assert ((y == "yes") == (parts > 0.5))[certain].all()
    assert abs((y == "yes").mean() - parts.mean()) < 5 * np.sqrt(0.25 / 600)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_seed_draws_the_same_and_another_one_something_else(name: str) -> None:
    text = "window_slice:0.5" if name == "window_slice" else name
    one, again, other = (augment_series(series(), text, steps(), random_state=seed)[0] for seed in (1, 1, 2))
    assert one == again != other
    assert one != series()


def test_more_series_than_are_padded_at_a_time_keep_their_order() -> None:
    X = Sequences.from_arrays([np.full((3, 1), float(k)) for k in range(300)])
    found, y = augment_series(X, "window_slice:0.5", np.arange(300))
    assert y.tolist() == list(range(300))
    np.testing.assert_allclose([x[0, 0] for x in found], np.arange(300), atol=1e-9)


def test_what_is_no_augmentation_is_refused() -> None:
    with pytest.raises(ParameterError, match="augment needs augmentations among"):
        augment_series(series(), "louder")
