"""A verdict in words, for somebody who does not know how it was made."""

from throughtime.generalization.diagnosis.evidence import DOUBLING, Evidence
from throughtime.generalization.diagnosis.records import Effect
from throughtime.generalization.diagnosis.verdict import Judgment

_OPENINGS = {
    "not optimized": "Training has not got to its end",
    "under-fit": "The network is held too small for what there is to learn",
    "over-fit": "The network learns its training series too well",
    "noise- or feature-limited": "The inputs do not show the network what it needs",
}


def sentence_of(judgment: Judgment, evidence: Evidence, units: str) -> str:
    """One plain sentence."""
    verdict, chance = judgment.verdicts[0], evidence.chance
    left = f"{evidence.loss:.3g}, {100 * evidence.loss / chance:.0f} % of what guessing costs" if chance > 0 else "0"
    if verdict == "leaky":
        leak = evidence.leak()
        assert leak is not None
        return (
            f"These folds leak: with groups kept whole the {evidence.losses.leak_name} is {leak.value:.2g} worse, of "
            f"{evidence.leak_chance:.2g} by guessing, so no score of these folds is to be believed."
        )
    if verdict == "no signal":
        return "Nothing that was tried predicts better than guessing: there is no signal for these networks to learn."
    winner = judgment.winner
    also = "; whether there is a signal at all is open" if judgment.signal_open else ""
    if winner is not None and winner.probe == DOUBLING:
        return (
            f"More {units} would help: twice as many are estimated to lower the {winner.loss} by "
            f"{_gain(winner)}, of {left}{also}."
        )
    if winner is not None:
        return f"{_OPENINGS[verdict]}: {winner.change} lowers the {winner.loss} by {_gain(winner)}, of {left}{also}."
    if verdict == "healthy":
        return f"Nothing that was tried helps, and little is left to gain: the {evidence.losses.name} is {left}."
    if verdict == "noise- or feature-limited":
        return (
            f"Nothing that was tried helps, and the {evidence.losses.name} is still {left}: the rest is noise, or "
            "needs other features."
        )
    if judgment.open_effect is None:
        loud = evidence.loss > chance
        return (
            f"{'The network is over-confident, and w' if loud else 'W'}hether there is a signal at all is open: "
            f"{evidence.units.count} {units} are too few to tell."
        )
    effect = judgment.open_effect
    return (
        f"{evidence.units.count} {units} are too few to tell: {effect.change} may still gain up to {effect.high:.2g} "
        f"in {effect.loss}, and may gain nothing."
    )


def open_question_of(judgment: Judgment, units: str, skipped: tuple[str, ...]) -> str:
    """What is open, and about how many units would settle it; empty where nothing is."""
    parts = ["whether there is a signal is open"] if judgment.signal_open else []
    if "inconclusive" in judgment.verdicts:
        effect = judgment.open_effect
        what = "whether there is a signal" if effect is None else f"whether {effect.probe} helps"
        more = f"; about {judgment.needed} {units} in all would settle it" if judgment.needed else ""
        parts.append(f"{what} is open{more}, and more repeats alone would not")
    if skipped:
        parts.append(f"time ran out before {', '.join(skipped)}")
    return "; ".join(parts)


def _gain(effect: Effect) -> str:
    return f"{effect.gain:.2g} ({effect.low:.2g} to {effect.high:.2g})"
