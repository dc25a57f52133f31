import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array
from sklearn.exceptions import DataConversionWarning

from throughtime.data import Sequences, as_sequences, as_targets
from throughtime.errors import DataError, ParameterError

ARRAY = np.arange(24.0).reshape(2, 4, 3)
RAGGED = [np.arange(6.0).reshape(3, 2), np.arange(4.0).reshape(2, 2)]


def object_array(parts):
    array = np.empty(len(parts), object)
    array[:] = parts
    return array


@pytest.mark.parametrize(
    ("X", "layout"),
    [
        (ARRAY, "ntc"),
        (list(ARRAY), "ntc"),
        (tuple(ARRAY), "ntc"),
        (ARRAY.tolist(), "ntc"),
        (object_array(list(ARRAY)), "ntc"),
        (ARRAY.astype(object), "ntc"),
        (ARRAY.transpose(0, 2, 1), "nct"),
        (list(ARRAY.transpose(0, 2, 1)), "nct"),
        (Sequences.from_arrays(ARRAY), "ntc"),
    ],
)
def test_every_form_of_the_same_series_is_the_same_sequences(X, layout):
    assert as_sequences(X, layout) == Sequences.from_arrays(list(ARRAY))


def test_a_list_may_be_ragged_in_either_layout():
    assert as_sequences(RAGGED) == Sequences.from_arrays(RAGGED)
    assert as_sequences([a.T for a in RAGGED], "nct") == Sequences.from_arrays(RAGGED)
    assert as_sequences([np.arange(3.0), np.arange(2.0)]).lengths.tolist() == [3, 2]


@pytest.mark.parametrize(
    "wrap", [np.asarray, np.ndarray.tolist, pd.DataFrame, pl.DataFrame, lambda a: a.astype(object)]
)
def test_two_axes_are_one_channel(wrap):
    X = as_sequences(wrap(ARRAY[0]))
    np.testing.assert_array_equal(np.asarray(X)[:, :, 0], ARRAY[0])


def test_a_float_array_in_c_order_is_shared_and_left_writable():
    X = np.zeros((2, 4, 3), np.float32)
    assert np.shares_memory(as_sequences(X).buffer, X)
    X[0] = 1


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros(3), "Reshape your data"),
        ([1.0, 2.0], "Reshape your data"),
        ([], "at least one series"),
        (np.zeros((0, 3)), "at least one series"),
        (np.zeros((12, 0)), r"0 feature\(s\) \(shape=\(12, 0\)\) while a minimum of 1 is required"),
        (np.zeros((2, 3, 0)), "at least one channel"),
        (np.zeros((2, 3, 1, 1)), r"shape \(2, 3, 1, 1\)"),
        (np.zeros((2, 3), complex), "Complex data not supported"),
        (np.array([["1", "2"]]), "dtype <U1"),
        (np.array([["1", 2]], object), "'1' in an array of dtype object"),
        ([[np.zeros(2), "a"]], "series 0 of X needs"),
        (csr_array(np.eye(3)), "Sparse data"),
        (as_sequences(ARRAY)[:0], "at least one series"),
        (np.full((2, 2, 2), np.inf), "series 0, step 0, channel 0"),
        ([np.zeros((2, 3)), np.zeros((2, 2))], "2 in series 1 and 3 in series 0"),
    ],
)
def test_what_is_no_set_of_series_is_refused(X, message):
    with pytest.raises(DataError, match=message):
        as_sequences(X)


def test_an_object_that_is_no_number_is_a_type_error_as_in_scikit_learn():
    X = np.ones((2, 2), object)
    X[0, 0] = {"foo": "bar"}
    with pytest.raises(TypeError, match=r"argument must be .* string.* number"):
        as_sequences(X)


@pytest.mark.usefixtures("types_unchecked")
def test_the_layout_is_never_guessed():
    with pytest.raises(ParameterError, match="got 'tcn'"):
        as_sequences(ARRAY, "tcn")


X = as_sequences(RAGGED)
EQUAL = as_sequences(ARRAY)


@pytest.mark.parametrize(
    ("y", "want"),
    [
        ([1, 2], np.array([1, 2])),
        (["a", "b"], np.array(["a", "b"])),
        (np.array(["a", "b"], object), np.array(["a", "b"], object)),
        (np.array([1, 2], object), np.array([1, 2])),
        ([True, False], np.array([True, False])),
        (pd.Series([0.5, 1.5]), np.array([0.5, 1.5])),
        (pd.Series(["a", "b"]), np.array(["a", "b"], object)),
        (pd.Series(["a", "b"], dtype="category"), np.array(["a", "b"], object)),
    ],
)
def test_one_value_a_series_comes_out_as_one_axis(y, want):
    got = as_targets(y, X)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def test_a_column_of_targets_is_flattened_with_scikit_learns_warning():
    with pytest.warns(DataConversionWarning, match="column-vector y was passed when a 1d array was expected"):
        assert as_targets(np.array([[1], [2]]), X).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("y", "X"),
    [
        ([np.zeros(3), np.zeros(2)], X),
        ([np.zeros((3, 1)), np.zeros((2, 1))], X),
        (Sequences.from_arrays([np.zeros(3), np.zeros(2)]), X),
        (np.zeros((2, 4)), EQUAL),
        (np.zeros((2, 4, 1)), EQUAL),
    ],
)
def test_one_value_a_step_comes_out_as_sequences(y, X):
    got = as_targets(y, X)
    assert isinstance(got, Sequences)
    np.testing.assert_array_equal(got.lengths, X.lengths)


def test_a_step_may_go_unobserved():
    assert np.isnan(as_targets([[1.0, np.nan, 2.0], [0.0, 1.0]], X).values).sum() == 1


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, 2, 3], r"inconsistent numbers of samples: \[2, 3\]"),
        ([np.zeros(3)], r"inconsistent numbers of samples: \[2, 1\]"),
        ([np.zeros(3), np.zeros(3)], "3 values for the 2 steps of series 1"),
        ([np.zeros((3, 2)), np.zeros((2, 2))], "one target a step, got 2 channels"),
        ([1.0, np.zeros(2)], "a mix of both"),
        ([np.zeros(3), np.full(2, np.nan)], "observed value in every series, series 1 has none"),
        ([1.0, np.nan], "Input y contains NaN.* series 1"),
        ([np.inf, 1.0], "Input y contains infinity.* series 0"),
        (["a", None], "series 1 has none"),
        ([np.full(3, np.inf), np.zeros(2)], "inf at series 0, step 0"),
        (np.zeros((2, 3)), r"shape \(2, 3\)"),
        (None, "requires y to be passed, but the target y is None"),
        (3, "should be a 1d array"),
    ],
)
def test_targets_that_do_not_fit_the_series_are_refused(y, message):
    with pytest.raises(DataError, match=message):
        as_targets(y, X)
