"""``GEN010`` to ``GEN019``: what the probes found, as findings with stable codes."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from throughtime.findings import Check, Finding, Measured, NotApplicable, run_checks
from throughtime.generalization.augmentation_check import AUGMENTATION_CHECK
from throughtime.generalization.diagnosis.evidence import Evidence
from throughtime.generalization.diagnosis.probes import LessHistory
from throughtime.generalization.diagnosis.records import Effect, VerdictName
from throughtime.generalization.diagnosis.verdict import (
    HEALTHY,
    LEAK_ERRORS,
    LEAK_MARGIN,
    Judgment,
    is_cure,
    is_leaky,
    may_cure,
)
from throughtime.records import Records

_SOURCE = "planted cases whose truth is measured on fresh series (benchmarks/verdict.py)"
_MARGIN = "the margin asked for, of the dummy's loss; the interval excludes 0"
_DOCS = "docs/guide/verdict.md"


def findings_of(
    evidence: Evidence, effects: Sequence[Effect], judgment: Judgment, margin: float, labels: Sequence[Finding]
) -> Records[Finding]:
    """One finding per check.

    Parameters
    ----------
    margin
        The least gain that counts, in units of the loss.
    labels
        Of the augmentations that were tried.
    """
    fraction = margin / evidence.chance if evidence.chance else 0.0
    found = run_checks(
        [_at(check, fraction) for check in CHECKS],
        evidence=evidence,
        effects=effects,
        judgment=judgment,
        margin=margin,
    )
    labels = labels or [replace(AUGMENTATION_CHECK, lacking="no augmentation was tried").run()]
    return Records(sorted([*found, *labels], key=lambda finding: finding.code))


def _at(check: Check, margin: float) -> Check:
    """A check of gains with the margin as its threshold."""
    return replace(check, threshold=margin) if check.source == _MARGIN else check


def _leaky(evidence: Evidence) -> Measured | NotApplicable:
    leak = evidence.leak()
    if leak is None:
        return NotApplicable("whole groups were not tried: there are none, or the folds keep them whole")
    fraction = leak.value / evidence.leak_chance
    detail = (
        f"with whole groups the {evidence.losses.leak_name} is {leak.value:+.2g} ({leak.error:.2g} standard error) "
        f"of {evidence.leak_chance:.2g} by guessing"
    )
    if evidence.units.count < _FEW_GROUPS:
        detail += f"; {evidence.units.count} groups are few to tell from"
    # below the threshold unless it is certain as well
    return Measured(fraction if is_leaky(evidence) else min(fraction, LEAK_MARGIN), detail)


#: Groups below which the test for leaks is weak.
_FEW_GROUPS = 30


def _no_signal(judgment: Judgment, evidence: Evidence) -> Measured:
    skill = judgment.skill or max(evidence.skills(), key=lambda one: one.value)
    better, error = skill.value / evidence.chance, skill.error / evidence.chance
    detail = (
        f"the best of all loses {100 * better:.0f} % less than guessing, with a standard error of {100 * error:.0f} %"
    )
    return Measured(float(judgment.verdicts == ("no signal",)), detail)


def _gain(cause: VerdictName, effects: Sequence[Effect], margin: float, evidence: Evidence) -> Measured | NotApplicable:
    """The largest gain among a cause's probes, those that are certain first."""
    own = [effect for effect in effects if effect.cause == cause]
    if not own:
        return NotApplicable("none of its probes was measured")
    certain = [effect for effect in own if is_cure(effect, margin)]
    best = max(certain or own, key=lambda effect: effect.gain)
    detail = _in_words(best)
    if not may_cure(best):
        detail += "; it fits the training series no better"
    return Measured(best.gain / evidence.chance if certain else min(best.gain, margin) / evidence.chance, detail)


def _noise(judgment: Judgment, evidence: Evidence, effects: Sequence[Effect]) -> Measured:
    features = [effect for effect in effects if effect.cause == "noise- or feature-limited"]
    told = "noise- or feature-limited" in judgment.verdicts
    detail = f"the {evidence.losses.name} is {100 * evidence.loss / evidence.chance:.0f} % of what guessing costs"
    if features:
        best = max(features, key=lambda effect: effect.gain)
        detail += f"; {_in_words(best)}"
    return Measured(evidence.tempered().value / evidence.chance if told else HEALTHY, detail)


def _gap(judgment: Judgment, evidence: Evidence) -> Measured:
    gap = (evidence.loss - evidence.train_loss) / evidence.chance
    detail = f"{evidence.losses.name} {evidence.train_loss:.3g} in training and {evidence.loss:.3g} out of fold"
    harmless = judgment.verdicts[0] in ("healthy", "noise- or feature-limited")
    return Measured(gap if harmless else min(gap, _GAP), detail if harmless else f"{detail}; see the other findings")


#: The gap between test and training loss, of the dummy's, from which on it is remarked.
_GAP = 0.1


def _in_words(effect: Effect) -> str:
    return f"{effect.change}: {effect.gain:+.2g} ({effect.low:.2g} to {effect.high:.2g}) in {effect.loss}"


def _history(evidence: Evidence, effects: Sequence[Effect], margin: float) -> Measured | NotApplicable:
    shorter = {one.probe.fraction: name for name, one in evidence.probes.items() if isinstance(one.probe, LessHistory)}
    if not shorter:
        return NotApplicable("no shorter history was tried")
    name = shorter[max(shorter)]
    (effect,) = [effect for effect in effects if effect.probe == name]
    certain = effect.high < 0 and effect.gain < -margin
    loss = -effect.gain if certain else min(-effect.gain, margin)
    return Measured(loss / evidence.chance, _in_words(effect))


def _cause(code: str, title: VerdictName, remedy: str) -> Check:
    return Check(
        code,
        title,
        "warning",
        needs=("effects", "margin", "evidence"),
        measure=partial(_gain, title),
        source=_MARGIN,
        remedy=remedy,
        docs=f"{_DOCS}#{code.lower()}",
    )


#: In order of code; GEN018 is that of `augmentation_findings`.
CHECKS: tuple[Check, ...] = (
    Check(
        "GEN010",
        "leaky",
        "error",
        needs=("evidence",),
        measure=_leaky,
        threshold=LEAK_MARGIN,
        source=f"{_SOURCE}; and {LEAK_ERRORS:g} standard errors",
        remedy="divide by groups: cv=5 with groups, GroupKFold, or --cv group:K",
        docs=f"{_DOCS}#gen010",
    ),
    Check(
        "GEN011",
        "no signal",
        "warning",
        needs=("judgment", "evidence"),
        measure=_no_signal,
        threshold=0.5,
        source=_SOURCE,
        remedy="look at the targets and at what the inputs can say of them, before any network",
        docs=f"{_DOCS}#gen011",
    ),
    _cause("GEN012", "not optimized", "train longer, or with the learning rate or initializer that the probe names"),
    _cause("GEN013", "under-fit", "more units, or less of the regularization that the probe names"),
    _cause("GEN014", "over-fit", "more weight decay, fewer units or fewer epochs, as the probe names"),
    _cause("GEN015", "data-limited", "more series like these; what augmentation adds, a probe tells (augment:SPEC)"),
    Check(
        "GEN016",
        "noise- or feature-limited",
        "note",
        needs=("judgment", "evidence", "effects"),
        measure=_noise,
        threshold=HEALTHY,
        source=_SOURCE,
        remedy="features that say more (features:SPEC as a probe); else this is as good as it gets",
        docs=f"{_DOCS}#gen016",
    ),
    Check(
        "GEN017",
        "interpolating, harmless",
        "note",
        needs=("judgment", "evidence"),
        measure=_gap,
        threshold=_GAP,
        source="a tenth of the dummy's loss, as skore's SKD001 calls over-fitting",
        remedy="nothing: the gap between training and test alone costs nothing",
        docs=f"{_DOCS}#gen017",
    ),
    Check(
        "GEN019",
        "history",
        "note",
        needs=("evidence", "effects", "margin"),
        measure=_history,
        source=_MARGIN,
        remedy="keep series this long; the gradient has to come back as far (lag_curve)",
        docs=f"{_DOCS}#gen019",
    ),
)
