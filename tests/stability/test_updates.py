"""Update ratios are norms gate by gate, of two states of the weights or of an optimizer's own step."""

import math

import pytest
import torch
from recurrent_models import layer, series
from torch import nn

from throughtime.errors import ParameterError
from throughtime.findings import Finding, run_checks
from throughtime.stability import update_ratio
from throughtime.stability.updates import UPDATE_SIZE


def net() -> nn.Module:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = layer("torch lstm", bidirectional=True)
            self.readout = nn.Linear(6, 1, dtype=torch.float64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.readout(self.recurrent(x)[0][-1])

    return Net()


def test_a_gradient_step_moves_each_gate_by_its_gradient() -> None:
    made = net()
    made(series()).square().sum().backward()
    before = {name: weight.detach().clone() for name, weight in made.named_parameters()}
    stepped = update_ratio(made, torch.optim.SGD(made.parameters(), lr=0.1))
    for name, weight in made.named_parameters():  # the step was taken
        torch.testing.assert_close(weight.detach(), before[name] - 0.1 * weight.grad)
    assert repr(update_ratio(made, before)) == repr(stepped)
    found = {(one.tensor, one.gate): one for one in stepped}
    assert len(found) == 8 * 4 + 2
    for name, weight in made.named_parameters():
        gates = "ifgo" if name.startswith("recurrent") else [""]
        for place, gate in enumerate(gates):
            grad, old = (part.chunk(len(gates))[place] for part in (weight.grad, before[name]))
            one = found[name, gate]
            assert one.step_norm == pytest.approx(0.1 * float(grad.norm()), rel=1e-9)
            assert one.weight_norm == pytest.approx(float(old.norm()), rel=1e-12)
            assert one.ratio == pytest.approx(one.step_norm / one.weight_norm)


def test_weights_of_zero_have_no_ratio() -> None:
    made = nn.GRU(2, 3)
    nn.init.zeros_(made.bias_ih_l0)
    before = {name: weight.detach().clone() for name, weight in made.named_parameters()}
    with torch.no_grad():
        made.bias_ih_l0[:3] = 1.0
    ratios = {one.gate: one.ratio for one in update_ratio(made, before) if one.tensor == "bias_ih_l0"}
    assert ratios["r"] == math.inf
    assert math.isnan(ratios["z"])


def moved(by: float, gate: int = 1) -> Finding:
    made = nn.GRU(2, 3)
    before = {name: weight.detach().clone() for name, weight in made.named_parameters()}
    with torch.no_grad():
        for name, weight in made.named_parameters():
            weight.mul_(1.001)
            if name == "weight_hh_l0":
                part = weight.chunk(3)[gate]
                part.copy_(before[name].chunk(3)[gate] * (1 + by))
    return run_checks([UPDATE_SIZE], update_ratio=update_ratio(made, before))[0]


def test_a_gate_that_runs_ahead_or_stands_still_is_a_finding() -> None:
    assert [moved(by).verdict for by in (0.0, 2e-5, 5e-4, 5e-3, 2e-2)] == ["found", "found", "clear", "clear", "found"]
    finding = moved(0.05)
    assert finding.measured == pytest.approx(math.log10(50), rel=1e-3)
    assert finding.detail == "gate z of weight_hh_l0 moves by 0.05 of its norm in a step"
    assert "try" in finding.remedy


def test_what_is_no_state_of_these_weights_is_refused() -> None:
    made = nn.GRU(2, 3)
    with pytest.raises(ParameterError, match=r"before needs a weight weight_ih_l0 of \(9, 2\), got none"):
        update_ratio(made, {})
    with pytest.raises(ParameterError, match=r"before needs a weight weight_ih_l0 of \(9, 2\), got one of \(9, 3\)"):
        update_ratio(made, dict(nn.GRU(3, 3).named_parameters()))
    with pytest.raises(ParameterError, match="model needs a recurrent layer"):
        update_ratio(nn.Linear(2, 2), {})
