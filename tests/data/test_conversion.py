import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.sparse import csr_array
from sklearn.exceptions import DataConversionWarning

from throughtime.data import Sequences, as_sequences, as_targets
from throughtime.errors import DataError, DataWarning, ParameterError

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
        ([np.zeros(3), np.zeros((2, 1))], X),
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
        (
            [np.zeros((3, 2)), np.zeros((2, 2))],
            r"^y needs one target per step, got an array of shape \(3, 2\) for series 0",
        ),
        ([np.zeros((3, 1)), np.zeros((2, 1, 1))], r"^y needs one target per step, got .* \(2, 1, 1\) for series 1"),
        ([np.zeros(3), np.zeros(0)], "^y needs one value for each step of X, got 0 values for the 2 steps of series 1"),
        ([[[1, 2], [3]], [1, 2]], "^y needs one value per series or one per step, got nested lists"),
        ([np.zeros(3), np.zeros(2, complex)], "series 1 of y needs real numbers, got complex128"),
        ([1.0, np.zeros(2)], "a mix of both"),
        ([np.zeros(3), np.full(2, np.nan)], "observed value in every series, series 1 has none"),
        ([1.0, np.nan], "Input y contains NaN.* series 1"),
        ([np.inf, 1.0], "Input y contains infinity.* series 0"),
        (["a", None], "series 1 has none"),
        ([np.zeros(3), np.array([0, -np.inf])], "^y needs finite values .*, got -inf at series 1, step 1$"),
        (np.zeros((2, 3)), r"shape \(2, 3\)"),
        (None, "requires y to be passed, but the target y is None"),
        (3, "should be a 1d array"),
    ],
)
def test_targets_that_do_not_fit_the_series_are_refused(y, message):
    with pytest.raises(DataError, match=message):
        as_targets(y, X)


def test_classes_per_step_that_are_text_are_refused_as_y_with_what_makes_them_numbers():
    cure = "; number classes per step, 0, 1, ..., as numpy.unique(labels, return_inverse=True) does"
    words = [np.array(["up", "down", "up"]), np.array(["up", "down"])]
    table = np.array([["up"] * 4, ["down"] * 4])
    for y, series, said in (
        (words, X, "series 0 of y needs real numbers, got text (<U4)"),
        ([np.zeros(3), words[1].astype(object)], X, "series 1 of y needs real numbers, got 'up' in an array of dtype"),
        (table, EQUAL, "y needs real numbers, got text (<U4)"),
        (pd.DataFrame(table), EQUAL, "y needs real numbers, got 'up' in an array of dtype object"),
    ):
        with pytest.raises(DataError, match="^" + re.escape(said)) as refused:
            as_targets(y, series)
        assert str(refused.value).endswith(cure)
    with pytest.raises(DataError, match=r"^y needs finite values .*, got inf at series 1, step 3$"):
        as_targets(np.array([[0, 0, 0, 0], [0, 0, 0, np.inf]]), EQUAL)


def masked(values, *places):
    array = np.ma.masked_array(np.array(values), mask=False)
    for place in places:
        array[place] = np.ma.masked
    return array


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_])
@pytest.mark.parametrize(
    "take", [as_sequences, lambda a: as_sequences([*a]), lambda a: Sequences.from_arrays([*a]),
             lambda a: Sequences(a.reshape(-1, 3), [0, 4, 8])]
)  # fmt: skip
def test_what_is_masked_was_not_observed(take, dtype):
    X = take(masked(ARRAY.astype(dtype), (0, 1, 2), (1, 3, 0)))
    want = ARRAY.astype(dtype).astype(X.dtype)
    want[0, 1, 2] = want[1, 3, 0] = np.nan
    np.testing.assert_array_equal(np.asarray(X), want)
    np.testing.assert_array_equal(np.asarray(take(masked(ARRAY.astype(dtype)))), ARRAY.astype(dtype))


def test_masks_of_targets_and_of_what_else_a_series_has_are_seen():
    np.testing.assert_array_equal(
        np.isnan(as_targets(masked(np.zeros((2, 4)), (1, 2)), EQUAL).values).ravel(), np.arange(8) == 6
    )
    np.testing.assert_array_equal(
        np.isnan(Sequences.from_arrays(RAGGED, static=masked([[1, 2], [3, 4]], (0, 1))).static),
        [[False, True], [False, False]],
    )
    for one in (masked([1.0, 2.0], 1), masked(["a", "b"], 1), masked([1, 2], 1), masked([True, False], 1)):
        with pytest.raises(DataError, match=r"series 1"):
            as_targets(one, X)
        with pytest.raises(DataError, match="groups needs a value for every series, series 1 has none"):
            Sequences.from_arrays(RAGGED, groups=one)
    for clock in (masked([1.0, 2, 3], 1), masked(np.arange(3).astype("M8[D]"), 1)):
        with pytest.raises(DataError, match="times needs"):
            Sequences.from_arrays(RAGGED, times=[clock, np.arange(2.0)])
    with pytest.raises(DataError, match="offsets needs"):
        Sequences(np.zeros((4, 1)), masked([0, 2, 4], 1))


@pytest.mark.parametrize(
    ("array", "layout", "cure"),
    [
        (np.zeros((5, 1, 4)), "ntc", "(series, channel, time), as aeon and sktime have them, layout='nct'"),
        (list(np.zeros((5, 1, 4))), "ntc", "layout='nct'"),
        (np.zeros((5, 4, 1)), "nct", "(series, time, channel), layout='ntc'"),
    ],
)
def test_series_of_one_step_and_many_channels_are_warned_of_with_the_cure(array, layout, cure):
    with pytest.warns(DataWarning, match=f"one step and 4 channels.*{re.escape(cure)}"):
        as_sequences(array, layout)
    Sequences.from_arrays(np.zeros((5, 1, 4)))  # meant so


LONG = pd.DataFrame({"who": np.repeat([3, 1, 2], 4), "when": np.tile(np.arange(4), 3), "flow": np.sin(np.arange(12.0))})
NAMED = {"who": "case_id", "when": "time"}


@pytest.mark.parametrize("wrap", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize(
    ("frame", "sign"),
    [
        (LONG, "column 'who' whose values come in blocks, in each of which column 'when' rises"),
        (LONG.rename(columns=NAMED)[["case_id", "flow"]], "a column named 'case_id' whose values repeat"),
        (LONG.rename(columns=NAMED)[["time", "flow"]], "a column named 'time'"),
        (LONG.rename(columns={"who": "patientID"})[["patientID", "flow"]], "a column named 'patientID' whose"),
    ],
)
def test_a_long_frame_is_warned_of_with_the_cure(frame, sign, wrap):
    with pytest.warns(DataWarning, match=f"X has a?.*{sign}.*throughtime.read.*one row per step"):
        as_sequences(wrap(dict(frame)))


def test_an_index_that_tells_steps_of_series_apart_is_warned_of():
    with pytest.warns(DataWarning, match="an index of 2 levels"):
        as_sequences(LONG.set_index(["who", "when"]))
    with pytest.warns(DataWarning, match="an index named 'case_id' whose values repeat"):
        as_sequences(LONG.rename(columns=NAMED)[["case_id", "flow"]].set_index("case_id"))


@pytest.mark.parametrize(
    "column", [np.repeat(["a", "b"], 6), pd.date_range("2024-01-01", periods=12)], ids=["text", "date"]
)
def test_a_long_frame_of_other_than_numbers_is_refused_with_the_cure(column):
    with pytest.raises(DataError, match=r"real numbers.*throughtime.read\(frame, id=.*one row per step"):
        as_sequences(LONG.assign(extra=column))


def test_wide_frames_are_taken_without_a_word():
    rng = np.random.default_rng(0)
    for values in (rng.normal(size=(12, 4)), rng.integers(0, 3, (12, 4)), np.ones((12, 4)), np.eye(12)[:, :4]):
        for names in (["t0", "t1", "t2", "t3"], range(4)):
            as_sequences(pd.DataFrame(values, columns=names))
    as_sequences(pd.DataFrame({"t0": np.arange(12), "id": np.arange(12)}))  # repeats nothing
