"""What the repeats come to: the gain of every probe with its interval, by the loss that its cause is judged by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy import ndarray

from throughtime.generalization.diagnosis.gains import Gain, Units, max_t, pooled_gain
from throughtime.generalization.diagnosis.losses import Losses, OutOfFold
from throughtime.generalization.diagnosis.power_law import PowerLaw, fit_power_law
from throughtime.generalization.diagnosis.probes import (
    HALF_DATA,
    PERMUTED,
    QUARTER_DATA,
    WHOLE_GROUPS,
    LessData,
    LessHistory,
    Probe,
    Variant,
)
from throughtime.generalization.diagnosis.records import Effect

#: The name of the effect that halves and quarters of the data are extrapolated to.
DOUBLING = "twice the data"
#: Standard errors by which the doubling has to gain, and that its interval reaches to either side.
DOUBLING_ERRORS = 2.05
#: Of the dummy's loss, what a gain of fold members differs from that of members trained on all series, which take more
#: steps per epoch: added to the error of examples, it brings the coverage of planted gains from 85 to 92 %.
_TRAINING_ERROR = 0.01
#: Standard errors of the first repeat within which a probe may still reach the margin.
RACING_ERRORS = 2.5


@dataclass
class Measured:
    """A condition over the repeats it was in."""

    probe: Probe | None
    variant: Variant
    repeats: list[OutOfFold] = field(default_factory=list)

    def losses(self, kind: str) -> ndarray:
        """``(repeat, series)``."""
        return np.stack([getattr(one, kind) for one in self.repeats])


class Evidence:
    """Gains of the probes, on the examples of the base.

    Parameters
    ----------
    base, probes
        What was measured; every probe in at least one repeat.
    losses, units
        The task's losses, and what is independent.
    level
        Simultaneous coverage of the intervals.
    """

    def __init__(
        self, base: Measured, probes: Mapping[str, Measured], losses: Losses, units: Units, level: float
    ) -> None:
        self.base, self.probes, self.losses, self.units, self.level = base, probes, losses, units, level
        self.chance = self._mean(base.losses("chance"))
        self.loss = self._mean(base.losses("raw"))
        self.train_loss = float(np.mean([one.train for one in base.repeats]))
        self.leak_chance = self._mean(base.losses("leak_chance"))

    def gain(self, name: str, kind: str) -> Gain:
        """The gain of a probe in one kind of loss."""
        one = self.probes[name].losses(kind)
        return pooled_gain(self.base.losses(kind)[: len(one)] - one, self.units)

    def error(self, gain: Gain) -> float:
        """The standard error of a gain for members trained on all series."""
        return float(np.hypot(gain.error, _TRAINING_ERROR * self.chance))

    def doubling(self) -> Gain | None:
        """What twice the data would gain, drawn out from what halves and quarters lose.

        With losses a + b/n a doubling gains half, and with a + b/n^2 a quarter, of what it gained before; this is
        1/4 of the last gain and 1/8 of the one before, exact for the first.
        """
        if HALF_DATA.name not in self.probes:
            return None
        half = self.probes[HALF_DATA.name].losses("tempered")
        whole = self.base.losses("tempered")
        if QUARTER_DATA.name not in self.probes:
            return pooled_gain((half - whole[: len(half)]) / 2, self.units)
        quarter = self.probes[QUARTER_DATA.name].losses("tempered")
        n = min(len(half), len(quarter))
        return pooled_gain((half[:n] - whole[:n]) / 4 + (quarter[:n] - half[:n]) / 8, self.units)

    def by_size(self) -> dict[float, Gain]:
        """Tempered loss by the fraction of the training series, the smallest first, the whole last."""
        sizes = {one.probe.fraction: one for one in self.probes.values() if isinstance(one.probe, LessData)}
        losses = {n: pooled_gain(one.losses("tempered"), self.units) for n, one in sizes.items()}
        return dict(sorted((losses | {1.0: self.tempered()}).items()))

    @cached_property
    def power_law(self) -> PowerLaw:
        """Through the losses by size, as fractions of the whole."""
        sizes = self.by_size()
        return fit_power_law(list(sizes), [one.value for one in sizes.values()], [one.error for one in sizes.values()])

    def doubling_interval(self, doubling: Gain) -> tuple[float, float]:
        """Where twice the data may lead: by its standard error, and to what the power law says, which knows no more."""
        _, scale, exponent = self.power_law
        far = DOUBLING_ERRORS * doubling.error
        drawn_out = scale * (1 - 2.0**-exponent)
        return float(np.fmin(doubling.value - far, drawn_out)), float(np.fmax(doubling.value + far, drawn_out))

    def lowest_train_loss(self) -> float:
        """Of the base and all settings, on the training series."""
        conditions = [self.base, *(one for one in self.probes.values() if one.variant.is_setting)]
        return min(float(np.mean([repeat.train for repeat in one.repeats])) for one in conditions)

    def leak(self) -> Gain | None:
        """How much worse whole groups are than the given folds, in the loss for leaks."""
        if WHOLE_GROUPS.name not in self.probes:
            return None
        gain = self.gain(WHOLE_GROUPS.name, "leak")
        return Gain(-gain.value, gain.error, -gain.influence)

    def skills(self) -> list[Gain]:
        """How much better than the dummy the base and each setting are, tempered."""
        settings = [one for one in self.probes.values() if one.variant.is_setting]
        return [
            pooled_gain(one.losses("chance") - one.losses("tempered"), self.units) for one in [self.base, *settings]
        ]

    def tempered(self) -> Gain:
        """The base's tempered loss, with its error."""
        return pooled_gain(self.base.losses("tempered"), self.units)

    def judged(self, name: str) -> tuple[Gain, str]:
        """The gain of a probe and the name of the loss that its cause is judged by.

        Whole groups by the loss for leaks; less over-fitting shows in the raw loss, when a net is less loud, or in the
        tempered, when it knows more; all others by the tempered loss alone.
        """
        measured = self.probes[name]
        if measured.probe is WHOLE_GROUPS:
            return self.gain(name, "leak"), self.losses.leak_name
        calm = self.gain(name, "tempered")
        if measured.probe is not None and measured.probe.cause == "over-fit":
            raw = self.gain(name, "raw")
            if raw.value * calm.error > calm.value * raw.error:
                return raw, self.losses.name
        return calm, self.losses.tempered_name

    def effects(self) -> list[Effect]:
        """One per probe, and one for twice the data, with intervals that hold for all of them at once."""
        judged = {name: self.judged(name) for name in self.probes}
        quantile = max_t([gain for gain, _ in judged.values()], self.level, self.units.count)
        found = []
        for name, (gain, loss) in judged.items():
            measured = self.probes[name]
            assert measured.probe is not None
            variant, n = measured.variant, len(measured.repeats)
            error = self.error(gain)
            trains = [base.train - one.train for base, one in zip(self.base.repeats[:n], measured.repeats, strict=True)]
            found.append(
                Effect(
                    probe=name,
                    cause=measured.probe.cause,
                    change=variant.change,
                    parameters=dict(variant.parameters) if variant.is_setting else {},
                    gain=gain.value,
                    low=gain.value - quantile * error,
                    high=gain.value + quantile * error,
                    error=error,
                    loss=loss,
                    repeats=n,
                    train_gain=float(np.mean(trains)),
                )
            )
        doubling = self.doubling()
        if doubling is not None:
            n = len(doubling.influence)
            low, high = self.doubling_interval(doubling)
            sizes = "half and a quarter" if QUARTER_DATA.name in self.probes else "half"
            found.append(
                Effect(
                    probe=DOUBLING,
                    cause="data-limited",
                    change=f"extrapolated from {sizes} of the data",
                    parameters={},
                    gain=doubling.value,
                    low=low,
                    high=high,
                    error=doubling.error,
                    loss=self.losses.tempered_name,
                    repeats=n,
                    train_gain=float("nan"),
                )
            )
        return found

    def _mean(self, losses: ndarray) -> float:
        return pooled_gain(losses, self.units).value


def worth_repeating(evidence: Evidence, name: str, margin: float, leak_margin: float) -> bool:
    """Whether a probe could still change the verdict, by what one repeat says: racing.

    A probe stays while its gain and 2.5 standard errors reach the margin.  What answers a question is answered by one
    repeat.

    Parameters
    ----------
    margin, leak_margin
        The least gain that counts, and the least gap between given folds and whole groups.
    """
    probe = evidence.probes[name].probe
    if probe is WHOLE_GROUPS:
        leak = evidence.leak()
        return leak is not None and _may_reach(leak, leak_margin)
    if isinstance(probe, LessData):
        doubling = evidence.doubling()
        return doubling is not None and _may_reach(doubling, margin)
    if isinstance(probe, LessHistory) or probe is PERMUTED or probe is None:
        return False
    if probe.cause is None:  # a user's question
        return True
    return any(_may_reach(evidence.gain(name, kind), margin) for kind in ("raw", "tempered"))


def _may_reach(gain: Gain, margin: float) -> bool:
    return gain.value + RACING_ERRORS * gain.error >= margin
