"""The pictures of a diagnosis of shift show its numbers."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba
from matplotlib.text import Text

from shifted import CHANNELS, CLASSES, NO_SHIFT, SHIFT, STRETCHES
from throughtime.displays import (
    TRAINING,
    CalibrationDisplay,
    ClassPriorsDisplay,
    ConfusionMatrixDisplay,
    ShiftChannelsDisplay,
    ShiftInTimeDisplay,
    ShiftTargetsDisplay,
    WeightsDisplay,
    shorten_texts,
)
from throughtime.displays.shift_channels import FAR
from throughtime.errors import ParameterError
from throughtime.records import Records
from throughtime.shift import ChannelShift, CovariateWeights, Embedding
from throughtime.shift.moved import channel_shifts
from throughtime.shift.sides import sides_of

LONG = "heart rate [bpm] of the patient in the ward"


def test_each_channel_is_a_row_of_quantiles_in_deviations_within_the_samples() -> None:
    display = ShiftChannelsDisplay.from_diagnosis(SHIFT)
    reference, deployed = (sample.summaries for sample in (SHIFT.reference.embedding, SHIFT.deployed))
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["rain mean", "heat mean", "length"]
    for row, column in enumerate((0, 2, 4)):
        center = reference[:, column].mean()
        deviation = np.sqrt((80 * reference[:, column].var() + 60 * deployed[:, column].var()) / 138)
        for sample, values in enumerate((reference, deployed)):
            expected = np.percentile((values[:, column] - center) / deviation, [5, 25, 50, 75, 95])
            np.testing.assert_allclose(display.quantiles_[row, sample], expected)
            assert display.dots_[sample].get_xdata()[row] == pytest.approx(expected[2])
    numbers = [text for text in display.ax_.texts if text.get_text().startswith(("+", "-"))]
    assert [text.get_text() for text in numbers] == [
        "+1.20 (+1.00 to +1.40)", "-0.30 (-0.50 to -0.10)", "+0.05 (-0.10 to +0.20)"
    ]  # fmt: skip
    assert [text.get_weight() for text in numbers] == ["bold", "normal", "normal"]


def test_the_picture_and_the_number_beside_it_have_one_unit() -> None:
    """Of two halves, symmetric around their means, the medians are as far apart as the effect says."""
    one = np.repeat([-1.0, 1.0], 20)[:, None]
    known, found = (_of_one_column(values) for values in (one, 5 + 3 * one))

    (moved,) = channel_shifts(known, found, sides_of(known, found, 19, 0))
    display = ShiftChannelsDisplay([moved], known.summaries, found.summaries).plot()

    assert moved.effect == pytest.approx(np.sqrt(5 * 78 / 80))
    assert display.dots_[1].get_xdata()[0] - display.dots_[0].get_xdata()[0] == pytest.approx(moved.effect)
    assert "sd within the samples" in display.ax_.get_xlabel()
    assert "sd within the samples" in ShiftInTimeDisplay(STRETCHES).plot().ax_.get_ylabel()


def _of_one_column(values: np.ndarray) -> Embedding:
    nothing = np.zeros((len(values), 0))
    return Embedding(values, ("a mean",), nothing, nothing, np.zeros(len(values), int))


def test_a_channel_without_spread_and_one_far_away_are_drawn() -> None:
    still = ChannelShift("still", "mean", 0.0, 0.0, 0.0, 1.0)
    reference, deployed = np.zeros((20, 2)), np.zeros((20, 2))
    reference[:, 1] = np.arange(20)
    deployed[:, 1] = 1e6
    display = ShiftChannelsDisplay([still, still], reference, deployed).plot()
    assert (display.quantiles_[0] == 0).all()
    assert display.dots_[1].get_xdata().tolist() == [0, FAR]
    appeared = ShiftChannelsDisplay([still], np.zeros((20, 1)), np.ones((20, 1))).quantiles_
    assert (appeared[0, 1] == 2).all()  # in deviations of both samples


def test_of_many_channels_those_that_moved_most_are_drawn_and_the_others_counted() -> None:
    many = [ChannelShift(f"c{k}", "mean", 20.0 - k, 0.0, 1.0, 0.5) for k in range(20)]
    display = ShiftChannelsDisplay(many, *np.random.default_rng(0).normal(size=(2, 30, 20))).plot()
    assert len(display.ax_.get_yticklabels()) == 12
    assert "8 more moved less" in display.ax_.get_title(loc="left")
    classes = [replace(CLASSES[0], label=k) for k in range(30)]
    display = ClassPriorsDisplay(classes).plot()
    assert len(display.bars_) == 24
    assert "6 more moved less" in display.ax_.get_title(loc="left")


def test_each_class_is_a_bar_of_the_reference_and_a_dot_with_its_interval() -> None:
    display = ClassPriorsDisplay.from_diagnosis(SHIFT)
    assert [bar.get_width() for bar in display.bars_] == [one.reference for one in CLASSES]
    dots, _, (bars,) = display.dots_
    assert list(dots.get_xdata()) == [one.deployed for one in CLASSES]
    for one, ends in zip(CLASSES, bars.get_segments(), strict=True):
        np.testing.assert_allclose(ends[:, 0], [one.low, one.high])
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["reference", "deployed, labels"]


def test_each_stretch_is_a_bar_from_its_begin_to_its_end_as_high_as_what_moved_most() -> None:
    display = ShiftInTimeDisplay.from_diagnosis(SHIFT)
    assert [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in display.bars_] == [
        (0, 0.25, -0.2), (0.25, 0.25, 0.3), (0.5, 0.25, 1.1), (0.75, 0.25, 1.6)
    ]  # fmt: skip
    colors = [bar.get_facecolor() for bar in display.bars_]
    assert colors[0] == colors[1] != colors[2] == colors[3]  # told by their p-values
    assert [text.get_text() for text in display.ax_.texts] == [
        "heat\np 0.6", "rain\np 0.3", "rain\np 0.01", "rain\np 0.005"
    ]  # fmt: skip
    assert ShiftInTimeDisplay(STRETCHES, 0.01).plot().bars_[2].get_facecolor() == colors[2]
    assert ShiftInTimeDisplay(STRETCHES, 0.001).plot().bars_[3].get_facecolor() == colors[0]


def test_the_legend_of_stretches_covers_no_name() -> None:
    for sign in (1, -1):
        stretches = Records(replace(one, effect=sign * (1 + 0.01 * k)) for k, one in enumerate(STRETCHES))
        display = ShiftInTimeDisplay(stretches, 0.05).plot()
        display.figure_.draw_without_rendering()
        legend = display.ax_.get_legend().get_window_extent()
        assert not any(legend.overlaps(text.get_window_extent()) for text in display.ax_.texts)
        assert not legend.overlaps(display.ax_.xaxis.label.get_window_extent())


@pytest.mark.parametrize("scale", [1, 0.8])  # in a report
def test_neighbors_with_long_names_do_not_meet(scale: float) -> None:
    stretches = Records(replace(one, channel=LONG, effect=1.0) for one in STRETCHES)
    width, height = ShiftInTimeDisplay.figsize
    ax = plt.figure(figsize=(scale * width, scale * height), layout="constrained").subplots()
    display = ShiftInTimeDisplay(stretches, 0.05).plot(ax)
    display.figure_.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 4
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))
    title = ax._left_title.get_window_extent()  # type: ignore[attr-defined]
    assert not any(title.overlaps(box) for box in boxes)
    before = [text.get_text() for text in ax.texts]
    shorten_texts(display.figure_)  # as in files
    assert [text.get_text() for text in ax.texts] == before


def test_beside_long_names_the_title_keeps_clear_of_the_legend() -> None:
    known, found = (np.random.default_rng(seed).normal(size=(30, 2)) for seed in (0, 1))
    channels = [replace(CHANNELS[0], channel=LONG), replace(CHANNELS[2], summary=LONG)]
    for display in (
        ShiftChannelsDisplay(channels, known, found).plot(),
        ClassPriorsDisplay([replace(CLASSES[0], label=LONG)]).plot(),
    ):
        display.figure_.draw_without_rendering()
        legend = display.ax_.get_legend().get_window_extent()
        assert not legend.overlaps(display.ax_._left_title.get_window_extent())
    names = [label.get_text() for label in ShiftChannelsDisplay(channels, known, found).plot().ax_.get_yticklabels()]
    assert names == ["heart rate [bp...the ward mean", "heart rate [bp...t in the ward"]


def test_targets_that_are_numbers_are_rows_of_quantiles_too() -> None:
    moved = Records([replace(CHANNELS[0], channel="", summary="the target")])
    rng = np.random.default_rng(0)
    sides = [
        replace(side, target=place + rng.normal(size=len(side)), has_logits=False)
        for side, place in ((SHIFT.reference.embedding, 0.0), (SHIFT.deployed, 5.0))
    ]
    found = replace(
        SHIFT, targets=moved, reference=replace(SHIFT.reference, embedding=sides[0], classes=None), deployed=sides[1]
    )
    display = ShiftTargetsDisplay.from_diagnosis(found)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["the target"]
    assert display.ax_.get_title(loc="left") == "how far the targets moved"
    reference, deployed = display.quantiles_[0]
    assert deployed[2] - reference[2] == pytest.approx(5, abs=0.6)
    assert deployed[1] > reference[3]


def test_names_with_dollars_are_no_formulas() -> None:
    """Also after the picture was drawn, into axes that were there before."""
    channel, label = "$rain_x$", "b_$x$ $\\oops$"
    moved = [replace(CHANNELS[0], channel=channel)]
    known, found = (np.random.default_rng(seed).normal(size=(30, 1)) for seed in (0, 1))
    matrix = ConfusionMatrixDisplay(np.eye(2, dtype=int), display_labels=[label, "c"])
    calibrated = CalibrationDisplay(np.r_[0.1, 0.9], np.r_[0.2, 0.8], np.r_[0.2, 0.8], pos_label=label)
    displays: list[Any] = [
        ShiftChannelsDisplay(moved, known, found),
        ShiftInTimeDisplay([replace(STRETCHES[0], channel=channel)]),
        ClassPriorsDisplay([replace(CLASSES[0], label=label)]),
        matrix,
        calibrated,
    ]
    for display in displays:
        ax = plt.figure().subplots()
        display.plot(ax)
        ax.figure.canvas.draw()
        named = [text for text in ax.findobj(Text) if text.get_visible() and "$" in text.get_text()]
        assert named
        assert not any(text.get_parse_math() for text in named), type(display).__name__


def test_a_bar_of_the_reference_has_an_edge_that_a_dark_ground_shows() -> None:
    display = ClassPriorsDisplay(CLASSES).plot()
    assert {bar.get_edgecolor() for bar in display.bars_} == {to_rgba(TRAINING)}


def test_weights_are_counted_and_their_effective_sample_size_said() -> None:
    weights = CovariateWeights(
        np.repeat([0.5, 1.5], 50),
        effective_size=80.0,
        effective_fraction=0.8,
        clip=10.0,
        clipped=0.0,
        covered=1.0,
        usable=True,
        reason="",
    )
    display = WeightsDisplay.from_weights(weights)
    assert [bar.get_height() for bar in display.bars_ if bar.get_height()] == [50, 50]
    assert display.ax_.get_title(loc="left") == "effective sample size 80 of 100 (80%)"
    refused = WeightsDisplay(replace(weights, effective_size=8.0, effective_fraction=0.08, usable=False)).plot()
    assert refused.ax_.get_title(loc="left") == "effective sample size 8 of 100 (8%): too few to rest on"


def test_what_a_diagnosis_lacks_cannot_be_drawn() -> None:
    for display in (ShiftChannelsDisplay, ShiftTargetsDisplay, ClassPriorsDisplay, ShiftInTimeDisplay):
        with pytest.raises(ParameterError, match=rf"^{display.__name__} needs .*, got none$"):
            display.from_diagnosis(NO_SHIFT)
