"""What a network is fed, and how a member scales it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from throughtime.data import Sequences
from throughtime.estimators.features import features_of, gather_steps, inputs_of, missing_in, scaling
from throughtime.estimators.targets import Targets, classes_of, encode, transform, untransform

NAN = np.nan


def test_a_masked_channel_brings_whether_it_is_missing_and_the_steps_since_it_was_seen():
    X = Sequences.from_arrays([[[NAN, 1.0], [2.0, NAN], [NAN, NAN], [NAN, 4.0]], [[5.0, 6.0]]])
    features = features_of(X, True)
    assert features.n_inputs == 6
    assert features.lengths.tolist() == [4, 1]
    np.testing.assert_array_equal(features.values[:, :2], X.values)
    np.testing.assert_array_equal(features.values[:, 2:4], np.isnan(X.values))
    # before the first value: counted from the start
    assert features.values[:, 4].tolist() == [1, 0, 1, 2, 0]
    assert features.values[:, 5].tolist() == [0, 1, 2, 0, 0]
    assert features.values.dtype == X.dtype


@pytest.mark.parametrize("masked", [False, True])
def test_series_that_are_views_of_one_buffer_are_fed_as_copies_would_be(masked):
    rng = np.random.default_rng(0)
    whole = Sequences.from_arrays([rng.normal(size=(20, 2)), rng.normal(size=(9, 2))], static=[[1.0], [2.0]])
    values = whole.values.copy()
    values[rng.random(values.shape) < 0.3] = NAN
    windows = Sequences(values, whole.offsets, static=whole.static).windows(5, 2)
    views, copies = (features_of(X, masked) for X in (windows[::-1], windows[::-1].packed()))
    rows = np.arange(len(windows))
    np.testing.assert_array_equal(
        *(gather_steps(each.values, each.starts[rows], each.lengths[rows]) for each in (views, copies))
    )
    for one, other in zip(
        scaling(views, rows, np.ones(len(rows))), scaling(copies, rows, np.ones(len(rows))), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_inputs_end_with_the_row_that_padding_points_to():
    X = Sequences.from_arrays([np.ones((3, 2)), np.ones((2, 2))])
    inputs = inputs_of(features_of(X, False), "cpu")
    assert inputs.values.shape == (6, 2)
    assert inputs.values[-1].isnan().all()
    assert not inputs.values[:-1].isnan().any()


def test_missing_values_are_found_in_the_series_asked_for_and_in_static_features():
    X = Sequences.from_arrays([np.ones((3, 1)), np.full((2, 1), NAN)], static=[[1.0], [1.0]])
    assert missing_in(X).tolist() == [False, True]
    assert missing_in(X[::-1]).tolist() == [True, False]
    assert not missing_in(X[:1]).any()
    gappy = Sequences.from_arrays([np.ones((3, 1)), np.ones((2, 1))], static=[[1.0], [NAN]])
    assert missing_in(gappy).tolist() == [False, True]


def test_static_columns_are_scaled_over_series_and_channels_over_steps():
    X = Sequences.from_arrays([np.full((3, 1), 1.0), np.full((1, 1), 5.0)], static=[[10.0], [30.0]])
    mean, deviation = scaling(features_of(X, False), np.array([0, 1]), np.ones(2))
    assert mean.tolist() == [2.0, 20.0]
    assert deviation.tolist() == [np.sqrt(3), 10.0]


def test_classes_are_numbered_in_sorted_order_and_what_is_none_of_them_is_not_observed():
    known = classes_of(Targets(np.array(["b", "a", "b"])))
    assert known.tolist() == ["a", "b"]
    assert encode(Targets(np.array(["b", "a", "c", "A"])), known).tolist() == [1, 0, -1, -1]
    steps = Targets(np.array([3.0, NAN, 1.0, 3.0]), np.array([2, 2]))
    assert classes_of(steps).tolist() == [1, 3]
    assert classes_of(steps).dtype == np.int64
    assert encode(steps, classes_of(steps)).tolist() == [1, -1, 0, 1]


def test_step_targets_are_taken_series_by_series():
    targets = Targets(np.arange(6.0), np.array([1, 3, 2]))
    taken = targets.take(np.array([2, 0, 2]))
    assert taken.values.tolist() == [4, 5, 0, 4, 5]
    assert taken.lengths.tolist() == [2, 1, 2]


@pytest.mark.parametrize("name", ["none", "log", "log1p", "sqrt"])
@given(y=arrays(np.float64, 5, elements=st.floats(1e-3, 1e6)))
def test_a_target_comes_back_from_its_transform(name, y):
    # float64; an exponential takes an error of a logarithm up to 14 as a relative one
    np.testing.assert_allclose(untransform(name, transform(name, y)), y, rtol=1e-12)


def test_an_unobserved_target_stays_unobserved_and_one_outside_becomes_so_on_request():
    y = np.array([4.0, NAN, -1.0])
    np.testing.assert_array_equal(transform("sqrt", y, refuse=False), [2.0, NAN, NAN])
