"""What is tried once more where training helps, but not by the margin: a net that has hardly begun has far to go."""

from throughtime.generalization.diagnosis.evidence import RACING_ERRORS, Evidence, Measured
from throughtime.generalization.diagnosis.probes import Scaled, Setting
from throughtime.generalization.diagnosis.verdict import HEALTHY


def further_training(evidence: Evidence, margin: float) -> Setting | None:
    """Everything at once that certainly trains better, or a single such scale twice; ``None`` where it would not tell.

    Parameters
    ----------
    evidence
        Of one repeat.
    margin
        The least gain that counts: what reaches it needs no more.
    """
    if evidence.tempered().value < HEALTHY * evidence.chance:
        return None
    better: dict[str, Measured] = {}
    for name, one in evidence.probes.items():
        if one.probe is None or one.probe.cause != "not optimized" or not one.variant.is_setting:
            continue
        gain = evidence.gain(name, "tempered")
        if gain.value > margin:
            return None
        if gain.value > RACING_ERRORS * gain.error and one.repeats[0].train < evidence.base.repeats[0].train:
            better[name] = one
    order = sorted(better, key=lambda name: evidence.gain(name, "tempered").value)
    parameters = {key: value for name in order for key, value in better[name].variant.parameters.items()}
    name = " and ".join(order)
    if len(order) == 1 and isinstance(scaled := better[order[0]].probe, Scaled):
        ((key, value),) = parameters.items()
        again = value * scaled.factor
        parameters, name = {key: round(again) if isinstance(value, int) else again}, f"{name}, twice"
    elif len(order) < 2:
        return None
    return Setting(name, parameters, "not optimized")
