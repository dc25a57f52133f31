"""What shift tests look at, and what they come to."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from numpy import ndarray

from throughtime.estimators import SequenceEstimator
from throughtime.findings import Finding
from throughtime.records import Record, Records, Row, printed_rows

ShiftVerdict = Literal["none detected", "covariate", "label", "concept", "mixed", "undetermined", "insufficient"]


def plural_of(unit: str) -> str:
    """Several of what changes sides: "series", "groups" or "blocks"."""
    return unit if unit == "series" else f"{unit}s"


@dataclass(frozen=True, repr=False, eq=False)
class Embedding(Record):
    """Series as shift tests see them: a row per series, n of them.

    Attributes
    ----------
    summaries
        Per-channel summaries (mean, standard deviation, lag-1 autocorrelation, slope, fraction missing), the length
        and the static features, (n, s); finite.
    summary_names
        Of the columns: "CHANNEL mean", ..., "length", and the names of static features.
    outputs
        What the network says, (n, k): logits of the classes, each row's mean 0; predicted numbers; or of predictions
        per step their mean and standard deviation.
    states
        The last hidden state, (n, h), of the member that the series passed through; comparable within a member only.
    member
        Which of the reference's networks that was, (n,).
    target
        Class codes or numbers, (n,) or (n, t); of targets per step their summaries, (n, t). ``None`` without labels.
    groups
        What moves together, (n,), such as subjects; ``None`` where each series is one.
    has_logits
        Whether the outputs are logits of classes.
    unit
        What is permuted: "series", "group", or "block", a stretch of one long series.
    stretches
        The mean of each channel in each quarter of a series' length, (n, 4, channels), finite; ``None`` where it was
        not kept.
    class_labels
        Of the class codes, of a series or of its steps, by which tests name classes; ``None`` for numbers.
    """

    summaries: ndarray
    summary_names: tuple[str, ...]
    outputs: ndarray
    states: ndarray
    member: ndarray
    target: ndarray | None = None
    groups: ndarray | None = None
    has_logits: bool = True
    unit: Literal["series", "group", "block"] = "series"
    stretches: ndarray | None = None
    class_labels: ndarray | None = None

    def __len__(self) -> int:
        return len(self.summaries)


@dataclass(frozen=True, repr=False, eq=False)
class Reference(Record):
    """What deployed series are compared with: series seen by networks that did not train on them.

    Attributes
    ----------
    embedding
        Of the reference's series, each by the fold member that had it in its test fold.
    members
        The fold members; a deployed series passes through one of them, drawn at random.
    classes
        Labels of the class codes; ``None`` for numbers and for targets per step.
    channel_names
        Of the channels, to refuse others.
    in_sample
        How many of the series a member had trained on: their outputs are too confident. ``None`` where a split did not
        say what its member trained on.
    indices
        Which of the series given these are: those in a test fold, in order.
    block
        Steps of a stretch of one long series that changes sides as a whole; ``None`` without.
    """

    embedding: Embedding
    members: tuple[SequenceEstimator, ...]
    classes: ndarray | None
    channel_names: tuple[str, ...]
    in_sample: int | None = 0
    indices: ndarray | None = None
    block: int | None = None


@dataclass(frozen=True, repr=False)
class ShiftTest(Row):
    """One test of whether something differs between reference and deployed series.

    Attributes
    ----------
    name
        What is compared: "X", "Y", "concept" (what of p(y given x) neither covariate nor label shift explains),
        "X given Y", "Y given X", or of a single test its method, such as "mmd".
    statistic, p_value
        Of permuted units, ``(1 + #{permuted >= measured}) / (1 + permutations)``.
    effect, low, high, effect_unit
        Its size with an interval of 95 %, in a unit that is said ("sd", "AUC", ...); NaN where there is none.
    detectable
        The effect, in the same unit, that would have been found with a chance of .8.
    unit, n_reference, n_deployed
        What was permuted ("series", "group" or "block"), and how many on either side.
    permutations
        0 where the p-value has a closed form.
    most
        Which column or class moved most, whose effect this is; empty where there is one.
    """

    name: str
    statistic: float
    p_value: float
    effect: float
    low: float
    high: float
    effect_unit: str
    detectable: float
    unit: str
    n_reference: int
    n_deployed: int
    permutations: int
    most: str = ""

    title: ClassVar[str] = "shift tests"

    def _cells(self) -> dict[str, str]:
        return {
            "test": self.name,
            "p": f"{self.p_value:.3g}",
            "effect": f"{self.effect:.3g}",
            "low": f"{self.low:.3g}",
            "high": f"{self.high:.3g}",
            "unit": self.effect_unit,
            "detectable": f"{self.detectable:.3g}",
        }


@dataclass(frozen=True, repr=False)
class ChannelShift(Record):
    """How far the mean of one channel's summary moved, in standard deviations within the samples.

    The interval holds for all at once, and p is adjusted for their number. The length, static features and targets are
    of no channel, which is "" then.
    """

    channel: str
    summary: str
    effect: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, repr=False)
class ClassShift(Record):
    """The fraction of one class: in the reference, and in the deployed series with an interval.

    ``source`` says where the latter comes from: "labels", "BBSE" or "EM".
    """

    label: object
    reference: float
    deployed: float
    low: float
    high: float
    source: str


@dataclass(frozen=True, repr=False)
class StretchShift(Record):
    """The channel whose mean moved most in one stretch of the series, from a fraction of their length to another.

    The effect is in standard deviations within the samples; p is adjusted for all channels and stretches.
    """

    begin: float
    end: float
    channel: str
    effect: float
    p_value: float


@dataclass(frozen=True, repr=False, eq=False)
class NamedShift(Record):
    """The name of the shift, and everything that it rests on.

    Attributes
    ----------
    verdict
        "undetermined" where the evidence allows two names, "insufficient" where the series are too few or too bad.
    sentence
        The same as one plain sentence.
    findings
        One per check, ``SHF0xx``.
    tests
        X, Y, concept, Y given X, X given Y; without labels X alone; none where the verdict is "insufficient".
    channels, stretches, classes
        What moved, the largest first; classes are empty for regression and for targets per step.
    targets
        How far the means of targets moved that are numbers, or of steps their means and deviations; empty for a class
        per series, and of a diagnosis that an earlier version wrote.
    labeled
        Whether the deployed series had targets; without, concept shift is not tested, nor can it be.
    level
        The family-wise error of the tests, .05.
    """

    verdict: ShiftVerdict
    sentence: str
    findings: Records[Finding]
    tests: Records[ShiftTest]
    channels: Records[ChannelShift]
    stretches: Records[StretchShift]
    classes: Records[ClassShift]
    labeled: bool
    level: float
    targets: Records[ChannelShift] = field(default=Records(), kw_only=True)

    def __str__(self) -> str:
        parts = [f"verdict: {self.verdict}", self.sentence]
        parts += ["\n".join(printed_rows(self.tests))] if self.tests else []
        found = [str(finding) for finding in self.findings if finding.verdict == "found"]
        return "\n".join([*parts, *found])


@dataclass(frozen=True, repr=False, eq=False)
class ShiftDiagnosis(NamedShift):
    """The name of the shift, and what was compared: the reference and the deployed series."""

    reference: Reference = field(repr=False)
    deployed: Embedding = field(repr=False)
