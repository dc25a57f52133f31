"""The pictures of a gradient's way show the norms that were measured."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from throughtime import SequenceClassifier
from throughtime.displays import GradientFlowDisplay, LagCurveDisplay
from throughtime.errors import ParameterError
from throughtime.nn import LinearRNN
from throughtime.stability import GradientFlow, LagCurve, gradient_flow, lag_curve

X = torch.randn(5, 40, 2, generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([30, 12, 25, 3, 7])


def flow_of(cell: type[nn.RNNBase] = nn.LSTM) -> GradientFlow:
    torch.manual_seed(0)
    layer = cell(2, 6, 2, batch_first=True, bidirectional=True)  # type: ignore[call-arg]
    return gradient_flow(layer, X, lambda found: found[0].square().sum(), lengths=LENGTHS)


def curve_of() -> LagCurve:
    torch.manual_seed(0)
    return lag_curve(nn.RNN(2, 6, 2, batch_first=True), X)


def linear_curve(rate: float) -> LagCurve:
    layer = LinearRNN(2, 6, batch_first=True)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(rate * torch.eye(6))
        layer.bias_ih_l0.zero_()
        layer.bias_hh_l0.zero_()
    return lag_curve(layer, X * 0)  # whose states stay at zero, so that gradients alone overflow


@pytest.mark.parametrize("state", ["total", "h", "c"])
def test_each_cell_of_the_map_is_the_mean_of_the_series_that_have_the_step(state: str) -> None:
    flow = flow_of()
    display = GradientFlowDisplay(flow, state=state).plot()  # type: ignore[arg-type]
    drawn = display.image_.get_array()
    assert drawn.shape == (4, 40)
    for row, layer in zip(drawn, reversed(flow.layers), strict=True):
        norms = getattr(layer, state)
        assert row[20] == pytest.approx(np.log10(norms[20, [0, 2]]).mean())
        assert row[2] == pytest.approx(np.log10(norms[2]).mean())
        assert row.mask[30:].all()  # no series goes so far
        assert not row.mask[:30].any()
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == [
        layer.label for layer in reversed(flow.layers)
    ]


def test_where_nothing_arrives_the_map_has_its_last_color() -> None:
    torch.manual_seed(0)
    layer = nn.GRU(2, 6, batch_first=True)
    flow = gradient_flow(layer, X, lambda found: found[0][:, 9].sum())
    display = GradientFlowDisplay(flow).plot()
    low, _ = display.image_.get_clim()
    assert (display.image_.get_array()[0, 10:] == low).all()
    assert (display.norms[0, 10:] == -np.inf).all()
    assert display.colorbar_.extend == "min"


def test_what_is_the_same_everywhere_has_one_color_and_what_is_not_finite_none() -> None:
    flow = flow_of()
    layer = flow.layers[0]
    same = replace(layer, h=np.full_like(layer.h, 0.1), c=None)
    display = GradientFlowDisplay(replace(flow, layers=(same,))).plot()
    low, high = display.image_.get_clim()
    assert (low, high) == pytest.approx((-2, -1))
    assert display.colorbar_.extend == "neither"
    overflowing = replace(same, h=np.where(np.arange(len(same.h))[:, None] == 5, np.inf, same.h))
    row = GradientFlowDisplay(replace(flow, layers=(overflowing,))).norms[0]
    assert np.isnan(row[5])
    assert np.isfinite(row[:5]).all()


def test_a_cell_without_c_has_no_map_of_it() -> None:
    with pytest.raises(ParameterError, match="needs a cell with c for state='c', got none"):
        GradientFlowDisplay(flow_of(nn.GRU), state="c")


def test_a_curve_its_band_and_its_horizon_are_those_measured() -> None:
    curve = curve_of()
    display = LagCurveDisplay(curve).plot()
    assert [*display.lines_] == ["RNN layer 0", "RNN layer 1"]
    for layer in curve.layers:
        assert display.lines_[layer.label].get_ydata() == pytest.approx(layer.mean)
        edge = display.bands_[layer.label].get_paths()[0].vertices
        assert edge[:, 1].max() == pytest.approx(layer.high.max())
        (dot, _, (bar,)) = display.horizons_[layer.label].lines
        assert (dot.get_xdata()[0], dot.get_ydata()[0]) == pytest.approx((layer.gradient_horizon, 0.01))
        (ends,) = bar.get_segments()
        assert ends[:, 0] == pytest.approx((layer.horizon_low, layer.horizon_high))
    assert display.ax_.get_title(loc="left") == f"5 series, 1 % left at lag {curve.gradient_horizon:.3g}"
    assert display.ax_.get_yscale() == "log"


def test_a_curve_that_never_falls_has_no_horizon_and_one_that_overflows_ends() -> None:
    display = LagCurveDisplay(linear_curve(0.95)).plot()
    assert display.horizons_ == {}
    assert display.ax_.get_title(loc="left") == "5 series, more than 1 % left at lag 39"
    assert display.ax_.get_legend() is None  # of one layer
    (line,) = LagCurveDisplay(linear_curve(30)).plot().lines_.values()
    assert np.isnan(line.get_ydata()[-1])
    exploding = LagCurveDisplay(linear_curve(3)).plot()
    assert exploding.ax_.get_title(loc="left") == "5 series, 3 times per step back"
    (gone,) = LagCurveDisplay(linear_curve(0.0)).plot().lines_.values()
    assert np.isnan(gone.get_ydata()[1:]).all()  # zero has no place on a logarithmic axis


def test_an_interval_beyond_the_series_ends_with_them() -> None:
    curve = curve_of()
    layer = replace(curve.layers[0], gradient_horizon=30.0, horizon_low=20.0, horizon_high=float("inf"))
    display = LagCurveDisplay(replace(curve, layers=(layer,))).plot()
    (ends,) = display.horizons_[layer.label].lines[2][0].get_segments()
    assert ends[:, 0] == pytest.approx((20, curve.longest - 1))


def test_one_series_has_no_band_and_no_interval() -> None:
    torch.manual_seed(0)
    display = LagCurveDisplay(lag_curve(nn.RNN(2, 6, batch_first=True), X[:1])).plot()
    assert display.bands_ == {}
    assert not display.horizons_["RNN layer 0"].has_xerr


def test_a_fitted_estimator_is_followed_and_drawn() -> None:
    fitted = SequenceClassifier(cell="lstm", hidden_size=4, max_epochs=1, random_state=0).fit(X, [0, 1, 0, 1, 1])
    assert GradientFlowDisplay.from_estimator(fitted, X, [0, 1, 0, 1, 1], state="c").labels == ["recurrent layer 0"]
    assert LagCurveDisplay.from_estimator(fitted, X).curve.source == "recurrent"
