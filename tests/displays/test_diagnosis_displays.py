"""The pictures of a diagnosis show its numbers, and say in words what they come to."""

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from diagnosed import BARE, CURVE, DIAGNOSIS, EFFECTS, HISTORY, effect
from throughtime.displays import (
    EffectsDisplay,
    FittedLearningCurveDisplay,
    HistoryCurveDisplay,
    by_gain,
    doubling_in_words,
    effect_in_words,
    ends_of,
    gain_number,
    history_in_words,
)
from throughtime.errors import ParameterError
from throughtime.records import Records

MARGIN = DIAGNOSIS.margin


def test_every_probe_is_a_row_with_its_gain_and_interval_the_largest_gain_first() -> None:
    display = EffectsDisplay.from_diagnosis(DIAGNOSIS)
    first, last = ends_of(EFFECTS, MARGIN)
    ordered = sorted(EFFECTS, key=lambda effect: -effect.gain)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == [one.probe for one in ordered]
    assert list(display.bars_) == [one.probe for one in ordered]
    for row, one in enumerate(ordered):
        x, y = display.bars_[one.probe].get_data()
        assert list(x) == [max(one.low, first), min(max(one.high, first), last)]
        assert list(y) == [row, row]
        if one.gain >= first:
            assert display.dots_[one.probe].get_data() == ([one.gain], [row])
    assert set(display.bars_) - set(display.dots_) == {"permuted labels"}  # lost far more than any gained
    lines = [line.get_xdata() for line in display.ax_.lines[:2]]
    assert [x[0] for x in lines] == [0, MARGIN]


def test_a_gain_is_told_by_color_from_what_is_open_and_what_is_none() -> None:
    display = EffectsDisplay(EFFECTS, MARGIN).plot()
    colors = {probe: dot.get_color() for probe, dot in display.dots_.items()}
    assert {probe for probe, color in colors.items() if color == colors["weight_decay up"]} == {
        "weight_decay up",
        "hidden_size /4",
    }
    hollow = {probe for probe, dot in display.dots_.items() if dot.get_markerfacecolor() == "white"}
    assert hollow == {one.probe for one in EFFECTS if effect_in_words(one, MARGIN) == "open"} == {"lr /4"}


def test_a_probe_that_was_judged_by_another_loss_says_so() -> None:
    tempered = effect("lr x4", "not optimized", 0.1, 0.01, loss="tempered log loss")
    ax = EffectsDisplay([EFFECTS[0], EFFECTS[1], tempered], MARGIN).plot().ax_
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["lr x4, tempered log loss", EFFECTS[1].probe, EFFECTS[0].probe]
    assert ax.get_xlabel() == "lower log loss on series held out (dotted: the margin, 0.035)"


@pytest.mark.parametrize(
    ("gain", "half", "words"),
    [
        (0.1, 0.05, "over-fit"),
        (0.03, 0.01, "open"),  # more than nothing, perhaps more than the margin
        (0.01, 0.01, "below the margin"),
        (-0.1, 0.11, "no gain"),  # a loss, but not for certain
        (0.1, 0.2, "open"),
        (-0.1, 0.05, "loses"),
        (-0.1, 0.2, "open"),
    ],
)
def test_an_effect_speaks_for_its_cause_only_where_it_gains_more_than_the_margin(
    gain: float, half: float, words: str
) -> None:
    assert effect_in_words(effect("p", "over-fit", gain, half), MARGIN) == words
    asked = effect_in_words(effect("p", None, gain, half), MARGIN)
    assert asked == words.replace("over-fit", "gains")


@pytest.mark.parametrize(
    ("margin", "text"), [(0.035, "0.123"), (0.3, "0.12"), (25.0, "0"), (0.0, "0.123"), (2e-5, "0.123457")]
)
def test_gains_have_the_decimals_that_tell_them_from_the_margin(margin: float, text: str) -> None:
    assert gain_number(0.1234567, margin) == text
    assert gain_number(-1e-9, margin) == gain_number(0.0, margin)


def test_a_plot_reaches_from_the_losses_that_matter_to_the_largest_gain() -> None:
    assert ends_of(EFFECTS, MARGIN) == pytest.approx((-0.145, 0.145))
    assert ends_of([effect("p", None, 0.001, 0.0)], MARGIN) == (-MARGIN, 2 * MARGIN)
    assert ends_of([effect("p", None, -0.5, 0.1)], 0.0) == (-0.6, 0.6)
    assert ends_of([effect("p", None, 0.0, 0.0)], 0.0) == (0.0, 1.0)
    wide = [*(effect(f"p{k}", None, 0.01, 0.05) for k in range(4)), effect("wide", None, 0.02, 1.0)]
    assert ends_of(wide, MARGIN) == pytest.approx((-2 * MARGIN, 2 * MARGIN))
    x, _ = EffectsDisplay(wide, MARGIN).plot().bars_["wide"].get_data()
    assert list(x) == pytest.approx([-2 * MARGIN, 2 * MARGIN])
    for effects, margin in (([effect("p", None, 0.0, 0.0)], 0.0), ([effect("p", None, -0.5, 0.1)], MARGIN)):
        EffectsDisplay(effects, margin).plot()
    assert by_gain(EFFECTS)[0].probe == "weight_decay up"


def test_the_learning_curve_has_its_points_its_power_law_and_twice_the_data() -> None:
    display = FittedLearningCurveDisplay.from_diagnosis(DIAGNOSIS)
    points, _, (bars,) = display.points_
    np.testing.assert_array_equal(points.get_xdata(), CURVE.sizes)
    np.testing.assert_array_equal(points.get_ydata(), CURVE.losses)
    for loss, error, ends in zip(CURVE.losses, CURVE.errors, bars.get_segments(), strict=True):
        np.testing.assert_allclose(ends[:, 1], [loss - error, loss + error])
    x, y = display.line_.get_data()
    np.testing.assert_allclose(y, CURVE.floor + CURVE.scale * x**-CURVE.exponent)
    assert (x[0], x[-1]) == (24, pytest.approx(96))
    dot, _, (bar,) = display.doubled_
    assert dot.get_xdata() == [192]
    assert dot.get_ydata() == pytest.approx([0.512 - CURVE.doubling])
    np.testing.assert_allclose(bar.get_segments()[0][:, 1], [0.512 - CURVE.high, 0.512 - CURVE.low])
    assert display.ax_.get_title(loc="left") == "twice the data would gain 0.055 (0.01 to 0.14), an estimate"


def test_a_learning_curve_without_a_law_has_no_line() -> None:
    nan = math.nan
    unfitted = replace(CURVE, floor=nan, scale=nan, exponent=nan)
    assert FittedLearningCurveDisplay(unfitted).plot().line_ is None
    unknown = replace(unfitted, doubling=nan, low=nan, high=nan)
    FittedLearningCurveDisplay(unknown).plot()
    assert doubling_in_words(unknown) == "what twice the data would gain could not be estimated"


def test_the_history_curve_has_its_points_and_a_line_at_the_steps_that_are_enough() -> None:
    display = HistoryCurveDisplay.from_diagnosis(DIAGNOSIS)
    points = display.curve_[0]
    np.testing.assert_array_equal(points.get_xdata(), HISTORY.steps)
    np.testing.assert_array_equal(points.get_ydata(), HISTORY.losses)
    assert display.needed_.get_xdata()[0] == 8
    assert HistoryCurveDisplay(replace(HISTORY, needed=None)).plot().needed_ is None


@pytest.mark.parametrize(
    ("needed", "words"),
    [
        (8, "the last 8 of 15 steps are enough"),
        (4, "the last 4 of 15 steps are enough; fewer were not tried"),
        (15, "fewer than all 15 steps were not shown to be enough"),
        (None, "of all 15 steps the network knows too little yet to miss any"),
    ],
)
def test_the_steps_that_are_enough_are_said(needed: int | None, words: str) -> None:
    assert history_in_words(replace(HISTORY, needed=needed)) == words


@pytest.mark.parametrize("scale", [1.0, 0.8, 0.5])  # 0.8 in a report
def test_a_sentence_above_a_curve_ends_within_the_figure(scale: float) -> None:
    unknown = dict.fromkeys(("doubling", "low", "high"), math.nan)
    for display in (
        FittedLearningCurveDisplay(CURVE),
        FittedLearningCurveDisplay(replace(CURVE, **unknown)),
        HistoryCurveDisplay(replace(HISTORY, needed=4)),
        HistoryCurveDisplay(replace(HISTORY, needed=None)),
    ):
        figure = Figure(figsize=(scale * display.figsize[0], scale * display.figsize[1]), layout="constrained")
        ax = display.plot(figure.subplots()).ax_
        figure.draw_without_rendering()
        (title,) = [text for text in ax.findobj(Text) if text.get_text() == ax.get_title(loc="left")]
        box = title.get_window_extent()
        assert box.x1 <= figure.bbox.x1
        assert ax.bbox.y1 <= box.y0 < box.y1 <= figure.bbox.y1  # above the axes however many lines it has


def test_what_a_diagnosis_lacks_cannot_be_drawn() -> None:
    with pytest.raises(ParameterError, match="needs the effect of a probe, got none"):
        EffectsDisplay([], MARGIN)
    with pytest.raises(ParameterError, match="needs a diagnosis that took less data"):
        FittedLearningCurveDisplay.from_diagnosis(BARE)
    with pytest.raises(ParameterError, match="needs a diagnosis that probed the history"):
        HistoryCurveDisplay.from_diagnosis(BARE)


def test_a_curve_is_labeled_by_the_loss_of_the_probes_that_made_it() -> None:
    less = [effect(f"half of the {what}", None, 0, 0.1, loss=f"{what} loss") for what in ("data", "history")]
    found = replace(DIAGNOSIS, effects=Records([*EFFECTS, *less]))
    assert FittedLearningCurveDisplay.from_diagnosis(found).ax_.get_ylabel() == "data loss held out"
    assert HistoryCurveDisplay.from_diagnosis(found).ax_.get_ylabel() == "history loss held out"
    assert FittedLearningCurveDisplay.from_diagnosis(DIAGNOSIS).ax_.get_ylabel() == "log loss held out"
