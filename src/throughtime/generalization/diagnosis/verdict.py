"""From gains to a verdict: the cure names the cause.

The thresholds were fixed on planted cases whose truth is measured on fresh data (``docs/decisions/0016-verdict.md``);
those that are a fraction are of the dummy's loss.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from throughtime.generalization.diagnosis.evidence import DOUBLING, Evidence
from throughtime.generalization.diagnosis.gains import Gain, max_t
from throughtime.generalization.diagnosis.records import Effect, VerdictName

#: A leak is a gap of so many standard errors, and of so much of the dummy's loss.
LEAK_ERRORS, LEAK_MARGIN = 2.5, 0.1
#: A signal is a skill of at least so many standard errors; none is one that stays, with two of them, below so much.
SIGNAL_ERRORS, SIGNAL_MARGIN = 2.5, 0.10
#: Margins that no probe may still gain, for the verdict that none helps.
STILL_OPEN = 2.0
#: The loss below which a net is healthy.
HEALTHY = 0.25
#: Standard errors by which a gain has to be above the margin: the largest of many is larger than it will be again.
CLEAR_ERRORS = 1.0
#: Standard errors by which a probe's gain may be above what was seen, and the base's loss, which no gain exceeds. That
#: none helps is a claim about each of them, and needs no interval for all at once (Berger 1982, Technometrics 24, 295).
_EACH_ERRORS = 1.7


@dataclass(frozen=True)
class Judgment:
    """The verdict before it is put in words.

    Attributes
    ----------
    verdicts
        As `Diagnosis` has them.
    winner
        The effect that named the cause.
    open_effect, needed
        What an inconclusive verdict hangs on, and about how many units would settle it.
    skill
        The most certain skill over the dummy.
    signal_open
        Whether it is not certain that there is a signal at all.
    untrained
        Whether no network has learned even its training series.
    """

    verdicts: tuple[VerdictName, ...]
    winner: Effect | None = None
    open_effect: Effect | None = None
    needed: int | None = None
    skill: Gain | None = None
    signal_open: bool = False
    untrained: bool = False


def judge(evidence: Evidence, effects: Sequence[Effect], margin: float, complete: bool) -> Judgment:
    """Name what limits the network.

    Parameters
    ----------
    effects
        Those of the evidence.
    margin
        The least gain that counts, in units of the loss.
    complete
        Whether all probes asked for were measured, if only once, and remedies of every kind among them; else that none
        helps, or learns, cannot be said.
    """
    chance, n = evidence.chance, evidence.units.count
    if is_leaky(evidence):
        return Judgment(("leaky",))
    skills = evidence.skills()
    threshold = max(SIGNAL_ERRORS, max_t(skills, evidence.level, n))
    best = max(skills, key=_t)
    if not best.value > threshold * best.error:
        likely = max(skills, key=lambda skill: skill.value + 2 * skill.error)
        # a net that has not even learned its training series says nothing of what there is to learn
        learned = evidence.lowest_train_loss() < chance - margin
        if complete and learned and likely.value + 2 * likely.error < SIGNAL_MARGIN * chance:
            return Judgment(("no signal",), skill=best)
        cures = [effect for effect in effects if is_cure(effect, margin)]
        if cures:  # of noise, or too loud: it costs, whether there is a signal beneath or not
            found = _cured(cures, best)
            return replace(found, signal_open=found.verdicts[0] in ("over-fit", "data-limited"))
        if not learned:
            return Judgment(("inconclusive",), skill=best, untrained=True)
        needed = _needed(n, likely, SIGNAL_MARGIN * chance, threshold)
        return Judgment(("inconclusive",), needed=needed, skill=best, signal_open=True)
    cures = [effect for effect in effects if is_cure(effect, margin)]
    if cures:
        return _cured(cures, best)
    loss = evidence.tempered()
    most = loss.value + _EACH_ERRORS * loss.error
    candidates = [effect for effect in effects if may_cure(effect)]
    open_effect = max(candidates, key=_may_gain, default=None)
    top = most if open_effect is None else min(_may_gain(open_effect), most)
    promising = any(effect.gain > margin for effect in candidates)
    if complete and not promising and top < STILL_OPEN * margin:
        healthy: VerdictName = "healthy" if loss.value < HEALTHY * chance else "noise- or feature-limited"
        return Judgment((healthy,), skill=best)
    needed = None
    if open_effect is not None:
        gain = Gain(open_effect.gain, open_effect.error, loss.influence)
        needed = _needed(n, gain, STILL_OPEN * margin, _EACH_ERRORS)
    return Judgment(("inconclusive",), open_effect=open_effect, needed=needed, skill=best)


def _may_gain(effect: Effect) -> float:
    """What a probe may gain at most; of twice the data, which is an estimate, what its interval says."""
    return effect.high if effect.probe == DOUBLING else effect.gain + _EACH_ERRORS * effect.error


def _cured(cures: Sequence[Effect], skill: Gain) -> Judgment:
    """The largest gain names the cause."""
    winner = max(cures, key=lambda effect: effect.gain)
    assert winner.cause is not None
    return Judgment((winner.cause,), winner=winner, skill=skill)


def is_leaky(evidence: Evidence) -> bool:
    """Whether whole groups are so much worse than the given folds that these must leak."""
    leak = evidence.leak()
    return (
        leak is not None and leak.value > LEAK_ERRORS * leak.error and leak.value > LEAK_MARGIN * evidence.leak_chance
    )


def may_cure(effect: Effect) -> bool:
    """Whether a gain would name a cause: what trains better has to fit better too."""
    return effect.cause is not None and (effect.cause != "not optimized" or effect.train_gain > 0)


def is_cure(effect: Effect, margin: float) -> bool:
    """Whether an effect names a cause: clearly more than the margin, and certainly something."""
    return may_cure(effect) and effect.gain - CLEAR_ERRORS * effect.error > margin and effect.low > 0


def _t(gain: Gain) -> float:
    return gain.value / gain.error if gain.error > 0 else math.copysign(math.inf, gain.value)


def _needed(n: int, gain: Gain, far: float, errors: float) -> int | None:
    """About how many units make a gain certain, or certainly smaller than what it would have to be.

    ``None`` where it is not for want of units.
    """
    if not gain.error > 0:
        return None
    distance = max(gain.value, far - gain.value)
    needed = math.ceil(n * (errors * gain.error / distance) ** 2)
    return needed if needed > n else None
