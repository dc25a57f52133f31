"""An audit knows how weights were drawn, names the stacked mistakes, and judges against the lag where it is known."""

import math
from dataclasses import astuple

import numpy as np
import pytest
import torch
from recurrent_models import MAKERS, leaky
from torch import Tensor, nn

from throughtime import nn as ours
from throughtime.errors import DataError, ParameterError
from throughtime.nn import initialize
from throughtime.stability import InitializationAudit, audit_initialization, gate_memory, lag_curve
from throughtime.stability.weight_patterns import find_pattern

FOUND = "found"


def verdicts(audit: InitializationAudit) -> dict[str, str]:
    return {finding.code: finding.verdict for finding in audit.findings}


def found(audit: InitializationAudit) -> list[str]:
    return [code for code, verdict in verdicts(audit).items() if verdict == FOUND]


def numbers(audit: InitializationAudit) -> list[tuple[float | None, ...]]:
    return [astuple(row) for row in audit.layers]


def patterns(audit: InitializationAudit, tensor: str = "weight_hh") -> set[str]:
    return {one.pattern for one in audit.gates if one.tensor == tensor}


@pytest.mark.parametrize("units", [16, 64])
@pytest.mark.parametrize(("cls", "gates"), [(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)])
@pytest.mark.parametrize("init", ["torch", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "orthogonal"])
def test_weights_look_like_what_they_were_drawn_by(init: str, cls: type[nn.Module], gates: int, units: int) -> None:
    expected = init.partition("_")[0]
    for seed in range(5):
        made = initialize(cls(units, units, 2), init, generator=torch.Generator().manual_seed(seed))
        for name, weight in made.named_parameters():
            if name.startswith("weight"):
                assert find_pattern(weight.detach().double(), gates) == expected, name


@pytest.mark.parametrize("gates", [3, 4])
def test_filling_the_stacked_matrix_is_recognized(gates: int) -> None:
    for seed in range(5):
        for fill, name in (
            (nn.init.xavier_uniform_, "xavier"),
            (nn.init.xavier_normal_, "xavier"),
            (nn.init.orthogonal_, "orthogonal"),
        ):
            torch.manual_seed(seed)
            weight = fill(torch.empty(gates * 24, 24, dtype=torch.float64))
            assert find_pattern(weight, gates) == f"{name} of the stacked gates"


def test_what_no_scheme_drew_looks_like_none() -> None:
    torch.manual_seed(0)
    assert find_pattern(torch.zeros(12, 3, dtype=torch.float64), 4) == "zero"
    assert find_pattern(torch.eye(8, dtype=torch.float64).repeat(4, 1) * 0.5, 4) == "identity"
    assert find_pattern(torch.randn(64, 16, dtype=torch.float64), 4) == "other"


def test_torchs_default_of_an_upper_bidirectional_layer_is_no_mistake() -> None:
    # there U(+-1/sqrt(units)) is Xavier's on the stacked matrix to the digit: 6 / (2 units + 4 units)
    for seed in range(5):
        torch.manual_seed(seed)
        audit = audit_initialization(nn.LSTM(3, 16, 2, bidirectional=True))
        assert patterns(audit, "weight_ih") == patterns(audit) == {"torch"}
        assert found(audit) == []


def test_the_stacked_mistakes_are_findings_with_their_size() -> None:
    torch.manual_seed(0)
    made = nn.LSTM(4, 64)
    nn.init.xavier_uniform_(made.weight_hh_l0)
    audit = audit_initialization(made)
    assert found(audit) == ["STA022"]
    (finding,) = (one for one in audit.findings if one.code == "STA022")
    spread = np.mean([one.to_xavier for one in audit.gates if one.tensor == "weight_hh"])
    assert spread == pytest.approx(math.sqrt(2 / 5), rel=0.01)  # .632
    assert "weight_hh of LSTM layer 0: a gate's spread is 0.63" in finding.detail
    assert "try" in finding.remedy

    nn.init.orthogonal_(made.weight_hh_l0)
    audit = audit_initialization(made)
    assert found(audit) == ["STA023"]
    rms = [one.rms_sigma for one in audit.gates if one.tensor == "weight_hh"]
    assert np.mean(np.square(rms)) == pytest.approx(1 / 4)  # rms .5
    for gate, one in zip(made.weight_hh_l0.detach().chunk(4), rms, strict=True):
        assert one == pytest.approx(float(torch.linalg.svdvals(gate).square().mean().sqrt()), rel=1e-5)

    assert found(audit_initialization(initialize(made, "keras"))) == ["STA022", "STA023"]  # as Keras does
    assert found(audit_initialization(initialize(made, "orthogonal"))) == []


def test_a_row_has_what_each_measurement_gives() -> None:
    torch.manual_seed(0)
    made, x = nn.LSTM(3, 8, 2, bidirectional=True).double(), torch.randn(60, 32, 3, dtype=torch.float64)
    audit = audit_initialization(made, x, seed=4)
    labels = ["LSTM layer 0", "LSTM layer 0 reverse", "LSTM layer 1", "LSTM layer 1 reverse"]
    assert [row.label for row in audit.layers] == labels
    for row, memory in zip(audit.layers, gate_memory(made, x), strict=True):
        assert (row.memory, row.longest_memory) == (memory.q50, memory.longest)
        assert row.chi is None
    (curve,) = audit.curves
    for one, expected in zip(curve.layers, lag_curve(made.eval(), x, seed=4).layers, strict=True):
        np.testing.assert_array_equal(one.mean, expected.mean)
    horizons = {layer.label: layer.gradient_horizon for layer in curve.layers}
    assert {row.label: row.gradient_horizon for row in audit.layers} == horizons
    radii = [torch.linalg.eigvals(gate).abs().max() for gate in made.weight_hh_l1_reverse.detach().chunk(4)]
    assert audit.layers[3].radius == pytest.approx(float(max(radii)))
    assert len(audit.gates) == 4 * 2 * 4


@pytest.mark.parametrize(
    ("scale", "variance", "chi"), [(1.0, 0.05, 0.75903), (1.5, 0.0, 1.13932), (2.0, 0.0, 1.362673)]
)
def test_chi_is_that_of_the_mean_field(scale: float, variance: float, chi: float) -> None:
    torch.manual_seed(0)
    made = ours.RNN(1, 100, dtype=torch.float64)
    with torch.no_grad():
        for weight in made.parameters():
            weight.zero_()
        made.weight_hh_l0.copy_(nn.init.orthogonal_(made.weight_hh_l0) * scale)
        made.bias_ih_l0.fill_(math.sqrt(variance))
    (row,) = audit_initialization(made, torch.randn(20, 4, 1, dtype=torch.float64)).layers
    assert row.chi == pytest.approx(chi, rel=1e-5)
    assert row.radius == pytest.approx(scale)
    assert row.memory is row.longest_memory is None


def test_a_lag_is_judged_where_it_is_known() -> None:
    torch.manual_seed(0)
    made = nn.LSTM(2, 32)
    assert found(audit_initialization(made)) == []
    assert verdicts(audit_initialization(made)) == {
        "STA001": "not applicable",
        "STA002": "clear",
        "STA014": "not applicable",
        "STA020": "not applicable",
        "STA021": "not applicable",
        "STA022": "clear",
        "STA023": "clear",
    }
    assert found(audit_initialization(made, lag=100)) == ["STA001", "STA014"]
    assert found(audit_initialization(initialize(made, "chrono", lag=100), lag=90)) == []
    rnn = nn.RNN(2, 32)
    assert found(audit_initialization(rnn, lag=100)) == ["STA001", "STA020", "STA021"]
    assert found(audit_initialization(initialize(rnn, "critical"), lag=50)) == []


def test_a_growing_network_is_off_criticality_too() -> None:
    made = ours.LinearRNN(1, 6, bias=False)
    nn.init.orthogonal_(made.weight_hh_l0, gain=1.1)
    audit = audit_initialization(made, lag=100)
    assert found(audit) == ["STA002", "STA020"]
    assert audit.layers[0].chi == pytest.approx(1.21)


class Whole(nn.Module):
    """Two recurrent layers behind an embedding of symbols."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.drop = nn.Dropout(0.5)
        self.encoder, self.decoder = nn.GRU(3, 8, batch_first=True), ours.LSTM(8, 6, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(self.drop(self.embed(x)))[0])[0][:, -1]


def test_a_model_is_audited_on_its_inputs_or_each_layer_on_white_ones() -> None:
    torch.manual_seed(0)
    made = Whole()
    state = torch.get_rng_state()
    symbols = torch.arange(32 * 40).reshape(32, 40) % 5
    audit = audit_initialization(made, symbols, lag=30)
    alone = audit_initialization(made, lag=30)
    assert torch.equal(torch.get_rng_state(), state)
    labels = ["encoder layer 0", "decoder layer 0", "decoder layer 1"]
    assert [row.label for row in audit.layers] == [row.label for row in alone.layers] == labels
    assert [curve.source for curve in audit.curves] == ["decoder"]
    assert [curve.source for curve in alone.curves] == ["encoder", "decoder"]
    assert [curve.longest for curve in alone.curves] == [101, 101]
    assert numbers(alone) == numbers(audit_initialization(made, lag=30))
    assert numbers(alone) != numbers(audit_initialization(made, lag=30, seed=1))
    assert made.training
    assert made.drop.training
    assert numbers(audit) == numbers(audit_initialization(made.eval(), symbols, lag=30))  # without dropout


def test_a_trained_estimators_module_is_audited() -> None:
    from throughtime import SequenceRegressor

    rng = np.random.default_rng(0)
    X = [rng.normal(size=(5 + i % 4, 2)) for i in range(12)]
    model = SequenceRegressor(hidden_size=4, max_epochs=1, random_state=0).fit(X, np.arange(12.0))
    padded = torch.randn(32, 9, 2)
    audit = audit_initialization(model.module_, padded, lengths=[5 + i % 5 for i in range(32)], lag=8)
    assert [row.label for row in audit.layers] == ["recurrent layer 0"]
    assert audit.curves[0].longest == 9


@pytest.mark.parametrize("name", [name for name in MAKERS if "zoneout" not in name])
def test_every_cell_can_be_audited(name: str) -> None:
    audit = audit_initialization(MAKERS[name](2, 6, 2, bidirectional=True, dtype=torch.float64))
    assert len(audit.layers) == 4
    assert len(str(audit).splitlines()) >= 4 + 8 + 4
    gated = "gru" in name or "lstm" in name
    assert [row.memory is not None for row in audit.layers] == [gated] * 4
    assert [row.radius is None for row in audit.layers] == ["projected" in name] * 4
    assert audit.layers[0].chi is None or not gated


def test_an_audit_prints_a_table_and_what_was_found() -> None:
    torch.manual_seed(0)
    made = nn.LSTM(2, 32)
    lines = str(audit_initialization(made, lag=100)).splitlines()
    assert lines[0].split() == ["layer", "cell", "chi", "radius", "memory", "longest", "1", "%", "left", "at", "lag"]
    assert lines[1].split()[:6] == ["LSTM", "layer", "0", "lstm", "-", "0.621"]
    assert lines[4].startswith("LSTM layer 0 weight_hh  torch       i 0.5")
    assert [line[:6] for line in lines[7:]] == ["STA001", "STA014"]
    looked_for = "nothing found; looked for: vanishing gradient, exploding gradient, short gate memory, fan of"
    assert looked_for in str(audit_initialization(initialize(made, "chrono", lag=100), lag=100))
    assert "beyond 100" in str(audit_initialization(initialize(made, "chrono", lag=100)))


def test_without_a_lag_an_audit_says_what_it_does_not_judge() -> None:
    unjudged = "no lag given: memory is not judged; pass lag="
    lines = str(audit_initialization(nn.LSTM(2, 32))).splitlines()  # which forgets
    assert lines[-2:] == [
        "nothing found; looked for: exploding gradient, fan of stacked gates, gates not orthogonal",
        unjudged,
    ]
    made = nn.LSTM(2, 32)
    nn.init.orthogonal_(made.weight_hh_l0)
    *_, found, last = str(audit_initialization(made)).splitlines()
    assert found.startswith("STA023 gates not orthogonal: found; weight_hh of LSTM layer 0")
    assert last == unjudged
    assert unjudged not in str(audit_initialization(made, lag=50))


def test_what_cannot_be_audited_is_refused() -> None:
    made, x = nn.GRU(2, 4), torch.randn(10, 32, 2)
    for lag in (0, -1, math.nan):
        with pytest.raises(ParameterError, match="lag needs a finite number of steps of at least 1, got"):
            audit_initialization(made, lag=lag)
    with pytest.raises(ParameterError, match="lag needs to be below the 10 steps of the longest series, got 10"):
        audit_initialization(made, x, lag=10)
    with pytest.raises(ParameterError, match="model needs a recurrent layer"):
        audit_initialization(nn.Linear(2, 2))
    x[3, 1] = torch.nan
    with pytest.raises(DataError, match="x needs finite numbers where GRU reads it, got NaN at step 3 of series 1"):
        audit_initialization(made, x)


def test_a_cell_of_ones_own_has_no_gates_that_are_known() -> None:
    audit = audit_initialization(ours.CellRNN(leaky(), 2, 6), lag=5)
    assert verdicts(audit)["STA014"] == verdicts(audit)["STA020"] == "not applicable"


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_critical_weights_of_tanh_layers_are_told_from_hes(seed: int, bidirectional: bool) -> None:
    torch.manual_seed(seed)
    made = ours.RNN(16, 64, 2, init="critical", bidirectional=bidirectional)
    assert patterns(audit_initialization(made)) == {"critical"}
    assert patterns(audit_initialization(initialize(made, "he_normal"))) == {"he"}
    assert patterns(audit_initialization(initialize(made, "xavier_normal"))) == {"xavier"}
