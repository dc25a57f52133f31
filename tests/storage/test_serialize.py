"""Arrays and plain values come back as they were, without pickle."""

import json
from dataclasses import dataclass
from datetime import date

import hypothesis.extra.numpy as numpy_strategies
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughtime.errors import DataError, StorageError
from throughtime.storage import arrays_from_bytes, arrays_to_bytes, json_from_bytes, json_to_bytes

DTYPES = st.one_of(
    numpy_strategies.boolean_dtypes(),
    numpy_strategies.integer_dtypes(endianness="?"),
    numpy_strategies.unsigned_integer_dtypes(endianness="?"),
    numpy_strategies.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
)
ARRAYS = numpy_strategies.arrays(DTYPES, numpy_strategies.array_shapes(min_dims=0, min_side=0, max_side=4))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(min_size=1).filter(lambda name: name != "__metadata__"), ARRAYS, max_size=4))
def test_arrays_come_back_bit_for_bit(arrays: dict[str, npt.NDArray[np.generic]]) -> None:
    content = arrays_to_bytes(arrays)
    found = arrays_from_bytes(content)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype.newbyteorder("=")
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.astype(array.dtype.newbyteorder("=")).tobytes()
    assert arrays_to_bytes(dict(reversed(arrays.items()))) == content


def test_an_array_keeps_its_order_whatever_its_strides() -> None:
    a = np.arange(24.0).reshape(2, 3, 4)
    views = {
        "transposed": a.T,
        "reversed": a[:, ::-1],
        "strided": a[..., ::2],
        "broadcast": np.broadcast_to(a[0], a.shape),
    }
    found = arrays_from_bytes(arrays_to_bytes(views))
    for name, view in views.items():
        np.testing.assert_array_equal(found[name], view)


@pytest.mark.parametrize("dtype", ["O", "U3", "M8[D]", "m8[s]", "c16", "longdouble", "V4"])
def test_an_array_that_only_pickle_could_hold_is_refused_by_name(dtype: str) -> None:
    with pytest.raises(DataError, match=r"^array 'weights' needs bool, integer or float"):
        arrays_to_bytes({"weights": np.zeros(2, dtype)})


def test_an_array_called_as_the_format_names_its_metadata_is_refused() -> None:
    with pytest.raises(DataError, match="__metadata__"):
        arrays_to_bytes({"__metadata__": np.zeros(2)})


@given(st.binary(max_size=200))
def test_bytes_that_are_no_safetensors_file_are_refused(content: bytes) -> None:
    for damaged in (content, arrays_to_bytes({"a": np.arange(3)})[: len(content)]):
        with pytest.raises(StorageError, match=r"^weights\.safetensors needs to be a safetensors file"):
            arrays_from_bytes(damaged, "weights.safetensors")


@given(PLAIN)
def test_plain_values_come_back_and_are_written_one_way(value: object) -> None:
    content = json_to_bytes(value)
    assert json_from_bytes(content) == value
    assert json_to_bytes(json_from_bytes(content)) == content


def test_json_holds_null_for_a_number_that_is_not_finite() -> None:
    values = {"a": [1.5, np.nan, np.inf, -np.inf], "b": np.array([[np.nan, 2.0]], np.float32), "c": np.float64("nan")}
    assert json_from_bytes(json_to_bytes(values)) == {"a": [1.5, None, None, None], "b": [[None, 2.0]], "c": None}


def test_json_takes_records_numpy_scalars_dates_and_tuples() -> None:
    @dataclass(frozen=True)
    class Score:
        name: str
        folds: tuple[float, ...]

    value = {
        "score": Score("r2", (0.5, np.float64(0.25))),
        "n": np.int32(3),
        "flag": np.bool_(True),
        "day": date(1986, 1, 1),
        "days": np.array(["1986-01-01"], "M8[D]"),
        "label": np.str_("ä\udc80"),
    }
    assert json_from_bytes(json_to_bytes(value)) == {
        "score": {"name": "r2", "folds": [0.5, 0.25]},
        "n": 3,
        "flag": True,
        "day": "1986-01-01",
        "days": ["1986-01-01"],
        "label": "ä\udc80",
    }


def test_json_refuses_what_it_could_not_give_back_and_says_where() -> None:
    with pytest.raises(DataError, match=r"^value\['a'\]\[1\] needs numbers, .*, got object$"):
        json_to_bytes({"a": [1, object()]})
    with pytest.raises(DataError, match=r"^value needs keys of text to be written as JSON, got 1$"):
        json_to_bytes({1: "one"})


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 10_000, b'{"a": 1} 2'])
def test_bytes_that_are_no_json_are_refused(content: bytes) -> None:
    with pytest.raises(StorageError, match=r"^metrics\.json needs to be JSON"):
        json_from_bytes(content, "metrics.json")


def test_json_is_sorted_text_that_a_person_can_read() -> None:
    assert json_to_bytes({"b": 1, "a": [True]}) == b'{\n "a": [\n  true\n ],\n "b": 1\n}\n'
    assert json.loads(json_to_bytes("é")) == "é"
