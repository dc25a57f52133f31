"""Norms by lag, their horizon, and records as arrays and back."""

from dataclasses import fields

import numpy as np
import pytest

from throughtime.errors import StorageError
from throughtime.stability import (
    FlowRecord,
    fit_horizon,
    flow_from_arrays,
    flow_to_arrays,
    horizons_of,
    layer_names,
    recorded_lags,
)


def test_the_horizon_is_that_of_a_lag_curve():
    rng = np.random.default_rng(0)
    curves = np.cumsum(rng.normal(-0.2, 0.3, (20, 40)), 1)
    curves[3, 20:] = -np.inf
    curves[4, 5:] = np.nan
    with np.errstate(divide="ignore"):
        expected = [fit_horizon(((curve - curve[0]) * np.log(10))[:, None]).lag for curve in curves]
    found = horizons_of(curves, np.arange(40))
    np.testing.assert_allclose(found, expected, rtol=1e-12)  # float64, of another base
    assert np.isinf(found).any()
    assert np.isfinite(found).any()
    sparse = np.array([0, 10, 20])
    assert horizons_of(np.array([0.0, -1.0, -3.0]), sparse) == pytest.approx(15)


@pytest.mark.parametrize("longest", [1, 2, 31, 32, 33, 100, 5000])
def test_recorded_lags_are_all_near_ones_and_the_longest(longest):
    lags = recorded_lags(longest)
    assert (lags[:32] == np.arange(min(longest, 32))).all()
    assert lags[-1] == longest - 1
    assert len(lags) <= 128
    assert (np.diff(lags) > 0).all()


def records(layers: tuple[str, ...] = ("layer 0", "layer 0 reverse")) -> list[FlowRecord]:
    rng = np.random.default_rng(0)
    lags = np.array([0, 1, 5])
    nothing = (float("nan"),) * len(layers)
    return [
        FlowRecord("probe", 0, 0, layers, lags, rng.normal(size=(len(layers), 3)).astype("float32"), (2.5, np.inf)),
        FlowRecord("step", 0, 0, layers, lags, rng.normal(size=(len(layers), 3)).astype("float32"), nothing),
        FlowRecord("kept", 3, 9, layers, lags, np.full((len(layers), 3), -np.inf, "float32"), (1.0, 2.0)),
    ]


def test_records_come_back_from_arrays_to_the_bit():
    before = records()
    after = flow_from_arrays(flow_to_arrays(before), "here")
    for one, other in zip(before, after, strict=True):
        for field in fields(FlowRecord):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))
    assert after[0].gradient_horizon == 2.5
    assert flow_to_arrays([]) == {}
    assert len(flow_from_arrays({}, "here")) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", np.array([0, 2, 3], np.uint8)),
        ("kind", np.array([0, 2, -1], np.int8)),
        ("epoch", np.zeros(2, np.int64)),
        ("epoch", np.array([0, 0, -3])),
        ("step", np.zeros(3)),
        ("lags", np.array([0, 5, 1])),
        ("lags", np.array([-1, 0, 1])),
        ("lags", np.array([1, 2, 3])),
        ("lags", np.array([0, 5, 1], np.uint8)),
        ("lags", np.zeros(0, np.int64)),
        ("lags", np.array(3)),
        ("log_norms", np.zeros((3, 2, 2), np.float32)),
        ("log_norms", np.zeros((3, 2, 3), np.int64)),
        ("horizons", np.zeros((2, 3))),
        ("reverse", np.zeros((2, 1), np.uint8)),
        ("lags", None),
    ],
)
def test_arrays_that_are_no_records_are_refused(name, value):
    arrays = flow_to_arrays(records()) | {name: value}
    if value is None:
        del arrays[name]
    with pytest.raises(StorageError, match="here needs to hold records of gradients, got"):
        flow_from_arrays(arrays, "here")


def test_layers_are_named_in_torchs_order():
    assert layer_names([False, False]) == ("layer 0", "layer 1")
    assert layer_names([False, True, False, True]) == ("layer 0", "layer 0 reverse", "layer 1", "layer 1 reverse")
