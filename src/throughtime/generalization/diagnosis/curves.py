"""Loss by the number of training series, and by the steps of history, from the probes that took some away."""

from throughtime.generalization.diagnosis.evidence import DOUBLING_ERRORS, Evidence, Measured
from throughtime.generalization.diagnosis.gains import pooled_gain
from throughtime.generalization.diagnosis.power_law import fit_power_law
from throughtime.generalization.diagnosis.probes import Base, LessData, LessHistory
from throughtime.generalization.diagnosis.records import HistoryCurve, LearningCurve


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
    fewer = {one.probe.fraction * n_train: one for one in evidence.probes.values() if isinstance(one.probe, LessData)}
    points = [(n, *_loss(evidence, one)) for n, one in sorted((fewer | {n_train: evidence.base}).items())]
    sizes, losses, errors = zip(*points, strict=True)
    floor, scale, exponent = fit_power_law(sizes, losses, errors)
    far = DOUBLING_ERRORS * doubling.error
    return LearningCurve(
        sizes, losses, errors, floor, scale, exponent, doubling.value, doubling.value - far, doubling.value + far
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
    enough = [steps for steps, (name, _) in sorted(shorter.items()) if evidence.gain(name, "tempered").value >= -margin]
    steps, losses, errors = zip(*points, strict=True)
    return HistoryCurve(steps, losses, errors, enough[0] if enough else whole)


def _loss(evidence: Evidence, one: Measured) -> tuple[float, float]:
    loss = pooled_gain(one.losses("tempered"), evidence.units)
    return loss.value, loss.error
