"""Saturation counts gates near their ends, of the very gates that the step is made of."""

import math

import numpy as np
import pytest
import torch
from recurrent_models import layer, series, start
from torch import Tensor, nn

from throughtime import nn as ours
from throughtime.findings import run_checks
from throughtime.stability import Saturation, saturation
from throughtime.stability.gate_values import gate_values
from throughtime.stability.saturated_gates import SATURATED_GATES
from throughtime.stability.traces import trace


@pytest.mark.parametrize("name", ["torch lstm", "projected lstm", "peephole lstm", "torch gru", "rnn"])
def test_the_gates_make_the_step(name: str) -> None:
    made = layer(name, 2, bidirectional=True)
    for place in trace(made, (series(), start(made)), lengths=[6, 2, 1, 4]):
        values = gate_values(place)
        assert values is not None
        if place.cell.name == "gru":
            r, z, n = values.sigmoid["r"], values.sigmoid["z"], values.tanh["n"]
            assert r.min() > 0
            h = (1 - z) * n + z * place.before[0]
        elif place.cell.name == "rnn_tanh":
            h = values.tanh["h"]
        else:
            i, f, o = values.sigmoid.values()
            c = f * place.before[1] + i * values.tanh["g"]
            torch.testing.assert_close(torch.where(place.running[..., None], c, 0), place.after[1])
            torch.testing.assert_close(values.tanh["tanh(c)"], torch.tanh(c))
            h = o * values.tanh["tanh(c)"]
            h = h if place.w_hr is None else h @ place.w_hr.T
        torch.testing.assert_close(torch.where(place.running[..., None], h, 0), place.after[0])


def held(cls: type[nn.Module], biases: list[float], units: int = 4) -> nn.Module:
    """A layer whose gates are those of biases alone, a bias per gate."""
    made = cls(1, units)
    with torch.no_grad():
        for weight in made.parameters():
            weight.zero_()
        made.bias_ih_l0.copy_(torch.tensor(biases).repeat_interleave(units))
    return made


def by_gate(made: nn.Module, x: Tensor) -> dict[str, Saturation]:
    return {found.gate: found for found in saturation(made, x)}


def test_each_gate_is_counted_at_its_own_end() -> None:
    x = torch.zeros(3, 2, 1)
    found = by_gate(held(nn.LSTM, [5.0, 5.0, -3.0, -5.0]), x)
    fractions = {gate: (one.fraction_low, one.fraction_high) for gate, one in found.items()}
    # c falls by .98 a step, but tanh(c) is -.75 after the first
    assert fractions["i"] == fractions["f"] == (0, 1)
    assert fractions["g"] == fractions["o"] == (1, 0)
    np.testing.assert_array_equal(found["tanh(c)"].low, [0, 0, 1])
    assert [gate for gate, one in found.items() if one.keeps] == ["f"]
    found = by_gate(held(nn.GRU, [-5.0, 5.0, 1.0]), x)
    assert [(one.fraction_low, one.fraction_high, one.keeps) for one in found.values()] == [
        (1, 0, False), (0, 1, True), (0, 0, False)
    ]  # fmt: skip


def test_a_fraction_is_over_the_units_and_series_that_have_the_step() -> None:
    made = held(nn.RNN, [0.0])
    with torch.no_grad():
        made.weight_ih_l0.copy_(torch.tensor([[10.0], [10.0], [10.0], [0.1]]))
    x = torch.tensor([[1.0, -1.0, 0.0], [1.0, 9.0, 0.0], [0.0, 9.0, -1.0]])[..., None]
    (found,) = saturation(made, x, lengths=[3, 1, 3])
    np.testing.assert_allclose(found.high, np.array([3 / 12, 3 / 8, 0]))
    np.testing.assert_allclose(found.low, np.array([3 / 12, 0, 3 / 8]))
    assert found.fraction_high == pytest.approx(6 / 28)
    assert found.fraction_low == pytest.approx(6 / 28)
    (late,) = saturation(made, torch.cat([x, x]), lengths=[3, 1, 3])
    assert np.isnan(late.high[3:]).all()
    assert late.fraction_high == pytest.approx(6 / 28)


@pytest.mark.parametrize("name", ["relu", "linear", "leaky"])
def test_a_cell_without_such_gates_has_no_verdict(name: str) -> None:
    found = saturation(layer(name), series())
    assert found == ()
    (finding,) = run_checks([SATURATED_GATES], saturation=found)
    assert finding.verdict == "not applicable"


def test_a_forget_gate_near_one_is_memory_and_no_fault() -> None:
    def verdict(biases: list[float], cls: type[nn.Module] = nn.LSTM) -> str:
        (finding,) = run_checks([SATURATED_GATES], saturation=saturation(held(cls, biases), torch.zeros(5, 2, 1)))
        return finding.verdict

    assert verdict([0.0, 9.0, 0.0, 0.0]) == "clear"
    assert verdict([0.0, -9.0, 0.0, 0.0]) == "found"
    assert verdict([9.0, 0.0, 0.0, 0.0]) == "found"
    assert verdict([0.0, 9.0, 0.0], nn.GRU) == "clear"
    assert verdict([9.0, 0.0, 0.0], nn.GRU) == "found"


def test_the_finding_names_the_gate() -> None:
    made = held(ours.LSTM, [0.0, 0.0, 0.0, -math.log(200)])
    (finding,) = run_checks([SATURATED_GATES], saturation=saturation(made, torch.zeros(5, 2, 1)))
    assert (finding.code, finding.verdict, finding.measured) == ("STA013", "found", 1.0)
    assert finding.detail == "gate o of LSTM layer 0: 100% at the low end, 0% at the high end"
    assert "try" in finding.remedy


def test_where_nothing_is_saturated_no_step_has_the_most() -> None:
    lines = str(saturation(nn.RNN(1, 4), torch.zeros(3, 2, 1))).splitlines()
    assert lines[-1].split()[-3:] == ["0.000", "0.000", "-"]
