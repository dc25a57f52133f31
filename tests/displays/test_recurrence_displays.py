"""The pictures of a recurrence's steps show the numbers that were measured."""

import numpy as np
import pytest
import torch
from torch import nn

from throughtime.displays import (
    FlushedDeltasDisplay,
    GateMemoryDisplay,
    LyapunovDisplay,
    SaturationDisplay,
    SingularValuesDisplay,
    UpdateRatioDisplay,
)
from throughtime.errors import ParameterError
from throughtime.nn import LinearRNN
from throughtime.stability import (
    flushed_deltas,
    gate_memory,
    jacobians,
    lyapunov_exponents,
    saturation,
    singular_values,
    update_ratio,
)

X = torch.randn(20, 4, 2, generator=torch.Generator().manual_seed(0))
LENGTHS = [20, 11, 16, 7]


def lstm() -> nn.LSTM:
    torch.manual_seed(0)
    return nn.LSTM(2, 5, 2, bidirectional=True)


def test_exponents_are_drawn_in_their_order_and_those_without_a_value_left_out() -> None:
    found = lyapunov_exponents(lstm(), X, lengths=LENGTHS)
    display = LyapunovDisplay(found).plot()
    assert list(display.lines_) == [one.label for one in found]
    for one in found:
        np.testing.assert_allclose(display.lines_[one.label].get_ydata(), one.exponents.mean(1))
    erasing = LinearRNN(1, 2)
    with torch.no_grad():
        erasing.weight_hh_l0.copy_(torch.tensor([[0.5, 0.0], [0.0, 0.0]]))
    (line,) = LyapunovDisplay(lyapunov_exponents(erasing, X[..., :1], burn_in=2)).plot().lines_.values()
    np.testing.assert_allclose(line.get_ydata(), [np.log(0.5)])


def test_singular_values_are_drawn_where_a_window_ends() -> None:
    (first, *_) = jacobians(lstm(), X, lengths=LENGTHS)
    found = singular_values(first, 3)
    display = SingularValuesDisplay(found).plot()
    steps, largest = display.lines_["largest"].get_data()
    np.testing.assert_array_equal(steps, np.arange(2, 20))
    np.testing.assert_allclose(largest, np.nanmedian(found.values[2:, :, 0], 1))
    assert set(display.lines_) == {"largest", "median", "smallest"}
    # what is below 1e-16 of the largest is rounding, and not drawn
    assert set(SingularValuesDisplay(singular_values(first, 20)).plot().lines_) == {"largest"}


def test_a_gate_that_remembers_counts_at_its_low_end_only() -> None:
    made = lstm()
    with torch.no_grad():
        made.bias_ih_l0.fill_(9.0)
    found = saturation(made, X, lengths=LENGTHS)
    display = SaturationDisplay(found).plot()
    rows = dict(zip(display.labels, display.image_.get_array(), strict=True))
    np.testing.assert_allclose(rows["LSTM layer 0 i"], 1)
    np.testing.assert_allclose(rows["LSTM layer 0 f (low end)"], 0)
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == display.labels
    short = SaturationDisplay(saturation(made, torch.cat([X, X]), lengths=LENGTHS)).plot()
    assert np.isnan(np.ma.filled(short.image_.get_array(), np.nan)[:, 20:]).all()


def test_units_are_drawn_from_the_shortest_memory_to_the_longest() -> None:
    found = gate_memory(lstm(), X)
    display = GateMemoryDisplay(found, lag=12).plot()
    for one in found:
        np.testing.assert_allclose(display.lines_[one.label].get_ydata(), np.sort(one.steps))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["lag 12", *(f"{one.label}, gate f" for one in found)]


def test_every_gate_of_a_matrix_has_its_dot() -> None:
    made = lstm()
    made(X)[0].square().sum().backward()
    found = update_ratio(made, torch.optim.SGD(made.parameters(), lr=0.01))
    display = UpdateRatioDisplay(found).plot()
    matrices = [one for one in found if "weight" in one.tensor]
    np.testing.assert_allclose(display.points_.get_offsets()[:, 0], [one.ratio for one in matrices])
    assert display.labels[:2] == ["weight_ih_l0 i", "weight_ih_l0 f"]
    UpdateRatioDisplay([]).plot()  # nothing moved


def test_flushed_fractions_are_drawn_at_their_steps() -> None:
    found = flushed_deltas(lstm(), X, lambda output: output[0][9].sum() * 2.0**-122)
    display = FlushedDeltasDisplay(found).plot()
    assert max(one.fraction for one in found) > 0
    for one in found:
        np.testing.assert_array_equal(display.lines_[one.label].get_ydata(), one.by_step)
    assert display.ax_.get_title(loc="left").startswith("float32: at most ")


def test_a_cell_without_gates_is_refused() -> None:
    made = LinearRNN(2, 3)
    with pytest.raises(ParameterError, match="needs a cell with gates or tanh units, got none"):
        SaturationDisplay(saturation(made, X))
    with pytest.raises(ParameterError, match="needs a cell with a forget or an update gate, got none"):
        GateMemoryDisplay(gate_memory(made, X))
