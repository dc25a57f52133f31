"""Moments of columns: against NumPy's of what was observed, repeated as often as it weighs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from throughtime.data import weighted_moments
from throughtime.data.moments import _general_moments

NAN = np.nan


@given(
    x=arrays(np.float64, (7, 2), elements=st.one_of(st.just(NAN), st.floats(-1e6, 1e6).map(lambda v: round(v, 3)))),
    times=arrays(np.int64, 7, elements=st.integers(0, 3)),
)
def test_a_weight_is_a_repetition_and_missing_values_are_left_out(x, times):
    mean, deviation = weighted_moments(x, times.astype(float))
    repeated = np.repeat(x, times, 0)
    for column in range(2):
        seen = repeated[~np.isnan(repeated[:, column]), column]
        if not len(seen):
            assert (mean[column], deviation[column]) == (0, 1)
            continue
        # float64, 21 terms; a deviation is a difference of values of the mean's size
        scale = np.abs(seen).max()
        assert mean[column] == pytest.approx(seen.mean(), rel=1e-12, abs=1e-12 * scale)
        if len(set(seen)) > 1:
            assert deviation[column] == pytest.approx(seen.std(), rel=1e-9, abs=1e-12 * scale)
        else:
            assert deviation[column] == 1


def test_a_large_offset_does_not_drown_the_deviation():
    x = 1e8 + np.array([[-1.0], [1.0], [-1.0], [1.0]])
    mean, deviation = weighted_moments(x, np.ones(4))
    assert (mean[0], deviation[0]) == (1e8, 1.0)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e100, 1e-300, 1e9 + 0.1])
def test_a_column_that_does_not_vary_has_deviation_one(constant):
    _, deviation = weighted_moments(np.full((30, 1), constant), np.random.default_rng(0).uniform(size=30))
    assert deviation[0] == 1


@pytest.mark.parametrize("columns", [1, 3, 12])
@pytest.mark.parametrize("spoil", ["nothing", "constant", "huge", "tiny", "missing", "offset"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moments_of_unit_weights_are_those_of_any_weights_to_the_bit(columns: int, spoil: str, dtype: str) -> None:
    x = np.random.default_rng(columns).normal(size=(997, columns))
    if spoil == "missing":
        x[5, 0] = NAN
    elif spoil == "offset":
        x[:, 0] = 1e6 + 1e-7 * x[:, 0]
    else:
        huge, tiny = (1e30, 1e-30) if dtype == "float32" else (1e200, 1e-155)
        x[:, 0] *= {"nothing": 1.0, "constant": 0.0, "huge": huge, "tiny": tiny}[spoil]
    x = x.astype(dtype)
    ones = np.ones(997)
    for found, wanted in zip(weighted_moments(x, ones), _general_moments(x.astype("f8"), ones), strict=True):
        np.testing.assert_array_equal(found, wanted)
