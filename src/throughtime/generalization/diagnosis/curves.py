"""Loss by the number of training series, and by the steps of history, from the probes that took some away."""

from throughtime.generalization.diagnosis.evidence import Evidence, Measured
from throughtime.generalization.diagnosis.gains import pooled_gain
from throughtime.generalization.diagnosis.probes import Base, LessHistory
from throughtime.generalization.diagnosis.records import HistoryCurve, LearningCurve

#: Standard errors with which a shorter history has to stay within the margin.
_ERRORS = 2.0


def learning_curve_of(evidence: Evidence, n_train: float) -> LearningCurve | None:
    """Tempered loss by the number of training units; ``None`` where no smaller number was measured.

    Parameters
    ----------
    n_train
        Units in a training fold, on average.
    """
    doubling = evidence.doubling()
    if doubling is None:
        return None
    fractions = evidence.by_size()
    floor, scale, exponent = evidence.power_law
    return LearningCurve(
        tuple(fraction * n_train for fraction in fractions),
        tuple(loss.value for loss in fractions.values()),
        tuple(loss.error for loss in fractions.values()),
        floor,
        scale * n_train**exponent,
        exponent,
        doubling.value,
        *evidence.doubling_interval(doubling),
    )


def history_curve_of(evidence: Evidence, base: Base, margin: float) -> HistoryCurve | None:
    """Tempered loss by the steps of history; ``None`` where no shorter one was measured."""
    shorter = {
        one.probe.steps(base): (name, one)
        for name, one in evidence.probes.items()
        if isinstance(one.probe, LessHistory)
    }
    if not shorter:
        return None
    whole = LessHistory("", 1.0).steps(base)
    points = [(steps, *_loss(evidence, one)) for steps, (_, one) in sorted(shorter.items())]
    points.append((whole, *_loss(evidence, evidence.base)))
    costs = {steps: evidence.gain(name, "tempered") for steps, (name, _) in sorted(shorter.items())}
    enough = [steps for steps, cost in costs.items() if cost.value - _ERRORS * cost.error >= -margin]
    needed = enough[0] if enough else whole
    steps, losses, errors = zip(*points, strict=True)
    knows = evidence.chance - evidence.tempered().value > margin  # else no history could be missed
    return HistoryCurve(steps, losses, errors, needed if knows else None)


def _loss(evidence: Evidence, one: Measured) -> tuple[float, float]:
    loss = pooled_gain(one.losses("tempered"), evidence.units)
    return loss.value, loss.error
