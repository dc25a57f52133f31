"""What is measured prints as a table of what, where and how much, and never as a dump of its arrays."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from throughtime import stability
from throughtime.nn import LinearRNN
from throughtime.records import MOST_ROWS, Record, Records
from throughtime.stability import (
    GradientFlow,
    LayerFlow,
    audit_initialization,
    flushed_deltas,
    gate_memory,
    gradient_flow,
    jacobians,
    lag_curve,
    lag_decomposition,
    linear_rnn_gradients,
    lyapunov_exponents,
    saturation,
    singular_values,
    truncation_bias,
    update_ratio,
)

#: Those of the graph unrolled, which is drawn, and of training, which are stored and drawn.
DRAWN = {"ComputationGraph", "Edge", "Lane", "Node", "SharedParameter", "SerialDepth", "FlowRecord", "StateNorms"}


def halving(width: int = 1) -> LinearRNN:
    """``h_t = x_t + h_{t-1} / 2``, unit by unit."""
    layer = LinearRNN(width, width, bias=False)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.eye(width))
        layer.weight_hh_l0.copy_(torch.eye(width) / 2)
    return layer


def at_the_end(output: tuple[Tensor, Tensor]) -> Tensor:
    return output[0][-1].sum()


def ones(time: int = 4, series: int = 2, width: int = 1) -> Tensor:
    return torch.ones(time, series, width)


def forgetting() -> nn.LSTM:
    """All weights zero, so that every gate is 1/2."""
    layer = nn.LSTM(1, 2)
    for weight in layer.parameters():
        nn.init.zeros_(weight)
    return layer


def stepped() -> Records[Any]:
    layer = halving()
    at_the_end(layer(ones())).backward()
    return update_ratio(layer, torch.optim.SGD(layer.parameters(), lr=0.25))


def measured() -> dict[str, Any]:
    """One of each, by the name of its class."""
    layer, (w, x) = halving(), (np.ones((1, 1)), np.ones((1, 4, 1)))
    flow, curve = gradient_flow(layer, ones(), at_the_end), lag_curve(layer, ones())
    audit = audit_initialization(nn.LSTM(1, 4))
    return {
        "FlushedDeltas": flushed_deltas(layer, ones(), at_the_end),
        "GateMemory": gate_memory(forgetting(), ones()),
        "GateWeights": audit.gates,
        "GradientFlow": flow,
        "InitializationAudit": audit,
        "Jacobians": jacobians(layer, ones()),
        "LagCurve": curve,
        "LagDecomposition": lag_decomposition(layer, ones(), at_the_end),
        "LayerAudit": audit.layers,
        "LayerFlow": flow.layers[0],
        "LayerLagCurve": curve.layers[0],
        "LinearRNNGradients": linear_rnn_gradients(x, x, w, 0.5 * w, w),
        "LyapunovSpectrum": lyapunov_exponents(layer, ones()),
        "Saturation": saturation(nn.RNN(1, 2), ones() * 1e6),
        "SingularValues": singular_values(jacobians(layer, ones())[0]),
        "TruncationBias": truncation_bias(layer, ones(), at_the_end),
        "UpdateRatio": stepped(),
    }


def test_no_record_prints_as_a_dump() -> None:
    public = {name: getattr(stability, name) for name in stability.__all__}
    kinds = {name for name, kind in public.items() if isinstance(kind, type) and issubclass(kind, Record)}
    printed = measured()
    assert kinds - DRAWN == set(printed)
    for name, record in printed.items():
        for one in (record, record[0]) if isinstance(record, Records) else (record,):
            assert name not in str(one).splitlines()[0]
            assert len(str(one).splitlines()) > 1
            assert max(map(len, str(one).splitlines())) <= 120, str(one)


#: Of the rows that are known by hand: the cells as they are printed.
ROWS = {
    "FlushedDeltas": ["LinearRNN layer 0", "float32", "1.2e-38", "0.000", "-"],
    "GateMemory": ["LSTM layer 0", "f", *["1.44"] * 4],  # -1 / ln .5
    "Jacobians": ["LinearRNN layer 0", "linear", "1", "2", "4", "0.5", "0.5", "step 0 of series 0"],
    "LayerFlow": ["LinearRNN layer 0", "1", "0.12", "0.12", "1", "0.5"],
    "LayerLagCurve": ["LinearRNN layer 0", "0.5", "0.25", "beyond 3"],
    "LyapunovSpectrum": ["LinearRNN layer 0", "linear", "4", "1", "-0.693", "-0.693", "0"],
    "Saturation": ["RNN layer 0", "h", "0.500", "0.500", "1.000 at step 0"],
    "SingularValues": ["LinearRNN layer 0", "1", "0.5", "0.5", "0.5"],
    # dL/dw_ih = sum_k 2 (.5)^k = 3.75
    "UpdateRatio": ["weight_ih_l0", "h", "0.938", "1", "0.938"],
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_says_what_was_measured(name: str) -> None:
    record = measured()[name] if name != "Saturation" else saturation(opposed(), ones() * 1e6)
    row = str(record).splitlines()[2]
    assert [cell.strip() for cell in row.split("  ") if cell.strip()] == ROWS[name]
    if isinstance(record, Records):
        assert str(record[0]).splitlines() == str(record).splitlines()[:3]


def opposed() -> nn.RNN:
    """Two units, at either end."""
    layer = nn.RNN(1, 2)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.tensor([[1.0], [-1.0]]))
    return layer


def test_tables_by_lag_and_by_step_show_closed_forms() -> None:
    printed = measured()
    # of 2 series lag k carries 2 / 2^k of dL/dw_ih, and of dL/dw_hh that times the states before: 1.75, 1.5, 1
    assert str(printed["LagDecomposition"]).splitlines() == [
        "norm of each lag's part of the gradient over that of the whole, lags 0 to 3",
        "of lag           0     1      2  norm of the whole",
        f"weight_ih_l0  {2 / 3.75:.2f}  {1 / 3.75:.2f}   {0.5 / 3.75:.2f}               3.75",
        f"weight_hh_l0  {3.5 / 5.5:.2f}  {1.5 / 5.5:.2f}  {0.5 / 5.5:.3f}                5.5",
    ]
    full, one = np.array([3.75, 5.5]), np.array([2, 3.5])
    norm = np.linalg.norm(full)
    numbers = one @ full / np.linalg.norm(one) / norm, np.linalg.norm(one) / norm, np.linalg.norm(full - one) / norm
    lines = str(printed["TruncationBias"]).splitlines()
    assert lines[:2] == [
        "gradients that reach back k steps of 4, beside the full one",
        "k  cosine  norm over full  fraction cut off",
    ]
    assert lines[2].split() == ["1", *(f"{number:.3g}" for number in numbers)]
    assert [line.split()[0] for line in lines[2:]] == ["1", "2", "4"]


def test_of_many_rows_the_first_are_shown_and_the_others_counted() -> None:
    one = stepped()[0]
    many = Records(replace(one, tensor=f"weight {number}") for number in range(MOST_ROWS + 3))
    lines = str(many).splitlines()
    assert len(lines) == 2 + MOST_ROWS + 1
    assert lines[-2].startswith(f"weight {MOST_ROWS - 1} ")
    assert lines[-1] == "... and 3 more"
    assert str(Records(many[:MOST_ROWS])).splitlines() == lines[:-1]


def broken(place: int, series: int, *, reverse: bool, all_of_it: bool) -> GradientFlow:
    flow = gradient_flow(halving(), ones(8, 3), at_the_end)
    h = np.ones((8, 3))
    h[place if not all_of_it else slice(place, None) if reverse else slice(0, place + 1), series] = np.nan
    (layer,) = flow.layers
    layer = replace(layer, h=h, reverse=reverse, first_nonfinite=(place, series))
    return replace(flow, layers=(layer,))


@pytest.mark.parametrize(
    ("place", "reverse", "all_of_it", "ending"),
    [
        (5, False, True, "at step 5 and all before it"),
        (5, True, True, "at step 5 and all after it"),
        (5, False, False, "at step 5"),
        (0, False, True, "at step 0"),
        (7, True, True, "at step 7"),
    ],
)
def test_where_a_gradient_is_not_finite_is_said_with_the_direction(
    place: int, reverse: bool, all_of_it: bool, ending: str
) -> None:
    lines = str(broken(place, 1, reverse=reverse, all_of_it=all_of_it)).splitlines()
    assert lines[-1] == f"LinearRNN layer 0: the gradient of series 1 is not finite {ending}"


def test_a_gradient_that_is_nowhere_a_number_prints_without_a_warning() -> None:
    flow = gradient_flow(nn.LSTM(1, 2), ones(), lambda output: output[0].sum() * torch.nan)
    *_, row, last = str(flow).splitlines()
    assert row.split() == ["LSTM", "layer", "0", *["nan"] * 5]
    assert last == (
        "LSTM layer 0: the gradient of series 0 is not finite at step 3 and all before it; nor are those of 1 more "
        "series, at some steps"
    )


def test_steps_that_no_series_has_are_left_out_of_what_is_printed() -> None:
    flow = gradient_flow(halving(), ones(6, 2), lambda output: output[1].sum(), lengths=torch.tensor([4, 3]))
    assert isinstance(flow.layers[0], LayerFlow)
    row = str(flow).splitlines()[3]
    # the first step's 1/8 and 1/4, the last that there is has one series
    assert row.split() == ["LinearRNN", "layer", "0", "1", "0.19", "0.19", "1", "0.5"]


def test_weights_that_no_gradient_reaches_are_named() -> None:
    layer = nn.GRU(1, 2, bidirectional=True)
    half = str(gradient_flow(layer, ones(), lambda output: output[0][-1, :, :2].sum())).splitlines()
    names = "weight_ih_l0_reverse, weight_hh_l0_reverse, bias_ih_l0_reverse, bias_hh_l0_reverse"
    assert half[-1] == f"no gradient reaches {names}"
    whole = str(gradient_flow(layer, ones(), lambda output: output[1].sum()))
    assert "no gradient" not in whole
    deep = nn.GRU(1, 2, num_layers=3, bidirectional=True)
    many = str(gradient_flow(deep, ones(), lambda output: output[1][:1].sum())).splitlines()[-1]
    assert many.startswith("no gradient reaches weight_ih_l0_reverse, ")
    assert many.endswith("bias_hh_l1_reverse and 8 more")
