import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughtime.data import Sequences, concatenate
from throughtime.errors import DataError, ParameterError

LENGTHS = (3, 1, 5, 2)


def arrays_of(lengths, n_channels=2, dtype=np.float32):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, n_channels)).astype(dtype) for length in lengths]


def full(lengths=LENGTHS, dtype=np.float32):
    n = len(lengths)
    return Sequences.from_arrays(
        arrays_of(lengths, dtype=dtype),
        times=[np.arange(length) * 2.0 for length in lengths],
        groups=[f"g{i % 2}" for i in range(n)],
        static=np.arange(2 * n).reshape(n, 2),
        channel_names=["a", "b"],
    )


def same_arrays(sequences, arrays):
    assert len(sequences) == len(arrays)
    for got, want in zip(sequences, arrays, strict=True):
        np.testing.assert_array_equal(got, want)


selections = st.lists(st.integers(1, 6), min_size=1, max_size=8).flatmap(
    lambda lengths: st.tuples(
        st.just(lengths),
        st.one_of(
            st.slices(len(lengths)),
            st.lists(st.integers(-len(lengths), len(lengths) - 1), max_size=12),
            st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths)).map(np.array),
        ),
    )
)


@settings(max_examples=150, deadline=None)
@given(selections, st.integers(1, 4), st.integers(1, 3))
def test_selecting_equals_selecting_from_a_list_of_arrays_and_copies_no_value(selection, length, stride):
    lengths, rows = selection
    arrays, sequences = arrays_of(lengths), full(lengths)
    chosen = np.arange(len(lengths))[np.array(rows, int) if isinstance(rows, list) else rows]

    subset = sequences[rows]
    same_arrays(subset, [arrays[i] for i in chosen])
    assert subset.buffer is sequences.buffer
    np.testing.assert_array_equal(subset.groups, [f"g{i % 2}" for i in chosen])
    np.testing.assert_array_equal(subset.static, np.arange(2 * len(lengths)).reshape(-1, 2)[chosen])
    np.testing.assert_array_equal(subset.values, np.concatenate([np.zeros((0, 2)), *[arrays[i] for i in chosen]]))
    np.testing.assert_array_equal(subset.times, np.concatenate([[], *[np.arange(lengths[i]) * 2.0 for i in chosen]]))
    np.testing.assert_array_equal(subset.offsets, np.cumsum([0, *[lengths[i] for i in chosen]]))
    assert pickle.loads(pickle.dumps(subset)) == subset == subset.packed()
    assert len(pickle.loads(pickle.dumps(subset)).buffer) <= max(subset.n_steps, len(sequences.buffer))

    pieces = [arrays[i][k : k + length] for i in chosen for k in range(0, lengths[i] - length + 1, stride)]
    if pieces:
        windows = subset.windows(length, stride)
        same_arrays(windows, pieces)
        assert windows.buffer is sequences.buffer
        same_arrays(windows[::-1], pieces[::-1])
        joined = concatenate([windows, subset])
        same_arrays(joined, [*pieces, *subset])
        assert joined.buffer is sequences.buffer
    else:
        with pytest.raises(DataError, match=f"at least {length} steps"):
            subset.windows(length, stride)


def test_one_series_is_a_read_only_view_of_the_flat_buffer():
    sequences = full()
    series = sequences[-2]
    np.testing.assert_array_equal(series, arrays_of(LENGTHS)[2])
    assert np.shares_memory(series, sequences.buffer)
    for array in (series, sequences.values, sequences.buffer, sequences.groups, sequences.static, sequences.times):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[0]
    np.testing.assert_array_equal(sequences.times_of(2), [0, 2, 4, 6, 8])


@pytest.mark.parametrize("rows", [4, -5, 1.0, True, "a", [[0]], [0.5], (0, 1), np.array([True])])
def test_an_index_that_selects_no_series_is_an_index_error(rows):
    with pytest.raises(IndexError):
        full()[rows]


def test_a_flat_array_that_fits_is_shared_and_arrays_are_copied_once():
    flat = np.zeros((6, 2), np.float32)
    sequences = Sequences(flat, [0, 2, 6])
    assert np.shares_memory(sequences.buffer, flat)
    assert flat.flags.writeable
    parts = arrays_of(LENGTHS)
    copied = Sequences.from_arrays(parts)
    parts[0][:] = 7
    assert not (copied[0] == 7).any()


@pytest.mark.parametrize(
    ("given", "kept"),
    [("f4", "f4"), ("f8", "f8"), (">f8", "f8"), ("f2", "f4"), ("i8", "f4"), ("u1", "f4"), ("?", "f4"), ("g", "f8")],
)
def test_floats_keep_their_width_and_other_numbers_become_float32(given, kept):
    assert Sequences.from_arrays([np.ones((2, 1), given)]).dtype == np.dtype(kept)
    assert Sequences(np.ones((2, 1), given), [0, 2]).dtype == np.dtype(kept)


def test_one_float64_series_makes_all_of_them_float64():
    mixed = Sequences.from_arrays([np.ones((2, 1), "f4"), np.full((1, 1), 0.1), np.ones((1, 1), int)])
    assert mixed.dtype == np.float64
    assert mixed[1][0, 0] == 0.1


def test_a_signaling_nan_is_a_nan_like_any_other():
    odd = np.array([[0x7F800001], [0]], np.uint32).view(np.float32)
    X = Sequences(odd, [0, 2], static=odd[:1].astype("f4")).astype("f8")
    assert np.isnan(X.values[0, 0])
    assert np.isnan(X.static[0, 0])


@pytest.mark.parametrize(("dtype", "named"), [("c8", "complex64"), ("U3", "<U3"), ("O", "object"), ("M8[s]", "date")])
def test_what_is_no_real_number_is_refused_by_its_dtype(dtype, named):
    with pytest.raises(DataError, match=named):
        Sequences.from_arrays([np.zeros((2, 1)).astype("i8").astype(dtype)])


def test_inf_is_refused_by_series_step_and_channel_and_nan_is_data():
    arrays = arrays_of((20, 20, 20, 20))
    arrays[3][17, 1] = -np.inf
    with pytest.raises(DataError, match=r"-inf at series 3, step 17, channel 'tmin' \(1\)"):
        Sequences.from_arrays(arrays, channel_names=["tmax", "tmin"])
    with pytest.raises(DataError, match=r"series 3, step 17, channel 1$"):
        Sequences.from_arrays(arrays)
    arrays[3][17, 1] = np.nan
    assert np.isnan(Sequences.from_arrays(arrays)[3][17, 1])


def test_inf_is_found_beyond_the_first_chunk_of_the_scan():
    flat = np.zeros((200_000, 1), np.float32)
    flat[150_001] = np.inf
    with pytest.raises(DataError, match="series 1, step 50001"):
        Sequences(flat, [0, 100_000, 200_000])


def test_a_number_too_large_for_float32_is_refused_as_infinite():
    with pytest.raises(DataError, match="hold every value"):
        Sequences.from_arrays([np.full((1, 1), 1e39)]).astype("f4")
    assert Sequences.from_arrays([np.full((1, 1), 0.1)]).astype("f4").dtype == np.float32


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([], "at least one series, got none"),
        ([np.ones((2, 1)), np.ones((0, 1))], "series 1 has none"),
        ([np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 4))], "got 4 in series 2 and 3 in series 0"),
        ([np.ones((2, 3, 1))], r"series 0 has shape \(2, 3, 1\)"),
    ],
)
def test_series_that_cannot_be_one_set_are_refused_by_name(arrays, message):
    with pytest.raises(DataError, match=message):
        Sequences.from_arrays(arrays)


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([0], "at least one series"),
        ([0, 2], "run from 0 to the 3 steps"),
        ([1, 3], "run from 0"),
        ([0, 2, 1, 3], "decrease after series 1"),
        ([0, 2**62 + 1, -(2**62), 3], "decrease after series 1"),
        (np.array([0, 2**63 + 1, 3], np.uint64), "decrease after series 0"),
        ([0, 3, 3], "series 1 has none"),
        ([0.0, 3.0], "integers"),
    ],
)
def test_offsets_must_partition_the_steps(offsets, message):
    with pytest.raises(DataError, match=message):
        Sequences(np.zeros((3, 1)), offsets)


@pytest.mark.parametrize(
    ("extras", "message"),
    [
        ({"groups": [1, 2]}, "each of the 1 series"),
        ({"groups": [None]}, "series 0 has none"),
        ({"groups": [{}]}, "dict"),
        ({"static": np.ones((2, 1))}, "row for each of the 1 series"),
        ({"static": [[1, np.inf]]}, "series 0, feature 1"),
        ({"channel_names": ["a", "b"]}, "each of the 1 channels, got 2"),
        ({"times": [0, 1]}, "each of the 3 steps"),
        ({"times": [0, 2, 2]}, "got 2.0 in series 0, step 2"),
        ({"times": [0, np.nan, 2]}, "series 0, step 1"),
        ({"times": ["a", "b", "c"]}, "numbers or datetime64"),
        ({"times": np.array(["2020-01-01", "NaT", "2020-01-02"], "M8[D]")}, "NaT in series 0, step 1"),
    ],
)
def test_what_comes_with_the_series_must_fit_them(extras, message):
    with pytest.raises(DataError, match=message):
        Sequences(np.zeros((3, 1)), [0, 3], **extras)


def test_times_begin_anew_with_each_series_and_datetimes_are_nanoseconds():
    times = np.array(["2020-01-02", "2020-01-03", "2020-01-01"], "M8[D]")
    assert Sequences(np.zeros((3, 1)), [0, 2, 3], times=times).times.dtype == "datetime64[ns]"
    assert Sequences(np.zeros((3, 1)), [0, 3], times=[1, 2, 3]).times.dtype == np.float64


def test_padding_fills_after_each_series_end():
    sequences = full()
    padded = sequences.padded(7, fill=-1)
    assert padded.shape == (4, 7, 2)
    for row, series in zip(padded, arrays_of(LENGTHS), strict=True):
        np.testing.assert_array_equal(row[: len(series)], series)
        assert (row[len(series) :] == -1).all()
    assert np.isnan(sequences.padded()[1, 1:]).all()
    with pytest.raises(ParameterError, match="at least the 5 steps"):
        sequences.padded(4)


def test_only_series_of_one_length_are_an_array():
    assert np.asarray(full((4, 4))).shape == (2, 4, 2)
    with pytest.raises(DataError, match=r"1 to 5 steps; padded\(\)"):
        np.asarray(full())


def test_equality_sees_every_part_and_takes_nan_for_nan():
    sequences = full()
    assert sequences == full()
    assert sequences != full(dtype=np.float64)
    assert sequences != sequences.replace(groups=[1, 2, 3, 4])
    assert sequences != sequences.replace(static=[1, 2, 3, 4])
    assert sequences != sequences.replace(channel_names="xy")
    assert sequences != sequences[::-1]
    assert sequences != 3
    gap = Sequences(np.full((2, 1), np.nan), [0, 2])
    assert gap == Sequences(np.full((2, 1), np.nan), [0, 2])


def test_a_selection_pickles_without_the_rest_and_windows_without_their_overlap():
    sequences = full((1000, 10))
    assert len(pickle.dumps(sequences[1:])) < 2000
    windows = sequences.windows(100)
    restored = pickle.loads(pickle.dumps(windows))
    assert restored == windows
    assert len(restored.buffer) == len(sequences.buffer)
    with pytest.raises(ValueError, match="read-only"):
        restored.buffer[0] = 0


def test_concatenating_copies_only_what_does_not_share_a_buffer():
    sequences = full()
    assert concatenate([sequences[:1], sequences[1:]]) == sequences
    other = full((2, 6))
    joined = concatenate([sequences[[2, 0]], other.windows(2, 4)])
    same_arrays(joined, [sequences[2], sequences[0], other[0], other[1][:2], other[1][4:]])
    np.testing.assert_array_equal(joined.times, np.concatenate([sequences[[2, 0]].times, other.windows(2, 4).times]))
    with pytest.raises(DataError, match="same channels"):
        concatenate([sequences, Sequences(np.zeros((1, 1)), [0, 1])])


def one_of(**parts):
    return Sequences(np.zeros((2, 1)), [0, 2], **parts)


DAYS = np.arange(2).astype("datetime64[D]")


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"times": [0, 1]}, {}, "kind of times .*, got no times beside numbers as times"),
        ({}, {"times": DAYS}, "kind of times .*, got dates as times beside no times"),
        ({"times": [0, 1]}, {"times": DAYS}, "kind of times .*, got dates as times beside numbers as times"),
        ({"times": DAYS, "time_zone": "UTC"}, {"times": DAYS}, "kind of times .*, got dates as times beside dates "),
        (
            {"times": DAYS, "time_zone": "UTC"},
            {"times": DAYS, "time_zone": "Europe/Berlin"},
            "time zone .*, got Europe/Berlin beside UTC",
        ),
        ({"groups": [1]}, {}, "kind of groups .*, got no groups beside numbers as groups"),
        ({"groups": [1]}, {"groups": ["1"]}, "kind of groups .*, got text as groups beside numbers as groups"),
        ({"groups": [1]}, {"groups": [True]}, "kind of groups .*, got booleans as groups beside numbers as groups"),
        ({"groups": DAYS[:1]}, {"groups": [0.0]}, "kind of groups .*, got numbers as groups beside dates as groups"),
        ({"static": [1.0]}, {}, "static features .*, got 0 beside 1"),
        ({"static": [1.0], "static_names": ["a"]}, {"static": [1.0]}, r"static names .*, got None beside \('a',\)"),
        ({"channel_names": ["a"]}, {"channel_names": ["b"]}, r"channel names .*, got \('b',\) beside \('a',\)"),
        ({}, {"train_dtype": np.float32}, "training dtype .*, got float32 beside float64"),
    ],
)  # fmt: skip
def test_parts_that_hold_other_things_are_not_joined(first, second, said):
    with pytest.raises(DataError, match=f"^concatenate needs the same {said}"):
        concatenate([one_of(**first), one_of(**second)])


def test_parts_of_one_kind_are_joined_in_the_wider_type_of_both():
    narrow = Sequences(np.ones((2, 1), np.float32), [0, 2], groups=[1], static=[[1.0]], times=[0, 1])
    wide = Sequences(np.ones((2, 1)), [0, 2], groups=[1.5], static=[[1 / 3]], times=[0, 1], train_dtype=np.float32)
    joined = concatenate([narrow, wide])
    assert joined.dtype == joined.static.dtype == np.float64
    np.testing.assert_array_equal(joined.static[:, 0], [1, 1 / 3])
    np.testing.assert_array_equal(joined.groups, [1, 1.5])
    words = concatenate([one_of(groups=np.array(["a"])), one_of(groups=np.array(["longer"], object))])
    assert words.groups.tolist() == ["a", "longer"]


def test_windows_beside_series_that_are_none_are_no_windows():
    sequences = full()
    assert concatenate([sequences.windows(2), sequences.windows(2)]).source is not None
    assert concatenate([sequences.windows(2), sequences]).source is None


def test_without_times_all_else_stays():
    windows = Sequences(
        np.arange(4.0)[:, None], [0, 4], times=np.arange(4).astype("datetime64[D]"), time_zone="UTC", groups=["a"]
    ).windows(2)
    bare = windows.without_times()
    assert (bare.times, bare.time_zone) == (None, None)
    assert bare.buffer is windows.buffer
    assert bare.source is windows.source
    assert bare == Sequences.from_arrays(list(windows), groups=windows.groups)


def test_scikit_learn_splits_sequences_without_taking_them_apart():
    from sklearn.model_selection import train_test_split

    sequences = full()
    train, test = train_test_split(sequences, test_size=0.25, shuffle=False)
    assert train == sequences[:3]
    assert test == sequences[3:]


def test_repr_says_what_it_holds():
    assert repr(full()) == ("Sequences(4 series, 1-5 steps, 2 channels, float32, times=float64, groups=2, static=2)")


def test_pieces_are_cut_without_a_copy_and_only_from_within_a_series():
    sequences, arrays = full(), arrays_of(LENGTHS)
    pieces = sequences.cut([2, 0, 2], [1, 0, 0], [4, 3, 5])
    same_arrays(pieces, [arrays[2][1:4], arrays[0], arrays[2]])
    assert pieces.buffer is sequences.buffer
    np.testing.assert_array_equal(pieces.static, sequences.static[[2, 0, 2]])
    for index, begin, end in ((4, 0, 1), (-1, 0, 1), (0, 0, 4), (0, -1, 2), (0, 2, 2)):
        with pytest.raises(ParameterError, match=f"got {begin} to {end} of series {index}"):
            sequences.cut([index], [begin], [end])


def test_channels_and_static_features_are_taken_with_their_names_and_without_a_change_of_memory_order():
    values, static = np.arange(12.0).reshape(4, 3), np.arange(6.0).reshape(2, 3)
    X = Sequences(values, [0, 3, 4], static=static, channel_names=list("abc"), static_names=list("uvw"), groups=[1, 2])
    taken = X.take_channels([2, 0]).take_static([1])
    want = Sequences(values[:, [2, 0]], [0, 3, 4], static=static[:, [1]], channel_names="ca", static_names="v",
                     groups=[1, 2])  # fmt: skip
    assert taken == want
    assert taken.buffer.flags.c_contiguous
    assert taken.static.flags.c_contiguous
    assert X[1:].take_channels([1]) == X.take_channels([1])[1:]
    with pytest.raises(ParameterError, match="static features, got none"):
        Sequences(values, [0, 4]).take_static([0])


def test_other_channels_keep_all_else_also_of_windows_that_overlap():
    windows = full().windows(2)[::-1]
    doubled = windows.with_channels(np.concatenate([windows.values, 2 * windows.values], axis=1), ["a", "b", "c", "d"])
    assert doubled.channel_names == ("a", "b", "c", "d")
    for index, window in enumerate(windows):
        np.testing.assert_array_equal(doubled[index], np.concatenate([window, 2 * window], axis=1))
    assert doubled.take_channels([0, 1]).replace(channel_names=windows.channel_names or ()) == windows.packed()
    np.testing.assert_array_equal(doubled.source.begins, windows.source.begins)
    with pytest.raises(DataError, match=r"a row of floats for each of the .* steps, got int64 of shape \(2, 1\)"):
        windows.with_channels(np.zeros((2, 1), np.int64))
    with pytest.raises(DataError, match=r"X needs finite values .*, got inf at series 0, step 1, channel 0"):
        windows.with_channels(np.where(np.arange(windows.n_steps) == 1, np.inf, 0.0)[:, None])


def test_names_are_replaced_kept_or_taken_away():
    X = Sequences(np.zeros((4, 2)), [0, 4], static=[[1.0, 2.0]], channel_names="ab", static_names="uv")
    assert X.replace(groups=[1]).channel_names == ("a", "b")
    assert X.replace(channel_names="cd", static_names="wx").static_names == ("w", "x")
    bare = X.replace(channel_names=(), static_names=())
    assert bare.channel_names is None
    assert bare.static_names is None
