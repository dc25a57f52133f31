"""What the lag curve finds: it fires on a planted fault, stays silent on its control, and is no verdict."""

import numpy as np
import pytest
import torch
from tasks import copy, digits

from throughtime import SequenceClassifier
from throughtime.nn import GRU, LSTM, RNN, Init, Scheme
from throughtime.parameters import CellName
from throughtime.stability import flow_findings, lag_curve

LAYERS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


def verdicts(cell: CellName, init: Init, lag: int = 100) -> dict[str, str]:
    """Of a network at its start, on the series of a task of this lag."""
    torch.manual_seed(0)
    x, _ = copy(np.random.default_rng(0), 32, lag + 1)
    layer = LAYERS[cell](8, 16, batch_first=True, init=init)
    return {found.code: found.verdict for found in flow_findings(curve=lag_curve(layer, torch.from_numpy(x)), lag=lag)}


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_vanishing_gradient_is_found_and_a_living_one_is_not(cell: CellName) -> None:
    assert verdicts(cell, "torch")["STA001"] == "found"
    assert verdicts(cell, Scheme(biases="chrono", lag=100))["STA001"] == "clear"


def test_an_exploding_gradient_is_found_and_a_living_one_is_not() -> None:
    assert verdicts("rnn", Scheme(gain=2))["STA002"] == "found"
    assert verdicts("rnn", Scheme(gain=1.2))["STA002"] == "clear"


def test_a_vanished_gradient_is_no_verdict() -> None:
    # a digit's strokes are all over its 64 pixels: what the last ones teach makes the gradient reach the earlier ones
    x, y = digits(np.random.default_rng(0))
    torch.manual_seed(0)
    at_its_start = lag_curve(GRU(1, 32, batch_first=True), torch.from_numpy(x[:32]))
    assert at_its_start.layers[0].mean[63] < 1e-6
    net = SequenceClassifier(hidden_size=32, max_epochs=10, random_state=0).fit(x[:1400], y[:1400])
    assert net.score(x[1400:], y[1400:]) > 0.75
