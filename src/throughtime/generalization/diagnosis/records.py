"""What a diagnosis found: the effect of every probe, the verdict they come to, and its remedy."""

from dataclasses import dataclass, field
from typing import Any, Literal

from throughtime.findings import Finding
from throughtime.records import Record, Records

VerdictName = Literal[
    "leaky",
    "no signal",
    "not optimized",
    "under-fit",
    "over-fit",
    "data-limited",
    "noise- or feature-limited",
    "healthy",
    "inconclusive",
]


@dataclass(frozen=True)
class Effect(Record):
    """What one probe changed, against the base, on the same out-of-fold examples.

    Attributes
    ----------
    probe
        Its name, as "hidden_size x2".
    cause
        The verdict that a gain of it speaks for; ``None`` where it only answers a question.
    change
        In words: "hidden_size 16 to 32".
    parameters
        What ``set_params`` takes to apply it; empty where it is no setting.
    gain, low, high, error
        Loss of the base less that of the probe, its simultaneous (max-t) interval, and its standard error.
    loss
        The loss that it was judged by, in words.
    repeats
        Fewer than asked for where racing or the budget dropped it.
    train_gain
        The same of the loss on the training series.
    """

    probe: str
    cause: VerdictName | None
    change: str
    parameters: dict[str, Any]
    gain: float
    low: float
    high: float
    error: float
    loss: str
    repeats: int
    train_gain: float


@dataclass(frozen=True)
class Remedy(Record):
    """The probe that won, what applies it, and what it gains, with its simultaneous interval."""

    probe: str
    parameters: dict[str, Any]
    gain: float
    low: float
    high: float


@dataclass(frozen=True)
class LearningCurve(Record):
    """Loss by the number of training series, and the power law ``floor + scale n^-exponent`` through it.

    Attributes
    ----------
    sizes, losses, errors
        Training series (groups, where they are the unit), mean out-of-fold loss and its standard error.
    floor, scale, exponent
        Of the power law; NaN where none was fitted.
    doubling, low, high
        How much twice the data would gain, with an interval: an estimate, which reaches beyond what was measured.
    """

    sizes: tuple[float, ...]
    losses: tuple[float, ...]
    errors: tuple[float, ...]
    floor: float
    scale: float
    exponent: float
    doubling: float
    low: float
    high: float


@dataclass(frozen=True)
class HistoryCurve(Record):
    """Loss by the steps of history that the network was given.

    ``needed`` is the fewest of the steps tried whose loss is certainly within the margin of the whole history's;
    ``None`` where the network knows too little with all of it.
    """

    steps: tuple[int, ...]
    losses: tuple[float, ...]
    errors: tuple[float, ...]
    needed: int | None


@dataclass(frozen=True)
class Diagnosis(Record):
    """The verdict, and everything that it rests on.

    Attributes
    ----------
    verdicts
        What limits the network; several where several remedies help.
    sentence
        The same as one plain sentence.
    remedy
        The setting that helps most; ``None`` where none does.
    findings
        One per check, ``GEN010`` to ``GEN019``.
    effects
        One per probe that was measured, in order of the probes.
    not_measured
        The reason, by the name of the probe.
    loss_name, loss, train_loss, chance
        The base's mean loss, out of fold and on its training series, and that of predicting the training fold's class
        frequencies, or its mean.
    margin
        The least gain that counts, in units of the loss.
    level
        Coverage of the intervals.
    units, n_units
        What the intervals take for independent, "series", "groups" or "blocks of time", and how many.
    learning_curve, history
        ``None`` where their probes were not measured.
    open_question
        What is open and what would settle it; empty where nothing is.
    members, members_saved
        Networks trained, and those that racing spared.
    seconds, out_of_time
        What it took, and whether the budget cut it short.
    """

    verdicts: tuple[VerdictName, ...]
    sentence: str
    remedy: Remedy | None
    findings: Records[Finding] = field(repr=False)
    effects: Records[Effect] = field(repr=False)
    not_measured: dict[str, str]
    loss_name: str
    loss: float
    train_loss: float
    chance: float
    margin: float
    level: float
    units: str
    n_units: int
    learning_curve: LearningCurve | None
    history: HistoryCurve | None
    open_question: str
    members: int
    members_saved: int
    seconds: float
    out_of_time: bool

    @property
    def verdict(self) -> str:
        """All verdicts, joined by a plus."""
        return "+".join(self.verdicts)
