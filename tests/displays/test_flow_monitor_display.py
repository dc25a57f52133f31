"""The heat map shows the records as they are."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from throughtime import LockstepSearchCV, SequenceClassifier
from throughtime.displays import FlowMonitorDisplay
from throughtime.errors import ParameterError
from throughtime.stability import FlowRecord

LAGS = np.array([0, 1, 2, 3, 8])
LAYERS = ("layer 0", "layer 1")


def records() -> list[FlowRecord]:
    nothing = (float("nan"),) * 2
    decay = [0.5, 0.4, 0.3, 0.1]
    probes = [
        FlowRecord("probe", k, 25 * k, LAYERS, LAGS, np.stack([1 - rate * LAGS, 2 - 9 * LAGS]), (2 / rate, np.inf))
        for k, rate in enumerate(decay)
    ]
    steps = [FlowRecord("step", 0, k, LAYERS, LAGS, np.full((2, 5), -np.inf), nothing) for k in range(3)]
    return [*probes, *steps, FlowRecord("kept", 2, 50, LAYERS, LAGS, np.zeros((2, 5)), (np.inf, np.inf))]


def test_colors_are_what_is_left_relative_to_lag_0_and_the_line_is_the_horizon():
    ax = plt.subplots()[1]
    display = FlowMonitorDisplay(records()).plot(ax)
    assert display.ax_ is ax
    (mesh,) = ax.collections
    np.testing.assert_allclose(
        mesh.get_array().reshape(5, 4), -np.outer(LAGS, [0.5, 0.4, 0.3, 0.1]), rtol=1e-12, atol=1e-15
    )
    (line,) = ax.lines
    np.testing.assert_array_equal(line.get_xdata(), [0, 25, 50, 75])
    np.testing.assert_allclose(line.get_ydata(), [4, 5, 2 / 0.3, 20])
    assert ax.get_title("left") == "layer 0"
    assert display.figure_.axes[-1].get_ylabel() == "log10 of the gradient left, relative to lag 0"
    corners = mesh.get_coordinates()
    np.testing.assert_array_equal(corners[0, :, 0], [-12.5, 12.5, 37.5, 62.5, 87.5])  # half way between the probes
    np.testing.assert_array_equal(corners[:, 0, 1], [-0.5, 0.5, 1.5, 2.5, 5.5, 10.5])


def test_the_line_of_horizons_has_a_gap_where_more_than_1_percent_is_left():
    horizons = (4.0, np.inf, np.nan, 20.0)
    drawn = [replace(record, horizons=(one, np.inf)) for record, one in zip(records(), horizons, strict=False)]
    (line,) = FlowMonitorDisplay(drawn).plot().ax_.lines
    np.testing.assert_array_equal(line.get_ydata(), [4, np.nan, np.nan, 20])


def test_what_is_out_of_the_colors_is_drawn_at_their_end_and_another_layer_is_asked_for_by_place():
    display = FlowMonitorDisplay(records(), layer=1).plot()
    (mesh,) = display.ax_.collections
    assert mesh.get_array().min() == mesh.get_clim()[0] == -12
    assert not display.ax_.lines
    steps = FlowMonitorDisplay(records(), kind="step").plot()
    assert steps.figure_.axes[-1].get_ylabel() == "log10 of the norm of the gradient"
    assert not np.isnan(steps.ax_.collections[0].get_array()).all()
    single = FlowMonitorDisplay(records()[:1]).plot()
    assert single.ax_.collections[0].get_array().size == 5


def test_records_without_what_is_asked_for_are_refused():
    with pytest.raises(ParameterError, match="needs records of kind 'probe', got 'kept', 'step'; monitor='flow' makes"):
        FlowMonitorDisplay(records()[4:])
    with pytest.raises(ParameterError, match="needs records of kind 'step', got none"):
        FlowMonitorDisplay([], kind="step")
    with pytest.raises(ParameterError, match="layer needs one of the 2 of the records, layer 0, layer 1, got 2"):
        FlowMonitorDisplay(records(), layer=2)
    with pytest.raises(ParameterError, match="layer needs one of the 2 of the records, layer 0, layer 1, got '0'"):
        FlowMonitorDisplay(records(), layer="0")


X, Y = np.random.default_rng(0).normal(size=(24, 9, 2)).astype("float32"), np.arange(24) % 2


def net(**settings):
    own = {"hidden_size": 4, "max_epochs": 6, "random_state": 0, "init": "orthogonal", "monitor": "flow-every-step"}
    return SequenceClassifier(**own | settings)


@pytest.mark.filterwarnings("ignore::throughtime.errors.FlowWarning")
def test_an_estimator_brings_its_records_also_from_within_a_pipeline_or_search():
    fitted = net(num_layers=2).fit(X, Y)
    ax = plt.subplots()[1]
    shown = FlowMonitorDisplay.from_estimator(fitted, layer=1, kind="step", ax=ax)
    assert shown.ax_ is ax
    assert shown.records == FlowMonitorDisplay(fitted.flow_, kind="step").records
    assert (ax.get_title("left"), shown.kind) == ("layer 1", "step")
    plain = FlowMonitorDisplay.from_estimator(fitted)
    assert (plain.kind, plain.layer, len(plain.records)) == ("probe", 0, 6)
    for holder in (
        make_pipeline(FunctionTransformer(), net()).fit(X, Y),
        LockstepSearchCV(net(), {"lr": [0.01]}, cv=2).fit(X, Y),
    ):
        assert len(FlowMonitorDisplay.from_estimator(holder).records) == 6


def test_an_estimator_without_records_is_refused_with_what_to_set():
    with pytest.raises(ParameterError, match=r"from_estimator needs an estimator fitted with monitor='flow' or 'flow-"):
        FlowMonitorDisplay.from_estimator(net(monitor=None).fit(X, Y))
    with pytest.raises(NotFittedError):
        FlowMonitorDisplay.from_estimator(net())
    for other in (DummyClassifier().fit(X, Y), LockstepSearchCV(net(), {"lr": [0.01]}), records(), None):
        with pytest.raises(
            ParameterError, match=f"needs a fitted SequenceClassifier or .*, got a {type(other).__name__}"
        ):
            FlowMonitorDisplay.from_estimator(other)
