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


def with_gradients() -> nn.GRU:
    torch.manual_seed(0)
    made = nn.GRU(2, 3)
    made(torch.ones(4, 1, 2))[0].square().sum().backward()
    return made


def copies(made: nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in made.named_parameters()}


def test_the_live_weights_are_no_weights_before() -> None:
    made = with_gradients()
    live = r"before needs copies of the weights, got the model's own memory for weight_ih_l0, .* take \{name: w\.detach"
    for alias in (
        made.state_dict(),
        dict(made.named_parameters()),
        {name: weight.detach() for name, weight in made.named_parameters()},
        {name: weight.data.view(weight.shape) for name, weight in made.named_parameters()},
    ):
        with pytest.raises(ParameterError, match=live):
            update_ratio(made, alias)
    mixed = copies(made) | {"bias_hh_l0": made.bias_hh_l0.detach()}
    with pytest.raises(ParameterError, match="the model's own memory for bias_hh_l0"):
        update_ratio(made, mixed)
    assert {one.step_norm for one in update_ratio(made, copies(made))} == {0.0}


@pytest.mark.parametrize("before", [None, [], "sgd", nn.GRU(2, 3).parameters(), nn.GRU(2, 3)], ids=type)
@pytest.mark.usefixtures("types_unchecked")
def test_what_is_neither_weights_nor_an_optimizer_is_refused(before: object) -> None:
    with pytest.raises(ParameterError, match=r"before needs the weights before the step by name, .* or an optimizer"):
        update_ratio(nn.GRU(2, 3), before)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"before needs a weight weight_ih_l0 of .*, got 'w'"):
        update_ratio(nn.GRU(2, 3), {"weight_ih_l0": "w"})  # type: ignore[dict-item]


def test_an_optimizer_that_cannot_step_these_weights_is_refused_and_does_not_step() -> None:
    made, other = with_gradients(), with_gradients()
    before = copies(other)
    lacking = r"before needs an optimizer of this model, got one without weight_ih_l0 and 3 more; pass the part"
    with pytest.raises(ParameterError, match=lacking):
        update_ratio(made, torch.optim.SGD(other.parameters(), lr=0.1))
    assert all(torch.equal(before[name], weight) for name, weight in other.named_parameters())
    half = torch.optim.SGD([made.weight_ih_l0, made.weight_hh_l0, made.bias_ih_l0], lr=0.1)
    with pytest.raises(ParameterError, match="got one without bias_hh_l0; pass"):
        update_ratio(made, half)
    made.bias_hh_l0.requires_grad_(False)  # which no step is to move
    moved = {one.tensor: one.step_norm for one in update_ratio(made, half)}
    assert moved["bias_hh_l0"] == 0 < moved["weight_hh_l0"]
    fresh = nn.GRU(2, 3)
    with pytest.raises(ParameterError, match=r"before needs gradients for its optimizer's step, got none; call back"):
        update_ratio(fresh, torch.optim.SGD(fresh.parameters(), lr=0.1))
    with pytest.raises(
        ParameterError, match=r"by the gradients that are there, got LBFGS, which needs a closure; take"
    ):
        update_ratio(other, torch.optim.LBFGS(other.parameters()))
