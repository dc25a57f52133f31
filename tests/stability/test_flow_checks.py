"""Each finding fires on a planted fault and stays silent on its control."""

import pytest
import torch
from test_gradient_flow import Tagger, exploding_layer
from torch import Tensor, nn

from throughtime.errors import ParameterError
from throughtime.findings import Finding
from throughtime.nn import LSTM
from throughtime.stability import FLOW_CHECKS, flow_findings, gradient_flow, lag_curve

X = torch.randn(32, 201, 2, generator=torch.Generator().manual_seed(0))


def judged(code: str, **measured: object) -> Finding:
    (finding,) = (one for one in flow_findings(**measured) if one.code == code)  # type: ignore[arg-type]
    return finding


def default_lstm() -> nn.Module:
    torch.manual_seed(0)
    return nn.LSTM(2, 32, batch_first=True)


def test_a_horizon_short_of_the_lag_is_found_and_without_a_lag_no_fault() -> None:
    curve = lag_curve(default_lstm(), X)
    found = judged("STA001", curve=curve, lag=100)
    assert (found.verdict, found.measured) == ("found", pytest.approx(100 / curve.gradient_horizon))
    assert found.remedy.startswith("try init='chrono'")
    assert judged("STA001", curve=curve, lag=5).verdict == "clear"
    unknown = judged("STA001", curve=curve)
    assert (unknown.verdict, unknown.measured) == ("not applicable", None)
    assert "shorter than the series: no fault, unless the task needs more" in unknown.detail


def test_a_gradient_that_reaches_all_series_is_clear_of_any_lag() -> None:
    torch.manual_seed(0)
    layer = LSTM(2, 32, batch_first=True)
    with torch.no_grad():
        layer.bias_ih_l0[32:64] += 6
    curve = lag_curve(layer, X)
    assert judged("STA001", curve=curve, lag=200).verdict == "clear"
    assert judged("STA001", curve=curve).detail.startswith("more than 1 % of the gradient is left over all 201 steps;")


def test_a_linear_network_of_spectral_radius_1_2_explodes_at_its_first_step() -> None:
    curve = lag_curve(exploding_layer(), X[..., :1])
    assert curve.layers[0].growth == pytest.approx(1.2, rel=0.02)
    found = judged("STA002", curve=curve)
    assert found.verdict == "found"
    assert found.detail.startswith("CellRNN layer 0: ")
    assert "at lag 200, step 0 of the longest series; 1.198 times per step back" in found.detail
    assert "try clipping" in found.remedy
    assert judged("STA002", curve=lag_curve(default_lstm(), X)).verdict == "clear"


def test_an_overflow_is_found_with_its_step() -> None:
    layer = exploding_layer()
    with torch.no_grad():
        layer.weight_hh_l0 *= 10
        for bias in (layer.bias_ih_l0, layer.bias_hh_l0):
            bias.zero_()
    curve = lag_curve(layer, X[..., :1] * 0)  # whose states stay at zero, so that the gradients alone overflow
    found = judged("STA002", curve=curve)
    assert found.measured == float("inf")
    assert found.verdict == "found"
    lag = int((curve.layers[0].mean == float("inf")).argmax())
    assert found.detail == f"CellRNN layer 0: overflows at lag {lag}, step {200 - lag} of the longest series"


def test_a_layer_that_the_loss_does_not_read_is_found() -> None:
    class TwoBranches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read, self.unread = nn.GRU(2, 4, batch_first=True), nn.GRU(2, 4, batch_first=True)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.read(x)[0], self.unread(x)[0]

    found = judged("STA003", flow=gradient_flow(TwoBranches(), X, lambda both: both[0].mean()))
    assert (found.verdict, found.measured, found.detail) == ("found", 1, "no gradient reaches unread layer 0")
    both = judged("STA003", flow=gradient_flow(TwoBranches(), X, lambda both: both[0].mean() + both[1].mean()))
    assert (both.verdict, both.detail) == ("clear", "the gradient reaches every layer")


def test_a_gradient_that_is_not_finite_is_found_where_it_comes_up_first() -> None:
    model = Tagger().eval()
    x = torch.cat([X, X], -1)[:4, :9]

    def loss(y: Tensor) -> Tensor:
        return y.sum() + torch.sqrt(y[2, 5, 0] * 0)

    found = judged("STA004", flow=gradient_flow(model, x, loss))
    assert (found.verdict, found.measured) == ("found", 3)
    assert found.detail == "NaN first in layers.1 layer 0, at step 5 of series 2"
    assert judged("STA004", flow=gradient_flow(model, x, lambda y: y.sum())).verdict == "clear"


def test_checks_without_their_measurement_do_not_apply() -> None:
    findings = flow_findings()
    assert [finding.code for finding in findings] == ["STA001", "STA002", "STA003", "STA004", "STA005"]
    assert {finding.verdict for finding in findings} == {"not applicable"}
    lacking = ["there is no lag curve"] * 2 + ["no loss was followed back"] * 2 + ["training is not truncated"]
    assert [finding.detail for finding in findings] == lacking
    assert all("try" in check.remedy for check in FLOW_CHECKS)


@pytest.mark.parametrize(
    ("lag", "message"),
    [(201, "lag needs to be below the 201 steps of the longest series, got 201"), (0, "at least 1, got 0")],
)
def test_a_lag_that_no_series_has_is_refused(lag: float, message: str) -> None:
    curve = lag_curve(default_lstm(), X[:4])
    with pytest.raises(ParameterError, match=message):
        flow_findings(curve=curve, lag=lag)


@pytest.mark.parametrize(("k2", "verdict"), [(1, "found"), (20, "found"), (21, "clear"), (None, "not applicable")])
def test_what_truncated_training_cuts_off_is_told_by_the_lag_that_the_task_needs(k2: int | None, verdict: str) -> None:
    *_, cut = flow_findings(lag=20, k2=k2)
    assert (cut.code, cut.verdict) == ("STA005", verdict)
    *_, unknown = flow_findings(k2=5)
    assert unknown.verdict == "not applicable"
    assert (
        unknown.detail
        == "training follows gradients at most 4 steps back (k2=5); which lag the task needs is not known"
    )
