"""Which windows share steps with others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughtime.data import Sequences, shares_steps


@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=3), seed=st.integers(0, 99), n=st.integers(1, 12),
    history=st.booleans(),
)  # fmt: skip
def test_shared_steps_are_those_of_a_plain_loop_over_sets(lengths: list[int], seed: int, n: int, history: bool) -> None:
    rng = np.random.default_rng(seed)
    X = Sequences(np.zeros((sum(lengths), 1)), np.r_[0, np.cumsum(lengths)])
    series = rng.integers(0, len(lengths), n)
    begins = rng.integers(0, np.array(lengths)[series])
    ends = rng.integers(begins + 1, np.array(lengths)[series] + 1)
    W = X.cut(series, begins, ends, history=rng.integers(0, ends - begins))
    assert W.source is not None
    train, test = np.array_split(rng.permutation(n), 2)

    def steps(i: int, *, own: bool) -> set[tuple[int, int]]:
        first = begins[i] + (W.source.history[i] if own and W.source is not None else 0)
        return {(series[i], step) for step in range(first, ends[i])}

    tested = set().union(*(steps(i, own=True) for i in test))
    expected = [bool(steps(i, own=not history) & tested) for i in train]
    assert shares_steps(W, train, test, history=history).tolist() == expected


def test_series_that_are_no_windows_share_nothing() -> None:
    X = Sequences(np.zeros((6, 1)), [0, 3, 6])
    assert not shares_steps(X, np.array([0]), np.array([1]), history=True).any()


@pytest.mark.parametrize("packed", [False, True])
def test_windows_know_what_they_share_wherever_their_values_lie(packed: bool) -> None:
    W = Sequences(np.zeros((9, 1)), [0, 9]).windows(4, stride=2)
    W = W.packed() if packed else W
    assert shares_steps(W, np.array([0, 1]), np.array([2]), history=True).tolist() == [False, True]
