"""Gate memory is the time constant of the gate that keeps the state."""

import math

import numpy as np
import pytest
import torch
from recurrent_models import layer, series
from torch import nn

from throughtime import nn as ours
from throughtime.findings import run_checks
from throughtime.stability import gate_memory
from throughtime.stability.gate_memories import SHORT_MEMORY


def held(bias: float, cls: type[nn.Module] = nn.LSTM) -> nn.Module:
    made = cls(1, 4)
    with torch.no_grad():
        for weight in made.parameters():
            weight.zero_()
        made.bias_hh_l0[4:8] = bias
    return made


@pytest.mark.parametrize("cls", [nn.LSTM, nn.GRU, ours.LSTM, ours.GRU, ours.PeepholeLSTM])
@pytest.mark.parametrize(("bias", "steps"), [(0, 1.44), (1, 3.19), (2, 7.88), (3, 20.6), (5, 149)])
def test_a_forget_bias_is_so_many_steps_of_memory(cls: type[nn.Module], bias: float, steps: float) -> None:
    (found,) = gate_memory(held(bias, cls), torch.zeros(7, 2, 1))
    np.testing.assert_allclose(found.steps, steps, rtol=5e-3)
    assert found.q10 == found.q50 == found.q90 == found.longest == found.steps[0]
    assert found.gate == ("z" if cls in (nn.GRU, ours.GRU) else "f")


def test_memory_is_that_of_the_product_of_all_gates() -> None:
    made, x, lengths = layer("torch lstm"), series(), [6, 2, 4, 1]
    (found,) = gate_memory(made, x, lengths=lengths)
    logs = []
    for s, length in enumerate(lengths):
        state = (torch.zeros(1, 3, dtype=torch.float64),) * 2
        for step in x[:length, s : s + 1]:
            gates = step @ made.weight_ih_l0.T + made.bias_ih_l0 + state[0] @ made.weight_hh_l0.T + made.bias_hh_l0
            logs.append(torch.sigmoid(gates[:, 3:6]).log())
            end = made(step[None], tuple(part[None] for part in state))[1]
            state = (end[0][0], end[1][0])
    expected = -1 / torch.cat(logs).mean(0).detach()
    np.testing.assert_allclose(found.steps, expected.numpy(), rtol=1e-12)


def test_quantiles_are_of_the_units_and_a_gate_of_one_keeps_for_ever() -> None:
    made = held(0.0)
    with torch.no_grad():
        made.bias_hh_l0[4:8] = torch.tensor([0.0, 1.0, 2.0, 1000.0])
    (found,) = gate_memory(made, torch.zeros(7, 2, 1))
    assert (round(found.q10, 2), round(found.q50, 2)) == (1.44, 3.19)
    assert found.q90 == found.longest == math.inf


@pytest.mark.parametrize("name", ["rnn", "relu", "linear", "leaky"])
def test_a_cell_without_such_a_gate_has_no_verdict(name: str) -> None:
    found = gate_memory(layer(name), series())
    assert found == ()
    (finding,) = run_checks([SHORT_MEMORY], gate_memory=found, lag=5)
    assert finding.verdict == "not applicable"


def test_a_memory_that_loses_all_but_1_percent_by_the_lag_is_a_finding_where_the_lag_is_known() -> None:
    found = gate_memory(held(2.0), torch.zeros(7, 2, 1))
    verdicts = {lag: run_checks([SHORT_MEMORY], gate_memory=found, lag=lag)[0] for lag in (36, 37, None)}
    assert [finding.verdict for finding in verdicts.values()] == ["clear", "found", "not applicable"]
    assert verdicts[37].measured == pytest.approx(37 / 7.88, rel=1e-3)
    assert "try init='chrono'" in verdicts[37].remedy
    assert "7.88 steps at most" in verdicts[37].detail
