"""What the page of a run draws: scores of folds, sorted losses, recorded gradients."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from throughtime.displays import FoldScoresDisplay, RecordedGridDisplay, RecordedLagsDisplay, SortedLossesDisplay
from throughtime.errors import ParameterError
from throughtime.generalization import Interval
from throughtime.stability import FlowRecord

LAGS = np.array([0, 1, 2, 4])
NORMS = np.array([[1.0, 0.0, -1.0, -3.0], [2.0, 2.5, np.nan, -np.inf]])
RECORD = FlowRecord("kept", 3, 30, ("layer 0", "layer 0 reverse"), LAGS, NORMS, (3.0, np.inf))


def test_every_fold_has_a_dot_and_every_model_its_mean_and_interval() -> None:
    scores = {"ridge": [0.1, 0.3], "GRU": [0.5, float("nan")]}
    intervals = {"ridge": Interval(0.2, 0.0, 0.4, 0.95, "t"), "GRU": Interval(0.5, None, None, 0.95, "none")}
    display = FoldScoresDisplay(scores, intervals, "accuracy").plot(plt.subplots()[1])
    for name, values in scores.items():
        np.testing.assert_array_equal(display.dots_[name].get_xdata(), values)
    assert list(display.bars_) == ["ridge"]
    assert list(display.bars_["ridge"].get_xdata()) == [0.0, 0.4]
    means = [line.get_xdata()[0] for line in display.ax_.lines if line.get_marker() == "D"]
    assert means == [0.2, 0.5]
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["ridge", "GRU"]
    assert display.ax_.get_xlabel() == "accuracy"


def test_folds_without_any_score_are_refused() -> None:
    with pytest.raises(ParameterError, match="needs a score on some fold"):
        FoldScoresDisplay({"GRU": [float("nan")]}, {})


def test_losses_are_drawn_from_the_largest_to_the_smallest() -> None:
    display = SortedLossesDisplay(np.array([0.1, 3.0, 2.0]), "nats", marked=2, guess=0.7).plot(plt.subplots()[1])
    assert list(display.line_.get_ydata()) == [3.0, 2.0, 0.1]
    assert list(display.dots_.get_ydata()) == [3.0, 2.0]
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["a guess"]
    assert SortedLossesDisplay(np.zeros(2)).plot(plt.subplots()[1]).ax_.get_legend() is None
    with pytest.raises(ParameterError, match="needs the loss of a series"):
        SortedLossesDisplay(np.zeros(0))


def test_lines_are_what_is_left_of_the_norm_at_lag_0() -> None:
    display = RecordedLagsDisplay(RECORD).plot(plt.subplots()[1])
    np.testing.assert_allclose(display.lines_["layer 0"].get_ydata(), [1, 0.1, 0.01, 1e-4], rtol=1e-12)
    np.testing.assert_allclose(display.lines_["layer 0 reverse"].get_ydata(), [1, 10**0.5, np.nan, np.nan], rtol=1e-12)
    horizons = [line.get_xdata()[0] for line in display.ax_.lines if line.get_marker() == "o"]
    assert horizons == [3.0]


def test_the_grid_has_a_row_per_layer_and_a_column_per_lag() -> None:
    display = RecordedGridDisplay(RECORD).plot(plt.subplots()[1])
    cells = np.ma.filled(display.mesh_.get_array().reshape(2, 4).astype(float), np.nan)
    np.testing.assert_allclose(cells, [[0, -1, -2, -4], [0, 0.5, np.nan, -12]], rtol=1e-12)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == list(RECORD.layers)


def test_a_record_of_a_step_s_own_loss_is_refused() -> None:
    step = FlowRecord("step", 0, 1, ("layer 0",), LAGS, NORMS[:1], (float("nan"),))
    for display in (RecordedLagsDisplay(step), RecordedGridDisplay(step)):
        with pytest.raises(ParameterError, match="of kind 'probe' or 'kept'"):
            display.plot(plt.subplots()[1])
