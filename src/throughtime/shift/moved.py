"""What moved: which channels, which stretches of the series, which classes or targets."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from throughtime.records import Records
from throughtime.shift.column_names import target_names
from throughtime.shift.concept import is_of_classes
from throughtime.shift.permutations import p_values
from throughtime.shift.priors import PriorEstimate
from throughtime.shift.records import ChannelShift, ClassShift, Embedding, StretchShift
from throughtime.shift.sides import Sides, joined
from throughtime.shift.statistics import mean_shifts
from throughtime.shift.summaries import STATISTICS, STRETCHES

_LEVEL = 0.05


def channel_shifts(reference: Embedding, deployed: Embedding, sides: Sides) -> Records[ChannelShift]:
    """How far the mean of each summary moved, the largest first; constant ones are left out."""
    values = joined(reference.summaries, deployed.summaries, "summaries")
    return _shifts(values, [_channel_and_summary(name) for name in reference.summary_names], sides)


def target_shifts(reference: Embedding, deployed: Embedding, sides: Sides) -> Records[ChannelShift]:
    """The same of targets that are numbers, or of targets per step; none of a class per series, and without targets."""
    if reference.target is None or deployed.target is None or is_of_classes(reference):
        return Records()
    values = joined(reference.target, deployed.target, "targets")
    return _shifts(values, [("", name) for name in target_names(reference)], sides)


def stretch_shifts(
    reference: Embedding, deployed: Embedding, channels: Sequence[str], sides: Sides
) -> Records[StretchShift]:
    """The channel whose mean moved most in each quarter of the series, the largest move first."""
    if reference.stretches is None or deployed.stretches is None:
        return Records()
    shape = (-1, STRETCHES * len(channels))
    found = _moves(joined(reference.stretches.reshape(shape), deployed.stretches.reshape(shape), "stretches"), sides)
    effects = found.effects.reshape(STRETCHES, -1)
    moved = []
    for stretch, channel in enumerate(np.abs(effects).argmax(1).tolist()):
        place = stretch * len(channels) + channel
        bounds = (stretch / STRETCHES, (stretch + 1) / STRETCHES)
        moved.append(StretchShift(*bounds, channels[channel], found.effects[place].item(), found.p[place].item()))
    return Records(sorted(moved, key=lambda one: -abs(one.effect)))


def class_shifts_of(priors: PriorEstimate, classes: ndarray) -> Records[ClassShift]:
    """The fraction of each class before and after, the largest change first; none where nothing could be estimated."""
    if priors.method == "none":
        return Records()
    return Records(
        ClassShift(
            label=classes[k].item() if hasattr(classes[k], "item") else classes[k],
            reference=float(priors.reference[k]),
            deployed=float(priors.deployed[k]),
            low=float(priors.low[k]),
            high=float(priors.high[k]),
            source=priors.method,
        )
        for k in np.argsort(-np.abs(priors.deployed - priors.reference), kind="stable")
    )


class _Moves(NamedTuple):
    """Of each column: its move in standard deviations within the samples, adjusted p; and how far chance reaches."""

    effects: Float[ndarray, "column"]
    p: Float[ndarray, "column"]
    reach: float


def _moves(values: Float[ndarray, "series column"], sides: Sides) -> _Moves:
    shifts = mean_shifts(sides.deployed, values)
    largest = np.abs(shifts.t).max(1)
    # the largest t of any column under permutation, against each column's own
    p = np.array([p_values(np.concatenate([[own], largest[1:]])[:, None])[0] for own in np.abs(shifts.t[0])])
    reach = float(np.quantile(np.abs(shifts.effects[1:]).max(1), 1 - _LEVEL))
    return _Moves(shifts.effects[0], p, reach)


def _shifts(
    values: Float[ndarray, "series column"], names: Sequence[tuple[str, str]], sides: Sides
) -> Records[ChannelShift]:
    found = _moves(values, sides)
    return Records(
        ChannelShift(names[place][0], names[place][1], *_row(found, place))
        for place in np.argsort(-np.abs(found.effects), kind="stable")
        if np.ptp(values[:, place]) > 0
    )


def _row(found: _Moves, place: int) -> tuple[float, float, float, float]:
    effect = found.effects[place].item()
    return effect, effect - found.reach, effect + found.reach, found.p[place].item()


def _channel_and_summary(name: str) -> tuple[str, str]:
    channel, _, summary = name.rpartition(" ")
    return (channel, summary) if channel and summary in STATISTICS else ("", name)
