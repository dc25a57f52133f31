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
#: Parameters that say how much a network can learn.
_CAPACITY = {"hidden_size", "num_layers", "bidirectional", "cell"}


def sentence_of(judgment: Judgment, evidence: Evidence, units: str) -> str:
    """One plain sentence."""
    verdict, chance = judgment.verdicts[0], evidence.chance
    winner = judgment.winner
    tempered = winner is not None and winner.loss == evidence.losses.tempered_name
    loss = evidence.tempered().value if tempered else evidence.loss
    left = f"{loss:.3g}, {100 * loss / chance:.0f} % of what guessing costs" if chance > 0 else "0"
    if verdict == "leaky":
        leak = evidence.leak()
        assert leak is not None
        return (
            f"These folds leak: with groups kept whole the {evidence.losses.leak_name} is {leak.value:.2g} worse, of "
            f"{evidence.leak_chance:.2g} by guessing, so no score of these folds is to be believed."
        )
    if verdict == "no signal":
        return (
            "Nothing that was tried predicts new series better than guessing, though training series are learned: "
            "there is no signal for these networks."
        )
    also = "; whether there is a signal at all is open" if judgment.signal_open else ""
    if winner is not None and winner.probe == DOUBLING:
        return (
            f"More {units} would help: twice as many are estimated to lower the {winner.loss} by "
            f"{_gain(winner)}, of {left}{also}."
        )
    if winner is not None:
        return f"{_opening(winner)}: {winner.change} lowers the {winner.loss} by {_gain(winner)}, of {left}{also}."
    if verdict == "healthy":
        return f"Nothing that was tried helps, and little is left to gain: the {evidence.losses.name} is {left}."
    if verdict == "noise- or feature-limited":
        return (
            f"Nothing that was tried helps, and the {evidence.losses.name} is still {left}: the rest is noise, or "
            "needs other features."
        )
    if judgment.untrained:
        return "No network has learned even its training series, which says nothing: train longer, or with a higher lr."
    if judgment.signal_open:
        loud = evidence.loss > chance
        return (
            f"{'The network is over-confident, and w' if loud else 'W'}hether there is a signal at all is open: "
            f"{evidence.units.count} {units} are too few to tell."
        )
    effect = judgment.open_effect
    if effect is None:
        return f"What limits the network is open: no remedy was tried, and the {evidence.losses.name} is {left}."
    return (
        f"{evidence.units.count} {units} are too few to tell: {_named(effect)} may still gain up to {effect.high:.2g} "
        f"in {effect.loss}, and may gain {f'as little as {effect.low:.2g}' if effect.low > 0 else 'nothing'}."
    )


def _opening(winner: Effect) -> str:
    """What the cure says of the network, before it is named."""
    assert winner.cause is not None
    if winner.cause == "under-fit" and not winner.parameters.keys() & _CAPACITY:
        return "The network is held back from what there is to learn"
    return _OPENINGS[winner.cause]


def open_question_of(judgment: Judgment, units: str, skipped: tuple[str, ...]) -> str:
    """What is open, and about how many units would settle it; empty where nothing is."""
    parts = []
    if "inconclusive" in judgment.verdicts or judgment.signal_open:
        effect = judgment.open_effect
        helps = "what would help" if effect is None else f"whether {effect.probe} helps"
        what = "whether there is a signal" if judgment.signal_open or judgment.untrained else helps
        more = f"; about {judgment.needed} {units} in all would settle it" if judgment.needed else ""
        parts.append(f"{what} is open{more}, and more repeats alone would not")
    if skipped:
        parts.append(f"time ran out before {', '.join(skipped)}")
    return "; ".join(parts)


def _gain(effect: Effect) -> str:
    return f"{effect.gain:.2g} ({effect.low:.2g} to {effect.high:.2g})"


def _named(effect: Effect) -> str:
    return "twice the data" if effect.probe == DOUBLING else effect.change
