"""Series of many callers as one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughtime.data import Sequences
from throughtime.estimators.pool import kind, pooled

RNG = np.random.default_rng(0)
X = Sequences.from_arrays([RNG.normal(size=(2 + i % 3, 2)) for i in range(9)], static=RNG.normal(size=9))


def assert_holds(parts: list[Sequences]) -> Sequences:
    whole, rows = pooled(parts)
    for part, own in zip(parts, rows, strict=True):
        np.testing.assert_array_equal(whole[own].values, part.values)
        np.testing.assert_array_equal(whole[own].lengths, part.lengths)
        if part.static is not None:
            np.testing.assert_array_equal(whole[own].static, part.static)
    return whole


@given(st.lists(st.lists(st.integers(0, 8), min_size=1, max_size=12), min_size=1, max_size=5))
def test_every_part_is_found_again_and_what_is_shared_is_there_once(chosen: list[list[int]]) -> None:
    whole = assert_holds([X[np.array(rows)] for rows in chosen])
    assert len(whole) == len({row for rows in chosen for row in rows})
    assert whole.buffer is X.buffer  # no value was copied


def test_parts_of_other_buffers_are_joined() -> None:
    whole = assert_holds([X[:4], Sequences.from_arrays([*X[2:6]], static=X.static[2:6]), X[3:]])  # type: ignore[index]
    assert len(whole) >= 9


def test_windows_that_overlap_stay_apart() -> None:
    long = Sequences.from_arrays([RNG.normal(size=(30, 1))])
    assert len(assert_holds([long.windows(5), long.windows(6, 2)])) == 26 + 13


def test_the_same_steps_beside_other_static_features_are_another_series() -> None:
    assert len(assert_holds([X, X.replace(static=-np.asarray(X.static))])) == 18
    assert len(assert_holds([X, X.replace(static=np.asarray(X.static).copy())])) == 9


@pytest.mark.parametrize(
    "other", [X.astype("float32"), Sequences(X.values, X.offsets), X.replace(groups=np.arange(9)),
              X.replace(channel_names=["a", "b"]), Sequences(X.values[:, :1], X.offsets, static=X.static)]
)  # fmt: skip
def test_series_that_cannot_be_pooled_are_of_another_kind(other: Sequences) -> None:
    assert kind(other) != kind(X)


def test_groups_that_no_array_holds_as_they_are_keep_series_apart() -> None:
    numbers, text = X.replace(groups=np.arange(9)), X.replace(groups=[str(n) for n in range(9)])
    assert kind(numbers) != kind(text)
    assert kind(numbers) == kind(X.replace(groups=np.arange(9) + 0.5))
